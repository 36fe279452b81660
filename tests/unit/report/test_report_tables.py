"""The table stage as a whole: files against golden ones, completeness, numbers, a user's own methods, bad input."""

import csv
import json
import re
import shutil
import statistics
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dropnas.errors import DropnasError
from dropnas.report.config import TableConfig, TrainedCell
from dropnas.report.printed import layouts
from dropnas.report.render_latex import escaped
from dropnas.report.table_stage import run
from dropnas.workspace import Workspace

GOLDEN = Path(__file__).parents[2] / "golden" / "report"
TABLES = [f"table{number}" for number in range(1, 7)]
Cases = dict[str, Any]


def lines_of(folder: Path, table: str) -> list[dict[str, str]]:
    with (folder / f"{table}.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def one_line(lines: list[dict[str, str]], **wanted: str) -> dict[str, str]:
    (found,) = [line for line in lines if all(line[key] == value for key, value in wanted.items())]
    return found


@pytest.mark.parametrize("table", TABLES)
def test_files_equal_the_golden_ones(table: str, cases: Cases, tmp_path: Path) -> None:
    """After an intended change, inspect the files in the reported folder, then copy them over the golden ones."""
    out = cases[table].build(tmp_path / "out" / table)
    names = sorted(file.name for file in out.iterdir())
    assert names == sorted(["table.json", *(f"{table}.{suffix}" for suffix in ("csv", "md", "tex"))])
    for name in names:
        assert (out / name).read_bytes() == (GOLDEN / table / name).read_bytes(), f"{out / name} differs"


def test_tables_of_equal_runs_are_byte_identical_whatever_the_seconds(cases: Cases, runs: Any, tmp_path: Path) -> None:
    before = cases["table1"].build(tmp_path / "before")
    for folder in runs.folders:
        receipt = json.loads((folder / "run.json").read_text())
        (folder / "run.json").write_text(
            json.dumps({**receipt, "seconds": receipt["seconds"] + 1.25, "started": "now"})
        )
    after = cases["table1"].build(tmp_path / "after")
    assert all((after / file.name).read_bytes() == file.read_bytes() for file in before.iterdir())


@given(st.data())
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_printed_row_and_number_is_in_all_formats(cases: Cases, tmp_path: Path, data: st.DataObject) -> None:
    """All rows of the paper are present and in order; rows without our runs are quoted."""
    table = data.draw(st.sampled_from(TABLES))
    kept = data.draw(st.sets(st.sampled_from(range(len(cases[table].config.entries)))))
    entries = tuple(entry for index, entry in enumerate(cases[table].config.entries) if index in kept)
    if table == "table4":  # the label of a new row or column comes from an entry whose other key is the paper's
        entries = tuple(entry for entry in entries if entry.label.count("/") == 0)
    out = tmp_path / f"out-{len(list(tmp_path.iterdir()))}"
    replace(cases[table], config=replace(cases[table].config, entries=entries)).build(out)

    paper = layouts()[table]
    run_rows = {entry.row for entry in entries}
    positions = {"md": 0, "tex": 0}
    for row in paper.rows:
        source = "paper" if row.key in run_rows else "quoted"
        texts = [row.heads[-1], source, *(cell.text for cell in row.cells)]
        for suffix, pattern in (
            ("md", r" *\| ".join(map(re.escape, texts))),
            ("tex", " & ".join(re.escape(escaped(text)) for text in texts)),
        ):
            text = (out / f"{table}.{suffix}").read_text(encoding="utf-8")
            match = re.compile(pattern).search(text, positions[suffix])
            assert match, (suffix, texts)
            positions[suffix] = match.end()
        lines = [line for line in lines_of(out, table) if line["row"] == row.key]
        assert {line["paper"] for line in lines} - {""} == {cell.text for cell in row.cells}
        assert ("quoted" in {line["source"] for line in lines}) == (source == "quoted")


def test_statistics_are_those_of_the_runs(cases: Cases, tmp_path: Path) -> None:
    out = cases["table4"].build(tmp_path / "out")
    line = one_line(lines_of(out, "table4"), row="cifar10/3-skip", column="dropnas", quantity="top1_error_final")
    values = [2.75, 2.5, 2.675]
    assert line["ours_values"] == "2.75 2.5 2.675"
    assert float(line["ours_mean"]) == pytest.approx(statistics.mean(values), rel=1e-12)
    assert float(line["ours_std"]) == pytest.approx(statistics.stdev(values), rel=1e-12)
    assert float(line["ours_population_std"]) == pytest.approx(statistics.pstdev(values), rel=1e-12)
    assert (line["n"], line["ours_best"], line["ours"]) == ("3", "2.5", "2.64±0.13 (n=3)")
    assert (line["paper"], line["paper_mean"], line["paper_std"]) == ("2.68±0.10", "2.68", "0.1")
    assert line["runs"] == "retrain-seed0 retrain-seed1 retrain-seed2"


def test_both_errors_of_tables_1_and_2_show_the_best_seed_and_the_spread(cases: Cases, tmp_path: Path) -> None:
    lines = lines_of(cases["table1"].build(tmp_path / "out"), "table1")
    texts = [
        one_line(lines, row="dropnas", column="error", quantity=f"top1_error_{kind}")["ours"]
        for kind in ("final", "best_on_test")
    ]
    assert texts == ["2.50 (2.64±0.13; n=3)", "2.44 (2.51±0.09; n=3)"]


def test_parameters_are_of_the_best_architecture_in_both_conventions(cases: Cases, tmp_path: Path) -> None:
    """The third seed is best on test, although the second one is best in its final epoch."""
    out = cases["table1"].build(tmp_path / "out")
    lines = lines_of(out, "table1")
    plain = one_line(lines, row="dropnas", quantity="parameters_million")
    released = one_line(lines, row="dropnas", quantity="parameters_as_released")
    assert plain["runs"] == released["runs"] == "retrain-seed2"
    assert float(plain["ours_mean"]) == 0.912345
    assert float(released["ours_mean"]) == (912345 + 444444) / 1024**2
    assert (plain["ours"], released["ours"]) == ("0.91", "(as released 1.3)")
    assert json.loads((out / "table.json").read_text())["architectures"]["dropnas"]["run"] == "retrain-seed2"


def test_search_cost_is_in_device_days_with_one_decimal(cases: Cases, tmp_path: Path) -> None:
    lines = lines_of(cases["table1"].build(tmp_path / "out"), "table1")
    line = one_line(lines, row="dropnas", column="days")
    assert (line["ours"], line["ours_mean"]) == ("0.6", "0.6")  # 54,000 s are 0.625 days
    assert line["runs"] == "search-seed0 search-seed1 search-seed2"


def test_a_table_says_that_it_is_no_reproduction(cases: Cases, tmp_path: Path) -> None:
    for table, expected in (("table1", False), ("table2", True)):
        out = cases[table].build(tmp_path / table)
        for suffix in ("md", "tex"):
            text = (out / f"{table}.{suffix}").read_text(encoding="utf-8")
            assert ("Not a reproduction of the paper" in text) != expected
        assert {line["reproduction"] for line in lines_of(out, table)} == {str(expected).lower()}


def test_profile_data_and_hardware_are_in_every_format(cases: Cases, tmp_path: Path) -> None:
    out = cases["table6"].build(tmp_path / "out")
    for suffix in ("md", "tex"):
        text = (out / f"table6.{suffix}").read_text(encoding="utf-8")
        assert "Profile: tiny. Data: digits-300-100. Hardware: Imaginary GPU." in text
    line = lines_of(out, "table6")[0]
    assert (line["profile"], line["data"], line["hardware"]) == ("tiny", "digits-300-100", "Imaginary GPU")


def test_several_devices_are_all_named_once(runs: Any, tmp_path: Path) -> None:
    inputs = [runs.training("a", 3, 3), runs.training("b", 3, 3)]
    runs.device = "Another GPU"
    inputs.append(runs.training("c", 3, 3))
    build(tmp_path / "out", "table6", inputs, TrainedCell("cifar10", "dropnas", trainings=(0, 1, 2)))
    assert "Hardware: Another GPU, Imaginary GPU." in (tmp_path / "out" / "table6.md").read_text(encoding="utf-8")


def test_no_top_5_error_where_there_are_too_few_classes(cases: Cases, tmp_path: Path) -> None:
    out = cases["table3"].build(tmp_path / "out")
    line = one_line(lines_of(out, "table3"), row="dropnas-cifar100", column="top5")
    assert (line["quantity"], line["ours"], line["paper"]) == ("top5_error", "", "6.8")
    assert re.search(r"25\.5 \(n=1\) +\| - ", (out / "table3.md").read_text(encoding="utf-8"))


def test_a_table_without_runs_is_all_quoted(tmp_path: Path) -> None:
    build(tmp_path / "out", "table4", [])
    assert {line["source"] for line in lines_of(tmp_path / "out", "table4")} == {"quoted"}
    assert "No runs of ours." in (tmp_path / "out" / "table4.md").read_text(encoding="utf-8")


def test_own_methods_come_after_the_papers(cases: Cases, tmp_path: Path) -> None:
    """A row in Tables 1-3, a column in Tables 4 and 6, without a number of the paper."""
    lines = lines_of(cases["table1"].build(tmp_path / "1"), "table1")
    assert list(dict.fromkeys(line["row"] for line in lines))[-2:] == ["mine", "mine-augmented"]
    own = [line for line in lines if line["row"] == "mine"]
    assert {line["row_label"] for line in own} == {"A | method_1 & more"}
    assert {line["paper"] for line in own} == {""}
    for table in ("table4", "table6"):
        lines = lines_of(cases[table].build(tmp_path / table), table)
        assert list(dict.fromkeys(line["column"] for line in lines))[-1] == "mine"
        assert {line["paper"] for line in lines if line["column"] == "mine"} == {""}


def test_a_users_space_comes_after_those_of_its_data_set(cases: Cases, tmp_path: Path) -> None:
    lines = lines_of(cases["table4"].build(tmp_path / "out"), "table4")
    rows = list(dict.fromkeys(line["row"] for line in lines))
    assert rows[:5] == ["cifar10/3-skip", "cifar10/1-skip", "cifar10/original", "cifar10/wide", "cifar100/3-skip"]
    assert {line["row_label"] for line in lines if line["row"] == "cifar10/wide"} == {"CIFAR-10 My space"}
    assert {line["column_label"] for line in lines if line["column"] == "mine"} == {"Test Error (%) My method"}


def test_markdown_has_one_width_and_escapes_what_would_break_it(cases: Cases, tmp_path: Path) -> None:
    text = (cases["table1"].build(tmp_path / "out") / "table1.md").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len({len(line) for line in lines}) == 1
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {6}
    assert r"| A \| method_1 & more " in text


def test_latex_is_ascii(cases: Cases, tmp_path: Path) -> None:
    for table in TABLES:
        text = (cases[table].build(tmp_path / table) / f"{table}.tex").read_text(encoding="utf-8")
        assert text.isascii(), table


def test_latex_escapes_and_sets_what_the_paper_uses() -> None:
    assert escaped("50% of a_b & {c} # $d ~ ^ \\") == (
        r"50\% of a\_b \& \{c\} \# \$d \textasciitilde{} \textasciicircum{} \textbackslash{}"
    )
    assert escaped("1\N{MULTIPLICATION SIGN}10⁻⁵") == r"1$\times$10$^{-5}$"
    assert escaped(r"O_np \ O_p") == r"$\mathcal{O}_{np}$ \textbackslash{} $\mathcal{O}_{p}$"
    assert escaped("NAS†\N{ASTERISK OPERATOR}, 'quoted' isn't") == r"NAS$^{\dagger \ast}$, `quoted' isn't"


def test_latex_lines_have_as_many_cells_as_columns(cases: Cases, tmp_path: Path) -> None:
    for table in TABLES:
        text = (cases[table].build(tmp_path / table) / f"{table}.tex").read_text(encoding="utf-8")
        columns = len(re.search(r"begin\{tabular\}\{([lr]+)\}", text)[1])  # type: ignore[index]
        rows = [line for line in text.splitlines() if line.endswith(r"\\")]
        spans = [
            sum(int(match[1]) if (match := re.match(r"\\multicolumn\{(\d+)", cell)) else 1 for cell in cells)
            for cells in (re.split(r"(?<!\\)& ?", row.removesuffix(r"\\")) for row in rows)
        ]
        assert set(spans) == {columns}


def test_latex_sets_numbers_flush_right_and_words_flush_left(cases: Cases, tmp_path: Path) -> None:
    found = {}
    for table in TABLES:
        text = (cases[table].build(tmp_path / table) / f"{table}.tex").read_text(encoding="utf-8")
        found[table] = re.search(r"begin\{tabular\}\{([lr]+)\}", text)[1]  # type: ignore[index]
        assert r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%" in text  # never wider than the text
    assert found["table1"] == "llrrr" and found["table4"].startswith("lll") and found["table4"].endswith("rr")


def test_search_costs_are_those_of_all_searches(cases: Cases, tmp_path: Path) -> None:
    cost = one_line(
        lines_of(cases["table1"].build(tmp_path / "out"), "table1"), row="dropnas", quantity="search_device_days"
    )
    assert (cost["n"], len(cost["runs"].split())) == ("3", 3)


def test_only_tables_1_and_2_have_a_release_to_count_as(cases: Cases, tmp_path: Path) -> None:
    texts = {name: (cases[name].build(tmp_path / name) / f"{name}.md").read_text() for name in ("table1", "table3")}
    assert "(as released" in texts["table1"] and "(as released" not in texts["table3"]


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="pdflatex is not installed")
def test_latex_compiles(cases: Cases, tmp_path: Path) -> None:
    for table in TABLES:
        cases[table].build(tmp_path / table)
    inputs = "".join(rf"\input{{{table}/{table}.tex}}" for table in TABLES)
    packages = r"\usepackage{booktabs,graphicx}"
    document = rf"\documentclass{{article}}{packages}\begin{{document}}{inputs}\end{{document}}"
    (tmp_path / "all.tex").write_text(document)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout


