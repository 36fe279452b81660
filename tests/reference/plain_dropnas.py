"""A second, plain implementation of DropNAS, written from the paper and from notes on the authors' release.

It shares nothing with the package: no module, no optimiser, no batch norm layer. Parameters are a flat list of tensors,
used in the order of the paper's design (stem; in each cell the two preprocessing operations, then the edges (node,
predecessor), on each edge the operations in the order of the space; classifier). Everything is meant for double
precision. Autograd computes the gradients of the loss; every update formula is written out.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional

EPSILON = 1e-5  # of batch norm
KINDS = ("normal", "reduce")
EDGE_LIST = [(node, source) for node in (2, 3, 4, 5) for source in range(node)]

CONVOLUTIONS = ("sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5")
ORIGINAL = (*CONVOLUTIONS, "max_pool_3x3", "avg_pool_3x3", "skip_connect", "none")
THREE_SKIP = (*CONVOLUTIONS, "skip_connect", "skip_connect", "skip_connect", "none")
ONE_SKIP = (*CONVOLUTIONS, "skip_connect", "none")


# ---------------------------------------------------------------- the supernet


def whiten(x: Tensor) -> Tensor:
    """Batch norm without affine parameters, in training mode: x is (B, C, H, W)."""
    mean = x.mean(dim=(0, 2, 3), keepdim=True)
    variance = ((x - mean) ** 2).mean(dim=(0, 2, 3), keepdim=True)
    return (x - mean) / torch.sqrt(variance + EPSILON)


def parameters_of(name: str, stride: int) -> int:
    """The number of weight tensors of an operation."""
    if name.startswith("sep_conv"):
        return 4
    if name.startswith("dil_conv"):
        return 2
    return 2 if name == "skip_connect" and stride == 2 else 0


def halve(x: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Two 1x1 convolutions of stride 2, the second one shifted by one pixel, concatenated."""
    x = x.clamp(min=0)
    return whiten(
        torch.cat([functional.conv2d(x, first, stride=2), functional.conv2d(x[:, :, 1:, 1:], second, stride=2)], dim=1)
    )


