"""XNAS in plain torch, written from the boxed algorithm: forecasters over experts with weights v, not logarithms."""

import math
from collections.abc import Sequence

import torch
from plain_pass import KINDS, Batch, Rows, World
from torch import Tensor


class Forecasters:
    """The experts of all edges of both kinds of cells; `experts[kind][edge]` maps the remaining experts to v."""

    def __init__(self, operations: int, rounds: dict[str, int], bound: float, each: bool, wipeout: bool) -> None:
        """`rounds` is T of each kind; `each` is whether the reward of each cell is a separate round."""
        self.experts = {kind: [dict.fromkeys(range(operations), 1.0) for _ in range(14)] for kind in KINDS}
        self.gone = {kind: [dict[int, float]() for _ in range(14)] for kind in KINDS}
        self.rounds, self.bound, self.each, self.wipeout = rounds, bound, each, wipeout
        self.eta = {kind: math.sqrt(2 * math.log(operations) / (count * bound**2)) for kind, count in rounds.items()}
        self.done = dict.fromkeys(KINDS, 0)

    def rows(self) -> Rows:
        """The operations with their weights v / sum v."""
        rows: Rows = {}
        for kind in KINDS:
            rows[kind] = []
            for edge in self.experts[kind]:
                total = sum(edge.values())
                rows[kind].append([(index, torch.tensor(v / total)) for index, v in edge.items()])
        return rows

    def step(self, world: World, training: Batch, held_out: Batch) -> float:
        """Train w, then update the experts."""
        loss = world.weight_step(training, self.rows())
        of_cells = world.of_cells(self.rows())  # each cell has separate weights, for differentiation
        of_cells = [[[(i, u.clone().requires_grad_()) for i, u in edge] for edge in cell] for cell in of_cells]
        flat = [u for cell in of_cells for edge in cell for _, u in edge]
        gradients = iter(world.held_out_gradients(held_out, of_cells, flat))
        found: dict[str, list[list[dict[int, float]]]] = {kind: [] for kind in KINDS}
        for number, cell in enumerate(of_cells):
            rewards = [{index: -float(next(gradients)) for index, _ in edge} for edge in cell]
            found[KINDS[world.supernet.kinds[number]]].append(rewards)
        for kind, cells in found.items():
            self.update(kind, cells)
        return loss

    def update(self, kind: str, cells: Sequence[Sequence[dict[int, float]]]) -> None:
        """Exponentiated gradient, then wipeout; `cells` are the rewards of each cell."""
        for edge in range(14):
            of_cells = [cell[edge] for cell in cells]
            if not self.each:
                of_cells = [{index: sum(each[index] for each in of_cells) for index in of_cells[0]}]
            for rewards in of_cells:
                for index, reward in rewards.items():
                    clipped = max(-self.bound, min(self.bound, reward))
                    self.experts[kind][edge][index] *= math.exp(self.eta[kind] * clipped)
        self.done[kind] += len(cells) if self.each else 1
        if self.wipeout:
            self.wipe_out(kind)

    def wipe_out(self, kind: str) -> None:
        left = self.rounds[kind] - self.done[kind]
        for edge, gone in zip(self.experts[kind], self.gone[kind], strict=True):
            threshold = max(edge.values()) * math.exp(-2 * self.eta[kind] * self.bound * left)
            for index in [index for index, v in edge.items() if v < threshold]:
                gone[index] = edge.pop(index)

    def alphas(self, kind: str) -> Tensor:
        """ln v of all experts; for removed experts, the last value."""
        both = zip(self.experts[kind], self.gone[kind], strict=True)
        return torch.tensor([[math.log(v) for _, v in sorted({**edge, **gone}.items())] for edge, gone in both])
