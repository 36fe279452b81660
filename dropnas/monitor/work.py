"""Sorts runs that take device time into kinds of work. The functions are pure and do not import torch.

The stage, the settings and the shape of the data set define a kind of work. Settings in `NO_EFFECT_ON_SPEED` are left
out, because they hardly change the duration of an epoch. Changing any other setting gives a new kind of work, whose
cost is unknown until it is measured. The genotype is not included, because it is unknown before the search. Dropped
operations are not computed, so it matters whether a method with grouped dropout drops none, few, or many of them.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

from dropnas.data.config import DATASETS
from dropnas.pipeline.stages import STAGES
from dropnas.runs.identity import canonical_json, resolved
from dropnas.search.config import PRESETS
from dropnas.space.names import PAPER_GROUP

NO_EFFECT_ON_SPEED = {  # settings that hardly change the duration of an epoch
    *("epochs", "seed", "learning_rate", "learning_rate_min", "momentum", "weight_decay", "gradient_clip"),
    *("alpha_learning_rate", "alpha_beta1", "alpha_beta2", "alpha_weight_decay", "alpha_scale", "norm_weight"),
    *("crop_padding", "flip", "cutout", "drop_path", "label_smoothing", "mixup", "warmup_epochs", "schedule"),
}
MANY = 0.5  # a search drops "many" operations if the mean of p_d over the two groups is at least this
# The authors' speed in V100-days: a search takes the printed "search cost" (Tables 1, 2), and a retraining takes about
# a day, as users of DARTS networks report. The paper does not report the cost of training on ImageNet.
AUTHORS_RETRAINING_DAYS = 1.0
SIZE = ("cells", "channels", "batch_size")  # the authors' speed applies only to the paper's values of these settings


class Shape(NamedTuple):
    """The number of training and test images in a data set, and their height and width in pixels (0 if they vary)."""

    train: int
    test: int
    height: int
    width: int


@cache
def defaults(stage: str) -> Mapping[str, Any]:
    """The configuration of a stage with every field at its default, which is the paper's value."""
    found: Mapping[str, Any] = resolved(STAGES[stage].config())
    return found


def kind_of(stage: str, config: Mapping[str, Any], shape: Shape) -> str:
    """Return the kind of work of a run as JSON. Fields missing from its configuration get their default values."""
    config = {**defaults(stage), **config}
    settings = {name: value for name, value in config.items() if name not in NO_EFFECT_ON_SPEED}
    if stage == "search":
        settings["strategy"] = _strategy_class(config["strategy"], settings.pop("options"))
    else:
        settings["auxiliary_weight"] = config["auxiliary_weight"] > 0  # whether there is an auxiliary tower
    return canonical_json([stage, shape, settings])


def _strategy_class(strategy: str, options: Mapping[str, Any]) -> str:
    """Return a label of the strategy; strategies with the same label are treated as equally expensive."""
    every = {**(vars(PRESETS[strategy]) if strategy in PRESETS else {}), **options}
    rates = [float(every[name]) for name in ("rate_parameterised", "rate_non_parameterised") if name in every]
    if strategy not in PRESETS or len(rates) < 2:
        return strategy + (f" {canonical_json(dict(options))}" if options else "")
    dropped = sum(rate ** (1 / PAPER_GROUP) for rate in rates) / 2
    return "dropping nothing" if dropped == 0 else "dropping many" if dropped >= MANY else "dropping few"


def epoch_images(stage: str, config: Mapping[str, Any], shape: Shape) -> int | None:
    """The number of images that an epoch trains on; None if it depends on the strategy."""
    config = {**defaults(stage), **config}
    if stage == "search":
        return shape.train if _strategy_class(config["strategy"], config["options"]).startswith("dropping") else None
    if stage == "transfer":  # an incomplete last batch of an epoch is dropped
        return shape.train - shape.train % int(config["batch_size"])
    return shape.train - int(config["held_out"])


def declared_shape(dataset: Mapping[str, Any]) -> Shape | None:
    """Return the shape of a data set that is not prepared yet, based on its configuration; None if it is unknown."""
    known = DATASETS.get(dataset["name"])
    if known is None:
        return None
    train, test = dataset["train_images"] or known.train, dataset["test_images"] or known.test
    return Shape(train, test, known.height, known.width)


def authors_hours(stage: str, config: Mapping[str, Any], dataset: str) -> float:
    """Return the V100-hours that the authors need for this search or retraining; 0 if their speed does not apply."""
    if stage not in ("search", "retrain") or any(config[name] != defaults(stage)[name] for name in SIZE):
        return 0.0
    days = getattr(DATASETS.get(dataset), "search_days", 0.0) if stage == "search" else AUTHORS_RETRAINING_DAYS
    return float(24 * days * config["epochs"] / defaults(stage)["epochs"])
