"""Which runs can be continued as one: those that have a checkpoint at the same place.

Design choices: a run's start is a place like any other, without a state. A kill while several runs save leaves some of
them a checkpoint ahead; these go back by that one, which is what the kill cost the others, so that all go on together
with the numbers that they would have had. Nobody goes back further than to the checkpoint before the last.
"""

from collections.abc import Sequence
from itertools import islice

from dropnas.training.checkpoint import Checkpoints, State

Place = tuple[int, int, str]


def place(state: State | None) -> Place:
    """Epoch, steps of it that are done, and what it was made on; runs at equal places can go on together."""
    return (state["epoch"], state["step"], state["made_on"]) if state else (0, 0, "")


def in_step(checkpoints: Sequence[Checkpoints]) -> dict[int, State | None]:
    """The runs that stand at the least place, or did one checkpoint ago, with their states there.

    Args:
        checkpoints: of each run.

    Returns:
        by the indices of these runs, in their order, the states; None where they are to begin.
    """
    histories = [own.states() for own in checkpoints]
    newest = [next(states) for states in histories]
    least = min(map(place, newest))
    found: dict[int, State | None] = {}
    for index, (state, earlier) in enumerate(zip(newest, histories, strict=True)):
        if place(state) == least:
            found[index] = state
        else:
            found.update((index, one) for one in islice(earlier, 1) if place(one) == least)
    return found
