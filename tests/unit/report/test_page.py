"""The report page: which runs count, which are excluded and why, also half-way; and when it is made again."""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from dropnas.config import read_parameters
from dropnas.errors import DropnasError
from dropnas.monitor.costs import page_cost
from dropnas.pipeline import freeze
from dropnas.pipeline.freeze import plan_content
from dropnas.pipeline.plan import Plan, make_plan
from dropnas.pipeline.publish_results import publish as publish_results
from dropnas.report.compare_results import Other
from dropnas.report.page.complete import complete_tables
from dropnas.report.page.contents import Contents, gather
from dropnas.report.page.evidence import evidence
from dropnas.report.page.planned import parse_content
from dropnas.report.page.survey import survey
from dropnas.report.page.write import write_page
from dropnas.runs.files import write_json
from dropnas.runs.identity import Run
from dropnas.runs.parts import DVC_IGNORE, MARK_TEXT, is_heavy
from dropnas.runs.store import Store
from tests.page.made_store import publish, publish_plan, remove

PARAMETERS = """
profile: {profile}
description: Two tables, <b>small</b> & quick.
reproduction: true
datasets:
  cifar10: {{name: cifar10, source: torchvision}}
  cifar100: {{name: cifar100, source: torchvision}}
seeds: 2
tables: [table1, table6]
"""


@dataclass(frozen=True)
class Study:
    """A plan, its content, and the store with its runs."""

    plan: Plan
    root: Path

    @property
    def content(self) -> dict[str, Any]:
        """The content of plan.json."""
        return plan_content(self.plan)

    def gather(self) -> Contents:
        """The current content of the page."""
        return gather(parse_content(self.content, "plan"), self.root, page_cost)

    def page(self) -> str:
        """The text of a new page."""
        file, _ = write_page(self.content, self.root, None, "plan", page_cost)
        return file.read_text(encoding="utf-8")

    def find(self, stage: str, name: str = "") -> Run:
        """The first run of a stage whose name contains a text."""
        return next(run for run in self.plan.runs.values() if run.stage == stage and name in run.name)

    def folder(self, run: Run) -> Path:
        """The folder of a run."""
        return self.root / run.folder


def published_study(folder: Path) -> Study:
    """All runs of two tables with two seeds."""
    file = folder / "study.yaml"
    if not file.exists():
        file.write_text(PARAMETERS.format(profile="study"), encoding="utf-8")
        publish_plan(make_plan(read_parameters(file)).by_default(), folder)
    return Study(make_plan(read_parameters(file)), folder)


@pytest.fixture
def study(tmp_path: Path, once: Callable[[str, Callable[[Path], object]], Path]) -> Study:
    """A copy of that study, which a test may change."""
    return published_study(shutil.copytree(once("study", published_study), tmp_path, dirs_exist_ok=True))


def excluded(contents: Contents) -> dict[str, str]:
    """The reasons, by the names of the runs."""
    found = contents.runs.query("state == 'excluded'")
    return dict(zip(found["stage"] + " " + found["name"], found["reason"], strict=True))


def rows(page: str, label: str) -> list[list[str]]:
    """The cells of a table of the page, row by row, as HTML."""
    table = page.partition(f'aria-label="{label}"')[2].partition("<tbody>")[2].partition("</tbody>")[0]
    return [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in re.findall(r"<tr[^>]*>(.*?)</tr>", table)]


def numbers(study: Study) -> list[list[str]]:
    """Table, row, column, line, number, n and runs of each of our numbers on the page."""
    return rows(study.page(), "Numbers and their runs")


def cell(contents: Contents, row: str, column: str) -> str:
    """The text of a cell of Table 6 at the best epoch."""
    table = next(one for one in contents.tables if one.name == "table6")
    place = [bottom for _, bottom in table.frame.header].index(column)
    starts = [at for at, line in enumerate(table.frame.lines) if line.texts[0] == row]
    lines = table.frame.lines[starts[0] : starts[0] + 3] if starts else ()
    texts = [line.texts[place] for line in lines if line.texts[1].endswith("test")]
    return str(texts[0]) if texts else ""


