"""A training that is stopped on one machine and continues on another one with a different vector width."""

import json
import os
import signal
from pathlib import Path

import pytest
import torch

from dropnas.artifacts.manifest_file import ManifestFile
from dropnas.config import Machine
from dropnas.data.config import DatasetConfig
from dropnas.pipeline.execute import execute
from dropnas.pipeline.specs import spec
from dropnas.pipeline.stages import code_of
from dropnas.runs.attempts import UNKNOWN_MACHINE, Attempts
from dropnas.runs.environment import machine_name
from dropnas.runs.files import write_json
from dropnas.runs.identity import Run, resolved
from dropnas.search.config import SearchConfig
from dropnas.training.signals import EXIT_STOPPED
from tests.foreign.conftest import Foreign

DATA = DatasetConfig(name="digits", source="bundled", train_images=48, test_images=20)
SEARCH = SearchConfig(cells=2, channels=2, epochs=2, batch_size=16, crop_padding=1, flip=False, space="1-skip")


def a_search(root: Path) -> Run:
    """The smallest search, with prepared data."""
    data = Run("data", "digits", DATA, (), code_of("data", DATA))
    assert execute([spec(data, "test", Machine(device="cpu"))], root, lambda line: None) == 0
    return Run("search", "digits-seed0", SEARCH, (data,), code_of("search", SEARCH))


def stop_after_an_epoch(line: str) -> None:
    if "epoch 1/" in line:
        os.kill(os.getpid(), signal.SIGTERM)


def test_a_run_that_continues_on_another_machine_is_marked(machine: Foreign) -> None:
    run, root = a_search(machine.folder), machine.folder
    with pytest.raises(SystemExit) as stopped:
        execute([spec(run, "test", Machine(device="cpu"))], root, stop_after_an_epoch)
    assert stopped.value.code == EXIT_STOPPED
    write_json(root / "spec.json", resolved(spec(run, "test", Machine(device="cpu"))))
    done = machine.dropnas("search", "spec.json", ATEN_CPU_CAPABILITY="default")
    assert done.returncode == 0, done.stderr
    here, there = machine_name("cpu"), machine_name("cpu").partition(" (")[0]
    if here == f"{there} (DEFAULT)":
        pytest.skip("this CPU has no wider vectors")
    moved = f"started on {here}, continues on {there} (DEFAULT), so its bytes are those of neither machine"
    said = f"digits-seed0: {moved}"
    assert done.stdout.splitlines().count(said) == 1, done.stdout
    assert ManifestFile.read(root / run.folder).run["machines"] == [here, f"{there} (DEFAULT)"]
    verified = machine.dropnas("verify")
    assert verified.returncode == 0  # not a fault, but it is reported
    assert f"{run.folder}: computed on {here}, then on {there} (DEFAULT)" in verified.stdout


def test_a_run_that_stays_on_one_machine_is_not_marked(machine: Foreign) -> None:
    run, lines = a_search(machine.folder), list[str]()
    with pytest.raises(SystemExit):
        execute([spec(run, "test", Machine(device="cpu"))], machine.folder, stop_after_an_epoch)
    assert execute([spec(run, "test", Machine(device="cpu"))], machine.folder, lines.append) == 0
    assert not [line for line in lines if "rounding" in line]
    assert ManifestFile.read(machine.folder / run.folder).run["machines"] == [machine_name("cpu")]


def test_the_machine_is_named_with_its_vectors() -> None:
    assert torch.backends.cpu.get_cpu_capability() in machine_name("cpu")


def attempt(scratch: Path, machine: str, saves: int = 0) -> Attempts:
    """An attempt on a machine that saves some checkpoints or none."""
    made = Attempts(scratch)
    made.begin()
    made.note(machine=machine)
    if saves:
        (scratch / f"checkpoint-{saves:08d}.pt").write_bytes(b"a state")
    return made


def test_only_machines_whose_work_is_in_the_run_count(tmp_path: Path) -> None:
    assert attempt(tmp_path, "one", saves=1).machines == ("one",)
    assert attempt(tmp_path, "one", saves=2).machines == ("one",)
    assert attempt(tmp_path, "two").machines == ("one", "two")  # killed before it saved
    assert attempt(tmp_path, "one", saves=3).machines == ("one",)
    assert attempt(tmp_path, "three", saves=4).machines == ("one", "three")
    assert attempt(tmp_path, "one").machines == ("one", "three", "one")


def test_machines_are_kept_after_a_series_without_progress(tmp_path: Path) -> None:
    attempt(tmp_path, "one", saves=1)
    attempt(tmp_path, "two", saves=2).stopped()
    attempt(tmp_path, "two").stopped()
    with pytest.raises(Exception, match="no progress"):
        attempt(tmp_path, "two").stopped()
    assert attempt(tmp_path, "two").machines == ("one", "two")


@pytest.mark.parametrize("log", ["", "[{]", json.dumps([{"started": 1.0, "seconds": 2.0}])])
def test_a_checkpoint_without_a_record_is_from_an_unknown_machine(tmp_path: Path, log: str) -> None:
    (tmp_path / "checkpoint-00000001.pt").write_bytes(b"a state")
    (tmp_path / "attempts.json").write_text(log)
    assert attempt(tmp_path, "one").machines == (UNKNOWN_MACHINE, "one")
