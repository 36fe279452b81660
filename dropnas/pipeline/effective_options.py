"""Which settings reach a run: those that can change it, and no others.

A parameter file sets options for all methods together, and methods differ in options of their own. What a method sets
on purpose wins: "No alpha-adjust" stays without it whichever form of alpha-adjust the file asks for. What cannot change
a run is left out, so that it has the same identity with and without.
"""

from dataclasses import is_dataclass, replace
from typing import Any

from dropnas.config import Method
from dropnas.search.config import PRESETS, DeriveConfig, DropoutOptions, Scalar, SearchConfig
from dropnas.search.methods import METHODS, authors_settings
from dropnas.space.spaces import SPACES, find_space

PAPER_GROUP = 4  # the size of group for which r^(1/|group|) and the release's r^(1/4) agree
ONLY_OF_DROPPED = ("drop_probability", "grouping", "masks", "alpha_adjust", "decay_scope", "dropped")


def preset_options(strategy: str, common: dict[str, Scalar], own: dict[str, Scalar], space: str) -> dict[str, Scalar]:
    """The options by which a search differs from its preset.

    Args:
        strategy: a key of PRESETS.
        common: options of the parameter file for all methods.
        own: options of this method.
        space: its search space.
    """
    preset, default = vars(PRESETS[strategy]), vars(DropoutOptions())
    purpose = {name for name in preset if preset[name] != default[name]}
    options = {**{name: value for name, value in common.items() if name not in purpose}, **own}
    different = {name: value for name, value in sorted(options.items()) if preset[name] != value}
    idle = _idle({**preset, **different}, space)
    return {name: value for name, value in different.items() if name not in idle}


def _idle(options: dict[str, Scalar], space: str) -> set[str]:
    """Options that change nothing beside the others."""
    if options["rate_parameterised"] == options["rate_non_parameterised"] == 0:
        return set(ONLY_OF_DROPPED)
    groups = SPACES[space].groups if space in SPACES else ()
    paper_sized = bool(groups) and all(len(group) == PAPER_GROUP for group in groups)
    return {"drop_probability"} if paper_sized or options["grouping"] != "groups" else set()


def search_config(common: SearchConfig, method: Method, space: str, seed: int) -> SearchConfig:
    """The settings of one search: the method's own, else the file's where it departs from the defaults, else those
    that the method's authors chose."""
    default = {**vars(SearchConfig()), "options": common.options}  # the file's options are those of grouped dropout
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

    Raises:
        DropnasError: an option that the method does not have, or a value that it does not take.
    """
    from dropnas.search.strategy import make_strategy  # torch, which a plan needs here only

    options: Any = getattr(make_strategy(config, find_space(config.space)), "options", None)
    if not is_dataclass(options):  # a method that reads its options in another way
        return config.options
    kind: Any = type(options)
    default = kind()
    return {name: value for name, value in config.options.items() if getattr(options, name) != getattr(default, name)}


def derive_config(config: DeriveConfig, space: str) -> DeriveConfig:
    """The derivation's settings; how equal operations are counted matters only where a space has some."""
    operations = SPACES[space].operations if space in SPACES else None
    distinct = operations is not None and len(set(operations)) == len(operations)
    return replace(config, skips=DeriveConfig().skips) if distinct else config