def test_a_finished_plan_has_every_number_and_excludes_nothing(study: Study) -> None:
    contents = study.gather()
    assert contents.counts == {"done": len(study.plan.by_default().runs), "running": 0, "missing": 0, "excluded": 0}
    assert (excluded(contents), contents.shortfalls) == ({}, [])
    assert cell(contents, "CIFAR-10", "DropNAS").endswith("(n=2)")
    assert contents.warning == ""


def test_each_number_names_the_runs_it_comes_from_and_their_values(study: Study) -> None:
    page = study.page()
    assert set(re.findall(r'id="run-(\w+)"', page)) == set(study.plan.runs)
    lines = rows(page, "Numbers and their runs")
    for *_, n, runs in lines:
        assert len(re.findall(r'href="#run-(\w+)"', runs)) == int(n)
    one = next(line for line in lines if "table6" in line[0] and line[3] == "ours, final epoch")
    values = dict(re.findall(r'href="#run-(\w+)">([^<]+)<', one[-1]))
    read = {
        run.id: json.loads((study.folder(run) / "result.json").read_text())["top1_error"]["final"]
        for run in study.plan.runs.values()
        if run.id in values
    }
    assert values == {id_: f"{error:.2f}" for id_, error in read.items()} and len(values) == 2


def test_a_missing_run_lowers_n_and_is_named(study: Study) -> None:
    gone = study.find("retrain", "cifar100-original-no-grouping-seed1")
    remove(gone, study.root)
    contents = study.gather()
    assert cell(contents, "CIFAR-100", "No grouping").endswith("(n=1)")
    lacks = [(one.cell, one.counted, one.planned) for one in contents.shortfalls]
    assert lacks == [("CIFAR-100, No grouping", 1, 2)]
    assert list(contents.runs.query("state == 'missing' and default")["id"]) == [gone.id]
    assert unchecked(contents) == {"table table6-study": (gone.folder.name,)}
    assert (excluded(contents), gone.folder.name in study.page()) == ({}, True)


def unchecked(contents: Contents) -> dict[str, tuple[str, ...]]:
    """The absent inputs of runs that count, by the names of the runs."""
    found = contents.runs[contents.runs["unchecked"].astype(bool)]
    return dict(zip(found["stage"] + " " + found["name"], found["unchecked"], strict=True))


def test_numbers_are_kept_without_their_pruned_searches_and_say_so(study: Study) -> None:
    before = errors(study)
    search = study.find("search", "cifar10-original-dropnas-seed0")
    remove(search, study.root)
    contents = study.gather()
    assert excluded(contents) == {} and errors(study) == before
    assert unchecked(contents)[f"derive {search.name}"] == (search.folder.name,)
    assert "Inputs that are not here" in study.page() and "Inputs that are not here" not in before_page(study)


def errors(study: Study) -> list[list[str]]:
    """The numbers that come from trainings; the cost of a missing search is missing, too."""
    return [one for one in numbers(study) if not one[2].startswith("Search Cost")]


def sources(study: Study) -> set[str]:
    """The names of the runs from which the numbers come."""
    return {run for line in numbers(study) for run in re.findall(r"#run-(\w+)", line[-1])}


def before_page(study: Study) -> str:
    """The page of the whole plan after the search is published again."""
    publish(study.find("search", "cifar10-original-dropnas-seed0"), study.root)
    return study.page()


