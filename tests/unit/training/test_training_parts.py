"""Seeds, initial weights, schedules, metrics: each against a reference computed another way."""

import csv
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from dropnas.artifacts.counts_file import Counted, CountsFile
from dropnas.artifacts.metrics_file import MetricsFile
from dropnas.training import determinism, precision
from dropnas.training.initialisation import initialise
from dropnas.training.schedule import cosine, linear, warm_up
from dropnas.training.seeding import derive, generator


def test_generators_differ_by_seed_purpose_and_indices() -> None:
    names: list[tuple[Any, ...]] = [
        (0, "a"),
        (1, "a"),
        (0, "b"),
        (0, "a", 0),
        (0, "a", 1),
        (0, "a", 1, 0),
        (0, "a", 10),
    ]
    drawn = {tuple(torch.rand(4, generator=generator(*name)).tolist()) for name in names}
    assert len(drawn) == len(names)


def test_a_generator_depends_on_nothing_else() -> None:
    first = torch.rand(4, generator=generator(7, "masks", 3))
    torch.manual_seed(99)
    torch.rand(10)
    assert torch.equal(first, torch.rand(4, generator=generator(7, "masks", 3)))


def test_seeds_are_the_same_on_every_machine() -> None:
    assert derive(0, "augmentation", 3) == 1037635360941886424


def layers() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.Conv2d(8, 8, 5, groups=8), nn.Flatten(), nn.Linear(8, 5)
    )


def test_initial_weights_are_pytorchs_own() -> None:
    """The layers' own `reset_parameters` draw the same numbers from a global generator in the same state."""
    module, reference = layers(), layers()
    initialise(module, torch.Generator().manual_seed(5))
    torch.manual_seed(5)
    for layer in reference:
        if hasattr(layer, "reset_parameters"):
            layer.reset_parameters()  # type: ignore[operator]
    for found, expected in zip(module.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(found, expected)


def test_the_weights_of_batch_norm_may_start_uniform_and_no_other_weight_changes() -> None:
    """As in PyTorch before 1.2; a norm without affine parameters has none to draw."""
    ones, uniform = (nn.Sequential(layers(), nn.BatchNorm2d(4000), nn.BatchNorm2d(3, affine=False)) for _ in range(2))
    initialise(ones, generator(0, "initialisation"))
    initialise(uniform, generator(0, "initialisation"), "uniform")
    drawn = uniform[1].weight.detach()
    assert 0 <= float(drawn.min()) < 0.01 and 0.99 < float(drawn.max()) < 1
    assert abs(float(drawn.mean()) - 0.5) < 0.02 and abs(float(drawn.std()) - 12**-0.5) < 0.01
    for name, value in ones.state_dict().items():
        differs = name in ("0.1.weight", "1.weight")
        assert torch.equal(value, uniform.state_dict()[name]) is not differs, name
    assert not uniform[1].bias.any() and not uniform[0][1].bias.any()  # type: ignore[index]


def test_initialisation_undoes_what_batch_norm_learned() -> None:
    norm = nn.BatchNorm2d(8)
    norm(torch.randn(4, 8, 6, 6))
    initialise(norm, generator(0, "initialisation"))
    assert torch.equal(norm.running_mean, torch.zeros(8)) and norm.num_batches_tracked == 0  # type: ignore[arg-type]


class Foreign(nn.Module):
    """A user's own operation, which draws from the global generator."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(6))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.normal_(self.weight)


def test_foreign_layers_are_drawn_from_the_generator_and_leave_the_global_one_alone() -> None:
    first, second = Foreign(), Foreign()
    initialise(first, generator(0, "initialisation"))
    torch.manual_seed(3)
    before = torch.get_rng_state()
    initialise(second, generator(0, "initialisation"))
    assert torch.equal(first.weight, second.weight)
    assert torch.equal(before, torch.get_rng_state())


@settings(deadline=None, derandomize=True)
@given(st.floats(1e-4, 1), st.floats(0, 1e-4), st.integers(1, 50))
def test_cosine_is_torchs_scheduler(start: float, end: float, total: int) -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=start)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, total, eta_min=end)
    for step in range(total):
        assert math.isclose(cosine(start, end, step, total), scheduler.get_last_lr()[0], rel_tol=1e-6, abs_tol=1e-9)
        optimizer.step()
        scheduler.step()


def test_lines_reach_their_ends() -> None:
    assert [linear(0.0, 0.2, step, 4) for step in range(5)] == pytest.approx([0, 0.05, 0.1, 0.15, 0.2])
    assert [warm_up(0.8, step, 4) for step in range(4)] == pytest.approx([0.2, 0.4, 0.6, 0.8])


def test_metrics_read_back_as_the_same_numbers(tmp_path: Path) -> None:
    rows = [{"epoch": 1, "loss": 0.1 + 0.2, "top5": None}, {"epoch": 2, "loss": 1e-17, "top5": None}]
    MetricsFile(rows).write(tmp_path)
    with (tmp_path / "metrics.csv").open() as file:
        back = list(csv.DictReader(file))
    assert [float(row["loss"]) for row in back] == [row["loss"] for row in rows]
    assert [row["epoch"] for row in back] == ["1", "2"] and back[0]["top5"] == ""


def test_rows_with_other_columns_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="columns"):
        MetricsFile([{"a": 1}, {"b": 1}]).write(tmp_path)


def test_a_result_is_never_nan(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        CountsFile((Counted("x", "x", "table1", "cifar10", {}, 1, math.nan, 1, False, 0, ""),)).write(tmp_path)


def test_precision_is_set_both_ways() -> None:
    precision.apply("tf32")
    assert torch.get_float32_matmul_precision() == "high" and torch.backends.cudnn.allow_tf32
    precision.apply("fp32")
    assert torch.get_float32_matmul_precision() == "highest" and not torch.backends.cudnn.allow_tf32


def test_products_of_half_precision_are_summed_in_single() -> None:
    products = torch.backends.cuda.matmul
    products.allow_bf16_reduced_precision_reduction = products.allow_fp16_reduced_precision_reduction = True
    precision.apply("bf16")
    assert not products.allow_bf16_reduced_precision_reduction
    assert not products.allow_fp16_reduced_precision_reduction


def test_only_bf16_casts() -> None:
    matrix = torch.ones(2, 2)
    for name, dtype in (("fp32", torch.float32), ("tf32", torch.float32), ("bf16", torch.bfloat16)):
        with precision.autocast(name, "cpu"):  # type: ignore[arg-type]
            assert (matrix @ matrix).dtype == dtype


def test_only_a_run_that_says_so_lets_cudnn_choose_by_timing() -> None:
    determinism.apply(0, "cpu", 1, deterministic=False)
    assert torch.backends.cudnn.benchmark and not torch.backends.cudnn.deterministic
    determinism.apply(0, "cpu", 1)
    assert not torch.backends.cudnn.benchmark and torch.backends.cudnn.deterministic


def test_determinism_seeds_what_a_users_code_may_draw_from() -> None:
    drawn = []
    for _ in range(2):
        determinism.apply(4, "cpu", threads=1)
        drawn.append(torch.rand(3))
    assert torch.equal(*drawn) and torch.are_deterministic_algorithms_enabled() and torch.get_num_threads() == 1
