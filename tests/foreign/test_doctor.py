"""`doctor` on machines with a single fault: it finds and names this fault, and no other.

Each test starts with a machine on which all checks pass. Its programs are stubs, its GPUs are simulated for torch, and
its file system is real or patched.
"""

import fcntl
import importlib.util
import json
import os
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from dropnas.doctor import installation, source_places, storage
from dropnas.doctor.check import Check, CheckResult
from dropnas.doctor.examine import examine, line, report, require_ready, show_node, situation, stops
from dropnas.doctor.site import Site, site
from dropnas.errors import DropnasError
from dropnas.machine import allocation, caches
from tests.foreign.conftest import PROJECT, Foreign
from tests.unit.machine.stub_gpus import Gpu, give

PARTITION = (
    "PartitionName=gpu Default=YES MaxTime=2-00:00:00 State={state} PreemptMode={preempt} MaxMemPerNode=UNLIMITED"
)
SCONTROL = 'case "$*" in *gpu*|*--oneliner) echo "{answer}" ;; *) echo "Partition $4 not found" >&2; exit 1 ;; esac'
SINFO = 'case "$*" in *%m*) echo "128000+" ;; *) echo "{gres}" ;; esac'
APPTAINER = 'case "$1" in --version) echo apptainer version 1.4.5 ;; exec) {opens} ;; esac'
CLUSTER = ["--profile", "site", "--sdm", "apptainer"]


@dataclass
class Healthy:
    """A machine on which all checks pass, and a start on it."""

    machine: Foreign
    patch: pytest.MonkeyPatch
    options: list[str]

    @property
    def parameters(self) -> Path:
        return self.machine.folder / "parameters.yaml"

    def configure(self, **changes: Any) -> None:
        """Write the parameter file with some sections extended."""
        content = yaml.safe_load((PROJECT / "tests" / "workflow" / "micro.yaml").read_text())
        content["machine"]["device"] = "cuda"
        merged = {name: {**content.get(name, {}), **value} for name, value in changes.items()}
        self.parameters.write_text(yaml.safe_dump({**content, **merged}))

    def checks(self) -> list[Check]:
        return examine(situation(self.parameters, self.options, self.machine.folder))

    def drop(self, name: str) -> None:
        """Remove a program."""
        (self.machine.programs / name).unlink()

    def profile(self, **resources: str) -> None:
        (self.machine.folder / "site").mkdir(exist_ok=True)
        settings = {"executor": "slurm", "default-resources": {"slurm_partition": '"gpu"', **resources}}
        (self.machine.folder / "site" / "config.yaml").write_text(yaml.safe_dump(settings))


def bad(checks: list[Check]) -> list[str]:
    return [line(check) for check in checks if check.outcome is not CheckResult.PASSED]