def rewrite_record(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Publish a run again with another record; its folder stays intact."""
    manifest = json.loads((folder / "manifest.json").read_text())
    change(manifest["run"])
    write_json(folder / "manifest.json", manifest)
    (folder / "run.json").unlink()
    Store(folder.parents[2]).write_receipt(folder)


def test_readers_of_an_absent_input_that_differ_are_kept_out_with_what_follows(study: Study) -> None:
    search = study.find("search", "cifar10-original-dropnas-seed0")
    derived, table = study.find("derive", search.name), study.find("table", "table1")
    rewrite_record(study.folder(table), lambda record: record["input_manifests"].update({search.folder.name: "0" * 64}))
    remove(search, study.root)
    reasons = excluded(study.gather())
    for one in (derived, table):
        expected = f"other runs read another computation of {search.folder.name}, which is not here"
        assert reasons[f"{one.stage} {one.name}"] == expected
    assert reasons["select cifar10-original-dropnas-best-of-2"].startswith("depends on")
    assert not unchecked(study.gather())


def test_a_reader_that_does_not_say_what_it_read_is_kept_out(study: Study) -> None:
    search = study.find("search", "cifar10-original-dropnas-seed0")
    derived = study.find("derive", search.name)
    rewrite_record(study.folder(derived), lambda record: record["input_manifests"].clear())
    remove(search, study.root)
    assert "its inputs do not match its identity" in excluded(study.gather())[f"derive {search.name}"]


def test_lightly_pulled_runs_count_and_are_reported(study: Study) -> None:
    before = errors(study)
    for run in study.plan.by_default().runs.values():
        if run.stage in ("search", "retrain", "data"):
            for file in study.folder(run).iterdir():
                if is_heavy(file.name):
                    file.unlink()
            (study.folder(run) / DVC_IGNORE).write_text(MARK_TEXT)
    contents = study.gather()
    assert excluded(contents) == {} and errors(study) == before
    light = contents.runs["light"].sum()
    assert light > 0 and f"{light} runs are here without weights" in study.page()


def test_a_lightly_pulled_run_that_lost_another_file_is_damaged(study: Study) -> None:
    run = study.find("retrain", "cifar100-original-no-grouping-seed0")
    (study.folder(run) / DVC_IGNORE).write_text(MARK_TEXT)
    (study.folder(run) / "result.json").unlink()
    assert excluded(study.gather())[f"retrain {run.name}"] == "result.json: missing"


def test_a_run_that_is_a_link_is_kept_out(study: Study) -> None:
    run = study.find("retrain", "cifar100-original-no-grouping-seed0")
    study.folder(run).rename(study.root / "elsewhere")
    study.folder(run).symlink_to(study.root / "elsewhere")
    assert "is a link" in excluded(study.gather())[f"retrain {run.name}"]


def test_nothing_done_yet_is_a_page_too(study: Study) -> None:
    empty = Study(study.plan, study.root / "elsewhere")
    contents = empty.gather()
    assert contents.counts["done"] == 0
    assert contents.answer.sentence == "None of the paper's 13 claims can be judged yet: too few runs are done."
    assert "No number yet" in empty.page()


def damage_text(name: str) -> Callable[[Path], None]:
    """Change one byte of a file."""
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes() + b" ")


def lose(name: str) -> Callable[[Path], None]:
    """Remove a file."""
    return lambda folder: (folder / name).unlink()


def forge(folder: Path) -> None:
    """Put another run's manifest into the folder."""
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["run"]["id"] = "0123456789"
    write_json(folder / "manifest.json", manifest)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (damage_text("result.json"), "result.json: changed since it was published"),
        (damage_text("network.safetensors"), "network.safetensors: changed since it was published"),
        (lose("genotype.json"), "genotype.json: missing"),
        (lose("run.json"), "run.json: missing; the next start writes it again"),
        (lose("manifest.json"), "partial: the folder has no manifest.json"),
        (lambda folder: (folder / "note.txt").write_text("x"), "note.txt: not in the manifest"),
        (lambda folder: (folder / "manifest.json").write_text("{"), "manifest.json: cannot be read as JSON"),
        (forge, "holds another run than its name says: retrain "),
    ],
)
def test_a_damaged_run_enters_no_number_and_says_why(study: Study, change: Any, reason: str) -> None:
    run = study.find("retrain", "cifar100-original-no-grouping-seed0")
    change(study.folder(run))
    contents = study.gather()
    assert excluded(contents)[f"retrain {run.name}"].startswith(reason)
    assert cell(contents, "CIFAR-100", "No grouping").endswith("(n=1)")
    assert run.id not in sources(study)
    assert reason.split(":")[0] in study.page()


