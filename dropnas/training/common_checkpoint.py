"""Which runs can continue as one group: those that have a checkpoint at the same step.

Design choices: the start of a run counts as a checkpoint without a state. A kill while several runs save leaves some of
them one checkpoint ahead; these go back by that one, so that all continue as one group with the numbers that they would
have had. No run goes back further than that.
"""

from collections.abc import Sequence
from itertools import islice

from dropnas.training.checkpoint import Checkpoints, State

Position = tuple[int, int, str]


def position(state: State | None) -> Position:
    """Epoch, finished steps of it, and the device it was made on; runs at equal positions can continue as one group."""
    return (state["epoch"], state["step"], state["made_on"]) if state else (0, 0, "")


def common_checkpoint(checkpoints: Sequence[Checkpoints]) -> dict[int, State | None]:
    """The runs whose newest or last but one checkpoint is at the earliest position, with their states there.

    Args:
        checkpoints: of each run.

    Returns:
        the states by the indices of these runs, in their order; None where a run begins.
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
