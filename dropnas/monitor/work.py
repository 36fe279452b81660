"""The kinds of work that take device time. Pure, and without torch.

A kind is everything that decides how long an epoch takes. Each setting counts unless `COSTLESS` names it, so a new
option makes a new kind with an unknown cost, and never a wrong number. The genotype does not count: nobody knows it
before the search. Of grouped dropout the share of dropped operations counts, because these are not computed.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dropnas.data.config import DATASETS
from dropnas.pipeline.stages import STAGES
from dropnas.runs.identity import canonical_json, resolved
from dropnas.search.config import PRESETS

COSTLY = ("search", "retrain", "transfer")  # every other stage takes moments
COSTLESS = {  # settings that hardly change the duration of an epoch
    *("epochs", "seed", "learning_rate", "learning_rate_min", "momentum", "weight_decay", "gradient_clip"),
    *("alpha_learning_rate", "alpha_beta1", "alpha_beta2", "alpha_weight_decay", "alpha_scale", "norm_weight"),
    *("crop_padding", "flip", "cutout", "drop_path", "label_smoothing", "mixup", "warmup_epochs", "schedule"),
}
GROUP = 4  # operations of a group in the paper's space, for p_d = r^(1/4)
MANY = 0.5  # a p_d from which on most operations are dropped


@dataclass(frozen=True)
class Shape:
    """Numbers of images of a data set, and their size in pixels (0 if it varies)."""

    train: int
    test: int
    height: int
    width: int


@dataclass(frozen=True)
class Kind:
    """Work whose epochs take equally long on the same device; the settings are JSON values."""

    stage: str
    shape: Shape
    settings: dict[str, Any] = field(hash=False)

    @property
    def label(self) -> str:
        """A short description."""
        own = self.settings
        parts = [self.stage, f"{own['cells']} cells, {own['channels']} channels"]
        parts += [str(own[name]) for name in ("space", "strategy") if name in own]
        parts += ["AutoAugment"] * (self.stage == "retrain" and own["autoaugment"])
        return ", ".join([*parts, f"{self.shape.train:,} images"])

    @property
    def trained(self) -> int | None:
        """Images that an epoch trains on; None if only the strategy knows."""
        if self.stage == "search":
            return self.shape.train if self.settings["strategy"].startswith("dropping") else None
        if self.stage == "transfer":  # the rest of the last batch is left out of the epoch
            return self.shape.train - self.shape.train % int(self.settings["batch_size"])
        return self.shape.train - int(self.settings["held_out"])


def kind_of(stage: str, config: Mapping[str, Any], shape: Shape) -> Kind:
    """The work of a run of a stage of COSTLY; fields that its configuration lacks are at their default."""
    config = {**resolved(STAGES[stage].config()), **config}
    settings = {name: value for name, value in config.items() if name not in COSTLESS}
    if "auxiliary_weight" in settings:
        settings["auxiliary_weight"] = settings["auxiliary_weight"] > 0  # whether there is a tower
    if stage == "search":
        settings["strategy"] = _strategy_class(config["strategy"], settings.pop("options"))
    return Kind(stage, shape, settings)


def _strategy_class(strategy: str, options: Mapping[str, Any]) -> str:
    """The same text for strategies that cost the same."""
    every = {**(vars(PRESETS[strategy]) if strategy in PRESETS else {}), **options}
    rates = [float(every[name]) for name in ("rate_parameterised", "rate_non_parameterised") if name in every]
    if strategy not in PRESETS or len(rates) < 2:
        return strategy + (f" {canonical_json(dict(options))}" if options else "")
    dropped = sum(math.pow(rate, 1 / GROUP) for rate in rates) / 2
    return "dropping nothing" if dropped == 0 else "dropping many" if dropped >= MANY else "dropping few"


def declared_shape(dataset: Mapping[str, Any]) -> Shape | None:
    """The shape of a data set that is not prepared yet, from its configuration; None where nothing is known of it."""
    known = DATASETS.get(dataset["name"])
    if known is None:
        return None
    train, test = dataset["train_images"] or known.train, dataset["test_images"] or known.test
    return Shape(train, test, known.height, known.width)
