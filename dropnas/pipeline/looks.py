"""Runs a sequential plan look by look; each look has its own parameter file and frozen start.

At look 1, every experiment runs with the first number of seeds. After each look, the experiments that an open question
needs get the next number of seeds. A question is open until it is decided, or until even the largest number of seeds
is unlikely to decide it. The last start runs the complete file with the resulting numbers of seeds. Only this start
computes the runs that need the best seed, and the tables and figures that consist of such runs (`OF_BEST`). Every start
makes the other tables and figures. All decisions follow from the file and the finished runs, so the same command
continues after an interruption. The record in the results serves only to detect whether, after the first look, the
design was changed or a run was lost.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from dropnas.artifacts.looks_file import LooksFile
from dropnas.config import OF_BEST, Parameters, read_parameters
from dropnas.errors import DropnasError
from dropnas.pipeline import judging
from dropnas.pipeline.judging import Judging, findings
from dropnas.pipeline.plan import Plan, make_plan
from dropnas.pipeline.plan_questions import questions_of
from dropnas.pipeline.starts import look_file
from dropnas.report.looked import read_looked, require_same, write_looked
from dropnas.runs.files import write_text
from dropnas.runs.identity import canonical_json, resolved
from dropnas.runs.store import Store


@dataclass(frozen=True)
class Standing:
    """The state of a sequential plan."""

    judging: Judging  # the looks so far
    following: Parameters  # parameters of the next start
    plan: Plan
    last: bool  # whether the next start is the last


def standing(settings: Parameters, root: Path) -> Standing:
    """Judge all looks whose runs are finished.

    Raises a DropnasError if the design or the settings were changed after the first look, or if a run on which a look
    was based is missing.
    """
    results = root / "results" / settings.profile
    record = read_looked(results)
    if record:
        require_same(record, settings.looks, _checksum(settings), results / LooksFile.FILE)
    asking = questions_of(make_plan(settings))
    now, store, known = judging.begin(asking, settings.looks), Store(root), record.judged if record else 0
    while True:
        last = not now.state.next.any()
        parameters = _following(settings, now, last=last)
        plan = make_plan(parameters)
        if last:
            return Standing(now, parameters, plan, last)
        trainings = {name: plan.experiments[name].trainings for name in asking.questions.experiments}
        done = all(store.is_published(root / run.folder) for some in trainings.values() for run in some)
        if record and now.looks + 1 <= known:
            _require_kept(record, plan, root)
        if not done:
            return Standing(now, parameters, plan, last)
        errors = [judging.read_errors(trainings[name], root) for name in asking.questions.experiments]
        now = judging.look(now, errors)
        if now.looks > known:
            judged = (now.looks, trainings_of(plan, asking.questions.experiments))
            new = LooksFile(settings.profile, settings.looks, _checksum(settings), *judged, *findings(now))
            write_looked(new, results)


def judge_again(settings: Parameters, root: Path) -> LooksFile | None:
    """Judge the looks of a store that has finished runs but no record of looks; None if no look can be judged.

    Args:
        settings: settings of one of the starts.
        root: root folder of the store; the record is written to its results.
    """
    standing(replace(settings, seeds_at={}, look=0), root)
    return read_looked(root / "results" / settings.profile)


def trainings_of(plan: Plan, names: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """The folders of each experiment's trainings, by seed."""
    return {name: tuple(run.folder.name for run in plan.experiments[name].trainings) for name in names}


def run_looks(file: Path, root: Path, start: Callable[[Path], int], show: Callable[[str], None]) -> int:
    """Run one look after another until no experiment needs further seeds, and then the last start.

    Args:
        start: runs a parameter file and returns the exit status.

    Returns:
        The status of the last start.
    """
    settings = read_parameters(file)
    results = root / "results" / settings.profile
    if read_looked(results) is None:
        write_looked(LooksFile(settings.profile, settings.looks, _checksum(settings)), results)
    while True:
        now = standing(settings, root)
        own = look_file(settings.profile, now.following.look, root)
        own.parent.mkdir(parents=True, exist_ok=True)
        write_text(own, yaml.safe_dump(resolved(now.following), sort_keys=False))
        for line in announcement(now):
            show(line)
        status = start(own)
        ended = now.last or status != 0
        if ended or standing(settings, root).following == now.following:  # after a dry run, or if only some targets ran
            return status


def announcement(now: Standing) -> Iterator[str]:
    """Describe the next start in a line or two."""
    schedule, number = now.judging.asked.schedule, now.judging.looks
    if number:
        state = now.judging.state
        decided = int((state.number_since >= 0).sum() + (state.claim_since >= 0).sum())
        goes_on = int(state.number_open.sum() + state.claim_open.sum())
        every = state.number_since.size + state.claim_since.size
        yield (
            f"look {number} ({schedule[number - 1]} seeds): {decided} of {every} questions decided, {goes_on} go on, "
            f"{every - decided - goes_on} stopped"
        )
    if now.last:
        yield "last start: tables, figures and runs that need the best seed"
    else:
        going = int(now.judging.state.next.sum())
        every = len(now.judging.asked.questions.experiments)
        yield f"look {number + 1}: {schedule[number]} seeds for {going} of {every} experiments"


def _following(settings: Parameters, now: Judging, *, last: bool) -> Parameters:
    """The parameters of the next start; the last start comes after all looks."""
    seeds = {name: count for name, count in now.seeds().items() if count != settings.first_seeds}
    if last:
        return replace(settings, seeds_at=seeds, look=len(settings.looks) + 1)
    return replace(
        settings,
        seeds_at=seeds,
        look=now.looks + 1,
        best_of_seeds=False,
        tables=tuple(name for name in settings.tables if name not in OF_BEST),
        figures=tuple(name for name in settings.figures if name not in OF_BEST),
    )


def _checksum(settings: Parameters) -> str:
    """The checksum of all settings except `seeds`, `description` and `machine`; it detects a changed design."""
    left_out = ("seeds", "description", "machine")
    kept = {name: value for name, value in resolved(settings).items() if name not in left_out}
    return hashlib.sha256(canonical_json(kept).encode()).hexdigest()


def _require_kept(record: LooksFile, plan: Plan, root: Path) -> None:
    """Check that the runs on which a look was based exist and are those of the plan."""
    remedy = f"pull it, or start again: give the file another profile, or remove {LooksFile.FILE} from its results"
    for name, folders in (record.trainings or {}).items():
        planned = plan.experiments.get(name)
        if planned is None:
            raise DropnasError("its look was judged with other code or settings", where=name, remedy=remedy)
        for run, folder in zip(planned.trainings, folders, strict=False):
            if run.folder.name != folder:
                raise DropnasError("its look was judged with other code or settings", where=folder, remedy=remedy)
            if not Store(root).is_published(root / run.folder):
                what = "a look was based on this run, which is missing"
                raise DropnasError(what, where=root / run.folder, remedy=remedy)
