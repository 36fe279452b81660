"""The baselines: search methods under one protocol; and the tables in the results."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from dropnas.analysis.comparison import Sample, improvement
from dropnas.config import BASELINES, read_parameters
from dropnas.errors import DropnasError
from dropnas.parsing import parse
from dropnas.pipeline import publish_results
from dropnas.pipeline.baselines import layout_of
from dropnas.pipeline.plan import make_plan
from dropnas.pipeline.publish_results import copy_finished
from dropnas.report.config import TableConfig, TrainedCell
from dropnas.report.printed import Layout, layouts, title
from dropnas.report.table_stage import run
from dropnas.report.terminal import summary
from dropnas.runs.identity import resolved
from dropnas.runs.store import Store
from dropnas.workspace import Workspace

PARAMETERS = {
    "profile": "tiny",
    "description": "Baselines.",
    "datasets": {"cifar10": {"name": "digits", "source": "bundled"}},
    "seeds": 2,
    "tables": ["baselines"],
    "methods": [{"label": "My method", "strategy": "dropnas", "options": {"masks": "per-cell"}}],
    "spaces": [{"label": "My space", "space": "3-skip"}],
}


def entry(
    method: str, label: str = "", searches: tuple[int, ...] = (0, 1), trainings: tuple[int, ...] = (2, 3)
) -> TrainedCell:
    return TrainedCell(f"cifar10/{method}", "error", label, searches, trainings)


def planned(folder: Path, **changes: Any) -> TableConfig:
    """The table of a parameter file."""
    (folder / "parameters.yaml").write_text(yaml.safe_dump({**PARAMETERS, **changes}))
    config: TableConfig = make_plan(read_parameters(folder / "parameters.yaml")).targets["baselines"].config
    return config


WHOLE = layout_of(("cifar10", "cifar100"), BASELINES)


@pytest.fixture
def folder(runs: Any, tmp_path: Path) -> Path:
    """Baselines with a user's method, on one of the two data sets."""
    inputs = [runs.search(f"search{seed}", 5.0) for seed in range(2)]
    inputs += [runs.training(f"training{seed}", 2.75 - seed / 4, 2.61 - seed / 4) for seed in range(2)]
    inputs += [runs.training(f"random{seed}", 3.0 + seed / 4, 2.9 + seed / 4) for seed in range(2)]
    entries = (
        entry("random", searches=(), trainings=(4, 5)),
        entry("dropnas"),
        entry("one-level-darts"),
        entry("p-darts"),
        entry("mine", "My method"),
    )
    return build(tmp_path / "baselines-tiny-0123456789", inputs, *entries)


def build(out: Path, inputs: list[Path], *entries: TrainedCell) -> Path:
    out.mkdir(parents=True)
    config = TableConfig("baselines", "tiny", False, entries, layout=WHOLE)
    run(config, inputs, out, Workspace(out, "identity"))
    return out


def ours_of(folder: Path, row: str, column: str) -> list[dict[str, Any]]:
    """Our numbers in a cell."""
    numbers = json.loads((folder / "table.json").read_text())["numbers"]
    return [one for one in numbers if (one["row"], one["column"]) == (row, column) and one.get("ours")]


def test_the_papers_numbers_are_those_of_its_other_tables() -> None:
    rows = {row.key: row for row in WHOLE.rows}
    table1, table4 = layouts()["table1"], layouts()["table4"]
    quoted = {row.key: row.cells for row in table1.rows}
    assert [rows["cifar10/p-darts"].cells[at] for at in (0, 3, 4)] == list(quoted["p-darts"])
    assert rows["cifar10/darts-second-order"].cells[0] == quoted["darts"][0]
    one_level = next(row.cells[1] for row in table4.rows if row.key == "cifar100/original")
    assert rows["cifar100/one-level-darts"].cells == (one_level, None, None, None, None)
    assert rows["cifar10/random"].cells == rows["cifar10/gdas"].cells == (None,) * 5
    assert "baselines" not in layouts()


def test_what_the_paper_does_not_quote_is_what_its_authors_print(tmp_path: Path) -> None:
    rows = {row.key: row.cells for row in WHOLE.rows}
    error, *_, params, days = rows["cifar10/random-weight-sharing"]
    assert error and params and (error.best, error.mean, params.mean, days) == (2.71, 2.85, 4.3, None)
    assert rows["cifar100/random-weight-sharing"] == (None,) * 5
    assert "XNAS, random search with weight sharing" in WHOLE.notes[-1]
    assert not any("own authors" in note for note in whole(planned(tmp_path)).notes)


def whole(config: TableConfig) -> Layout:
    assert config.layout is not None
    return config.layout


def test_a_method_that_is_compared_has_a_row_on_each_data_set(tmp_path: Path) -> None:
    keys = [row.key for row in WHOLE.rows]
    named = {"dropnas", "one-level-darts", *BASELINES}
    assert sorted(keys) == sorted(f"{role}/{name}" for role in ("cifar10", "cifar100") for name in named)
    few = whole(planned(tmp_path, baselines=["snas"])).rows
    assert [row.heads[1] for row in few] == ["random search", "DropNAS", "one-level DARTS", "SNAS"]


def test_every_cell_of_the_plan_has_its_place(tmp_path: Path) -> None:
    """Entries are rows of the layout, or have a label; a job reads the same configuration from its spec."""
    config = planned(tmp_path)
    assert parse(TableConfig, json.loads(json.dumps(resolved(config))), "spec") == config
    known = {row.key for row in whole(config).rows}
    assert all(entry.label or entry.row in known for entry in config.entries)
    assert {entry.label for entry in config.entries} - {""} == {
        "My method",
        "random search in My space",
        "DropNAS in My space",
        "one-level DARTS in My space",
        "My method in My space",
    }
    assert all(entry.searches == () for entry in config.entries if entry.row.endswith("random"))


