"""The behaviour of each verb in each situation: one test for each cell of the table in docs/reliability.md."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from dropnas.config import read_parameters
from dropnas.errors import DropnasError
from dropnas.pipeline.plan import make_plan
from tests.hostile.bench import STUDY, Bench, edit
from tests.hostile.cases import SMALL
from tests.in_process import verb

DOCS = Path(__file__).parents[2] / "docs" / "reliability.md"
Verb = Callable[[Bench], tuple[object, ...]]


def remote(bench: Bench, url: str) -> None:
    (bench.root / ".dvc").mkdir(exist_ok=True)
    text = f"[core]\n    remote = r\n    no_scm = true\n    analytics = false\n['remote \"r\"']\n    url = {url}\n"
    (bench.root / ".dvc" / "config").write_text(text)


def start(bench: Bench) -> Path:
    return Path("plans") / next((bench.root / "plans").iterdir()).name


def spec(stage: str) -> Callable[[Bench], object]:
    return lambda bench: bench.spec_file(bench.of_stage(stage)[0])


STORE_VERBS: dict[str, Verb] = {
    "stage": lambda bench: ("select", spec("select")(bench)),
    "tables": lambda bench: ("tables", spec("table")(bench)),
    "figures": lambda bench: ("figures", spec("figure")(bench)),
    "verify": lambda bench: ("verify",),
    "results": lambda bench: ("results", start(bench)),
    "push": lambda bench: ("push",),
    "pull": lambda bench: ("pull", str(bench.of_stage("retrain")[0].folder)),
    "trajectory": lambda bench: ("trajectory", bench.folder(bench.of_stage("search")[0])),
    "inspect": lambda bench: ("inspect", bench.folder(bench.of_stage("derive")[0])),
}
WITHOUT_ROOT = ("trajectory", "inspect")


def call(bench: Bench, name: str):
    return verb(*STORE_VERBS[name](bench), root=None if name in WITHOUT_ROOT else bench.root)


def nothing(bench: Bench, name: str) -> None:
    """What the verb reads does not exist."""
    bench.take_out(list(bench.plan.runs.values()))
    remote(bench, "/nowhere")
    if name == "results":
        (bench.root / start(bench) / "plan.json").unlink()


def partly(bench: Bench, name: str) -> None:
    """Half of what the verb reads cannot be read."""
    remote(bench, str(bench.root.parent / "remote"))
    for stage in ("search", "derive", "retrain", "select", "table", "figure"):
        run = bench.of_stage(stage)[0]
        manifest = bench.folder(run) / "manifest.json"
        manifest.write_bytes(manifest.read_bytes()[:100])


def meaningless(bench: Bench, name: str) -> None:
    """A value has the right type but no meaning: an identity that no run has."""
    remote(bench, str(bench.root.parent / "remote"))
    for stage in ("search", "derive", "retrain", "select", "table", "figure"):
        edit(bench.folder(bench.of_stage(stage)[0]) / "manifest.json", id="0123456789")


SITUATIONS = {"nothing": nothing, "partly": partly, "meaningless": meaningless}


@pytest.mark.parametrize("situation", SITUATIONS)
@pytest.mark.parametrize("name", STORE_VERBS)
def test_no_verb_succeeds_without_what_it_must_read(bench: Bench, name: str, situation: str) -> None:
    before = set(bench.root.glob("runs/*/*/manifest.json"))
    SITUATIONS[situation](bench, name)
    done = call(bench, name)
    assert done.status == 1 and not done.fault and done.err.strip(), (done.out, done.err[-800:])
    assert set(bench.root.glob("runs/*/*/manifest.json")) <= before


def test_the_documentation_has_each_cell() -> None:
    """Rows are verbs and columns are situations; no cell is empty, and the rows are those of the tests above."""
    rows = [line.split("|") for line in DOCS.read_text().splitlines() if line.startswith("| `")]
    table = {cells[1].strip(" `"): [cell.strip() for cell in cells[2:-1]] for cells in rows if len(cells) == 8}
    assert set(STORE_VERBS) <= set(table) and {"run", "plan", "data"} <= set(table)
    assert all(all(cells) for cells in table.values())


URLS = {
    "a folder that does not exist": ("/nowhere/at/all", "the remote has no runs"),
    "an unknown scheme": ("foo://host/path", "the DVC remote cannot be used"),
    "a closed port": ("http://127.0.0.1:9/x", "the remote has no runs|cannot be listed"),
    "ssh without its plugin": ("ssh://host/path", r"pip install 'dropnas\[ssh\]'|cannot be listed"),
    "S3 without its plugin": ("s3://bucket/path", r"pip install 'dropnas\[s3\]'|cannot be listed"),
}


@pytest.mark.parametrize("case", URLS)
def test_pull_says_that_the_remote_is_not_there(bench: Bench, case: str) -> None:
    url, line = URLS[case]
    remote(bench, url)
    done = verb("pull", root=bench.root)
    assert done.status == 1 and re.search(line, done.err) and done.err.count("\n") == 1 and not done.fault


VALUES = {
    "an octal number": ("seeds: 010", "not a plain number"),
    "minutes and seconds": ("seeds: 1:30", "not a plain number"),
    "a learning rate below its minimum": (
        "search: {learning_rate: 1.0e-5}",
        "search.learning_rate: is below learning_rate_min",
    ),
    "one image": (
        "datasets: {cifar10: {name: digits, source: bundled, train_images: 1}}",
        "one image is not enough",
    ),
    "a NUL in a path": (
        'datasets: {cifar10: {name: cifar10, source: torchvision, path: "a\\0b"}}',
        "contains a NUL",
    ),
    "digits for the paper": (
        "reproduction: true\ndatasets: {cifar10: {name: digits, source: bundled, train_images: 64}}",
        "reproduction: data digits-64-all: digits is not a data set of the paper",
    ),
    "a part of CIFAR for the paper": (
        "reproduction: true\ndatasets: {cifar10: {name: cifar10, source: torchvision, train_images: 64}}",
        "reproduction: .*a part of cifar10",
    ),
    "few epochs for the paper": (
        "reproduction: true\nsearch: {epochs: 2}",
        "reproduction: .*epochs is 2, but the paper's is 76",
    ),
}
PLAIN = """profile: p
description: d
tables: [table5]
datasets: {cifar10: {name: cifar10, source: torchvision}}
"""


@pytest.mark.parametrize("case", VALUES)
def test_a_value_without_meaning_is_refused(tmp_path: Path, case: str) -> None:
    text, line = VALUES[case]
    keys = {part.partition(":")[0] for part in text.splitlines()}
    kept = [part for part in PLAIN.splitlines() if part.partition(":")[0] not in keys]
    (tmp_path / "p.yaml").write_text("\n".join([*kept, text]))
    done = verb("plan", tmp_path / "p.yaml", root=tmp_path)
    assert done.status == 1 and re.search(line, done.err) and done.err.count("\n") == 1, done.err


def test_a_yaml_bomb_is_refused_in_no_time(tmp_path: Path) -> None:
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    (tmp_path / "bomb.yaml").write_text("\n".join(levels))
    used = time.process_time()
    with pytest.raises(DropnasError, match="has an alias"):
        read_parameters(tmp_path / "bomb.yaml")
    assert time.process_time() - used < 5


def test_the_paper_s_own_files_may_claim_it() -> None:
    folder = STUDY.parents[2] / "params"
    for file in folder.glob("paper*.yaml"):
        assert make_plan(read_parameters(file)).parameters.reproduction


def test_a_table_of_other_data_claims_nothing(bench: Bench) -> None:
    """The prepared data set decides, whatever the table's configuration says."""
    from dropnas.pipeline.protocol import require_followed

    run = next(run for run in bench.of_stage("table") if run.name.startswith("table6"))
    folders = [bench.folder(source) for source in run.inputs]
    require_followed(folders)
    file = next(bench.root.glob("data/cifar10/*/dataset.json"))
    file.write_text(json.dumps({**json.loads(file.read_text()), "train": 64}))
    with pytest.raises(DropnasError, match=r"is not a reproduction of the paper: .* 64 and 10000 images"):
        require_followed(folders)


