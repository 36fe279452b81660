"""A new method, data set, table and figure each need one file and one entry to be known in the whole package."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dropnas.artifacts.dataset_file import Dataset
from dropnas.config import read_parameters, schema
from dropnas.data import prepare
from dropnas.data.config import DATASETS, KnownDataset
from dropnas.monitor.budget import dispensable
from dropnas.monitor.words import cells
from dropnas.monitor.work import Shape, declared_shape
from dropnas.parsing import parse
from dropnas.pipeline.plan import Plan, make_plan
from dropnas.pipeline.specs import dataset_specs
from dropnas.report.config import TARGETS, FigureConfig, TableConfig, Target
from dropnas.report.figures import figure_stage
from dropnas.report.page.planned import parse_content
from dropnas.report.printed import title
from dropnas.report.table_stage import run as build_table
from dropnas.runs import fingerprint as fp
from dropnas.runs.identity import resolved
from dropnas.workspace import Workspace
from tests.unit.report.conftest import Runs
from tests.unit.report.made_figures import Store

REPOSITORY = Path(__file__).parents[3]
SMOKE = (REPOSITORY / "params/smoke.yaml").read_text()
READER = """
import numpy as np
from dropnas.data.splits import Arrays, Labelled


def read(config, workspace):
    images = np.random.default_rng(0).integers(0, 256, (12, 9, 9, 3), dtype=np.uint8)
    labels = np.arange(12) % 3
    return Arrays(3, Labelled(images[:8], labels[:8]), Labelled(images[8:], labels[8:]))
"""
TABLE = """
from dropnas.pipeline.experiments import DROPNAS
from dropnas.pipeline.table_experiments import TableCell
from dropnas.report.printed import Column, Layout

LAYOUT = Layout(
    name="depth",
    number=None,
    caption="DropNAS, and nothing else.",
    trainings="retrain",
    style="mean",
    decimals=1,
    open="rows",
    heads=(("Method", ""),),
    columns=(Column("error", ("Test Error (%)", ""), "top1_error"),),
    rows=(),
    notes=("A note of its own.",),
)


def cells(experiments):
    return [TableCell("mine", "error", *experiments.experiment("depth", "cifar10", DROPNAS), "Mine")]
"""
DRAWING = """
from matplotlib.figure import Figure

from dropnas.report.figures.drawing import Drawing


def panels(series):
    return {one.panel: len(one.runs) for one in series}


def draw(content, titles):
    figure = Figure(figsize=(4, 3))
    figure.add_subplot().bar(range(len(content)), list(content.values()))
    return figure


def facts(content):
    return ((panel, f"{count}") for panel, count in content.items())


BARS = Drawing(panels, draw, ("Data", "Searches"), facts)
"""


METHOD = """
from dropnas.search.strategies.two_level import TwoLevel


class Halves(TwoLevel):
    frozen_epochs = 1
"""
ENTRY = """
    "halves": SearchMethod(f"{_FOLDER}.halves:Halves", "Halves", _AS_DARTS, printed={"cifar10": {"error": "2.7"}}),
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The three files, in a separate package."""
    folder = tmp_path / "own_parts"
    folder.mkdir()
    for name, text in {"__init__": "", "reader": READER, "table": TABLE, "drawing": DRAWING}.items():
        (folder / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in [name for name in sys.modules if name.startswith("own_parts")]:
        del sys.modules[name]
    forget()


def forget() -> None:
    """Read all code again."""
    for cached in (fp.module_file, fp._code, fp._imports, fp._file_hash, fp.fingerprint):
        cached.cache_clear()


@pytest.fixture
def registered(package: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The three entries."""
    known = KnownDataset({"bundled": "own_parts.reader:read"}, 8, 4, 9, 9)
    table = Target("table", ("cifar10",), "own_parts.table:cells", layout="own_parts.table:LAYOUT")
    searches = "dropnas.pipeline.figure_experiments:trajectories"
    figure = Target("figure", ("cifar10",), searches, "own_parts.drawing:BARS", "How many searches there are.")
    monkeypatch.setitem(DATASETS, "noise", known)
    monkeypatch.setitem(TARGETS, "depth", table)
    monkeypatch.setitem(TARGETS, "bars", figure)


def plan_of(folder: Path, *changes: tuple[str, str]) -> Plan:
    text = SMOKE
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    (folder / "own.yaml").write_text(text)
    return make_plan(read_parameters(folder / "own.yaml"))


ASKED = ("figures: [", "tables: [table1, depth]\nfigures: [bars, ")