def test_tables_need_no_torch() -> None:
    code = "import sys, dropnas.report.table_stage, dropnas.report.publish; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[3]).returncode == 0


ERRORS = {"final": 2.5, "best": 2.0, "best_epoch": 1}


def build(out: Path, table: Any, inputs: list[Path], *entries: TrainedCell) -> None:
    out.mkdir(exist_ok=True)
    run(TableConfig(table, "tiny", False, entries), inputs, out, Workspace(out, "identity"))


def edit(folder: Path, name: str, **changes: Any) -> None:
    value = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps({**value, **changes}))


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        (
            "result.json",
            {"top1_error": ERRORS | {"final": float("nan")}},
            "top1_error.final: input should be a finite",
        ),
        (
            "result.json",
            {"top1_error": ERRORS | {"best": float("inf")}},
            "top1_error.best: input should be a finite",
        ),
        ("result.json", {"top1_error": {"final": 2.0}}, "top1_error.best: field required"),
        ("result.json", {"top1_error": None}, "top1_error: input should be an object, not null"),
        ("result.json", {"top5_error": 3.0}, "top5_error: input should be an object, not 3.0"),
        ("result.json", {"parameters": "many"}, 'parameters: input should be a valid integer, not "many"'),
        (
            "result.json",
            {"parameters_with_auxiliary": True},
            "parameters_with_auxiliary: input should be a valid",
        ),
        ("run.json", {"stage": "search"}, "is a search run, but a retrain run is needed"),
        ("run.json", {"device": ""}, "stage or device is empty"),
        ("run.json", {"seconds": float("nan")}, "seconds: input should be a finite number"),
        ("run.json", {"inputs": []}, "has no inputs"),
    ],
)
def test_a_damaged_run_is_named_with_its_file(
    name: str, changes: dict[str, Any], message: str, runs: Any, tmp_path: Path
) -> None:
    folder = runs.training("retrain-seed7", 3.0, 2.9)
    edit(folder, name, **changes)
    with pytest.raises(DropnasError) as caught:
        build(tmp_path, "table1", [folder], TrainedCell("dropnas", "error", trainings=(0,)))
    text = str(caught.value)
    assert f"retrain-seed7/{name}" in text
    assert message in text
    assert "\n" not in text


