"""The kinds of work that cost device time, and how much of it is in a run. Pure, and without torch.

Design choices: a kind is whatever decides how long an epoch takes. Every setting counts unless it is named here as
costing nothing, so that a new option makes a new kind, whose cost is unknown, and never a wrong number. Which genotype
is retrained is left out, since before the search nobody knows it. Of a strategy with grouped dropout it counts how
many operations it drops, because what is dropped is not computed.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from dropnas.data.config import DATASETS
from dropnas.pipeline.stages import STAGES
from dropnas.runs.identity import canonical_json, resolved
from dropnas.search.config import PRESETS

COSTLY = ("search", "retrain", "transfer")  # everything else takes moments beside them
COSTLESS = {  # settings that do not change how long an epoch takes, or hardly
    *("epochs", "seed", "learning_rate", "learning_rate_min", "momentum", "weight_decay", "gradient_clip"),
    *("alpha_learning_rate", "alpha_beta1", "alpha_beta2", "alpha_weight_decay", "alpha_scale"),
    *("crop_padding", "flip", "cutout", "drop_path", "label_smoothing", "mixup", "warmup_epochs", "schedule"),
}
GROUP = 4  # operations of a group in the paper's space, for p_d = r^(1/4)
MANY = 0.5  # a p_d from which on most operations are dropped


@dataclass(frozen=True)
class Shape:
    """A data set as its cost sees it: numbers of images, and their size in pixels (0 where it varies)."""

    train: int
    test: int
    height: int
    width: int


@dataclass(frozen=True)
class Kind:
    """Work that takes equally long an epoch on the same device.

    Attributes:
        stage: search, retrain or transfer.
        shape: of the data set.
        settings: names and values of what else decides, sorted.
    """

    stage: str
    shape: Shape
    settings: tuple[tuple[str, Any], ...]

    @property
    def content(self) -> dict[str, Any]:
        """As JSON values."""
        return {"stage": self.stage, "shape": asdict(self.shape), "settings": dict(self.settings)}

    @property
    def label(self) -> str:
        """In a few words, for a person."""
        settings = dict(self.settings)
        parts = [self.stage, f"{settings['cells']} cells, {settings['channels']} channels"]
        parts += [str(settings[name]) for name in ("space", "strategy") if name in settings]
        parts += ["AutoAugment"] if self.stage == "retrain" and settings["autoaugment"] else []
        parts += [f"{self.shape.train:,} images"]
        return ", ".join(parts)


@dataclass(frozen=True)
class Work:
    """How much of a kind is in a run."""

    kind: Kind
    epochs: int


def work(stage: str, config: Mapping[str, Any], shape: Shape) -> Work:
    """The work of a run.

    Args:
        stage: one of COSTLY.
        config: its configuration as JSON values; fields that it lacks are at their default.
        shape: of the data set that it trains on.
    """
    whole = {**resolved(STAGES[stage].config()), **config}
    settings = {name: value for name, value in whole.items() if name not in COSTLESS}
    if "auxiliary_weight" in settings:
        settings["auxiliary_weight"] = settings["auxiliary_weight"] > 0  # whether there is a tower
    if stage == "search":
        settings["strategy"] = _strategy_class(whole["strategy"], settings.pop("options"))
    return Work(Kind(stage, shape, tuple(sorted(settings.items()))), whole["epochs"])


def _strategy_class(strategy: str, options: Mapping[str, Any]) -> str:
    """Strategies that cost the same have the same class."""
    every = {**(vars(PRESETS[strategy]) if strategy in PRESETS else {}), **options}
    rates = [float(every[name]) for name in ("rate_parameterised", "rate_non_parameterised") if name in every]
    if strategy not in PRESETS or len(rates) < 2:
        return strategy + (f" {canonical_json(dict(options))}" if options else "")
    dropped = sum(math.pow(rate, 1 / GROUP) for rate in rates) / 2
    return "dropping nothing" if dropped == 0 else "dropping many" if dropped >= MANY else "dropping few"


def trained_images(kind: Kind) -> int | None:
    """Images that an epoch trains on; None where only the strategy knows."""
    settings = dict(kind.settings)
    if kind.stage == "search":
        return kind.shape.train if settings["strategy"].startswith("dropping") else None
    if kind.stage == "transfer":
        batch = int(settings["batch_size"])
        return kind.shape.train // batch * batch  # the rest waits for another epoch
    return kind.shape.train - int(settings["held_out"])


def declared_shape(dataset: Mapping[str, Any]) -> Shape | None:
    """The shape of a data set that is not prepared yet, from its configuration; None where nothing is known of it."""
    known = DATASETS.get(dataset["name"])
    if known is None:
        return None
    train, test = dataset["train_images"] or known.train, dataset["test_images"] or known.test
    return Shape(train, test, known.height, known.width)
