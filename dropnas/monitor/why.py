"""Explains why a run is missing: which configuration keys, files and inputs differ from the nearest finished run.

The nearest run has the same stage. A run with the same name is preferred, then the one with the fewest differences. A
changed input is explained in the same way, down to the edit that caused it.
"""

import ast
import filecmp
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pandas import json_normalize

from dropnas.artifacts.manifest_file import ManifestFile
from dropnas.errors import DropnasError
from dropnas.pipeline.adoption.adopt import old_source
from dropnas.pipeline.plan import Plan
from dropnas.pipeline.stages import STAGES, references
from dropnas.report.page.phrases import count
from dropnas.runs.authenticity import Record
from dropnas.runs.code import canonical, read
from dropnas.runs.fingerprint import DATA_SUFFIXES, closure, module_file
from dropnas.runs.identity import Run, hashed, resolved
from dropnas.runs.store import Store
from dropnas.runs.verify import published

LONGEST = 60  # number of characters; a longer pair of values is shown as "changed"


def why_missing(plan: Plan, wanted: str, root: Path) -> Iterator[str]:
    """Explain why a run is missing; the run is given by its id, its folder, or its name if that is unique."""
    run = _find(plan, wanted.rstrip("/"))
    state = Store(root).state(run.id, root / run.folder)
    yield f"{run.folder}: {state}"
    if state == "missing":
        records = {record["id"]: record for folder in published(root) if (record := ManifestFile.read(folder).run)}
        yield from (f"  {line}" for line in _reasons(run, None, records, root))


def _find(plan: Plan, wanted: str) -> Run:
    found = [run for run in plan.runs.values() if wanted in (run.id, run.name, str(run.folder), run.folder.name)]
    if not found:
        raise DropnasError(f"no run {wanted!r} in the plan", remedy="plan --runs --all lists them")
    if len(found) > 1:
        remedy = f"name one of {', '.join(str(run.folder) for run in found)}"
        raise DropnasError(f"several runs are called {wanted}", remedy=remedy)
    return found[0]


def _reasons(run: Run, old: Record | None, records: Mapping[str, Record], root: Path) -> Iterator[str]:
    """Describe how a run differs from `old` or, if `old` is None, from the nearest finished run."""
    others = [record for record in records.values() if record["stage"] == run.stage and record["id"] != run.id]
    old = old or min(others, key=lambda one: (one["name"] != run.name, len(_changes(run, one))), default=None)
    if old is None:
        yield f"no other {run.stage} run is finished"
        return
    yield f"nearest finished run: {old['name']}-{old['id']}"
    changes = _changes(run, old)
    yield from (f"{name}: {text}" for name, text in changes.items() if name not in ("code", "inputs"))
    if "code" in changes:
        yield f"code: {', '.join(_changed_files(run, old, root))}"
    if "inputs" in changes:
        yield from _input_reasons(run, old, records, root)


def _changes(run: Run, old: Record) -> dict[str, str]:
    """Describe the differences between two runs of a stage, by configuration key or part of the identity."""
    identity, before = run.identity, old["identity"]
    now, then = _flat(identity["config"]), _flat(before["config"])
    values, old_values = {**_flat(resolved(run.config)), **now}, {**_flat(old["config"]), **then}
    keys = [key for key in {**now, **then} if now.get(key) != then.get(key)]
    changes = {key: _values(values.get(key, "left out"), old_values.get(key, "left out")) for key in keys}
    parts = [part for part in ("numerics", "code", "inputs") if identity[part] != before[part]]
    return changes | {part: _values(identity[part], before[part]) for part in parts}


def _flat(config: Any) -> dict[str, Any]:
    """Convert a nested configuration to a flat mapping with dotted keys."""
    (found,) = json_normalize([hashed(config)]).to_dict("records")
    return {str(key): value for key, value in found.items()}


def _values(now: Any, then: Any) -> str:
    text = f"{now}, was {then}"
    return text if len(text) <= LONGEST else "changed"


def _input_reasons(run: Run, old: Record, records: Mapping[str, Record], root: Path) -> Iterator[str]:
    """Explain the first changed input, and give the number of further changed inputs."""
    ids = old["identity"]["inputs"]
    changed = [(source, ids[at : at + 1]) for at, source in enumerate(run.inputs) if ids[at : at + 1] != [source.id]]
    if len(ids) != len(run.inputs):
        yield f"inputs: {len(run.inputs)}, was {len(ids)}"
    for source, before in changed[:1]:
        missing = "" if Store(root).is_published(root / source.folder) else ", which is missing"
        yield f"input: {source.folder}{missing}"
        former = records.get(before[0]) if before else None
        yield from (f"  {line}" for line in _reasons(source, former, records, root))
    if len(changed) > 1:
        yield f"{count(len(changed) - 1, 'further input')} changed"


def _changed_files(run: Run, old: Record, root: Path) -> list[str]:
    """The source files of a run's stage that changed since an old run."""
    parts = closure(STAGES[run.stage].module, references(run.config))
    modules = {part.partition(":")[0]: ":" in part for part in parts}
    try:
        with old_source(old, root) as source:
            found = {file: options for module, options in modules.items() for file in _changed(module, source)}
    except DropnasError as error:
        return [f"changed; the file is unknown ({error})"]
    files = [file for file, options in found.items() if not options]
    return files or list(found) or ["a file that the stage no longer imports"]


def _changed(module: str, source: Path) -> Iterator[str]:
    """Compare a module and the data files that it names with an older copy; yield the files that differ."""
    file = module_file(module)
    assert file is not None  # `closure` has already read this file
    text, before = file.read_text(encoding="utf-8"), source / Path(*module.split(".")).with_suffix(".py")
    if not before.is_file() or _code(before.read_text(encoding="utf-8")) != _code(text):
        yield str(before.relative_to(source))
    for data in file.parent.iterdir():
        older = before.with_name(data.name)
        if data.suffix in DATA_SUFFIXES and data.name in text and not filecmp.cmp(data, older, shallow=False):
            yield str(older.relative_to(source))


def _code(text: str) -> Any:
    return canonical(read(ast.parse(text)).tree)