@pytest.fixture
def healthy(machine: Foreign, monkeypatch: pytest.MonkeyPatch) -> Iterator[Healthy]:
    """A machine with working programs, two GPUs, a network and a checkout."""
    made = Healthy(machine.bare(), monkeypatch, [])
    made.configure()
    made.profile()
    give(monkeypatch, [Gpu(), Gpu()])
    for name, value in machine.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("DROPNAS_SIF", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.chdir(machine.folder)
    machine.stub("git", "echo 0123456789abcdef0123456789abcdef01234567")
    machine.stub("scontrol", SCONTROL.format(answer=PARTITION.format(state="UP", preempt="REQUEUE")))
    machine.stub("sinfo", SINFO.format(gres="gpu:a100:4"))
    machine.stub("apptainer", APPTAINER.format(opens="echo 2.14.1"))
    for name in ("sbatch", "sacct", "squeue"):
        machine.stub(name, "")
    (machine.folder / ".git").mkdir()
    monkeypatch.setattr(installation, "shipped", lambda: machine.folder)
    (machine.folder / "containers").mkdir()
    (machine.folder / "containers" / "dropnas.sif").touch()
    source_places._unreachable.cache_clear()
    yield made


@pytest.mark.parametrize("options", [[], CLUSTER], ids=["here", "cluster"])
def test_a_machine_that_lacks_nothing_passes(healthy: Healthy, options: list[str]) -> None:
    healthy.options = options
    checks = healthy.checks()
    assert bad(checks) == [] and not stops(checks)
    names = {check.name for check in checks}
    assert {"Snakemake", "git", "caches", "GPU", "file locks", "renames", "free space", "data: digits"} <= names
    on_cluster = {"container runtime", "image", "SLURM", "partition", "time limit", "memory", "job status", "scontrol"}
    assert on_cluster <= names if options else not on_cluster & names


def dataset(healthy: Healthy, **settings: Any) -> None:
    healthy.configure(datasets={"cifar10": {"name": "cifar10", **settings}})


def refuse(*_: object, **__: object) -> None:
    raise OSError(38, "Function not implemented")


def uninstalled(name: str) -> Callable[[Healthy], None]:
    """Make a package appear as not installed."""
    found = importlib.util.find_spec
    return lambda healthy: healthy.patch.setattr(
        importlib.util, "find_spec", lambda one, *rest: None if one == name else found(one, *rest)
    )


def versions(**given: str) -> Callable[[Healthy], None]:
    """Change the versions of installed packages."""
    found = installation.version
    return lambda healthy: healthy.patch.setattr(
        installation, "version", lambda name: given.get(name.replace("-", "_")) or found(name)
    )


def absent(package: str) -> Callable[[Healthy], None]:
    found = installation.version

    def version(name: str) -> str:
        if name == package:
            raise installation.PackageNotFoundError(name)
        return found(name)

    return lambda healthy: healthy.patch.setattr(installation, "version", version)


def full(healthy: Healthy) -> None:
    usage = shutil.disk_usage("/")
    healthy.patch.setattr(storage.shutil, "disk_usage", lambda path: usage._replace(free=1_000_000))


def without_inodes(healthy: Healthy) -> None:
    found = os.statvfs("/")
    few = os.statvfs_result([*found[:5], 1000, 10, 10, *found[8:10]])
    healthy.patch.setattr(storage.os, "statvfs", lambda path: few)


def with_little_shared_memory(healthy: Healthy) -> None:
    """Docker's default."""
    healthy.configure(machine={"device": "cuda", "workers": 4})
    usage = shutil.disk_usage("/")._replace(total=64_000_000)
    healthy.patch.setattr(storage, "SHARED_MEMORY", healthy.machine.folder)
    healthy.patch.setattr(storage.shutil, "disk_usage", lambda path: usage)


def given_but_unseen(healthy: Healthy) -> None:
    healthy.configure(machine={"device": "auto"})
    give(healthy.patch, [])
    healthy.patch.setattr(allocation, "evidence", lambda: "SLURM_JOB_GPUS=0")


def unknown_partition(healthy: Healthy) -> None:
    healthy.profile(slurm_partition='"other"')
    healthy.machine.stub("scontrol", 'echo "Partition other not found" >&2; exit 1')


def partition(**facts: str) -> Callable[[Healthy], None]:
    answer = PARTITION.format(**{"state": "UP", "preempt": "REQUEUE", **facts})
    return lambda healthy: _stub(healthy, "scontrol", SCONTROL.format(answer=answer))


def _stub(healthy: Healthy, name: str, script: str) -> None:
    healthy.machine.stub(name, script)


def stub(name: str, script: str) -> Callable[[Healthy], None]:
    return lambda healthy: _stub(healthy, name, script)


def without(*names: str) -> Callable[[Healthy], None]:
    return lambda healthy: [healthy.drop(name) for name in names] and None


def machine_of(**settings: Any) -> Callable[[Healthy], None]:
    return lambda healthy: healthy.configure(machine={"device": "cuda", **settings})


HERE: list[str] = []
# The fault, where jobs run, the check that finds it, its message, and whether it would stop the run.
CONDITIONS: dict[str, tuple[Callable[[Healthy], Any], list[str], str, str, bool]] = {
    "no GPU where one is asked for": (lambda h: give(h.patch, []), HERE, "GPU", "torch sees no GPU", True),
    "a GPU was given, torch sees none": (given_but_unseen, HERE, "GPU", "SLURM_JOB_GPUS=0, but torch", True),
    "an old driver": (lambda h: give(h.patch, [Gpu()], driver=(12, 4)), HERE, "GPU", "CUDA 12.4", True),
    "an architecture without code": (
        lambda h: give(h.patch, [Gpu("V100", (7, 0))]), HERE, "GPU", "compute capability 7.0", True),
    "bf16 on an old GPU": (
        lambda h: (give(h.patch, [Gpu("T4", (7, 5))]), h.configure(search={"precision": "bf16"})),
        HERE, "GPU", "bf16 needs", True),
    "too few GPUs": (
        lambda h: (machine_of(transfer_processes=2)(h), give(h.patch, [Gpu()])),
        HERE, "GPU count", "1 visible, 2 needed", True),
    "a GPU that does not exist": (machine_of(device="cuda:2"), HERE, "GPU count", "2 visible, 3 needed", True),
    "no container runtime": (without("apptainer"), CLUSTER, "container runtime", "neither apptainer nor", True),
    "a broken container runtime": (
        stub("apptainer", "echo 'no user namespaces' >&2; exit 1"), CLUSTER, "container runtime", "no user name", True),
    "no image": (lambda h: Path("containers/dropnas.sif").unlink(), CLUSTER, "image", "does not exist", True),
    "an image that does not open": (
        stub("apptainer", APPTAINER.format(opens="echo 'not a SIF' >&2; exit 255")),
        CLUSTER, "image", "not a SIF", True),
    "an image without torch": (
        stub("apptainer", APPTAINER.format(opens="echo 'PackageNotFoundError: torch' >&2; exit 1")),
        CLUSTER, "image", "has no torch (PackageNotFoundError: torch)", True),
    "a blank in the image's name": (
        lambda h: h.patch.setenv("DROPNAS_SIF", "my image.sif"), CLUSTER, "image", "has a blank", True),
    "no SLURM": (without("sbatch"), CLUSTER, "SLURM", "sbatch is not on this node", True),
    "no way to ask for jobs": (without("sacct", "squeue"), CLUSTER, "job status", "neither sacct nor squeue", True),
    "no scontrol": (without("scontrol"), CLUSTER, "scontrol", "--retries", False),
    "an unknown partition": (unknown_partition, CLUSTER, "partition", "Partition other not found", True),
    "a partition that is down": (partition(state="DOWN"), CLUSTER, "partition", "gpu is DOWN", True),
    "preemption that cancels": (partition(preempt="GANG,CANCEL"), CLUSTER, "preemption", "ends preempted jobs", False),
    "a time limit that is too short": (
        machine_of(runtime_minutes=2881), CLUSTER, "time limit", "2881 min are requested, gpu allows 2880", True),
    "more memory than a node has": (machine_of(memory_mb=200_000), CLUSTER, "memory", "have up to 128000", True),
    "a partition without GPUs": (
        stub("sinfo", SINFO.format(gres="(null)")), CLUSTER, "GPUs of the partition", "no node of gpu has a GPU", True),
    "no file locks": (lambda h: h.patch.setattr(fcntl, "flock", refuse), HERE, "file locks", "not support them", True),
    "file locks that lock nothing": (
        lambda h: h.patch.setattr(fcntl, "flock", lambda *_: None), HERE, "file locks", "not honoured", True),
    "no renames": (lambda h: h.patch.setattr(storage.os, "replace", refuse), HERE, "renames", "fail", True),
    "a full disk": (full, HERE, "free space", "0.0 GB free", True),
    "no inodes": (without_inodes, HERE, "inodes", "10 free", True),
    "little shared memory": (with_little_shared_memory, HERE, "shared memory", "has 64 MB", False),
    "a source that is missing": (
        lambda h: dataset(h, source="torchvision", path="nowhere"),
        HERE, "data: cifar10", "nowhere does not exist", True),
    "a source without a place": (
        lambda h: h.configure(datasets={"imagenet": {"name": "imagenet", "source": "images", "path": "absent.tar"}}),
        HERE, "data: imagenet", "absent.tar does not exist", True),
    "no pyarrow": (
        lambda h: (dataset(h, source="parquet", path="."), uninstalled("pyarrow")(h)),
        HERE, "data: cifar10", "pyarrow is not installed", True),
    "no network": (
        lambda h: (dataset(h, source="torchvision"), h.patch.setattr(socket, "create_connection", refuse)),
        HERE, "data: cifar10", "cannot be reached", True),
    "no git": (without("git"), HERE, "git", "is not installed", False),
    "another user's checkout": (
        stub("git", "echo 'fatal: detected dubious ownership in repository' >&2; exit 128"),
        HERE, "git", "belongs to another user", False),
    "no checkout": (lambda h: (h.machine.folder / ".git").rmdir(), HERE, "git", "this is not a checkout", False),
    "no place for caches": (
        lambda h: h.patch.setenv("XDG_CACHE_HOME", "/proc/x"), HERE, "caches", "/proc/x cannot be written", True),
    "a home that takes no files": (
        lambda h: (h.patch.setenv("HOME", "/proc/x"), h.patch.setenv("XDG_CACHE_HOME", str(h.machine.folder))),
        HERE, "caches", "because /proc/x/.cache cannot be written", False),
    "no Snakemake": (absent("snakemake"), HERE, "Snakemake", "snakemake is not installed", True),
    "an old Snakemake": (versions(snakemake="9.2.0"), HERE, "Snakemake", "9.2.0 is too old", True),
    "no plugin for SLURM": (
        absent("snakemake-executor-plugin-slurm"), CLUSTER, "Snakemake", "plugin-slurm is not installed", True),
    "no jinja2": (uninstalled("jinja2"), HERE, "report page", "jinja2 is not installed", False),
}  # fmt: skip


@pytest.mark.parametrize(("make_false", "options", "name", "said", "fatal"), CONDITIONS.values(), ids=CONDITIONS)
def test_each_condition_is_found_and_named(
    healthy: Healthy, make_false: Callable[[Healthy], Any], options: list[str], name: str, said: str, fatal: bool
) -> None:
    healthy.options = options
    make_false(healthy)
    checks = healthy.checks()
    found = [check for check in checks if check.outcome is not CheckResult.PASSED]
    assert [check.name for check in found] == [name], bad(checks)
    assert said in found[0].found + found[0].remedy and found[0].remedy
    assert stops(checks) == fatal
    assert "\n" not in line(found[0])


def test_a_run_that_would_be_stopped_is_not_begun(healthy: Healthy, capsys: pytest.CaptureFixture[str]) -> None:
    healthy.drop("git")
    full(healthy)
    with pytest.raises(DropnasError, match="not ready"):
        require_ready(healthy.parameters, [], healthy.machine.folder, print)
    said = capsys.readouterr().out.splitlines()
    assert [one.split(":")[0].split()[0] for one in said] == ["warning", "failed"]


def test_a_run_with_warnings_is_begun(healthy: Healthy) -> None:
    healthy.drop("git")
    lines: list[str] = []
    require_ready(healthy.parameters, [], healthy.machine.folder, lines.append)
    assert len(lines) == 1 and lines[0].startswith("warning  git")


@pytest.mark.parametrize("option", ["-n", "--dry-run", "--rulegraph", "--report=page.html"])
def test_a_dry_run_requires_nothing(healthy: Healthy, option: str) -> None:
    full(healthy)
    require_ready(healthy.parameters, [option], healthy.machine.folder, print)


def test_only_what_the_targets_need_is_required(healthy: Healthy) -> None:
    healthy.configure(datasets={"imagenet": {"name": "imagenet", "source": "images", "path": "absent.tar"}})
    healthy.options = ["table1"]
    assert bad(healthy.checks()) == []
    healthy.options = ["table3"]
    assert len(bad(healthy.checks())) == 1


def test_data_that_are_prepared_need_no_source(healthy: Healthy) -> None:
    dataset(healthy, source="torchvision", path="nowhere")
    found = situation(healthy.parameters, [], healthy.machine.folder)
    folder = next(found.root / run.folder for run in found.runs if run.config == found.runs[0].config)
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text("{}")
    names = {check.name: check.found for check in healthy.checks()}
    assert names["data: cifar10"] == "is prepared"


@pytest.mark.parametrize("is_full", [True, False])
def test_a_job_checks_its_own_node(healthy: Healthy, capsys: pytest.CaptureFixture[str], is_full: bool) -> None:
    healthy.patch.setenv("SLURM_JOB_ID", "7")
    healthy.drop("scontrol")
    if is_full:
        full(healthy)
    show_node(healthy.machine.folder)
    said = capsys.readouterr().err
    assert "scontrol: is not on this node" in said and ("free space" in said) == is_full


def test_a_job_in_an_image_does_not_look_for_slurm(healthy: Healthy, capsys: pytest.CaptureFixture[str]) -> None:
    healthy.patch.setenv("SLURM_JOB_ID", "7")
    healthy.patch.setenv("DROPNAS_IMAGE", "dropnas:1")
    healthy.drop("scontrol")
    show_node(healthy.machine.folder)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], Site()),
        (["--cores", "4", "table1"], Site(jobs=4)),
        (["-e", "slurm", "-j", "8", "--use-singularity"], Site("slurm", True, {}, 8)),
        (["--sdm", "conda", "apptainer"], Site(in_image=True)),
        (["--default-resources", "slurm_partition='gpu'"], Site(resources={"slurm_partition": "gpu"})),
        (["--profile", str(PROJECT / "profiles" / "default")], Site()),
    ],
)
def test_options_for_snakemake_say_where_jobs_run(options: list[str], expected: Site) -> None:
    assert site(options) == expected


