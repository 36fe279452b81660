"""Small cases that stand in for real runs: the same method and options, with a few small images and a small network.

Design choices: a case keeps every setting that selects a branch of the code (strategy, space, options, augmentation,
schedule, precision). Only the amount of computation is reduced, and options for GPUs are left out. Runs that differ
only in seed or length therefore share a case, whereas runs that differ in another option do not. The case of a
retraining uses a real genotype. Another genotype with the same settings gets its own case only if it has an operation
that no earlier case has.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dropnas.runs.identity import Run, canonical_json, changed_defaults, omitted_defaults, resolved
from dropnas.space.genotype import Genotype

SMALL_OPTIONS: dict[str, dict[str, Any]] = {
    "search": {"cells": 3, "channels": 2, "epochs": 2, "batch_size": 16, "seed": 0},
    "retrain": {"cells": 3, "channels": 2, "epochs": 2, "batch_size": 16, "seed": 0},
    "transfer": {
        "cells": 3,
        "channels": 2,
        "image_size": 64,
        "epochs": 2,
        "batch_size": 16,
        "micro_batch": 8,
        "seed": 0,
    },
    "clusters": {"images": 32, "seed": 0},
}
AT_MOST = {"crop_padding": 1, "cutout": 2, "held_out": 8, "warmup_epochs": 1}  # limits for small images and few epochs
GPU_ONLY = {"memory_format"}  # left out, because trials run on a CPU
DATA: dict[str, dict[str, Any]] = {
    "digits": {"name": "digits", "source": "bundled", "train_images": 48, "test_images": 24},
    "digits-224": {"name": "digits-224", "source": "bundled", "train_images": 16, "test_images": 16},
}


@dataclass(frozen=True)
class Case:
    """A small configuration of a stage, with its inputs."""

    config: dict[str, Any]  # the stage's configuration, reduced in size
    data: str  # a key of DATA
    # the input besides the data set: a folder with a genotype, or the small configuration of a search
    extra_input: Path | dict[str, Any] | None = None

    @property
    def key(self) -> str:
        """A string that is the same for cases with the same content."""
        return canonical_json([self.config, self.data, str(self.extra_input)])


def cases(runs: Iterable[Run], root: Path) -> list[Case]:
    """Make the cases that represent runs of one stage; the inputs of the runs must be in the store."""
    found: dict[str, Case] = {}
    operations: dict[str, set[str]] = {}
    for run in runs:
        config = small(run.stage, run.config)
        if run.stage not in ("retrain", "transfer"):
            extra_input = small("search", run.inputs[1].config) if run.stage == "clusters" else None
            one = Case(config, "digits", extra_input)
            found.setdefault(one.key, one)
            continue
        known, new = operations.setdefault(canonical_json(config), set()), set(_operations(root / run.inputs[1].folder))
        if not new <= known:
            known |= new
            data = "digits-224" if run.stage == "transfer" else "digits"
            one = Case(config, data, root / run.inputs[1].folder)
            found[one.key] = one
    return list(found.values())


def small(stage: str, config: Any) -> dict[str, Any]:
    """Reduce a stage's configuration: every option that determines the amount of computation gets a small value.

    Options at their default are left out, because the old code may not have them.
    """
    kind: type = type(config)
    whole = resolved(config)
    unsaid = {name: value for name, value in omitted_defaults(kind).items() if name not in changed_defaults(kind)}
    chosen = {name: value for name, value in whole.items() if name not in unsaid or value != unsaid[name]}
    limited = {name: min(whole[name], most) for name, most in AT_MOST.items() if name in whole}
    return {
        **{name: value for name, value in chosen.items() if name not in GPU_ONLY},
        **limited,
        **SMALL_OPTIONS[stage],
    }


def _operations(folder: Path) -> Iterator[str]:
    genotype = Genotype.read(folder)
    yield from (operation for operation, _ in (*genotype.normal, *genotype.reduce))


def describe(case: Case) -> str:
    """Describe the settings of a case for a reader."""
    names = ("strategy", "space", "options", "autoaugment", "precision")
    return ", ".join(f"{name} {case.config[name]}" for name in names if case.config.get(name))
