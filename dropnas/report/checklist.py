"""The checklist page of a profile: NeurIPS' reproducibility checklist, and the one for architecture search.

Design choices: an answer in `checklist.yaml` is a sentence with facts in braces. The facts come from the plan and from
the manifests of finished runs. If a fact is unknown, the answer says so instead; no answer claims more than the runs
show. Questions that only a person can answer are marked as unanswered.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import yaml

from dropnas.artifacts.dataset_file import Dataset
from dropnas.parsing import parse
from dropnas.report.page.phrases import listed
from dropnas.report.page.planned import Content, Planned
from dropnas.report.page.survey import Found
from dropnas.report.table import NO_REPRODUCTION
from dropnas.runs.identity import canonical_json

CHECKLIST = "checklist.md"
TRAININGS = {"search": "searches", "retrain": "retrainings", "transfer": "transfers"}
FACT = re.compile(r"{(\w+)}")
ABLATIONS = "table6"
INTRODUCTION = (
    "Answers come from the plan and from the manifests of finished runs; what these cannot answer is said. The "
    "questions are in our words."
)
Facts = Mapping[str, str]  # an unknown fact is empty


@dataclass(frozen=True)
class Question:
    """A question, its answer if all facts in it and in `needs` are known, and the text to show otherwise."""

    asks: str
    answer: str = ""
    otherwise: str = ""
    needs: tuple[str, ...] = ()

    def answered(self, facts: Facts) -> str:
        """The answer for a profile."""
        known = all(facts[name] for name in (*FACT.findall(self.answer), *self.needs))
        return self.answer.format_map(facts) if self.answer and known else self.otherwise


@dataclass(frozen=True)
class Checklist:
    """A list of questions by section, and its source."""

    title: str
    source: str
    sections: dict[str, tuple[Question, ...]]


def checklists() -> tuple[Checklist, ...]:
    """All checklists of `checklist.yaml`."""
    file = Path(__file__).with_name("checklist.yaml")
    found: tuple[Checklist, ...] = parse(tuple[Checklist, ...], yaml.safe_load(file.read_text(encoding="utf-8")), file)
    return found


def checklist_text(content: Content, found: Mapping[str, Found]) -> str:
    """The text of checklist.md for a plan, from the plan's runs in the store."""
    known = facts(content, found)
    lines = [f"# Checklists (profile: {content.profile})", "", INTRODUCTION, ""]
    lines += [] if content.reproduction else [f"**{NO_REPRODUCTION.format(profile=content.profile)}**", ""]
    for one in checklists():
        lines += [f"## {one.title}", "", one.source, ""]
        for title, questions in one.sections.items():
            rows = [f"| {question.asks} | {question.answered(known)} |" for question in questions]
            lines += [f"### {title}", "", "| question | answer |", "|---|---|", *rows, ""]
    return "\n".join(lines)


def facts(content: Content, found: Mapping[str, Found]) -> Facts:
    """The known facts about a profile, in words."""
    runs = [one for one in found.values() if content.by_default(one.run)]
    planned = [one.run for one in runs]
    done = [one for one in runs if one.counts]
    trained = [one for one in done if one.run.stage in TRAININGS]
    searches = [run for run in planned if run.stage == "search"]
    trainings = [run for run in planned if run.stage in TRAININGS and run.stage != "search"]
    return {
        "profile": content.profile,
        **_data(planned, done),
        **_protocol(planned, trainings),
        **_machines(done, trained),
        "runs": listed(_counted(stage, planned, done) for stage in TRAININGS if _of(stage, planned)),
        "search_seeds": _seeds(searches),
        "training_seeds": _seeds(trainings),
        "spaces": listed(dict.fromkeys(str(run.config["space"]) for run in searches)),
        "swept": _swept(searches),
        "compared": _compared(searches),
        "ablations": _ablations(content, done),
        "random": _random(planned, done),
        "spread": _spread(trained),
    }


def _data(planned: Sequence[Planned], done: Sequence[Found]) -> dict[str, str]:
    sets = [run.config for run in planned if run.stage == "data"]
    read = [Dataset.read(one.folder) for one in done if one.run.stage == "data"]
    parts = [
        f"{one['name']} the first {one[count]:,} {split} images"
        for one in sets
        for split, count in (("training", "train_images"), ("test", "test_images"))
        if one[count]
    ]
    used = f"of {listed(parts)} are used" if parts else "no image is left out"
    return {
        "data": "; ".join(map(_size, read)),
        "excluded": used if sets else "",
        "sources": listed(f"{one['name']} ({one['source']})" for one in sets),
    }


def _size(one: Dataset) -> str:
    return f"{one.name}: {one.classes} classes, {one.train:,} training and {one.test:,} test images"


def _protocol(planned: Sequence[Planned], trainings: Sequence[Planned]) -> dict[str, str]:
    """How the test set and held-out images are used."""
    if not trainings:
        return {"splits": "", "protocol": ""}
    held_out = sorted({int(run.config.get("held_out", 0)) for run in trainings} - {0})
    criteria = {str(run.config["criterion"]) for run in planned if run.stage == "select"}
    images = f"{listed(map(str, held_out))} training images are held out." if held_out else "No image is held out."
    chosen = {"best": "its best epoch on the test set, as the paper did", "final": "its final epoch on the test set"}
    selection = listed(chosen.get(one, one) for one in sorted(criteria))
    return {
        "splits": f"training and test split of the source. {images}"
        + (f" The best of several seeds is chosen by {selection}." if criteria else ""),
        "protocol": _options(trainings),
    }