def apply_operation(name: str, x: Tensor, stride: int, weights: Sequence[Tensor]) -> Tensor:
    """Apply an operation of the search space to (B, C, H, W)."""
    channels = x.shape[1]
    if name.startswith("sep_conv"):
        side = int(name[-1])
        y = functional.conv2d(x.clamp(min=0), weights[0], stride=stride, padding=side // 2, groups=channels)
        y = whiten(functional.conv2d(y, weights[1])).clamp(min=0)
        y = functional.conv2d(y, weights[2], padding=side // 2, groups=channels)
        return whiten(functional.conv2d(y, weights[3]))
    if name.startswith("dil_conv"):
        side = int(name[-1])
        y = functional.conv2d(x.clamp(min=0), weights[0], stride=stride, padding=side - 1, dilation=2, groups=channels)
        return whiten(functional.conv2d(y, weights[1]))
    if name == "max_pool_3x3":
        return whiten(functional.max_pool2d(x, 3, stride=stride, padding=1))
    if name == "avg_pool_3x3":
        return whiten(functional.avg_pool2d(x, 3, stride=stride, padding=1, count_include_pad=False))
    if name == "skip_connect":
        return x if stride == 1 else halve(x, weights[0], weights[1])
    assert name == "none", name
    return x[:, :, ::stride, ::stride] * 0


@dataclass
class Owner:
    """The owner of a weight: an operation of a cell, or None if it is never dropped."""

    place: tuple[int, int, int] | None  # (cell, edge, operation)


@dataclass
class Plain:
    """The state of a search: weights, alphas and the moving averages of both optimisers."""

    operations: tuple[str, ...]
    cells: int
    weights: list[Tensor]
    alphas: dict[str, Tensor]  # kind -> (14, |O|)
    velocity: list[Tensor] = field(default_factory=list)
    first: dict[str, Tensor] = field(default_factory=dict)
    second: dict[str, Tensor] = field(default_factory=dict)
    adam_steps: int = 0

    def __post_init__(self) -> None:
        self.velocity = [torch.zeros_like(w) for w in self.weights]
        self.first = {kind: torch.zeros_like(a) for kind, a in self.alphas.items()}
        self.second = {kind: torch.zeros_like(a) for kind, a in self.alphas.items()}

    def kind(self, cell: int) -> str:
        return "reduce" if cell in (self.cells // 3, 2 * self.cells // 3) else "normal"

    def owners(self) -> list[Owner]:
        """The owner of each weight, in the order of the flat list."""
        found = [Owner(None)] * 3  # stem: convolution, scale, shift
        for cell in range(self.cells):
            halved = cell > 0 and self.kind(cell - 1) == "reduce"
            found += [Owner(None)] * ((2 if halved else 1) + 1)
            for edge, (_, source) in enumerate(EDGE_LIST):
                stride = 2 if self.kind(cell) == "reduce" and source < 2 else 1
                for index, name in enumerate(self.operations):
                    found += [Owner((cell, edge, index))] * parameters_of(name, stride)
        return found + [Owner(None)] * 2


def kept_probabilities(alphas: Tensor, kept: Tensor) -> Tensor:
    """The softmax over the kept operations of each edge; 0 for dropped ones."""
    rows = []
    for row, keep in zip(alphas, kept, strict=True):
        total = sum(torch.exp(row[i]) for i in range(len(row)) if keep[i])
        rows.append(torch.stack([torch.exp(row[i]) / total if keep[i] else row[i] * 0 for i in range(len(row))]))
    return torch.stack(rows)


def logits_of(world: Plain, weights: Sequence[Tensor], kept: Tensor, images: Tensor) -> Tensor:
    """The logits of the supernet; `kept` is (cells, 14, |O|), `images` (B, 3, H, W)."""
    stream: Iterator[Tensor] = iter(weights)

    def take(count: int) -> list[Tensor]:
        return list(itertools.islice(stream, count))

    convolution, scale, shift = take(3)
    stem = whiten(functional.conv2d(images, convolution, padding=1)) * scale.view(1, -1, 1, 1) + shift.view(1, -1, 1, 1)
    before, last = stem, stem
    for cell in range(world.cells):
        kind = world.kind(cell)
        if cell > 0 and world.kind(cell - 1) == "reduce":
            first = halve(before, *take(2))
        else:
            first = whiten(functional.conv2d(before.clamp(min=0), take(1)[0]))
        nodes = [first, whiten(functional.conv2d(last.clamp(min=0), take(1)[0]))]
        p = kept_probabilities(world.alphas[kind], kept[cell])
        for node in (2, 3, 4, 5):
            total = torch.zeros((), dtype=images.dtype)
            for source in range(node):
                edge = EDGE_LIST.index((node, source))
                stride = 2 if kind == "reduce" and source < 2 else 1
                for index, name in enumerate(world.operations):
                    mine = take(parameters_of(name, stride))
                    if kept[cell, edge, index]:
                        total = total + p[edge, index] * apply_operation(name, nodes[source], stride, mine)
            nodes.append(total)
        before, last = last, torch.cat(nodes[2:], dim=1)
    matrix, bias = take(2)
    assert next(stream, None) is None, "weights are left over"
    return last.mean(dim=(2, 3)) @ matrix.T + bias


def loss_of(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy."""
    return -torch.log_softmax(logits, dim=1)[torch.arange(len(labels)), labels].mean()


# ---------------------------------------------------------------- one step


@dataclass(frozen=True)
class Rules:
    """The hyperparameters and switches of a step."""

    learning_rate: float = 0.0375
    momentum: float = 0.9
    weight_decay: float = 3e-4
    clip: float = 3.0
    alpha_learning_rate: float = 3e-4
    beta1: float = 0.5
    beta2: float = 0.999
    alpha_weight_decay: float = 1e-3
    adjust: str = "released"
    decay: str = "released"
    scope: str = "kept"
    dropped: str = "moved"


def clipped(gradients: Sequence[Tensor | None], limit: float) -> list[Tensor | None]:
    """Scale the gradients so that their common norm is at most the limit."""
    norm = math.sqrt(sum(float((g**2).sum()) for g in gradients if g is not None))
    factor = min(1.0, limit / (norm + 1e-6))
    return [None if g is None else g * factor for g in gradients]


def descend(world: Plain, gradients: list[Tensor | None], rules: Rules) -> None:
    """SGD with momentum; a weight whose gradient is None keeps its value and velocity."""
    for index, gradient in enumerate(gradients):
        if gradient is None:
            continue
        world.velocity[index] = rules.momentum * world.velocity[index] + gradient
        world.weights[index] = world.weights[index] - rules.learning_rate * world.velocity[index]


def descend_alphas(world: Plain, gradients: dict[str, Tensor], moving: dict[str, Tensor], rules: Rules) -> None:
    """Adam, entry by entry, with one step count; entries with false in `moving` do not change."""
    world.adam_steps += 1
    t = world.adam_steps
    for kind in KINDS:
        for edge, index in itertools.product(range(14), range(len(world.operations))):
            if not moving[kind][edge, index]:
                continue
            g = gradients[kind][edge, index].item()
            m = rules.beta1 * world.first[kind][edge, index].item() + (1 - rules.beta1) * g
            v = rules.beta2 * world.second[kind][edge, index].item() + (1 - rules.beta2) * g * g
            world.first[kind][edge, index], world.second[kind][edge, index] = m, v
            m_hat, v_hat = m / (1 - rules.beta1**t), v / (1 - rules.beta2**t)
            world.alphas[kind][edge, index] -= rules.alpha_learning_rate * m_hat / (math.sqrt(v_hat) + 1e-8)


def adjust_edge(old: Sequence[float], new: Sequence[float], kept: Sequence[bool], mode: str) -> list[float]:
    """Alpha-adjust of one edge: x from Equation 2 (or 3) is added to the kept alphas."""
    dropped = [i for i, keep in enumerate(kept) if not keep]
    remaining = [i for i, keep in enumerate(kept) if keep]
    if mode == "off" or not dropped or not remaining:
        return list(new)
    kept_old = sum(math.exp(old[i]) for i in remaining)
    kept_new = sum(math.exp(new[i]) for i in remaining)
    x = math.log(kept_old / kept_new)  # Equation 3
    if mode == "released":  # Equation 2, with the dropped alphas as they are now
        x += math.log(sum(math.exp(new[i]) for i in dropped) / sum(math.exp(old[i]) for i in dropped))
    return [value + x if kept[i] else value for i, value in enumerate(new)]


def plus(first: Tensor | None, second: Tensor) -> Tensor:
    """The sum; None counts as zero."""
    return second if first is None else first + second


@dataclass
class Outcome:
    """The intermediate results of a step."""

    loss: float
    logits: Tensor
    gradients: list[Tensor]
    alpha_gradients: dict[str, Tensor]


def step(
    world: Plain, kept: Tensor, kept_alphas: dict[str, Tensor], images: Tensor, labels: Tensor, rules: Rules
) -> Outcome:
    """One batch: loss step, decay step, alpha-adjust. kept: (cells, 14, |O|); kept_alphas: kind -> (14, |O|)."""
    old = {kind: a.clone() for kind, a in world.alphas.items()}
    outcome = differentiate(world, kept, images, labels)
    owners = world.owners()
    stays = [o.place is not None and not bool(kept[o.place]) for o in owners]
    everything = {kind: torch.ones_like(k) for kind, k in kept_alphas.items()}

    gradients = clipped(outcome.gradients, rules.clip)
    alpha_gradients = {kind: g.clone() for kind, g in outcome.alpha_gradients.items()}
    decays = [rules.scope == "all" or not out for out in stays]
    alpha_decays = kept_alphas if rules.scope == "kept" else everything
    decay = [rules.weight_decay * w if on else None for w, on in zip(world.weights, decays, strict=True)]
    alpha_decay = {k: rules.alpha_weight_decay * a * alpha_decays[k] for k, a in world.alphas.items()}

    if rules.decay == "l2":
        for i, extra in enumerate(decay):
            if extra is not None:  # a dropped weight has a gradient of zero so far
                gradients[i] = plus(gradients[i], extra)
        alpha_gradients = {k: alpha_gradients[k] + alpha_decay[k] for k in KINDS}
    in_first = alpha_decays if rules.decay == "l2" else kept_alphas
    moving = in_first if rules.dropped == "frozen" else everything
    for i, (w, out) in enumerate(zip(world.weights, stays, strict=True)):
        reached = not out or (rules.decay == "l2" and decays[i])
        if not reached:
            gradients[i] = torch.zeros_like(w) if rules.dropped == "moved" else None
    descend(world, gradients, rules)
    descend_alphas(world, alpha_gradients, moving, rules)

    if rules.decay == "released":  # d/dw lambda*||w||^2 = 2*lambda*w, at the weights as they are now
        second: list[Tensor | None] = []
        for w, on in zip(world.weights, decays, strict=True):
            frozen = None if rules.dropped == "frozen" else torch.zeros_like(w)
            second.append(2 * rules.weight_decay * w if on else frozen)
        descend(world, clipped(second, rules.clip), rules)
        gradients_of_decay = {k: 2 * rules.alpha_weight_decay * a * alpha_decays[k] for k, a in world.alphas.items()}
        moving = alpha_decays if rules.dropped == "frozen" else everything
        descend_alphas(world, gradients_of_decay, moving, rules)

    for kind, edge in itertools.product(KINDS, range(14)):
        new = world.alphas[kind][edge].tolist()
        adjusted = adjust_edge(old[kind][edge].tolist(), new, kept_alphas[kind][edge].tolist(), rules.adjust)
        world.alphas[kind][edge] = torch.tensor(adjusted, dtype=torch.float64)
    return outcome


def differentiate(world: Plain, kept: Tensor, images: Tensor, labels: Tensor) -> Outcome:
    """The loss, the logits, and the gradients in weights and alphas (zero for dropped ones)."""
    weights = [w.clone().requires_grad_() for w in world.weights]
    copy = Plain(world.operations, world.cells, world.weights, {})
    copy.alphas = {kind: a.clone().requires_grad_() for kind, a in world.alphas.items()}
    logits = logits_of(copy, weights, kept, images)
    loss = loss_of(logits, labels)
    wanted = [*weights, *copy.alphas.values()]
    found = torch.autograd.grad(loss, wanted, allow_unused=True)
    filled = [torch.zeros_like(t) if g is None else g for t, g in zip(wanted, found, strict=True)]
    return Outcome(
        loss.item(), logits.detach(), list(filled[: len(weights)]), dict(zip(KINDS, filled[-2:], strict=True))
    )


# ---------------------------------------------------------------- masks


def mask_probabilities(groups: Sequence[Sequence[int]], p: Sequence[float]) -> dict[tuple[bool, ...], float]:
    """The exact distribution of an edge's mask: independent drops, given that each group keeps at least one."""
    count = len(p)
    weights: dict[tuple[bool, ...], float] = {}
    for mask in itertools.product([False, True], repeat=count):
        if all(any(mask[i] for i in group) for group in groups):
            weights[mask] = math.prod(1 - p[i] if mask[i] else p[i] for i in range(count))
    total = sum(weights.values())
    return {mask: weight / total for mask, weight in weights.items()}


# ---------------------------------------------------------------- derivation


def best_cell(scores: Sequence[Sequence[float]], operations: Sequence[str]) -> list[list[tuple[str, int]]]:
    """For each node the two (operation, predecessor) pairs, found by trying every choice of two.

    A choice is better if its sorted scores are larger (the stronger first), then if its predecessors, and then
    its operations, have the lower index.
    """
    cell: list[list[tuple[str, int]]] = []
    for node in (2, 3, 4, 5):
        options = [
            (scores[EDGE_LIST.index((node, source))][o], source, o)
            for source in range(node)
            for o, name in enumerate(operations)
            if name != "none"
        ]
        best = min(
            (pair for pair in itertools.permutations(options, 2) if pair[0][1] != pair[1][1]),
            key=lambda pair: [(-score, source, o) for score, source, o in pair],
        )
        cell.append([(operations[o], source) for _, source, o in best])
    return cell
