"""A sequential plan from look to look: each look is a parameter file and a frozen start of its own.

Look 1 gives all experiments the first number of seeds; after each look, experiments that are undecided and not hopeless
get the next number. The last start is the complete file with the resulting numbers of seeds. Only it makes tables,
figures and the runs that need the best seed. All decisions follow from the file and the finished runs, so after a kill
the same command continues; the record beside the results only serves to refuse a design that was changed meanwhile.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from dropnas.config import OF_BEST, Parameters, read_parameters
from dropnas.errors import DropnasError
from dropnas.pipeline import judging
from dropnas.pipeline.asked import asked
from dropnas.pipeline.judging import Judging
from dropnas.pipeline.look_files import look_file
from dropnas.pipeline.plan import Plan, make_plan
from dropnas.report.looked import LOOKS, Looked, read_looked, require_same, write_looked
from dropnas.runs.files import write_text
from dropnas.runs.identity import canonical_json, resolved
from dropnas.runs.store import Store


@dataclass(frozen=True)
class Standing:
    """How far a sequential plan is.

    Attributes:
        judging: the looks so far.
        following: parameters of the next start.
        plan: its plan.
        last: whether it is the last start.
    """

    judging: Judging
    following: Parameters
    plan: Plan
    last: bool


def standing(settings: Parameters, root: Path) -> Standing:
    """Judge as many looks as there are finished runs for.

    Raises:
        DropnasError: design or settings were changed after the first look, or a run that a look was judged by is gone.
    """
    results = root / "results" / settings.profile
    record = read_looked(results)
    if record:
        require_same(record, settings.looks, _checksum(settings), results / LOOKS)
    asking = asked(make_plan(settings))
    now, store, known = judging.begin(asking, settings.looks), Store(root), record.judged if record else 0
    while True:
        last = not now.now.next.any()
        parameters = _following(settings, now, last=last)
        plan = make_plan(parameters)
        if last:
            return Standing(now, parameters, plan, last)
        trainings = {name: plan.experiments[name].trainings for name in asking.questions.experiments}
        done = all(store.is_published(root / run.folder) for some in trainings.values() for run in some)
        if record and now.now.look + 2 <= known:
            _require_kept(record, plan, root)
        if not done:
            return Standing(now, parameters, plan, last)
        errors = [judging.read_errors(trainings[name], root) for name in asking.questions.experiments]
        now = judging.look(now, errors)
        if now.now.look + 1 > known:
            write_looked(_record(settings, now, trainings_of(plan, asking.questions.experiments)), results)


def trainings_of(plan: Plan, names: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """The folders of each experiment's trainings, by seed."""
    return {name: tuple(run.folder.name for run in plan.experiments[name].trainings) for name in names}


def run_looks(file: Path, root: Path, start: Callable[[Path], int], show: Callable[[str], None]) -> int:
    """Go from look to look until all is decided, given up or at the most seeds.

    Args:
        file: the parameter file.
        root: of the store.
        start: runs a parameter file; gives the exit status.
        show: prints a line.

    Returns:
        The status of the last start.
    """
    settings = read_parameters(file)
    results = root / "results" / settings.profile
    if read_looked(results) is None:
        write_looked(Looked(settings.profile, settings.looks, _checksum(settings)), results)
    while True:
        at = standing(settings, root)
        own = look_file(settings.profile, at.following.look, root)
        own.parent.mkdir(parents=True, exist_ok=True)
        write_text(own, yaml.safe_dump(resolved(at.following), sort_keys=False))
        for line in announcement(at):
            show(line)
        status = start(own)
        ended = at.last or status != 0
        if ended or standing(settings, root).following == at.following:  # of a dry run, or of a part of the targets
            return status


def announcement(at: Standing) -> Iterator[str]:
    """What is to come, in a line or two."""
    schedule, number = at.judging.asked.schedule, at.judging.now.look + 1
    if number:
        now = at.judging.now
        decided = int((now.number_since >= 0).sum() + (now.claim_since >= 0).sum())
        goes_on = int(now.number_open.sum() + now.claim_open.sum())
        every = now.number_since.size + now.claim_since.size
        yield (
            f"look {number} ({schedule[number - 1]} seeds): {decided} of {every} questions decided, {goes_on} go on, "
            f"{every - decided - goes_on} stopped"
        )
    if at.last:
        yield "last start: tables, figures and what rests on the best of the seeds"
    else:
        going = int(at.judging.now.next.sum())
        every = len(at.judging.asked.questions.experiments)
        yield f"look {number + 1}: {schedule[number]} seeds of {going} of {every} experiments"


def _following(settings: Parameters, now: Judging, *, last: bool) -> Parameters:
    """The parameters of the next start; the last one is numbered beyond all looks."""
    seeds = {name: count for name, count in now.seeds().items() if count != settings.first_seeds}
    if last:
        return replace(settings, seeds_at=seeds, look=len(settings.looks) + 1)
    return replace(
        settings,
        seeds_at=seeds,
        look=now.now.look + 2,
        best_of_seeds=False,
        tables=tuple(name for name in settings.tables if name not in OF_BEST),
        figures=tuple(name for name in settings.figures if name not in OF_BEST),
    )


def _checksum(settings: Parameters) -> str:
    """Of all that a look's runs and questions follow from: the settings but seeds, words and machine."""
    kept = {
        name: value for name, value in resolved(settings).items() if name not in ("seeds", "description", "machine")
    }
    return hashlib.sha256(canonical_json(kept).encode()).hexdigest()


def _record(settings: Parameters, now: Judging, trainings: dict[str, tuple[str, ...]]) -> Looked:
    return Looked(
        settings.profile,
        settings.looks,
        _checksum(settings),
        now.now.look + 1,
        trainings,
        tuple(judging.numbers(now)),
        tuple(judging.claims(now)),
    )


def _require_kept(record: Looked, plan: Plan, root: Path) -> None:
    """The runs that a look was judged by must be there, and be those of the plan."""
    remedy = f"pull it, or begin anew: give the file another profile, or remove {LOOKS} of its results"
    for name, folders in (record.trainings or {}).items():
        planned = plan.experiments.get(name)
        if planned is None:
            raise DropnasError("its look was judged by other code or settings", where=name, remedy=remedy)
        for run, folder in zip(planned.trainings, folders, strict=False):
            if run.folder.name != folder:
                raise DropnasError("its look was judged by other code or settings", where=folder, remedy=remedy)
            if not Store(root).is_published(root / run.folder):
                raise DropnasError(
                    "a look was judged by this run, which is gone", where=root / run.folder, remedy=remedy
                )
