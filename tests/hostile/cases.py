"""The kinds of hostile cases: the change, the verb that meets it, and the criterion for its answer.

Each case is drawn by hypothesis, applied to the bench, judged, and undone. `harmless` checks the result of a verb that
ends with status 0: it must give the numbers of the undisturbed store.
"""

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

import dropnas
from dropnas.data.sources import source_checksum
from dropnas.errors import DropnasError
from dropnas.runs.identity import Run
from dropnas.space.published import published
from tests.hostile import mutations
from tests.hostile.bench import STUDY, Bench, contents
from tests.in_process import Ended, Hanging, bounded, verb

QUICK = ("table", "select", "correlation", "derive", "variant")
REFUSED, UNHARMED = "refused", "unharmed"


@dataclass
class Count:
    """The outcomes of the cases of a kind."""

    counts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def add(self, case: str, judged: str) -> None:
        self.counts["tried"] += 1
        if judged in (REFUSED, UNHARMED):
            self.counts[judged] += 1
        else:
            self.faults.append(f"{case}: {judged}")


def judge(done: Ended, harmless: Callable[[], bool], *, lines: int = 1) -> str:
    """Return `refused`, `unharmed`, or a description of what is wrong with the result of a verb."""
    if done.fault:
        return f"{done.fault}\n{done.err[-1500:]}"
    if done.status:
        count = done.err.strip().count("\n") + 1
        return REFUSED if count <= lines else f"refused in {count} lines: {done.err[:300]}"
    return UNHARMED if harmless() else f"another number, or no report, with status 0: {done.out[:300]}"


def stores(bench: Bench, draw: Any) -> tuple[str, str]:
    """Change a file of a run, or swap runs; then compute a table, selection or genotype that depends on it again."""
    reader = draw(st.sampled_from(bench.of_stage(*QUICK)))
    run: Run = draw(st.sampled_from([reader, *reader.inputs]))
    files = sorted(name for name in bench.files if name.startswith(f"{run.folder}/"))
    before = bench.content(reader)
    how = draw(st.sampled_from(["bytes", "json", "swap", "replace"]))
    if run is not reader:
        bench.take_out([reader])
    name = draw(st.sampled_from(files))
    if how in ("swap", "replace"):
        other = draw(st.sampled_from([one for one in bench.plan.runs.values() if one not in (run, reader)]))
        name = f"{run.folder} {how} {other.folder}"
        getattr(mutations, how)(bench.folder(run), bench.folder(other))
    elif how == "json" and name.endswith(".json"):
        (bench.root / name).write_bytes(draw(mutations.of_json(bench.files[name])))
    else:
        draw(mutations.of_bytes)(bench.root / name)
    case = f"{reader.stage} {reader.name} with {how} of {name}"
    done = bench.compute(reader)
    same = judge(done, lambda: bench.content(reader) == before)
    if same == REFUSED and run is not reader and bench.folder(reader).exists():
        return case, "refused, but published"
    return case, same


def verification(bench: Bench, draw: Any) -> tuple[str, str]:
    """Change a file of a run; `verify` must report it unless the content is the same."""
    name = draw(st.sampled_from(sorted(name for name in bench.files if name.startswith(("runs/", "data/")))))
    if name.endswith(".json") and draw(st.booleans()):
        (bench.root / name).write_bytes(draw(mutations.of_json(bench.files[name])))
    else:
        draw(mutations.of_bytes)(bench.root / name)
    file = bench.root / name

    def same() -> bool:
        if name.endswith("run.json") and not file.exists():
            return True  # it is written again from the manifest
        if not file.is_file() or file.is_symlink():
            return False
        content = file.read_bytes()
        return content == bench.files[name] or (
            name.endswith("run.json") and json.loads(content) == json.loads(bench.files[name])
        )

    return f"verify with a change of {name}", judge(verb("verify", root=bench.root), same, lines=len(bench.files))


