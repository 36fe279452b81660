"""Work for all layers together gives the same results as layer by layer, and leaves the network unchanged."""

import pytest
import torch
from torch import Tensor, nn

from dropnas.training.foreach import ForeachLayers
from dropnas.training.precision import autocast
from dropnas.training.seeding import generator


class Scale(nn.Module):
    """A user's own layer, with a weight that only autocast's rules reach."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((4, 4), 0.3))

    def forward(self, states: Tensor) -> Tensor:
        return (states.movedim(1, 3) @ self.scale).movedim(3, 1)


def made() -> nn.Sequential:
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(), Scale(), nn.Conv2d(4, 4, 1)]
    return nn.Sequential(*layers, nn.BatchNorm2d(4, momentum=None), nn.Flatten(), nn.Linear(4 * 36, 5))


def images() -> Tensor:
    return torch.randn(2, 3, 8, 8, generator=generator(0, "images"))


def everything(network: nn.Module) -> list[Tensor]:
    return [*network.buffers(), *(weight.grad for weight in network.parameters() if weight.grad is not None)]


def test_in_bf16_it_is_autocast_to_the_bit() -> None:
    ours, theirs = made(), made()
    layers = ForeachLayers(ours, "bf16", "cpu")
    with layers.computing():
        our_output = ours(images())
    with autocast("bf16", "cpu"):
        their_output = theirs(images())
    assert our_output.dtype == torch.bfloat16
    for output in (our_output, their_output):
        output.float().square().sum().backward()
    assert torch.equal(our_output, their_output)
    assert len(everything(ours)) == len(everything(theirs)) == 6 + 10
    assert all(map(torch.equal, everything(ours), everything(theirs)))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_network_is_as_before_outside_of_a_pass_whatever_happens_in_it(precision: str) -> None:
    network = made()
    before = {name: (value.data_ptr(), value.dtype) for name, value in network.state_dict().items()}
    parameters = [*network.parameters()]
    layers = ForeachLayers(network, precision, "cpu")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no images"), layers.computing():
        raise ValueError("no images")
    assert {name: (value.data_ptr(), value.dtype) for name, value in network.state_dict().items()} == before
    assert all(one is other for one, other in zip(network.parameters(), parameters, strict=True))
    assert network[1].num_batches_tracked == 0


def test_a_layer_that_is_not_used_has_no_gradient() -> None:
    network = nn.ModuleList([nn.Linear(3, 2), nn.Linear(3, 2)])
    with ForeachLayers(network, "bf16", "cpu").computing():
        network[0](torch.ones(1, 3)).sum().backward()
    assert network[0].weight.grad is not None and network[0].weight.grad.dtype == torch.float32
    assert network[1].weight.grad is None


def test_only_what_trains_counts_its_batches() -> None:
    network = made()
    layers = ForeachLayers(network, "fp32", "cpu")
    for _ in range(2):
        with layers.computing():
            network(images())
    network.eval()
    with layers.computing(), torch.no_grad():
        network(images())
    assert [int(network[place].num_batches_tracked) for place in (1, 5)] == [2, 2]
