"""`python -m tests.mutations [NUMBER ...]`: breaks a line in each of 20 modules and reports whether the tests notice.

Each line is broken in a copy of the checkout, and the tests of the rooms that should notice run until the first one
fails. The status is 1 if a broken line was not noticed. Run it after merging, shortening or removing tests.
"""

import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Mutation:
    """A line to break: a text that occurs once in a file, its replacement, and the tests that should fail."""

    file: str
    old: str
    new: str
    tests: str

    def broken(self) -> str:
        """The file's content with the line broken."""
        text = (PROJECT / self.file).read_text(encoding="utf-8")
        if text.count(self.old) != 1:
            raise SystemExit(f"{self.file}: {self.old!r} occurs {text.count(self.old)} times; choose another line")
        return text.replace(self.old, self.new)


SEARCH, RUNS, TRAINING = "tests/unit/search", "tests/unit/runs", "tests/unit/evaluate_training"
MUTATIONS = (
    Mutation("dropnas/search/dropout.py", "size = len(group)", "size = len(group) + 1", SEARCH),
    Mutation(
        "dropnas/search/seed_group.py",
        ', ("adam", state.architecture_optimiser))',
        ",)",
        f"{SEARCH}/test_every_method.py",
    ),
    Mutation("dropnas/search/strategies/gdas.py", "max(1, self.config.epochs - 1)", "self.config.epochs", SEARCH),
    Mutation("dropnas/training/loop.py", 'run.rows = state["rows"]', "run.rows = []", "tests/unit/training"),
    Mutation("dropnas/evaluate/select.py", "errors.index(min(errors))", "errors.index(max(errors))", TRAINING),
    Mutation("dropnas/evaluate/retrain.py", 'states[0]["learner"])', 'self.state_dicts()[0]["learner"])', TRAINING),
    Mutation("dropnas/data/batches.py", '"order", epoch)', '"order", 0)', "tests/unit/data"),
    Mutation("dropnas/runs/verify.py", "+= Store(root).damage(folder)", "+= []", "tests/unit/sharing tests/hostile"),
    Mutation(
        "dropnas/runs/authenticity.py", 'if found != record["id"] or folder.name', "if folder.name", "tests/hostile"
    ),
    Mutation("dropnas/runs/fingerprint.py", "for file in _data_files(module):", "for file in ():", RUNS),
    Mutation("dropnas/runs/code.py", '"kind", "ctx"}', '"kind", "ctx", "op"}', RUNS),
    Mutation("dropnas/pipeline/specs.py", r"[A-Za-z0-9][\w.+-]*/[A-Za-z0-9]", ".*/", "tests/unit/pipeline"),
    Mutation("dropnas/pipeline/freeze.py", '!= frozen.get("id")', "is None", "tests/unit/pipeline tests/hostile"),
    Mutation(
        "dropnas/pipeline/jobs.py",
        "if not published.issuperset(job",
        "if published.isdisjoint(job",
        "tests/unit/runs/test_store.py tests/workflow/test_named_rules.py",
    ),
    Mutation("dropnas/analysis/comparison.py", "OPTIMISM = 3", "OPTIMISM = 0", "tests/unit/analysis"),
    Mutation("dropnas/analysis/trajectory.py", "entr(p).sum(axis=-1)", "entr(p).max(axis=-1)", "tests/unit/analysis"),
    Mutation("dropnas/report/measure.py", "SECONDS_A_DAY = 86_400", "SECONDS_A_DAY = 86_000", "tests/unit/report"),
    Mutation("dropnas/sharing/pull.py", "if len(index[name]) == 1}", "}", "tests/unit/sharing"),
    Mutation("dropnas/doctor/storage.py", "free >= size, f", "free >= 0, f", "tests/foreign"),
    Mutation("dropnas/monitor/estimate.py", "int(hours.isna().sum()))", "0)", "tests/unit/monitor"),
)


def noticed(mutation: Mutation) -> bool:
    """Whether a test fails in a copy of the checkout in which the line is broken."""
    with tempfile.TemporaryDirectory(prefix="dropnas-mutated-") as folder:
        copy = _copy(Path(folder, "checkout"))
        (copy / mutation.file).write_text(mutation.broken(), encoding="utf-8")
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *mutation.tests.split()]
        done = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        raise SystemExit(f"{mutation.file}: the tests could not be run:\n{done.stdout[-2000:]}")
    return done.returncode == 1


def _copy(folder: Path) -> Path:
    """Copy the files that git tracks, without what runs have made among them."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(PROJECT / name, folder / name)
    return folder


def main() -> int:
    chosen = [MUTATIONS[int(number) - 1] for number in sys.argv[1:]] or MUTATIONS
    missed = 0
    for mutation in chosen:
        found = noticed(mutation)
        missed += not found
        print(f"{'noticed' if found else 'MISSED':8} {mutation.file}: {mutation.new}", flush=True)
    print(f"{len(chosen) - missed} of {len(chosen)} noticed")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