def test_an_unknown_target_is_one_line_with_the_list(tmp_path: Path) -> None:
    file = tmp_path / "small.yaml"
    file.write_text(yaml.safe_dump({**SMALL, "tables": ["table6"]}))
    done = verb("run", file, "table9", "--cores", "1", root=tmp_path)
    assert done.status == 1 and done.err.count("\n") == 1
    assert "table9: no such target; known: " in done.err and "table6" in done.err


def test_results_report_the_requested_targets(bench: Bench) -> None:
    bench.take_out(bench.of_stage("figure"))
    bench.take_out([run for run in bench.of_stage("table") if not run.name.startswith("table1")])
    done = verb("results", STUDY, "table1", root=bench.root)
    assert done.status == 0 and "Not finished" not in done.out and "Table 3" not in done.out, done.err


def test_characters_that_a_terminal_lacks_are_replaced(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1", "PYTHONPATH": str(STUDY.parents[2])}
    script = "from dropnas import cli; cli.app = lambda: print('a \\u2192 b'); cli.main()"
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "a ? b\n", "")


def test_a_file_in_the_place_of_a_run_is_one_line(bench: Bench) -> None:
    run = bench.of_stage("select")[0]
    bench.take_out([run])
    bench.folder(run).touch()
    done = bench.compute(run)
    assert done.status == 1 and "is a file where a run should be" in done.err and done.err.count("\n") == 1
