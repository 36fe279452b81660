"""Makes each search method of a plan once before anything runs, so that a mistake in its options costs no GPU-hour."""

from dataclasses import replace

from dropnas.pipeline.plan import Plan
from dropnas.search.config import FIRST_ORDER, PRESETS, SECOND_ORDER
from dropnas.space.spaces import find_space

CHECKED_BY_TYPE = {*PRESETS, FIRST_ORDER, SECOND_ORDER}  # their options were checked when the file was read


def require_methods(plan: Plan) -> None:
    """Raise a DropnasError if a method cannot be made: its options contradict each other, the space or the settings."""
    searches = [run.config for run in plan.by_default().runs.values() if run.stage == "search"]
    for config in {str(one): one for one in (replace(each, seed=0) for each in searches)}.values():
        if config.strategy not in CHECKED_BY_TYPE:
            from dropnas.search.strategy import make_strategy  # torch, which a plan needs here only

            make_strategy(config, find_space(config.space))
