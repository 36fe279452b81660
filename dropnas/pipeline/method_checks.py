"""Creates each search method of a plan before anything runs, so that a wrong option costs no GPU-hours."""

from dataclasses import replace

from dropnas.data.config import DATASETS
from dropnas.pipeline.plan import Plan
from dropnas.search.config import FIRST_ORDER, PRESETS, SECOND_ORDER
from dropnas.space.spaces import find_space

CHECKED_BY_TYPE = {*PRESETS, FIRST_ORDER, SECOND_ORDER}  # their options were checked when the file was read


def require_methods(plan: Plan) -> None:
    """Check that every method of the plan can be created.

    Raises a DropnasError if a method's options contradict each other, the space, the settings, or the number of images.
    """
    searches = [run for run in plan.by_default().runs.values() if run.stage == "search"]
    made = {(str(one), run.inputs[0].id): (one, run) for run in searches for one in [replace(run.config, seed=0)]}
    for config, run in made.values():
        if config.strategy not in CHECKED_BY_TYPE:
            from dropnas.search.seed_group import held_out_images  # imports torch, which a plan needs only here
            from dropnas.search.strategy import make_strategy

            data = run.inputs[0].config
            share = make_strategy(config, find_space(config.space)).weight_share
            held_out_images(data.train_images or DATASETS[data.name].train, share, f"strategy {config.strategy!r}")