def test_our_profile_is_one_of_slurm() -> None:
    found = site(["--workflow-profile", str(PROJECT / "profiles" / "slurm"), "--sdm", "apptainer"])
    assert (found.executor, found.in_image, found.jobs) == ("slurm", True, 64)
    assert found.resources["slurm_partition"] == "gpu"


def test_the_command_line(machine: Foreign) -> None:
    """In an empty environment, it prints a line for each check, or JSON, and sets the status."""
    done = machine.dropnas("doctor", str(PROJECT / "params" / "smoke.yaml"))
    assert done.returncode == 0, done.stdout
    assert {row.split()[0] for row in done.stdout.splitlines()} <= {"ok", "warning"}
    found = machine.dropnas("doctor", "--json", "--profile", str(PROJECT / "profiles" / "slurm"), PATH="/nowhere")
    assert found.returncode == 1
    failures = [check for check in json.loads(found.stdout) if check["outcome"] == "failed"]
    assert "SLURM" in {check["name"] for check in failures} and all(check["remedy"] for check in failures)


def test_a_report_is_a_line_for_each(healthy: Healthy) -> None:
    checks = healthy.checks()
    assert len(report(checks).splitlines()) == len(checks) == len(json.loads(report(checks, as_json=True)))


def test_without_a_gpu_torch_is_not_imported(machine: Foreign) -> None:
    """Importing torch would take longer than the checks."""
    script = "import sys; from dropnas.cli import main\ntry: main()\nexcept SystemExit: print('torch' in sys.modules)"
    done = machine.run(sys.executable, "-c", script, "doctor", str(PROJECT / "params" / "smoke.yaml"))
    assert done.stdout.splitlines()[-1] == "False", done.stdout + done.stderr


def test_caches_are_checked_where_libraries_use_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert caches.usual() == Path("/somewhere")
