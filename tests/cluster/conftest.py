"""A real SLURM cluster on this host, and a store that is filled by its jobs.

`up.sh` starts the cluster and `down.sh` stops it. If it cannot start, the tests are skipped with its reason. A
reference store is filled without SLURM. Each test fills another store through the cluster, disturbs it, and must get
the same bytes in every run, including tables, with each run published once.
"""

import os
import re
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import yaml

from tests.trials.bench import holding
from tests.workflow.conftest import Bench, make_bench, project

__all__ = ["project"]  # a fixture

HERE = Path(__file__).parent
PARAMETERS = HERE / "trial.yaml"
SMOKE = HERE.parents[1] / "params" / "smoke.yaml"
SIF = Path(os.environ.get("DROPNAS_SIF", HERE.parents[1] / "containers" / "dropnas.sif"))
CLUSTER = Path(os.environ.get("CLUSTER", "/var/lib/dropnas-cluster"))
SKIPPED = 77
SEED = int(os.environ.get("TRIAL_SEED", "1"))
WAIT = 5400.0  # seconds for the smoke chain with its disturbances, also on a busy host
PUBLISHED = re.compile(r"runs/\S+: published$")
EPOCH = re.compile(r"epoch (\d+)/")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.cluster)


def slurm(*command: str) -> str:
    """The output of a SLURM command."""
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


@dataclass(frozen=True)
class ClusterBench(Bench):
    """A checkout and a store whose jobs go through SLURM.

    Attributes:
        defaults: further default resources of the profile.
        in_image: whether jobs run in the container.
        hold: the epoch, from 0, in which each training waits until it is asked to stop; None: nowhere.
    """

    defaults: dict[str, str] = field(default_factory=dict)
    in_image: bool = False
    hold: int | None = None

    def command(self, *options: str) -> list[str]:
        """The command that a user types, with a site's profile; it polls more often, because the jobs are short."""
        profile = yaml.safe_load((self.checkout / "profiles" / "slurm" / "config.yaml").read_text())
        profile["default-resources"] |= {"slurm_account": "lab", **self.defaults}
        if self.in_image:  # for an Apptainer without setuid, and without a GPU
            profile["apptainer-args"] = "--userns --cleanenv"
            options = (*options, "--sdm", "apptainer")  # last, because it takes several values
        folder = self.folder / "site"
        folder.mkdir(exist_ok=True)
        (folder / "config.yaml").write_text(yaml.safe_dump(profile))
        often = ["--slurm-init-seconds-before-status-checks", "3", "--seconds-between-status-checks", "3"]
        counted = "--slurm-keep-successful-logs"  # otherwise the executor removes logs that this bench counts
        return [*super().command("--profile", str(folder)), *often, counted, *options]

    def environment(self) -> dict[str, str]:
        found = {**super().environment(), "OMP_NUM_THREADS": "1", "DROPNAS_SIF": str(SIF)}
        return found if self.hold is None else holding(found, self.hold)

    def progress(self) -> dict[str, int]:
        """The last epoch in the log of each training."""
        files = [log for log in self.store.glob("logs/*/*/*.log") if log.exists()]  # a link may exist before its file
        logs = {log.stem: EPOCH.findall(log.read_text()) for log in files}
        return {name: int(epochs[-1]) for name, epochs in logs.items() if epochs}

    def running(self) -> list[str]:
        """The running jobs of this store."""
        lines = slurm("squeue", "--noheader", "--states=RUNNING", "--format=%i %Z").splitlines()
        return [line.split()[0] for line in lines if line.split()[1] == str(self.store)]

    def job_at_work(self, head: "subprocess.Popen[str]") -> str | None:
        """Wait for a job whose training makes progress; None if the start ends before."""
        before, end = self.progress(), time.monotonic() + WAIT
        while head.poll() is None and time.monotonic() < end:
            time.sleep(0.5)
            if self.progress() != before and (jobs := self.running()):
                return jobs[0]
            before = self.progress()
        return None

    def publications(self) -> Counter[str]:
        """The number of times each run was published, from the jobs' logs."""
        lines = [line for log in self.store.glob("logs/*/*/*.log") for line in log.read_text().splitlines()]
        return Counter(line.split(":")[0] for line in lines if PUBLISHED.match(line))

    def lines(self, words: str) -> int:
        """The number of lines with these words in the logs of the jobs and of Snakemake."""
        logs = [*self.store.glob("logs/*/*/*.log"), *self.store.glob(".snakemake/slurm_logs/**/*.log")]
        return sum(words in line for log in logs for line in log.read_text().splitlines())

    def finish(self, process: "subprocess.Popen[str]", reference: "Bench") -> None:
        """Wait for the end of a start, and check that the disturbances left no trace."""
        status = process.wait(WAIT)
        assert status == 0, (self.folder / "start.log").read_text()
        contents, expected = self.contents(), reference.contents()
        mismatches = [name for name in contents.keys() | expected.keys() if contents.get(name) != expected.get(name)]
        assert mismatches == []
        twice = {name: count for name, count in self.publications().items() if count != 1}
        assert twice == {} and len(self.publications()) == len(self.runs())