def _options(trainings: Sequence[Planned]) -> str:
    """Whether all networks of one data set are trained by the same options."""
    options = defaultdict(set)
    for run in trainings:
        options[run.stage, run.inputs[0]].add(canonical_json({**run.config, "seed": 0}))
    most = max(map(len, options.values()))
    if most == 1:
        return "Yes: one trainer, and one set of options for each data set."
    return f"In part: one trainer, but up to {most} sets of options for a data set, in rows of their own."


def _machines(done: Sequence[Found], trained: Sequence[Found]) -> dict[str, str]:
    """The hardware and software of the runs, and their computing time."""
    records = [one.record for one in trained]
    devices = sorted({str(one["device"]) for one in records})
    software = sorted({_software(one) for one in records})
    commits = sorted({_commit(one.record) for one in done} - {""})
    hours = sum(one["seconds"] * one.get("processes", 1) for one in records) / 3600
    stages = [stage for stage in TRAININGS if any(one.run.stage == stage for one in trained)]
    return {
        "devices": listed(devices),
        "software": "; ".join(software),
        "commits": f"commit {listed(commits)}" if commits else "",
        "hours": f"{hours:,.1f}" if records else "",
        "runtimes": listed(_runtime(stage, trained) for stage in stages),
        "confounders": _confounders(len(records), devices, software),
        "finished": str(len(done) or ""),
    }


def _confounders(trainings: int, devices: Sequence[str], software: Sequence[str]) -> str:
    if not trainings:
        return ""
    if len(devices) == len(software) == 1:
        return f"Yes: all {trainings} finished trainings ran on {devices[0]} with the same versions of the libraries."
    return f"In part: models of devices: {len(devices)}; sets of versions: {len(software)}. The page lists them by run."


def _software(record: Mapping[str, Any]) -> str:
    versions = [f"{name} {version}" for name, version in sorted(record["versions"].items())]
    return ", ".join([f"Python {record['python']}", *versions])


def _commit(record: Mapping[str, Any]) -> str:
    git = record.get("git") or {}
    commit = str(git.get("commit", ""))[:10]
    return f"{commit} with uncommitted changes" if commit and git.get("dirty") else commit


def _runtime(stage: str, trained: Sequence[Found]) -> str:
    hours = [one.record["seconds"] / 3600 for one in trained if one.run.stage == stage]
    return f"{fmean(hours):,.2f} hours for each of {len(hours)} {TRAININGS[stage]}"


def _counted(stage: str, planned: Sequence[Planned], done: Sequence[Found]) -> str:
    return f"{len(_of(stage, [one.run for one in done]))} of {len(_of(stage, planned))} {TRAININGS[stage]}"


def _of(stage: str, runs: Iterable[Planned]) -> list[Planned]:
    return [run for run in runs if run.stage == stage]


def _swept(searches: Sequence[Planned]) -> str:
    """The drop path rates that were compared."""
    rates = sorted({float(rate) for run in searches for rate in _rates(run)})
    return f"drop path rates {listed(f'{rate:g}' for rate in rates)}" if len(rates) > 1 else ""


def _rates(run: Planned) -> Iterator[float]:
    options = run.config["options"]
    yield from (options[name] for name in ("rate_parameterised", "rate_non_parameterised") if name in options)


def _compared(searches: Sequence[Planned]) -> str:
    """The methods that share data set and space."""
    methods = defaultdict(set)
    for run in searches:
        methods[str(run.config["space"])].add(str(run.config["strategy"]))
    named = [f"{listed(sorted(found))} in the space {space}" for space, found in methods.items() if len(found) > 1]
    return f"Yes for what was run here: {'; '.join(named)}; data, split and training are the same." if named else ""


def _ablations(content: Content, done: Sequence[Found]) -> str:
    if ABLATIONS not in content.folders or ABLATIONS in content.on_request:
        return ""
    finished = content.folders[ABLATIONS] in {one.run.folder for one in done}
    return "Yes: Table 6." if finished else "Planned: Table 6 is not finished."


def _random(planned: Sequence[Planned], done: Sequence[Found]) -> str:
    drawn = _of("sample", planned)
    finished = len(_of("sample", [one.run for one in done]))
    return f"{finished} of {len(drawn)} random architectures are drawn, to be trained by one protocol" if drawn else ""


def _spread(trained: Sequence[Found]) -> str:
    """Whether there are several trainings of one kind."""
    names = [re.sub(r"-(seed|train)\d+", "", one.run.name) for one in trained if one.run.stage != "search"]
    if not names:
        return ""
    if len(set(names)) == len(names):
        return "No: each result comes from one training so far."
    return "Yes: mean and sample deviation (n - 1) with n, and 95 % intervals of the differences from the paper."


def _seeds(runs: Sequence[Planned]) -> str:
    seeds = sorted({int(run.config["seed"]) for run in runs})
    consecutive = len(seeds) > 2 and seeds[-1] - seeds[0] == len(seeds) - 1
    return f"{seeds[0]} to {seeds[-1]}" if consecutive else ", ".join(map(str, seeds))
