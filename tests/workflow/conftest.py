"""A bench for tests with real Snakemake: a checkout that may be edited, and the store that it fills.

One completed store is built for all tests, which work on copies. If only Snakemake's decisions matter, they are read
from a dry run; otherwise the runs are really computed.
"""

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

PROJECT = Path(__file__).parents[2]
PARTS = ("dropnas", "workflow", "profiles", "Snakefile")
MICRO = yaml.safe_load((Path(__file__).parent / "micro.yaml").read_text())
JOB = re.compile(r"^Job \d+: (\w+) (\S+) \(", re.MULTILINE)
WAIT = 3600.0  # seconds; far more than any test takes, even on a busy machine


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the workflow's tests first: the longest ones, of which the first builds the store for all workers."""
    items.sort(key=lambda item: not _is_here(item))
    for item in filter(_is_here, items):
        item.add_marker(pytest.mark.workflow)


def _is_here(item: pytest.Item) -> bool:
    return Path(__file__).parent in item.path.parents


@dataclass(frozen=True)
class Bench:
    """A checkout and a store in a separate folder."""

    folder: Path

    @property
    def checkout(self) -> Path:
        return self.folder / "checkout"

    @property
    def store(self) -> Path:
        return self.folder / "store"

    @property
    def parameters(self) -> Path:
        return self.folder / "micro.yaml"

    @property
    def before_edit(self) -> Path:
        """The file with the runs that were published before the checkout was broken."""
        return self.folder / "before-edit.txt"

    def configure(self, **changes: Any) -> None:
        """Write the parameter file: micro.yaml with some sections extended or values replaced."""
        merged = {**MICRO}
        for name, value in changes.items():
            merged[name] = {**MICRO.get(name, {}), **value} if isinstance(value, dict) else value
        self.parameters.write_text(yaml.safe_dump(merged))

    def command(self, *options: str) -> list[str]:
        return [sys.executable, "-m", "dropnas", "run", str(self.parameters), "--root", str(self.store), *options]

    def environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("DROPNAS", "SNAKEMAKE", "PYTHON"))}
        return {**kept, "PYTHONPATH": str(self.checkout)}

    def call(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=self.store, env=self.environment(), text=True, timeout=WAIT, capture_output=True, check=False
        )

    def plain(self, *options: str) -> subprocess.CompletedProcess[str]:
        """Start plain `snakemake` on the checkout's Snakefile."""
        where = ["--snakefile", str(self.checkout / "Snakefile"), "--directory", str(self.store)]
        return self.call([sys.executable, "-m", "snakemake", *where, *options])

    def run(self, *options: str) -> str:
        """Start a command that must succeed; return its output."""
        done = self.call(self.command(*options))
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def would_run(self, *options: str) -> set[str]:
        """The rules whose jobs a start would run."""
        return {rule for rule, _ in JOB.findall(self.run("--dry-run", *options))}

    def begin(self, *options: str) -> subprocess.Popen[str]:
        """Start in the background, with output to `start.log`."""
        with (self.folder / "start.log").open("w") as log:
            return subprocess.Popen(
                self.command(*options),
                cwd=self.store,
                env=self.environment(),
                text=True,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def runs(self) -> dict[str, int]:
        """Published runs with the inode of their manifest, which a second publication would change."""
        return {
            str(f.parent.relative_to(self.store)): f.stat().st_ino for f in self.store.glob("runs/*/*/manifest.json")
        }

    def finished(self, beginning: str) -> set[str]:
        """Names of published runs with this beginning, such as `search/digits-`."""
        return {name for name in self.runs() if name.startswith(f"runs/{beginning}")}

    def contents(self) -> dict[str, str]:
        """The sha256 of every file of every run, except receipts and manifests, which contain times."""
        files = [f for f in self.store.glob("runs/*/*/*") if f.name not in ("run.json", "manifest.json")]
        return {str(f.relative_to(self.store)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}

    def counted(self, what: str) -> Counter[str]:
        """The number of times each run was `computed` (started) or `published`, as the jobs recorded it."""
        return Counter((self.store / f"{what}.txt").read_text().splitlines())

    def remove(self, *patterns: str) -> None:
        for pattern in patterns:
            for path in self.store.glob(pattern):
                shutil.rmtree(path)

    def wait_until(self, condition: Callable[[], object], what: str) -> None:
        end = time.monotonic() + WAIT
        while not condition():
            assert time.monotonic() < end, f"timed out waiting for {what}: {(self.folder / 'start.log').read_text()}"
            time.sleep(0.05)

    def processes(self) -> list[int]:
        """The processes that work in the store."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if (folder / "cwd").readlink() == self.store:
                    found.append(int(folder.name))
            except OSError:
                continue  # the process has ended, or belongs to another user
        return found

    def kill_all(self) -> None:
        """Kill all processes that work in the store, as a power cut would."""
        while processes := self.processes():
            for process in processes:
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            time.sleep(0.05)


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project from the start of the tests."""
    copy = tmp_path_factory.mktemp("project")
    for name in PARTS:
        if (PROJECT / name).is_dir():
            shutil.copytree(PROJECT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(PROJECT / name, copy / name)
    _take_notes(copy / "dropnas" / "pipeline" / "compute.py")
    return copy


def _take_notes(file: Path) -> None:
    """Make each job record the runs that it computes and publishes; the edited file is outside all fingerprints.

    The jobs' logs are not sufficient: Snakemake removes a job's log when a second start reaches the same job.
    """
    text = file.read_text()
    note = 'for spec in {}: open({}.root / "{}.txt", "a").write(spec.folder + "\\n")\n'
    for place, *noted in (
        ("    configs = [spec.config for spec in specs]\n", "specs", "store", "computed"),
        (
            "            self.store.publish(staged, self.store.root / spec.folder, records[spec.id])\n",
            "[spec]",
            "self.store",
            "published",
        ),
    ):
        assert text.count(place) == 1
        indent = place[: len(place) - len(place.lstrip())]
        text = text.replace(place, place + indent + note.format(*noted))
    file.write_text(text)


def make_bench(folder: Path, project: Path) -> Bench:
    """Make a bench with a copy of the project and an empty store."""
    bench = Bench(folder)
    shutil.copytree(project, bench.checkout)
    bench.store.mkdir()
    bench.configure()
    return bench


def completed(folder: Path, project: Path, built: Bench) -> Bench:
    """Make a bench with copies of the project and of the completed store."""
    bench = make_bench(folder, project)
    shutil.copytree(built.store, bench.store, dirs_exist_ok=True)
    return bench


@pytest.fixture(scope="session")
def built(project: Path, once: Callable[[str, Callable[[Path], object]], Path]) -> Bench:
    """A completed store for all workers of a test run, which only read or copy it."""
    return Bench(once("completed-store", lambda folder: complete(make_bench(folder, project))))


def commit(checkout: Path) -> None:
    """Make a checkout a git repository without changes."""
    (checkout / ".gitignore").write_text("__pycache__/\n")
    author = ("-c", "user.name=Trial", "-c", "user.email=trial@example.org")
    for command in (["init", "-q"], ["add", "-A"], [*author, "commit", "-q", "-m", "A state"]):
        subprocess.run(["git", *command], cwd=checkout, check=True)


def complete(bench: Bench) -> None:
    """Fill a store from a commit with two parallel jobs, while code and parameters in the checkout are broken."""
    commit(bench.checkout)
    process = bench.begin("--cores", "2")
    bench.wait_until(lambda: list(bench.store.glob("data/*/*/run.json")) or process.poll() is not None, "a dataset")
    for file in bench.checkout.rglob("*.py"):
        file.write_text("raise SystemExit('the checkout was read during a run')\n")
    for file in [bench.checkout / "Snakefile", *bench.checkout.rglob("*.smk"), bench.parameters]:
        file.write_text("broken\n")
    bench.before_edit.write_text("\n".join(bench.runs()))
    status = process.wait(WAIT)
    assert status == 0, (bench.folder / "start.log").read_text()


@pytest.fixture
def fresh(project: Path, tmp_path: Path, built: Bench) -> Iterator[Bench]:
    """A bench whose store has only the datasets; its processes are killed after the test."""
    bench = make_bench(tmp_path, project)
    shutil.copytree(built.store / "data", bench.store / "data")
    yield bench
    bench.kill_all()


@pytest.fixture
def bench(project: Path, tmp_path: Path, built: Bench) -> Bench:
    """A copy of the completed store, with an unchanged checkout."""
    return completed(tmp_path, project, built)


@pytest.fixture(params=["records-kept", "records-deleted"])
def bench_with_or_without_records(request: pytest.FixtureRequest, bench: Bench) -> Bench:
    """The same bench, with and without Snakemake's own records."""
    if request.param == "records-deleted":
        bench.remove(".snakemake")
    return bench
