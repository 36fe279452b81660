"""The checklist page of a profile: NeurIPS' reproducibility checklist, and the one for architecture search.

Design choices: the questions and answers are in `checklist.md.j2`. The facts in an answer come from the plan and from
the manifests of finished runs. If a fact is unknown, the answer says so. Questions that only a person can answer are
marked as unanswered.
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from dropnas.artifacts.dataset_file import Dataset
from dropnas.report.page.phrases import listed
from dropnas.report.page.planned import Content, Planned
from dropnas.report.page.survey import Found
from dropnas.report.table import warning
from dropnas.runs.identity import canonical_json
from dropnas.space.names import GROUP_RATES

CHECKLIST = "checklist.md"
STAGE_PLURALS = {"search": "searches", "retrain": "retrainings", "transfer": "transfers"}
ABLATION_TABLE = "table6"


def checklist_text(content: Content, found: Mapping[str, Found]) -> str:
    """The text of checklist.md for a plan, from the plan's runs in the store."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["listed"] = listed
    return environment.get_template(f"{CHECKLIST}.j2").render(_facts(content, found))


def _facts(content: Content, found: Mapping[str, Found]) -> dict[str, Any]:
    """The facts about a profile, by the names that the template uses; an unknown fact is empty."""
    runs = [one for one in found.values() if content.by_default(one.run)]
    done = [one for one in runs if one.counts]
    trained = [one for one in done if one.run.stage in STAGE_PLURALS]
    stages = (*STAGE_PLURALS, "data", "select", "sample")
    of = {stage: [one.run for one in runs if one.run.stage == stage] for stage in stages}
    sets, searches = [run.config for run in of["data"]], of["search"]
    trainings = of["retrain"] + of["transfer"]
    return {
        "profile": content.profile,
        "warning": warning(content.profile, content.reproduction),
        "sets": sets,
        "data": [Dataset.read(one.folder) for one in done if one.run.stage == "data"],
        "excluded": [part for one in sets for part in _excluded(one)],
        "held_out": sorted({int(run.config.get("held_out", 0)) for run in trainings} - {0}),
        "criteria": sorted({str(run.config["criterion"]) for run in of["select"]}),
        "option_sets": _option_sets(trainings),
        **_machines(done, trained),
        "runs": [
            f"{_done(stage, done)} of {len(of[stage])} {name}" for stage, name in STAGE_PLURALS.items() if of[stage]
        ],
        "search_seeds": _seeds(searches),
        "training_seeds": _seeds(trainings),
        "spaces": list(dict.fromkeys(str(run.config["space"]) for run in searches)),
        "rates": sorted({float(rate) for run in searches for rate in _rates(run)}),
        "compared": _compared(searches),
        "ablations": ABLATION_TABLE in content.folders and ABLATION_TABLE not in content.on_request,
        "ablations_done": content.folders.get(ABLATION_TABLE) in {one.run.folder for one in done},
        "random": f"{_done('sample', done)} of {len(of['sample'])}" if of["sample"] else "",
        "kinds": [re.sub(r"-(seed|train)\d+", "", one.run.name) for one in trained if one.run.stage != "search"],
    }


def _excluded(data: Mapping[str, Any]) -> list[str]:
    counts = {"training": data["train_images"], "test": data["test_images"]}
    return [f"{data['name']} the first {count:,} {split} images" for split, count in counts.items() if count]


def _option_sets(trainings: Sequence[Planned]) -> int:
    """The largest number of configurations that a stage uses on one data set; the seed is ignored."""
    options = defaultdict(set)
    for run in trainings:
        options[run.stage, run.inputs[0]].add(canonical_json({**run.config, "seed": 0}))
    return max(map(len, options.values()), default=0)


def _machines(done: Sequence[Found], trained: Sequence[Found]) -> dict[str, Any]:
    """The hardware and software of the runs, and their computing time."""
    records = [one.record for one in trained]
    hours = {
        stage: [one.record["seconds"] / 3600 for one in trained if one.run.stage == stage] for stage in STAGE_PLURALS
    }
    return {
        "trained": len(trained),
        "finished": len(done),
        "devices": sorted({str(one["device"]) for one in records}),
        "software": sorted({_software(one) for one in records}),
        "commits": sorted({_commit(one.record) for one in done} - {""}),
        "hours": sum(one["seconds"] * one.get("processes", 1) for one in records) / 3600,
        "runtimes": [
            f"{fmean(each):,.2f} hours for each of {len(each)} {STAGE_PLURALS[stage]}"
            for stage, each in hours.items()
            if each
        ],
    }


def _software(record: Mapping[str, Any]) -> str:
    versions = [f"{name} {version}" for name, version in sorted(record["versions"].items())]
    return ", ".join([f"Python {record['python']}", *versions])


def _commit(record: Mapping[str, Any]) -> str:
    git = record.get("git") or {}
    commit = str(git.get("commit", ""))[:10]
    return f"{commit} with uncommitted changes" if commit and git.get("dirty") else commit


def _done(stage: str, done: Sequence[Found]) -> int:
    return sum(one.run.stage == stage for one in done)


def _rates(run: Planned) -> list[float]:
    options = run.config["options"]
    return [options[name] for name in GROUP_RATES if name in options]


def _compared(searches: Sequence[Planned]) -> dict[str, list[str]]:
    """The names of the search methods in each space that is searched by more than one method."""
    methods = defaultdict(set)
    for run in searches:
        methods[str(run.config["space"])].add(str(run.config["strategy"]))
    return {space: sorted(found) for space, found in methods.items() if len(found) > 1}


def _seeds(runs: Sequence[Planned]) -> str:
    seeds = sorted({int(run.config["seed"]) for run in runs})
    consecutive = len(seeds) > 2 and seeds[-1] - seeds[0] == len(seeds) - 1
    return f"{seeds[0]} to {seeds[-1]}" if consecutive else ", ".join(map(str, seeds))