@pytest.fixture(scope="session")
def cluster() -> Iterator[None]:
    """A cluster with two nodes of two GPUs; it is stopped after the tests."""
    started = subprocess.run([HERE / "up.sh"], capture_output=True, text=True, check=False, timeout=300)
    if started.returncode == SKIPPED:
        pytest.skip(started.stderr.strip())
    assert started.returncode == 0, started.stdout + started.stderr
    released = threading.Event()
    releaser = threading.Thread(target=release_requeued, args=(released,), daemon=True)
    releaser.start()
    yield
    released.set()
    releaser.join()
    subprocess.run([HERE / "down.sh"], check=True, timeout=120)


def release_requeued(end: threading.Event) -> None:
    """SLURM holds a requeued job back for two minutes; after half a minute, its processes have ended."""
    while not end.wait(2.0):
        command = ["squeue", "--noheader", "--states=PENDING", "--format=%i %r %S"]
        for line in subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines():
            job, reason, start = line.split(maxsplit=2)
            held = reason == "BeginTime" and start != "N/A"  # between two cycles of the scheduler
            if held and datetime.fromisoformat(start) - datetime.now() > timedelta(seconds=45):
                subprocess.run(["scontrol", "update", f"JobId={job}", "StartTime=now+35seconds"], check=False)


def undisturbed(folder: Path, project: Path, parameters: Path, *targets: str) -> Bench:
    """Fill a store on this host without SLURM."""
    bench = make_bench(folder, project)
    bench.parameters.write_text(parameters.read_text())
    process = bench.begin("--cores", "2", *targets)
    assert process.wait(WAIT) == 0, (bench.folder / "start.log").read_text()
    return bench


@pytest.fixture(scope="session")
def reference(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """The reference store of the disturbance tests."""
    return undisturbed(tmp_path_factory.mktemp("reference"), project, PARAMETERS, "table1")


@pytest.fixture(scope="session")
def reference_smoke(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """The reference store of the smoke profile."""
    return undisturbed(tmp_path_factory.mktemp("smoke"), project, SMOKE)


@pytest.fixture
def site(cluster: None, project: Path, tmp_path: Path) -> Iterator[Callable[..., ClusterBench]]:
    """Return a function that makes a bench on the cluster; its processes are ended after the test."""
    made: list[ClusterBench] = []

    def make(**settings: object) -> ClusterBench:
        plain = make_bench(tmp_path, project)
        bench = ClusterBench(plain.folder, **settings)  # type: ignore[arg-type]
        bench.parameters.write_text(PARAMETERS.read_text())
        made.append(bench)
        return bench

    yield make
    for bench in made:
        for job in bench.running():
            slurm("scancel", job)
        bench.kill_all()