def test_our_numbers_are_below_the_papers(folder: Path) -> None:
    lines = [re.sub(" +", " ", line) for line in (folder / "baselines.md").read_text(encoding="utf-8").splitlines()]
    assert "| CIFAR-10 | P-DARTS | paper | 2.50 | - | - | 3.4 | 0.3 |" in lines
    assert [line.split(" | ")[1] for line in lines if line.startswith("| CIFAR-10 ")] == [
        "random search",
        "DropNAS",
        "one-level DARTS",
        "P-DARTS",
        "My method",
    ]
    assert ours_of(folder, "cifar10/p-darts", "error")[0]["runs"] == ["training0", "training1"]
    assert ours_of(folder, "cifar10/random", "improvement") == []


def test_the_improvement_is_over_random_search_on_the_same_data(folder: Path) -> None:
    found = {one["quantity"]: one["ours_mean"] for one in ours_of(folder, "cifar10/mine", "improvement")}
    value, interval = improvement(Sample(2, 2.625, 0.25 / 2**0.5), Sample(2, 3.125, 0.25 / 2**0.5))
    assert found["improvement_final"] == pytest.approx(value) == pytest.approx(100 * (1 - 2.625 / 3.125))
    assert (found["improvement_final_low"], found["improvement_final_high"]) == pytest.approx(interval)


def test_parameters_are_not_counted_as_the_release_does_which_ran_no_other_method(folder: Path) -> None:
    quantities = [one["quantity"] for one in ours_of(folder, "cifar10/p-darts", "params")]
    assert quantities == ["parameters_million"]
    assert "as released" not in (folder / "baselines.md").read_text(encoding="utf-8").lower()


def test_the_cells_are_counted_for_skip_connects(folder: Path, tmp_path: Path) -> None:
    (counted,) = ours_of(folder, "cifar10/dropnas", "skips")
    files = [next(tmp_path.rglob(f"training{seed}*/genotype.json")) for seed in range(2)]
    genotypes = [json.loads(file.read_text()) for file in files]
    expected = [sum(operation == "skip_connect" for operation, _ in one["normal"]) for one in genotypes]
    assert counted["ours_values"] == expected


def test_it_is_called_baselines_and_has_no_number(folder: Path) -> None:
    assert json.loads((folder / "table.json").read_text())["number"] is None
    assert (folder / "baselines.md").read_text(encoding="utf-8").startswith("# Baselines (profile tiny)\n")
    assert r"\label{tab:baselines-tiny}" in (folder / "baselines.tex").read_text(encoding="utf-8")
    assert summary([folder]).startswith("Baselines: Search methods under one protocol")
    assert [title(name) for name in ("table4", "baselines", "table3_published")] == [
        "Table 4",
        "Baselines",
        "Published baselines of Table 3",
    ]


def test_a_cell_that_it_cannot_have_is_refused(runs: Any, tmp_path: Path) -> None:
    inputs = [runs.training("a", 3.0, 3.0)]
    for row, column in (("cifar10/random", "nonsense"), ("digits/random", "error")):
        with pytest.raises(DropnasError, match="no such"):
            build(tmp_path / column, inputs, TrainedCell(row, column, trainings=(0,)))


def frozen(root: Path, folders: dict[str, Path], on_request: list[str]) -> Path:
    """The part of a frozen plan that the results read."""
    plan = root / "plans" / "0123456789"
    plan.mkdir(parents=True)
    names = {name: str(folder.relative_to(root)) for name, folder in folders.items()}
    (plan / "plan.json").write_text(json.dumps({"profile": "tiny", "folders": names, "on_request": on_request}))
    (plan / "parameters.yaml").write_text("profile: tiny\n")
    return plan


def copied_from(plan: Path, root: Path) -> str:
    """Copy finished results; return the report."""
    return copy_finished(json.loads((plan / "plan.json").read_text()), plan, Store(root))


def published_counts(root: Path) -> Path:
    """A run of the architectures stage, as the store publishes it."""
    staged, folder = root / "staged", root / "runs" / "architectures" / "published-0123456789"
    staged.mkdir()
    for name in ("json", "md", "csv", "tex"):
        (staged / f"architectures.{name}").write_text(f"{name}\n")
    Store(root).publish(staged, folder, {"id": "0123456789", "stage": "architectures"})
    return folder


def test_targets_on_request_are_not_missing_and_finished_ones_are_copied(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publish_results, "require_whole", lambda folder: {})  # these tables are invented
    baselines = tmp_path / "runs" / "table" / folder.name
    Store(tmp_path).publish(folder, baselines, {"id": "0123456789", "stage": "table"})
    nowhere = tmp_path / "runs" / "table" / "none-0123456789"
    folders = {"baselines": baselines, "architectures": published_counts(tmp_path), "table1_published": nowhere}
    text = copied_from(frozen(tmp_path, folders, ["baselines", "table1_published"]), tmp_path)
    copied = sorted(path.name for path in (tmp_path / "results" / "tiny" / "tables").iterdir())
    assert copied == sorted(f"{n}.{suffix}" for n in ("architectures", "baselines") for suffix in ("md", "csv", "tex"))
    assert text.startswith("Baselines: ") and "Not finished" not in text and "All tables: " in text


def test_a_requested_target_that_is_not_finished_is_reported(tmp_path: Path) -> None:
    nowhere = tmp_path / "runs" / "table" / "none-0123456789"
    folders = dict.fromkeys(("table1", "table2_published", "baselines", "figure1"), nowhere)
    text = copied_from(frozen(tmp_path, folders, ["baselines"]), tmp_path)
    assert text == "Not finished: figure1, table1, table2_published"