def test_entries_alone_change_no_identity(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    before = plan_of(tmp_path).runs.keys()
    request.getfixturevalue("registered")
    assert plan_of(tmp_path).runs.keys() == before


@pytest.mark.usefixtures("registered")
def test_a_data_set_is_known_everywhere(tmp_path: Path) -> None:
    plan = plan_of(
        tmp_path, ("name: digits, source: bundled, train_images: 900, test_images: 340", "name: noise, source: bundled")
    )
    data = next(run for run in plan.runs.values() if run.stage == "data" and run.name == "noise")
    assert any(data in run.inputs for run in plan.runs.values() if run.stage == "search")
    assert "noise" in schema()["$defs"]["DatasetConfig"]["properties"]["name"]["enum"]
    assert declared_shape(resolved(data.config)) == Shape(8, 4, 9, 9)
    assert [spec.id for spec in dataset_specs(["noise"], tmp_path / "own.yaml", "")] == [data.id]
    out = tmp_path / "prepared"
    out.mkdir()
    prepare.run(data.config, [], out, Workspace(tmp_path, data.id))
    assert Dataset.read(out).classes == 3 and np.load(out / "train_images.npy").shape == (8, 9, 9, 3)


@pytest.mark.usefixtures("registered")
def test_tables_and_figures_are_known_everywhere(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, ASKED)
    assert {"depth", "bars"} < set(plan.targets)
    users = plan.used_by()
    assert {run.stage for run in plan.runs.values() if "depth" in users[run.id]} >= {"search", "retrain", "table"}
    assert set(dispensable(plan.parameters)) >= {"without depth", "without bars"}
    properties = schema()["properties"]
    assert "depth" in properties["tables"]["items"]["enum"] and "bars" in properties["figures"]["items"]["enum"]
    assert (title("depth"), title("bars")) == ("Depth", "Bars")
    runs = [
        {"id": run.id, "stage": run.stage, "name": run.name, "folder": str(run.folder)} for run in plan.runs.values()
    ]
    content = {
        **{"profile": "x", "description": "", "reproduction": False, "machine": {}, "on_request": []},
        "folders": {name: str(run.folder) for name, run in plan.targets.items()},
        "runs": [{**run, "inputs": [], "used_by": [], "config": {}} for run in runs],
    }
    shown = list(parse_content(content, "here").folders)
    described = [
        {**run, "inputs": [one.id for one in planned.inputs], "config": resolved(planned.config)}
        for run, planned in zip(runs, plan.runs.values(), strict=True)
    ]
    watched = list(cells({run["id"]: run for run in described}).cell)
    assert "Depth, Mine" in watched
    assert shown[0] == "table1" and shown.index("depth") < shown.index("bars") < shown.index("architectures")


@pytest.mark.usefixtures("registered")
def test_a_table_is_built_from_its_own_layout(tmp_path: Path) -> None:
    config = plan_of(tmp_path, ASKED).targets["depth"].config
    assert parse(TableConfig, json.loads(json.dumps(resolved(config))), "spec") == config  # as in a job
    store, count = (
        Runs(tmp_path),
        {"search": len(config.entries[0].searches), "retrain": len(config.entries[0].trainings)},
    )
    inputs = [store.search(f"search{at}", 60.0) for at in range(count["search"])]
    inputs += [store.training(f"retrain{at}", 7.0, 5.0) for at in range(count["retrain"])]
    out = tmp_path / "out"
    out.mkdir()
    build_table(config, inputs, out, Workspace(tmp_path, "identity"))
    text = (out / "depth.md").read_text()
    assert "Depth (profile smoke)" in text and "| Mine" in text and "7.0" in text and "A note of its own." in text


@pytest.mark.usefixtures("registered")
def test_a_figure_is_drawn_by_its_own_file(tmp_path: Path) -> None:
    config = plan_of(tmp_path, ASKED).targets["bars"].config
    store, count = Store(tmp_path), 1 + max(at for one in config.series for at in one.runs)
    inputs = [store.search("cifar10", "dropnas", seed) for seed in range(count)]
    assert parse(FigureConfig, resolved(config), "spec") == config
    out = tmp_path / "out"
    out.mkdir()
    figure_stage.run(config, inputs, out, Workspace(tmp_path, "identity"))
    content = json.loads((out / "figure.json").read_text())
    assert content["caption"] == "How many searches there are." and (out / "bars.svg").is_file()
    assert content["facts"]["head"] == ["Data", "Searches"] and content["facts"]["rows"][0][0] == "cifar10"


def test_the_code_of_a_figure_counts_for_it_alone(tmp_path: Path, registered: None) -> None:
    before = plan_of(tmp_path, ASKED).targets
    forget()
    (tmp_path / "own_parts/drawing.py").write_text(DRAWING.replace("(4, 3)", "(5, 3)"))
    after = plan_of(tmp_path, ASKED).targets
    assert [name for name, run in after.items() if run.id != before[name].id] == ["bars"]


def test_a_search_method_is_a_file_and_a_line(tmp_path: Path) -> None:
    """In a copy of the package, settings, label and printed number follow from the entry."""
    skipped = shutil.ignore_patterns("__pycache__")
    shutil.copytree(REPOSITORY / "dropnas", tmp_path / "dropnas", ignore=skipped)
    (tmp_path / "dropnas/search/strategies/halves.py").write_text(METHOD)
    file = tmp_path / "dropnas/search/methods.py"
    before, head = file.read_text(), "METHODS: dict[str, SearchMethod] = {\n"
    file.write_text(before.replace(head, head + ENTRY.lstrip("\n")))
    assert len(file.read_text().splitlines()) == len(before.splitlines()) + 1
    (tmp_path / "own.yaml").write_text(
        "profile: own\ndescription: x\ntables: [baselines]\nbaselines: [halves]\nfigures: []\nseeds: 1\n"
        "datasets: {cifar10: {name: digits, source: bundled}}\n"
    )
    command = [sys.executable, "-m", "dropnas", "plan", "own.yaml", "--json"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    found = subprocess.run(command, cwd=tmp_path, env=environment, text=True, capture_output=True, check=True)
    runs = json.loads(found.stdout)
    (search,) = [run for run in runs if run["stage"] == "search" and run["config"]["strategy"] == "halves"]
    assert (search["config"]["cells"], search["config"]["epochs"]) == (8, 50)
    (table,) = [run["config"] for run in runs if run["stage"] == "table"]
    (row,) = [row for row in table["layout"]["rows"] if row["key"] == "cifar10/halves"]
    assert row["heads"] == ["CIFAR-10", "Halves"] and row["cells"][0]["mean"] == 2.7
