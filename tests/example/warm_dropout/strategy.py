"""A user's strategy with a single overridden method: DropNAS with a drop path rate that grows from zero."""

from torch import Tensor

from dropnas.search.config import SearchConfig
from dropnas.search.strategies.grouped_dropout import GroupedDropout
from dropnas.space.spaces import SearchSpace


class WarmDropout(GroupedDropout):
    """Grouped operation dropout with p_d growing linearly over the first part of the epochs."""

    def __init__(self, config: SearchConfig, space: SearchSpace, warm_part: float = 0.5) -> None:
        super().__init__(config, space)
        self.warm_epochs = warm_part * config.epochs

    def drop_probabilities(self, epoch: int) -> Tensor:
        growth = min(1.0, epoch / self.warm_epochs) if self.warm_epochs else 1.0
        return growth * super().drop_probabilities(epoch)
