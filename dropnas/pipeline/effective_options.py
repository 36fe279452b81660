"""Determines the effective settings of a run: exactly those that can change its result.

A parameter file sets options for all methods at once, but a method may have its own options. An option that defines a
method takes precedence over the file: "No alpha-adjust" never adjusts the alphas, whichever form of alpha-adjust the
file sets. Settings that cannot change a run are left out, so its identity does not depend on them.
"""

from collections.abc import Iterable
from dataclasses import is_dataclass, replace
from typing import Any

from dropnas.config import Method
from dropnas.data.config import DATASETS
from dropnas.runs.identity import Run
from dropnas.search.config import (
    FIRST_ORDER,
    PRESETS,
    SECOND_ORDER,
    DeriveConfig,
    DropoutOptions,
    Scalar,
    SearchConfig,
)
from dropnas.search.methods import METHODS, authors_settings
from dropnas.space.names import PAPER_GROUP
from dropnas.space.spaces import SPACES, find_space

CHECKED_BY_TYPE = {*PRESETS, FIRST_ORDER, SECOND_ORDER}  # strategies whose options were checked when the file was read
ONLY_OF_DROPPED = ("drop_probability", "grouping", "masks", "alpha_adjust", "decay_scope", "dropped")


def preset_options(strategy: str, common: dict[str, Scalar], own: dict[str, Scalar], space: str) -> dict[str, Scalar]:
    """Return the options of a search that differ from its preset and have an effect.

    Args:
        strategy: a key of PRESETS.
        common: options that the parameter file sets for all methods.
    """
    preset, default = vars(PRESETS[strategy]), vars(DropoutOptions())
    purpose = {name for name in preset if preset[name] != default[name]}
    options = {**{name: value for name, value in common.items() if name not in purpose}, **own}
    different = {name: value for name, value in sorted(options.items()) if preset[name] != value}
    idle = _idle({**preset, **different}, space)
    return {name: value for name, value in different.items() if name not in idle}


def _idle(options: dict[str, Scalar], space: str) -> set[str]:
    """Options that have no effect in this combination."""
    if options["rate_parameterised"] == options["rate_non_parameterised"] == 0:
        return set(ONLY_OF_DROPPED)
    groups = SPACES[space].groups if space in SPACES else ()
    paper_sized = bool(groups) and all(len(group) == PAPER_GROUP for group in groups)
    return {"drop_probability"} if paper_sized or options["grouping"] != "groups" else set()


def search_config(common: SearchConfig, method: Method, space: str, seed: int) -> SearchConfig:
    """The settings of one search.

    Each setting has the first of these values that exists: the method's own value, a value in the file that differs
    from the default, and the value of the method's authors.
    """
    default = {**vars(SearchConfig()), "options": common.options}  # the file's options apply to grouped dropout only
    chosen = {name: value for name, value in vars(common).items() if value != default[name]}
    chosen |= {"space": space, "strategy": method.strategy, "seed": seed, **method.search}
    settings = authors_settings(method.strategy) | chosen
    own = dict(method.options)
    if method.strategy in PRESETS:
        settings["options"] = preset_options(method.strategy, dict(common.options), own, space)
        return SearchConfig(**settings)  # type: ignore[arg-type]
    config = SearchConfig(**settings, options=own)  # type: ignore[arg-type]
    return replace(config, options=_different(config)) if own and method.strategy in METHODS else config


def _different(config: SearchConfig) -> dict[str, Scalar]:
    """The options of a search method that differ from its defaults.

    Raises a DropnasError if the method does not have an option, or does not accept its value.
    """
    from dropnas.search.strategy import make_strategy  # imports torch, which a plan needs only here

    options: Any = getattr(make_strategy(config, find_space(config.space)), "options", None)
    if not is_dataclass(options):  # the method keeps its options in another form
        return config.options
    kind: Any = type(options)
    default = kind()
    return {name: value for name, value in config.options.items() if getattr(options, name) != getattr(default, name)}


def derive_config(config: DeriveConfig, space: str) -> DeriveConfig:
    """The settings of the derivation; `skips` matters only if a space has several operations with the same name."""
    operations = SPACES[space].operations if space in SPACES else None
    distinct = operations is not None and len(set(operations)) == len(operations)
    return replace(config, skips=DeriveConfig().skips) if distinct else config


def require_methods(runs: Iterable[Run]) -> None:
    """Create each search method of a plan before anything runs, so that a wrong option costs no GPU-hours.

    Raises a DropnasError if a method's options contradict each other, the space, the settings, or the number of images.
    """
    made = {(str(replace(run.config, seed=0)), run.inputs[0].id): run for run in runs if run.stage == "search"}
    for run in made.values():
        config, data = run.config, run.inputs[0].config
        if config.strategy not in CHECKED_BY_TYPE:
            from dropnas.search.seed_group import held_out_images  # imports torch, which a plan needs only here
            from dropnas.search.strategy import make_strategy

            share = make_strategy(config, find_space(config.space)).weight_share
            images = data.train_images or DATASETS[data.name].train
            held_out_images(images, share, f"strategy {config.strategy!r}")
