"""Searches that differ in their seed alone, trained as one."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from dropnas.data import arrays
from dropnas.errors import DropnasError
from dropnas.search.config import SearchConfig
from dropnas.search.stage import Search
from dropnas.space.spaces import SearchSpace
from dropnas.training.metrics import Row


class SearchesTogether:
    """K searches that differ in their seed alone, one step of each after another."""

    def __init__(
        self, configs: Sequence[SearchConfig], space: SearchSpace, images: arrays.ImageArrays, device: str
    ) -> None:
        self.searches = [Search(config, space, images, device) for config in configs]

    @property
    def images_seen(self) -> int:
        return sum(search.images_seen for search in self.searches)

    @property
    def steps_per_epoch(self) -> int:
        return self.searches[0].steps_per_epoch

    def start_epoch(self, epoch: int) -> None:
        for search in self.searches:
            search.start_epoch(epoch)

    def step(self, epoch: int, step: int) -> Tensor:
        return torch.stack([search.step(epoch, step) for search in self.searches])

    def finish_epoch(self, epoch: int) -> list[Row | DropnasError]:
        return [_row(search, epoch) for search in self.searches]

    def state_dicts(self) -> list[dict[str, Any]]:
        return [search.state_dict() for search in self.searches]

    def load_state_dicts(self, states: Sequence[dict[str, Any]]) -> None:
        for search, state in zip(self.searches, states, strict=True):
            search.load_state_dict(state)


def _row(search: Search, epoch: int) -> Row | DropnasError:
    try:
        return search.finish_epoch(epoch)
    except DropnasError as error:
        return error
