"""Runs and results in words: "retrain · CIFAR-100 · DropNAS · seed 3", "Table 5, cell (3e-5, 1e-5)"."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

from pandas import DataFrame

from dropnas.analysis.finished_runs import read_run, read_training
from dropnas.data.config import DATASETS
from dropnas.errors import DropnasError
from dropnas.parsing import parse
from dropnas.pipeline.experiments import MORE_RETRAININGS
from dropnas.report.config import TableConfig, TrainedCell
from dropnas.report.printed import Layout, layout, title
from dropnas.search.methods import METHODS
from dropnas.space.names import GROUP_RATES

FOOTNOTE_MARKS = "¹²³⁴⁵⁶†∗ "  # noqa: RUF001 (footnotes, as printed)
RunsById = Mapping[str, dict[str, Any]]  # maps an id to the run as listed in plan.json


def joined(*parts: str) -> str:
    """Join the parts of a description that are not empty."""
    return " · ".join(filter(None, parts))


def described(run: dict[str, Any], runs: RunsById) -> tuple[str, int | None]:
    """A description of a run without its seed, and the seed (None if it has none)."""
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
    """The origin of a genotype: a search method with its rates and space, random sampling, or a publication."""
    config = source["config"]
    if source["stage"] == "search":
        rates = [f"{config['options'][name]:g}" for name in GROUP_RATES if name in config["options"]]
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
    """For example `seed 3`, `seeds 0-7` or `seeds 0, 2`; empty without seeds."""
    found = sorted({seed for seed in seeds if seed is not None})
    if len(found) < 2:
        return f"seed {found[0]}" if found else ""
    consecutive = len(found) > 2 and found[-1] - found[0] == len(found) - 1
    return f"seeds {found[0]}-{found[-1]}" if consecutive else f"seeds {', '.join(map(str, found))}"


def cells(runs: RunsById) -> DataFrame:
    """One row for each training that a table cell is computed from, in the plan's order.

    The columns are `cell` (the cell's description), `id`, `folder`, `seed`, `decimals` (how many decimals of the error
    the table prints) and `criterion` (the error by which the best of several seeds is chosen, as in `TableConfig`).
    """
    rows = []
    for run in (run for run in runs.values() if run["stage"] == "table"):
        config: TableConfig = parse(TableConfig, run["config"], run["name"])
        paper = config.layout or layout(config.table)
        for entry in config.entries:
            name = f"{title(config.table)}, {_cell(paper, entry)}"
            for one in (runs[run["inputs"][index]] for index in entry.trainings):
                seed = one["config"]["seed"] % MORE_RETRAININGS
                rows.append((name, one["id"], one["folder"], seed, paper.decimals, config.criterion))
    return DataFrame(rows, columns=["cell", "id", "folder", "seed", "decimals", "criterion"])


def counted(done: int, cell: DataFrame) -> str:
    """Say how many trainings of a cell are done, for example "3 of 8 seeds"; empty if it has only one training."""
    what = "seeds" if cell.seed.is_unique else "trainings"  # a genotype may have several retrainings
    return f"{done} of {len(cell)} {what}" if len(cell) > 1 else ""


def result(cell: DataFrame, root: Path) -> str:
    """The mean test error of the `done` trainings of a cell, such as "2.69 % after 3 of 8 seeds"."""
    done, first = cell[cell.done], cell.iloc[0]
    try:
        errors = [read_training(read_run(root / folder)).top1 for folder in done.folder]
    except DropnasError as error:
        return str(error)  # shown instead of the result, so that the display continues
    mean = fmean(one.best if first.criterion == "best" else one.final for one in errors)
    count = counted(len(done), cell)
    return f"{first.cell}: {mean:.{first.decimals}f} %{' after ' * bool(count)}{count}"


def _cell(paper: Layout, entry: TrainedCell) -> str:
    """The name of a table cell: the paper's labels, or the keys of its row and column if they are numbers."""
    if entry.row[:1].isdigit():
        return f"cell ({entry.row}, {entry.column})"
    rows = {one.key: " ".join(head.rstrip(FOOTNOTE_MARKS) for head in one.heads) for one in paper.rows}
    columns = {one.key: one.header[1] or one.header[0] for one in paper.columns}
    column = "" if entry.column == "error" else columns.get(entry.column, entry.label or entry.column)
    return ", ".join(dict.fromkeys(filter(None, (rows.get(entry.row, entry.label or entry.row), column))))
