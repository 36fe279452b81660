"""The baselines: Table 4 with random search and two-level DARTS beside it; and which tables the results hold."""

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from dropnas.config import read_parameters
from dropnas.errors import DropnasError
from dropnas.pipeline.plan import make_plan
from dropnas.pipeline.publish_results import copy_finished
from dropnas.report.config import Entry, TableConfig
from dropnas.report.printed import layout, layouts, title
from dropnas.report.table_stage import run
from dropnas.report.terminal import summary
from dropnas.runs.store import Store
from dropnas.workspace import Workspace

NEW = ["darts-first-order", "darts-second-order", "random"]
PARAMETERS = {
    "profile": "tiny",
    "description": "Baselines.",
    "datasets": {"cifar10": {"name": "digits", "source": "bundled"}},
    "seeds": 2,
    "tables": ["baselines"],
    "methods": [{"label": "My method", "strategy": "dropnas", "options": {"masks": "per-cell"}}],
}


def entry(row: str, column: str, label: str = "", searches: tuple[int, ...] = (0, 1)) -> Entry:
    return Entry(f"cifar10/{row}", column, label, searches, (2, 3))


@pytest.fixture
def folder(runs: Any, tmp_path: Path) -> Path:
    """Baselines with a user's method and space, on one of the two data sets."""
    inputs = [runs.search(f"search{seed}", 5.0) for seed in range(2)]
    inputs += [runs.training(f"training{seed}", 2.75 - seed / 4, 2.61 - seed / 4) for seed in range(2)]
    entries = (
        entry("3-skip", "dropnas"),
        entry("3-skip", "mine", "My method"),
        entry("wide", "dropnas", "My space"),
        entry("wide", "mine", "My space / My method"),
        entry("3-skip", "random", searches=()),
        entry("wide", "random", "My space", searches=()),
        entry("original", "darts-first-order"),
        entry("original", "darts-second-order"),
    )
    return build(tmp_path / "baselines-tiny-0123456789", inputs, *entries)


def build(out: Path, inputs: list[Path], *entries: Entry) -> Path:
    out.mkdir(parents=True)
    run(TableConfig("baselines", "tiny", False, entries), inputs, out, Workspace(out, "identity"))
    return out


def cell_of(folder: Path, row: str, column: str) -> dict[str, Any]:
    rows = {one["row"]: one for one in json.loads((folder / "table.json").read_text())["rows"]}
    found: dict[str, Any] = next(cell for cell in rows[row]["cells"] if cell["column"] == column)
    return found


def test_the_papers_numbers_are_those_of_table_4_and_nothing_is_quoted_beside_them() -> None:
    ours, paper = layout("baselines"), layouts()["table4"]
    assert [row.key for row in ours.rows] == [row.key for row in paper.rows]
    for mine, theirs in zip(ours.rows, paper.rows, strict=True):
        assert mine.cells[:2] == theirs.cells and mine.heads == theirs.heads
        assert {(cell.text, cell.mean, cell.std, cell.best) for cell in mine.cells[2:]} == {("-", None, None, None)}
    assert [column.key for column in ours.columns] == [*(column.key for column in paper.columns), *NEW]
    assert "baselines" not in layouts()


def test_every_cell_of_the_plan_has_its_place(tmp_path: Path) -> None:
    """Rows and columns of the layout, or a label for what is the user's own."""
    (tmp_path / "parameters.yaml").write_text(yaml.safe_dump(PARAMETERS))
    config = make_plan(read_parameters(tmp_path / "parameters.yaml")).targets["baselines"].config
    paper = layout("baselines")
    for entry in config.entries:
        assert entry.row in {row.key for row in paper.rows}
        assert entry.label or entry.column in {column.key for column in paper.columns}
    assert {entry.column for entry in config.entries} == {"dropnas", "one-level-darts", "my-method", *NEW}
    assert all(entry.searches == () for entry in config.entries if entry.column == "random")


def test_ours_stand_below_the_papers_where_it_has_any(folder: Path) -> None:
    lines = [re.sub(" +", " ", line) for line in (folder / "baselines.md").read_text(encoding="utf-8").splitlines()]
    assert "| CIFAR-10 | 3-skip | paper | 2.68±0.10 | 3.19±0.18 | - | - | - | - |" in lines
    measured, none = "2.62±0.18 (n=2)", "not run"
    assert f"| | | ours, final epoch | {measured} | {none} | {none} | {none} | {measured} | {measured} |" in lines
    assert f"| | | ours, final epoch | {none} | {none} | {measured} | {measured} | {none} | {none} |" in lines
    assert cell_of(folder, "cifar10/original", "darts-second-order")["ours"][0]["runs"] == ["training0", "training1"]
    assert cell_of(folder, "cifar10/3-skip", "random")["paper"]["mean"] is None


