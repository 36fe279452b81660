"""Find the runs that can continue as one group: those that have a checkpoint at the same step.

Design choices: the start of a run counts as a checkpoint without a state. If a job is killed while several runs save,
some runs are one checkpoint ahead of the others. These go back by one checkpoint, so that all runs continue as one
group with the same numbers as before. No run goes back further than that.
"""

from collections.abc import Sequence
from itertools import islice

from dropnas.training.checkpoint import Checkpoints, State

Position = tuple[int, int, str]


def position(state: State | None) -> Position:
    """The epoch, its finished steps and the device; runs at equal positions can continue as one group."""
    return (state["epoch"], state["step"], state["made_on"]) if state else (0, 0, "")


def common_checkpoint(checkpoints: Sequence[Checkpoints]) -> dict[int, State | None]:
    """Find the earliest position among the newest checkpoints, and the runs that can continue from it.

    A run can continue from it if its newest or second newest checkpoint is at that position.

    Args:
        checkpoints: the checkpoints of each run.

    Returns:
        the states by the indices of these runs, in their order; None for a run at its start.
    """
    histories = [own.states() for own in checkpoints]
    newest = [next(states) for states in histories]
    earliest = min(map(position, newest))
    found: dict[int, State | None] = {}
    for index, (state, earlier) in enumerate(zip(newest, histories, strict=True)):
        if position(state) == earliest:
            found[index] = state
        else:
            found.update((index, one) for one in islice(earlier, 1) if position(one) == earliest)
    return found
