"""Runs and results in words: "retrain · CIFAR-100 · DropNAS · seed 3", "Table 5, cell (3e-5, 1e-5)"."""

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from dropnas.analysis.finished_runs import read_run, read_training
from dropnas.data.config import DATASETS
from dropnas.errors import DropnasError
from dropnas.parsing import parse
from dropnas.pipeline.experiments import MORE_RETRAININGS
from dropnas.report.config import Entry, TableConfig
from dropnas.report.printed import Layout, layout, title
from dropnas.search.methods import METHODS

RATES = ("rate_parameterised", "rate_non_parameterised")
MARKS = "¹²³⁴⁵⁶†∗ "  # noqa: RUF001 (footnotes, as printed)
Runs = Mapping[str, dict[str, Any]]  # by id, as plan.json describes them


def joined(*parts: str) -> str:
    """What is not empty of the parts of a description."""
    return " · ".join(filter(None, parts))


def described(run: dict[str, Any], runs: Runs) -> tuple[str, int | None]:
    """What a run is, in words without its seed, and its seed; None if it has none."""
    config, stage = run["config"], run["stage"]
    if stage in ("table", "published"):
        return title(config["table"]), None
    if stage in ("figure", "data", "architectures"):
        return joined(stage, _data_set(config["name"]) if stage == "data" else run["name"]), None
    chain = [run]
    while chain[-1]["inputs"] and chain[-1]["stage"] not in ("data", "search"):
        chain.append(runs[chain[-1]["inputs"][-1]])
    sources = [runs[id_] for one in chain for id_ in one["inputs"]]
    name = next((one["config"]["name"] for one in sources if one["stage"] == "data"), "")
    best = "best" if any(one["stage"] == "select" for one in chain[1:]) else ""
    best = "AutoAugment" if stage == "retrain" and config["autoaugment"] else best
    return joined(stage, _data_set(name), *_method(chain[-1]), best), config.get("seed")


def _data_set(name: str) -> str:
    return str(getattr(DATASETS.get(name), "printed", name))


def _method(source: dict[str, Any]) -> Iterator[str]:
    """Where a genotype comes from: the method of a search with its rates and space, or its other origin."""
    config = source["config"]
    if source["stage"] == "search":
        rates = [f"{config['options'][name]:g}" for name in RATES if name in config["options"]]
        short = ", ".join(rate.replace("e-0", "e-") for rate in dict.fromkeys(rates))
        strategy = config["strategy"].rpartition(":")[2]
        label = METHODS[strategy].label if strategy in METHODS else strategy
        yield f"{label} ({short})" if short else label
        yield "" if config["space"] == "original" else config["space"].rpartition(":")[2]
    elif source["stage"] == "sample":
        yield "random search"
    elif source["stage"] == "fixed":
        yield f"published {config['architecture']}"


def seeds_text(seeds: Iterable[int | None]) -> str:
    """`seed 3`, `seeds 0-7` or `seeds 0, 2`; empty for none."""
    found = sorted({seed for seed in seeds if seed is not None})
    if len(found) < 2:
        return f"seed {found[0]}" if found else ""
    consecutive = len(found) > 2 and found[-1] - found[0] == len(found) - 1
    return f"seeds {found[0]}-{found[-1]}" if consecutive else f"seeds {', '.join(map(str, found))}"


@dataclass(frozen=True)
class Cell:
    """A cell of a table, with its trainings."""

    name: str
    trainings: dict[str, str]  # their folders by id
    counted: str  # what they are called: `seeds`, unless a genotype is retrained more than once
    decimals: int  # of its error
    criterion: str  # by which error the best of several seeds is chosen: of the `best` epoch or the final one

    def result(self, done: Container[str], root: Path) -> str:
        """The mean test error, as the criterion has it, of the trainings that are done: "2.69 % after 3 of 8 seeds"."""
        folders = [root / folder for id_, folder in self.trainings.items() if id_ in done]
        try:
            errors = [read_training(read_run(folder)).top1 for folder in folders]
        except DropnasError as error:
            return str(error)  # the others are still shown
        mean = fmean(one.best if self.criterion == "best" else one.final for one in errors)
        return f"{self.name}: {mean:.{self.decimals}f} %" + self.count(len(errors), " after ")

    def count(self, done: int, before: str) -> str:
        """How many trainings are done, as "3 of 8 seeds" after some text; empty if there is only one in all."""
        return f"{before}{done} of {len(self.trainings)} {self.counted}" if len(self.trainings) > 1 else ""


def cells(runs: Runs) -> Iterator[Cell]:
    """The cells of all tables among runs, in the plan's order."""
    for run in (run for run in runs.values() if run["stage"] == "table"):
        config: TableConfig = parse(TableConfig, run["config"], run["name"])
        paper = config.layout or layout(config.table)
        for entry in config.entries:
            trainings = [runs[run["inputs"][index]] for index in entry.trainings]
            seeds = {one["config"]["seed"] % MORE_RETRAININGS for one in trainings}
            counted = "seeds" if len(seeds) == len(trainings) else "trainings"
            folders = {one["id"]: one["folder"] for one in trainings}
            name = f"{title(config.table)}, {_cell(paper, entry)}"
            yield Cell(name, folders, counted, paper.decimals, config.criterion)


def _cell(paper: Layout, entry: Entry) -> str:
    """A cell by the paper's labels; by its keys if they are numbers."""
    if entry.row[:1].isdigit():
        return f"cell ({entry.row}, {entry.column})"
    rows = {one.key: " ".join(head.rstrip(MARKS) for head in one.heads) for one in paper.rows}
    columns = {one.key: one.header[1] or one.header[0] for one in paper.columns}
    column = "" if entry.column == "error" else columns.get(entry.column, entry.label or entry.column)
    return ", ".join(dict.fromkeys(filter(None, (rows.get(entry.row, entry.label or entry.row), column))))