@pytest.mark.parametrize("name", ["run.json", "result.json", "genotype.json"])
def test_a_missing_or_torn_file_is_named(name: str, runs: Any, tmp_path: Path) -> None:
    folder = runs.training("retrain-seed7", 3.0, 2.9)
    entry = TrainedCell("dropnas", "error", trainings=(0,))
    (folder / name).write_text('{"top1_error": ')
    with pytest.raises(DropnasError, match=f"retrain-seed7/{name}: cannot be read as JSON"):
        build(tmp_path, "table1", [folder], entry)
    (folder / name).write_text("[]")
    with pytest.raises(DropnasError, match=f"retrain-seed7/{name}: the file: input should be an object"):
        build(tmp_path, "table1", [folder], entry)
    (folder / name).unlink()
    with pytest.raises(DropnasError, match=f"retrain-seed7/{name}: no such file"):
        build(tmp_path, "table1", [folder], entry)


@pytest.mark.parametrize(
    ("table", "entries", "message"),
    [
        ("table1", [TrainedCell("dropnas", "error", trainings=(0,))] * 2, "two entries for one cell"),
        ("table1", [TrainedCell("mine", "error", trainings=(0,))], "table1, row 'mine': no such row"),
        ("table1", [TrainedCell("dropnas", "params", "X", trainings=(0,))], "no such column"),
        (
            "table3",
            [TrainedCell("dropnas-cifar10", "error", trainings=(0,))],
            "a retrain run, but a transfer run is needed",
        ),
        ("table4", [TrainedCell("imagenet/wide", "dropnas", "Wide", trainings=(0,))], "no rows of 'imagenet'"),
        ("table4", [TrainedCell("cifar10/wide", "mine", "Wide / Mine", trainings=(0,))], "no such"),
        ("table5", [TrainedCell("1e-6", "1e-5", "1e-6", trainings=(0,))], "no such row"),
        ("table6", [TrainedCell("cifar10", "mine", trainings=(0,))], "no such column"),
        ("table6", [TrainedCell("digits", "dropnas", "Digits", trainings=(0,))], "no such row"),
    ],
)
def test_an_entry_that_fits_nowhere_is_refused(
    table: str, entries: list[TrainedCell], message: str, runs: Any, tmp_path: Path
) -> None:
    with pytest.raises(DropnasError, match=re.escape(message)):
        build(tmp_path, table, [runs.training("retrain", 3.0, 2.9)], *entries)


def test_a_training_is_no_search(runs: Any, tmp_path: Path) -> None:
    with pytest.raises(DropnasError, match="is a retrain run, but a search run is needed"):
        build(
            tmp_path,
            "table1",
            [runs.training("a", 3, 3)],
            TrainedCell("dropnas", "error", searches=(0,), trainings=(0,)),
        )
