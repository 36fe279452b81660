"""The ladder of reproductions: parameter files, each with a part of the runs of the next one, and their questions."""

from dataclasses import dataclass

SEQUENTIAL = "sequential"  # the parameter file with the runs of the last step, and seeds only where they decide
VIEWS = ("table", "published", "figure")  # stages that only show other runs, and carry the name of their step


@dataclass(frozen=True)
class Step:
    """A parameter file of the ladder, by its profile, and what it answers."""

    profile: str
    answers: str


STEPS = (
    Step("headline", "Do the printed errors come out of the printed cells?"),
    Step("core", "Does DropNAS beat one-level DARTS and chance?"),
    Step("claims", "Does each claim hold?"),
    Step("paper", "Every number, ImageNet too."),
)
