"""No run is mistaken for another: swapped, renamed, copied and edited folders of every stage, and edited code."""

import json
import random
import shutil
from itertools import combinations_with_replacement, cycle, product
from pathlib import Path
from typing import Any

import pytest

import dropnas
from dropnas.artifacts.manifest_file import ManifestFile
from dropnas.errors import DropnasError
from dropnas.runs import fingerprint
from dropnas.runs.identity import Run
from tests.hostile.bench import Bench, edit
from tests.in_process import verb

STAGES = ("data", "search", "derive", "retrain", "select", "transfer", "variant", "clusters", "correlation", "table")
QUICK = ("table", "select", "correlation")  # stages that read runs and are fast


def swap(one: Path, other: Path) -> None:
    aside = one.with_name("aside")
    one.rename(aside)
    other.rename(one)
    aside.rename(other)


def replace(one: Path, other: Path) -> None:
    shutil.rmtree(one)
    shutil.copytree(other, one)


def rename(one: Path, other: Path) -> None:
    shutil.rmtree(other)
    one.rename(other)


def carry_manifest(one: Path, other: Path) -> None:
    """Combine the files of one run with the records of another."""
    for name in ("manifest.json", "run.json"):
        shutil.copyfile(other / name, one / name)


def readers(bench: Bench, *changed: Run) -> list[Run]:
    """Fast runs that read one of these runs directly."""
    ids = {run.id for run in changed}
    return [run for run in bench.of_stage(*QUICK) if ids & {source.id for source in run.inputs}]


def require_no_wrong_number(bench: Bench, changed: list[Run]) -> None:
    """Runs that read a changed run must refuse it or give the old numbers; verbs that show the store must report it."""
    assert verb("verify", root=bench.root).status == 1
    for run in readers(bench, *changed):
        before = bench.content(run)
        if run not in changed:
            bench.take_out([run])
        done = bench.compute(run)
        assert not done.fault, done.err
        assert done.err.count("\n") == 1 if done.status else bench.content(run) == before, done.err


PAIRS = list(combinations_with_replacement(STAGES, 2))
CHANGES = (swap, replace, rename, carry_manifest)
# Each pair of stages is exchanged in one way, in turn, so that each stage meets each way. A check for a changed run
# reads only that run, its manifest and its files, so the pairs need not be tried in every way.
EXCHANGES = list(zip(PAIRS, cycle(CHANGES)))


def test_each_stage_is_exchanged_in_each_way() -> None:
    assert {(stage, change) for stages, change in EXCHANGES for stage in stages} == {*product(STAGES, CHANGES)}


@pytest.mark.parametrize(("stages", "change"), EXCHANGES)
def test_a_run_in_the_place_of_another_enters_no_number(bench: Bench, stages: tuple[str, str], change: Any) -> None:
    draw = random.Random(f"{stages}{change.__name__}")
    one, other = draw.choice(bench.of_stage(stages[0])), draw.choice(bench.of_stage(stages[1]))
    while one is other:
        other = draw.choice(bench.of_stage(stages[1]))
    change(bench.folder(one), bench.folder(other))
    require_no_wrong_number(bench, [one, other])


def test_table_1_is_not_built_from_swapped_retrainings(bench: Bench) -> None:
    """A case that occurred: both runs are intact, and their receipts match."""
    table = next(run for run in bench.of_stage("table") if run.name.startswith("table1"))
    one, other = [run for run in table.inputs if run.stage == "retrain"][:2]
    swap(bench.folder(one), bench.folder(other))
    bench.take_out([table])
    done = bench.compute(table)
    assert done.status == 1 and "holds another run than its name says" in done.err and done.err.count("\n") == 1
    assert not bench.folder(table).exists()


RECORDS: list[dict[str, Any]] = [
    {"id": "0123456789"},
    {"name": "another"},
    {"stage": "search"},
    {"stage": 7},
    {"inputs": []},
    {"inputs": None},
    {"inputs": ["a-0123456789", "b-0123456789"]},
    {"input_manifests": {}},
    {"identity": {}},
    {"identity": []},
    {"config": {}},
    {"config": {"epochs": 1}},
    {"config": None},
]


@pytest.mark.parametrize("change", RECORDS, ids=str)
def test_a_manifest_that_contradicts_itself_is_no_run(bench: Bench, change: dict[str, Any]) -> None:
    table = next(run for run in bench.of_stage("table") if run.name.startswith("table6"))
    run = next(run for run in table.inputs if run.stage == "retrain")
    edit(bench.folder(run) / "manifest.json", **change)
    (bench.folder(run) / "run.json").unlink()  # otherwise the receipt would reveal it
    require_no_wrong_number(bench, [run])
    with pytest.raises(DropnasError):
        dropnas.load(bench.folder(run))