def test_what_depends_on_a_damaged_run_is_kept_out_with_it(study: Study) -> None:
    search = study.find("search", "cifar10-original-dropnas-seed0")
    damage_text("alphas.json")(study.folder(search))
    found = excluded(study.gather())
    assert found[f"search {search.name}"] == "alphas.json: changed since it was published"
    assert found[f"derive {search.name}"] == f"depends on {search.folder.name}, which is excluded"
    assert {"table table1-study", "table table6-study", "select cifar10-original-dropnas-best-of-2"} <= set(found)


def test_a_run_that_read_another_input_is_kept_out(study: Study) -> None:
    search = study.find("search", "cifar10-original-dropnas-seed0")
    remove(search, study.root)
    publish(search, study.root, git={"commit": "f" * 40, "dirty": True})
    contents = study.gather()
    reason = f"its input {search.folder.name} was replaced by another computation"
    assert excluded(contents)[f"derive {search.name}"] == reason
    assert ("f" * 10, "changed since that commit") in {(one["Commit"], one["Checkout"]) for one in contents.bar.commits}


def test_an_invalid_number_is_found_and_named(study: Study) -> None:
    run = study.find("retrain", "cifar100-original-no-grouping-seed0")
    staged = study.root / "staged"
    study.folder(run).rename(staged)
    result = json.loads((staged / "result.json").read_text())
    result["top1_error"]["best"] = None
    write_json(staged / "result.json", result)
    record = json.loads((staged / "manifest.json").read_text())["run"]
    for name in ("manifest.json", "run.json"):
        (staged / name).unlink()
    Store(study.root).publish(staged, study.folder(run), record)
    reason = excluded(study.gather())[f"retrain {run.name}"]
    assert "top1_error.best: input should be a valid number, not null" in reason


def test_it_is_made_again_only_when_something_changed(study: Study) -> None:
    file, first = write_page(study.content, study.root, None, "plan", page_cost)
    before = file.read_bytes()
    assert (first, write_page(study.content, study.root, None, "plan", page_cost)[1]) == (True, False)
    remove(study.find("retrain", "cifar100-original-no-grouping-seed1"), study.root)
    assert write_page(study.content, study.root, None, "plan", page_cost) == (file, True)
    assert file.read_bytes() != before


def test_the_same_store_gives_the_same_page(study: Study) -> None:
    pages = [write_page(study.content, study.root, study.root / f"{at}.html", "plan", page_cost)[0] for at in "ab"]
    assert pages[0].read_bytes() == pages[1].read_bytes()


def test_texts_of_a_parameter_file_are_escaped_and_links_resolve(study: Study) -> None:
    text = study.page()
    assert "&lt;b&gt;small&lt;/b&gt; &amp; quick" in text
    places = re.findall(r'\sid="([^"]+)"', text)
    assert len(places) == len(set(places))
    assert set(re.findall(r'href="#([^"]+)"', text)) <= set(places)
    assert not re.search(r'(src|href)="(?!#|data:|https://doi.org/)', text)


def test_a_rate_without_runs_keeps_the_sweep_undecided(study: Study) -> None:
    """The paper's rate counts as the best of three only after the third has been run."""
    file = study.root / "sweep.yaml"
    rates = "figures: [figure2]\ndrop_rates: [1.0e-5, 3.0e-5, 1.0e-4]\n"
    file.write_text(PARAMETERS.format(profile="sweep") + rates, encoding="utf-8")
    plan = make_plan(read_parameters(file))
    absent = {run.id for run in plan.runs.values() if run.stage == "figure" or "r1e-05" in run.name}
    for run in (run for run in plan.runs.values() if "figure2" in plan.used_by()[run.id] and run.id not in absent):
        if not (study.root / run.folder).exists():
            publish(run, study.root)
    content = parse_content(plan_content(plan), "plan")
    found = survey(content, study.root)
    errors = evidence(content, found, complete_tables(content, found)).sweep
    assert errors["cifar10"]["1e-05"] == [] and len(errors["cifar10"]["0.0001"]) == 2
    claims = gather(content, study.root, page_cost).claims
    assert next(one for one in claims if one.claim.startswith("r = 3e-5 is the best")).outcome == "too few runs"