def specs(bench: Bench, draw: Any) -> tuple[str, str]:
    """Change the spec of a run."""
    run = draw(st.sampled_from(bench.of_stage(*QUICK, "sample", "fixed")))
    before, file = bench.content(run), bench.spec_file(run)
    bench.take_out([run])
    content = bench.files[file.relative_to(bench.root).as_posix()]
    if draw(st.integers(0, 3)):
        file.write_bytes(draw(mutations.of_json(content)))
    else:
        draw(mutations.of_bytes)(file)
    done = bench.compute(run)
    found = {path.parent for path in bench.root.glob("runs/*/*/manifest.json")}
    known = {bench.folder(one) for one in bench.plan.runs.values()}
    if found - known:
        return f"spec of {run.stage} {run.name}", f"published {found - known}"
    return f"spec of {run.stage} {run.name}", judge(done, lambda: bench.content(run) == before)


def starts(bench: Bench, draw: Any) -> tuple[str, str]:
    """Change a file of a frozen start; a job that uses it, the results and the page must notice."""
    plan = Path("plans") / next((bench.root / "plans").iterdir()).name
    files = sorted(name for name in bench.files if name.startswith(f"{plan}/") and "__pycache__" not in name)
    small = [name for name in files if "/source/" not in name]
    name = draw(st.sampled_from(small if draw(st.booleans()) else files))
    if name.endswith(".json") and draw(st.booleans()):
        (bench.root / name).write_bytes(draw(mutations.of_json(bench.files[name])))
    else:
        draw(mutations.of_bytes)(bench.root / name)
    run = bench.of_stage("select")[0]
    before = bench.content(run)
    bench.take_out([run])
    with working_from(plan):
        done = bench.compute(run)
    return f"start with a change of {name}", judge(done, lambda: bench.content(run) == before)


def results(bench: Bench, draw: Any) -> tuple[str, str]:
    """Change a file of a run; `results` and `watch` must notice."""
    plan = Path("plans") / next((bench.root / "plans").iterdir()).name
    name = f"{plan}/{draw(st.sampled_from(['plan.json', 'frozen.json', 'parameters.yaml']))}"
    if name.endswith(".json") and draw(st.booleans()):
        (bench.root / name).write_bytes(draw(mutations.of_json(bench.files[name])))
    else:
        draw(mutations.of_bytes)(bench.root / name)
    done = verb("results", plan, root=bench.root)
    tables = contents(bench.root / "results" / "study" / "tables")
    known = {
        f"{run.name.partition('-')[0]}{end}" for run in bench.of_stage("table", "architectures") for end in (".md",)
    }
    return f"results with a change of {name}", judge(
        done, lambda: not tables or known & tables.keys() != set(), lines=1
    )


@contextmanager
def working_from(plan: Path) -> Iterator[None]:
    os.environ["DROPNAS_PLAN"] = str(plan)
    try:
        yield
    finally:
        del os.environ["DROPNAS_PLAN"]


SMALL: dict[str, Any] = {
    **yaml.safe_load(STUDY.read_text()),
    **{"tables": ["table6"], "figures": [], "search": {"cells": 3, "learning_rate": 0.1}, "retrain": {"epochs": 2}},
    **{"machine": {"device": "cpu", "runs_per_job": {"search": 2}}, "seeds_of": {"table1": 3}},
    **{"methods": [{"label": "Mine", "strategy": "dropnas", "options": {"masks": "per-cell"}}]},
}
YAML = (
    "&a [*a]",
    "*a",
    "!!python/object/apply:os.system [ls]",
    "010",
    "1:30",
    "0x10",
    "{",
    "- a\nb: 1",
    "\t",
    "%",
    "\0",
    "? ",
    "<<: {}",
)


