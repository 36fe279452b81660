"""The ladder of reproductions: each step is a parameter file that answers a question.

The plan of each step contains all runs of the step before, although some of them are made only on request.
"""

from dataclasses import dataclass

SEQUENTIAL = "sequential"  # like the last step, but adds seeds only where a question is still open


@dataclass(frozen=True)
class LadderStep:
    """A step of the ladder: the profile of its parameter file, and the question that it answers."""

    profile: str
    answers: str


LADDER_STEPS = (
    LadderStep("headline", "Do the printed cells give the printed errors?"),
    LadderStep("core", "Does DropNAS beat one-level DARTS and random search?"),
    LadderStep("claims", "Does each claim hold?"),
    LadderStep("paper", "Every number, including ImageNet."),
)