def test_a_profile_that_is_no_reproduction_says_so(study: Study) -> None:
    small = {**study.content, "reproduction": False}
    contents = gather(parse_content(small, "plan"), study.root, page_cost)
    assert contents.answer.sentence == "Test run on small data. Do not compare these numbers with the paper's."
    assert contents.answer.numbers == "" and {one.paper for one in contents.answer.headlines} == {""}
    assert contents.answer.headlines[0].data == "In place of CIFAR-10"


def test_another_store_is_shown_next_to_ours(study: Study) -> None:
    """With `report --compare`: the numbers that differ, by how much, with a test, and the protocols."""
    ours = study.gather().verdicts
    shifted = tuple(replace(one, mean=one.mean + 5, runs=()) for one in ours.numbers)
    other = Other("their store", replace(ours, numbers=shifted), ("The protocols differ: seeds 2 (A), 8 (B).",))
    contents = gather(parse_content(study.content, "plan"), study.root, page_cost, other)
    assert set(contents.compared["outcome"]) <= {"differs", "not shown", "not tested", "only one run"}
    file, written = write_page(study.content, study.root, None, "plan", page_cost, other)
    text = file.read_text(encoding="utf-8")
    assert written and "Compared with their store" in text and 'href="#compare"' in text
    assert "seeds 2 (A), 8 (B)" in text and '<td class="number">-5.00 [' in text
    assert write_page(study.content, study.root, None, "plan", page_cost) == (file, True)
    assert 'href="#compare"' not in file.read_text(encoding="utf-8")


def test_targets_are_in_the_papers_order_in_any_plan(study: Study) -> None:
    whole = dict(reversed(study.content["folders"].items()))
    folders = list(parse_content({**study.content, "folders": whole}, "plan").folders)
    assert folders[:3] == ["table1", "table6", "baselines"] and folders[-1] == "architectures"


def test_a_plan_of_another_form_is_refused_in_a_line(study: Study) -> None:
    old = {name: value for name, value in study.content.items() if name != "folders"}
    with pytest.raises(DropnasError, match="is not a plan that the page can read"):
        write_page(old, study.root, None, "plans/old", page_cost)


def test_published_baselines_are_on_the_page_once_one_is_requested(study: Study) -> None:
    assert "table1_published" not in {one.name for one in study.gather().others}
    baseline = study.find("retrain", "darts-v1")
    for run in (*baseline.inputs, baseline):
        if not Store(study.root).is_published(study.folder(run)):
            publish(run, study.root)
    contents = study.gather()
    assert "table1_published" in {one.name for one in contents.others}
    assert baseline.id in sources(study)


def test_results_have_the_page_even_where_a_table_is_damaged(study: Study) -> None:
    plan = study.root / "plans" / "one"
    write_json(plan / "plan.json", study.content)
    (plan / "parameters.yaml").write_text("profile: study\n", encoding="utf-8")
    write_json(plan / "frozen.json", {"id": freeze._content_id(plan)})
    assert "report.html" in publish_results(plan, study.root, page_cost)
    damage_text("table6.md")(study.folder(study.find("table", "table6")))
    with pytest.raises(DropnasError, match="changed since it was published"):
        publish_results(plan, study.root, page_cost)
    assert "table6.md: changed" in (study.root / "results" / "study" / "report.html").read_text(encoding="utf-8")


def test_a_run_that_moved_to_another_machine_is_marked(study: Study) -> None:
    search = study.find("search")
    rewrite_record(study.folder(search), lambda record: record.update({"machines": ["CPU (AVX512)", "CPU (AVX2)"]}))
    lines = rows(study.page(), "Runs")
    shown = {re.findall(r'id="run-(\w+)"', line[0])[0]: line[8] for line in lines}
    assert shown[search.id] == "CPU (AVX512), then CPU (AVX2): its bytes match no single machine"
    assert not [id_ for id_, device in shown.items() if "neither" in device and id_ != search.id]