def parameters(bench: Bench, draw: Any) -> tuple[str, str]:
    """Change a parameter file; it must give a plan or a one-line error."""
    file = bench.root / "changed.yaml"
    if draw(st.booleans()):
        file.write_text(yaml.safe_dump(draw(mutations.of_values(SMALL))), encoding="utf-8", errors="surrogateescape")
    else:
        file.write_text(yaml.safe_dump(SMALL))
        if draw(st.booleans()):
            lines = file.read_text().splitlines()
            at = draw(st.integers(0, len(lines) - 1))
            lines[at] = lines[at].partition(":")[0] + ": " + draw(st.sampled_from(YAML))
            file.write_text("\n".join(lines))
        else:
            draw(mutations.of_bytes)(file)
    text = file.read_bytes()[:200] if file.is_file() and not file.is_symlink() else b""
    return f"plan of {text!r}", judge(verb("plan", file, "--runs", root=bench.root), lambda: True)


def genotypes(bench: Bench, draw: Any) -> tuple[str, str]:
    """Change a genotype in a file, as JSON on the command line, or in a run's folder."""
    one = draw(st.sampled_from(sorted(published())))
    content = json.dumps(published()[one].genotype.values()).encode()
    file = bench.root / "genotype.json"
    text = draw(mutations.of_json(content)) if draw(st.booleans()) else content
    file.write_bytes(text)
    if text == content:
        draw(mutations.of_text)(file)
    where: object = file
    if draw(st.booleans()) and file.is_file() and not file.is_symlink():
        where = file.read_bytes().decode("utf-8", "replace").replace("\0", "")[:100_000] or file
    name = draw(st.sampled_from(["inspect", "convert"]))
    return f"{name} of {str(where)[:200]}", judge(verb(name, where), lambda: True)


def loading(bench: Bench, draw: Any) -> tuple[str, str]:
    """Change a file of a retraining, and load the run in Python."""
    run = draw(st.sampled_from(bench.of_stage("retrain", "transfer")))
    name = draw(st.sampled_from(sorted(name for name in bench.files if name.startswith(f"{run.folder}/"))))
    draw(mutations.of_bytes)(bench.root / name)
    case = f"load with a change of {name}"
    try:
        with bounded():
            dropnas.load(bench.folder(run))
    except DropnasError as error:
        # the invented weights fit no network; this is the expected error if nothing else is wrong
        whole = "does not fit" in str(error)
        return case, UNHARMED if whole else REFUSED
    except OSError:
        return case, REFUSED
    except Hanging:
        return case, "hangs"
    return case, "loaded"


def sources(bench: Bench, draw: Any) -> tuple[str, str]:
    """Change the source of a data set: a parquet folder, or a tar of images.

    With a checksum, the result must be the same images or an error; without one, the images may differ.
    """
    kind, role = draw(st.sampled_from([("parquet", "cifar10"), ("images", "imagenet")]))
    source = bench.root / "sources" / ("parquet" if kind == "parquet" else "images.tar")
    files = [name for name in bench.files if (bench.root / name).is_relative_to(source)]
    file, name, known = bench.root / "prepare.yaml", draw(st.sampled_from(sorted(files))), draw(st.booleans())
    dataset = {"name": role, "source": kind, "path": str(source)}
    dataset["checksum"] = source_checksum(source) if known else ""
    whole = {"profile": "p", "description": "d", "tables": ["table1"]}
    other = {"cifar10": {"name": "cifar10", "source": "torchvision"}}
    file.write_text(yaml.safe_dump({**whole, "datasets": {**other, role: dataset}}))
    if kind not in bench.prepared:
        assert not verb("data", role, "--params", file, root=bench.root / "first").status
        bench.prepared[kind] = contents(bench.root / "first" / "data")
    draw(mutations.of_bytes)(bench.root / name)
    done = verb("data", role, "--params", file, root=bench.root / "second")
    same = contents(bench.root / "second" / "data") == bench.prepared[kind]
    return f"data from {name}", judge(done, lambda: same or not known)


KINDS: dict[str, Callable[[Bench, Any], tuple[str, str]]] = {
    "stores": stores,
    "verify": verification,
    "specs": specs,
    "starts": starts,
    "results": results,
    "parameters": parameters,
    "genotypes": genotypes,
    "loading": loading,
    "sources": sources,
}
SLOW = {"results": 10}  # kinds whose cases take this many times as long; they get correspondingly fewer cases