SPECS: list[dict[str, Any]] = [
    {"config": {"criterion": "final"}},
    {"config": {"criterion": "held-out"}},
    {"inputs": []},
    {"name": "another"},
    {"id": "0123456789"},
    {"profile": 3},
    {"folder": "runs/select/another-0123456789"},
    {"identity": {}},
]


@pytest.mark.parametrize("change", SPECS, ids=str)
def test_a_spec_that_asks_for_another_run_publishes_nothing(bench: Bench, change: dict[str, Any]) -> None:
    run = bench.of_stage("select")[0]
    bench.take_out([run])
    edit(bench.spec_file(run), **change)
    done = bench.compute(run)
    assert done.status == 1 and done.err.count("\n") == 1 and not done.fault, done.err
    assert not bench.folder(run).exists() and not list(bench.root.glob("runs/select/*0123456789"))


def test_inputs_in_another_order_are_another_run(bench: Bench) -> None:
    run = bench.of_stage("select")[0]
    bench.take_out([run])
    inputs = json.loads(bench.spec_file(run).read_text())["inputs"]
    edit(bench.spec_file(run), inputs=inputs[::-1])
    done = bench.compute(run)
    assert done.status == 1 and "its inputs does not match the run" in done.err


@pytest.fixture
def edited(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Make the code of a module count as changed from now on."""

    def edit_module(module: str) -> None:
        unedited = fingerprint._file_hash.__wrapped__  # type: ignore[attr-defined]
        monkeypatch.setattr(fingerprint, "_file_hash", lambda one: "edited" if one == module else unedited(one))
        fingerprint.fingerprint.cache_clear()

    yield edit_module
    monkeypatch.undo()
    fingerprint.fingerprint.cache_clear()


def test_edited_code_publishes_nothing_under_the_identity_of_the_old(bench: Bench, edited: Any) -> None:
    run = bench.of_stage("select")[0]
    bench.take_out([run])
    edited("dropnas.evaluate.select")
    done = bench.compute(run)
    assert done.status == 1 and "the code has changed since the spec was written" in done.err
    assert done.err.count("\n") == 1 and not bench.folder(run).exists()


def test_code_that_is_edited_while_a_run_is_computed(
    bench: Bench, edited: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dropnas.evaluate import select

    run = bench.of_stage("select")[0]
    bench.take_out([run])
    computed = select.run

    def edit_meanwhile(*arguments: Any) -> Any:
        edited("dropnas.evaluate.select")
        return computed(*arguments)

    monkeypatch.setattr(select, "run", edit_meanwhile)
    done = bench.compute(run)
    assert done.status == 1 and "the code has changed since the spec was written" in done.err
    assert not bench.folder(run).exists()


def test_a_file_that_changed_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fingerprints in a process follow changes of the files."""
    (tmp_path / "mine.py").write_text("VALUE = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    before = fingerprint.fingerprint("mine")
    fingerprint.refresh()
    assert fingerprint.fingerprint("mine") == before
    (tmp_path / "mine.py").write_text("VALUE = 22\n")
    fingerprint.refresh()
    assert fingerprint.fingerprint("mine") != before
    (tmp_path / "mine.py").unlink()
    fingerprint.refresh()  # discards the hashes, so that they are not checked as another user


def test_a_run_is_loaded_only_as_it_was_published(bench: Bench) -> None:
    run = bench.of_stage("retrain")[0]
    weights = bench.folder(run) / "network.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(DropnasError, match=r"network\.safetensors: changed"):
        dropnas.load(bench.folder(run))


def test_the_configuration_in_a_manifest_is_that_of_its_identity(bench: Bench) -> None:
    """Each option separately, both hashed options and those left out because they have their default."""
    run = bench.of_stage("retrain")[0]
    manifest = bench.folder(run) / "manifest.json"
    config = ManifestFile.read(bench.folder(run)).run["config"]
    for name, value in config.items():
        other = not value if isinstance(value, bool) else value + 1 if isinstance(value, int) else None
        if other is not None:
            edit(manifest, config={**config, name: other})
            done = verb("verify", root=bench.root)
            assert done.status == 1 and f"does not match its identity ({name})" in done.err
