"""The ladder of reproductions: parameter files that each answer a question with part of the next file's runs."""

from dataclasses import dataclass

SEQUENTIAL = "sequential"  # the runs of the last step, with further seeds only where they decide a question


@dataclass(frozen=True)
class Step:
    """A parameter file of the ladder, by its profile, and the question that it answers."""

    profile: str
    answers: str


STEPS = (
    Step("headline", "Do the printed cells give the printed errors?"),
    Step("core", "Does DropNAS beat one-level DARTS and random search?"),
    Step("claims", "Does each claim hold?"),
    Step("paper", "Every number, including ImageNet."),
)