def test_what_was_not_run_on_another_data_set_is_quoted_and_called_so(folder: Path) -> None:
    with (folder / "baselines.csv").open(encoding="utf-8", newline="") as stream:
        lines = [line for line in csv.DictReader(stream) if line["row"].startswith("cifar100/")]
    assert {line["source"] for line in lines if line["paper"]} == {"quoted"}
    assert {line["ours"] for line in lines} == {""} and {line["runs"] for line in lines} == {""}
    text = (folder / "baselines.md").read_text(encoding="utf-8")
    assert re.search(r"\| CIFAR-100 +\| original +\| quoted +\| 16\.95±0\.41 +\| 17\.27±0\.36 +\| - +\| - +\| - ", text)


def test_own_methods_and_spaces_have_a_place_as_in_table_4(folder: Path) -> None:
    content = json.loads((folder / "table.json").read_text())
    assert [column["column"] for column in content["columns"]][-2:] == ["random", "mine"]
    rows = [row["row"] for row in content["rows"]]
    assert rows.index("cifar10/wide") == rows.index("cifar10/original") + 1
    assert cell_of(folder, "cifar10/wide", "random")["ours"] and cell_of(folder, "cifar10/wide", "mine")["ours"]


def test_it_is_called_baselines_and_has_no_number(folder: Path) -> None:
    assert json.loads((folder / "table.json").read_text())["number"] is None
    assert (folder / "baselines.md").read_text(encoding="utf-8").startswith("# Baselines (profile tiny)\n")
    assert r"\label{tab:baselines-tiny}" in (folder / "baselines.tex").read_text(encoding="utf-8")
    assert summary([folder]).startswith("Baselines: DropNAS beside what a search has to beat")
    assert [title(name) for name in ("table4", "baselines", "table3_peers")] == [
        "Table 4",
        "Baselines",
        "Peers of Table 3",
    ]


def test_a_cell_that_it_cannot_have_is_refused(runs: Any, tmp_path: Path) -> None:
    inputs = [runs.training("a", 3.0, 3.0)]
    for row, column in (("cifar10/original", "nonsense"), ("digits/original", "random")):
        with pytest.raises(DropnasError, match="no such"):
            build(tmp_path / column, inputs, Entry(row, column, trainings=(0,)))


def frozen(root: Path, folders: dict[str, Path], on_request: list[str]) -> Path:
    """As much of a frozen plan as the results read."""
    plan = root / "plans" / "0123456789"
    plan.mkdir(parents=True)
    names = {name: str(folder.relative_to(root)) for name, folder in folders.items()}
    (plan / "plan.json").write_text(json.dumps({"profile": "tiny", "folders": names, "on_request": on_request}))
    (plan / "parameters.yaml").write_text("profile: tiny\n")
    return plan


def copied_from(plan: Path, root: Path) -> str:
    """Copy what is finished; gives what is told of it."""
    return copy_finished(json.loads((plan / "plan.json").read_text()), plan, Store(root))


def published_counts(root: Path) -> Path:
    """A run of the architectures, as the store publishes it."""
    staged, folder = root / "staged", root / "runs" / "architectures" / "published-0123456789"
    staged.mkdir()
    for name in ("json", "md", "csv", "tex"):
        (staged / f"architectures.{name}").write_text(f"{name}\n")
    Store(root).publish(staged, folder, {"id": "0123456789", "stage": "architectures"})
    return folder


def test_what_was_only_offered_is_not_missed_and_what_is_finished_is_copied(folder: Path, tmp_path: Path) -> None:
    baselines = tmp_path / "runs" / "table" / folder.name
    Store(tmp_path).publish(folder, baselines, {"id": "0123456789", "stage": "table"})
    nowhere = tmp_path / "runs" / "table" / "none-0123456789"
    folders = {"baselines": baselines, "architectures": published_counts(tmp_path), "table1_peers": nowhere}
    text = copied_from(frozen(tmp_path, folders, ["baselines", "table1_peers"]), tmp_path)
    copied = sorted(path.name for path in (tmp_path / "results" / "tiny" / "tables").iterdir())
    assert copied == sorted(f"{n}.{suffix}" for n in ("architectures", "baselines") for suffix in ("md", "csv", "tex"))
    assert text.startswith("Baselines: ") and "Not finished" not in text and "All tables: " in text


def test_what_was_asked_for_and_is_not_finished_is_told(tmp_path: Path) -> None:
    nowhere = tmp_path / "runs" / "table" / "none-0123456789"
    folders = dict.fromkeys(("table1", "table2_peers", "baselines", "figure1"), nowhere)
    text = copied_from(frozen(tmp_path, folders, ["baselines"]), tmp_path)
    assert text == "Not finished: table1, table2_peers, figure1"
