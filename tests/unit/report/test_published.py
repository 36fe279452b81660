"""The published baselines: the cell behind each row, our results and the quoted ones, and bad input."""

import csv
import json
import re
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest

from dropnas.artifacts.counts_file import Counted
from dropnas.artifacts.receipt_file import ReceiptFile
from dropnas.errors import DropnasError
from dropnas.pipeline.targets import quoted
from dropnas.report.config import PublishedConfig, PublishedEntry, names
from dropnas.report.frame import numbered
from dropnas.report.printed import Layout, behind, layout
from dropnas.report.publish import metrics, refresh
from dropnas.report.published_table import run
from dropnas.report.render_latex import escaped
from dropnas.report.terminal import summary
from dropnas.space.published import published
from dropnas.workspace import Workspace

NAMES = names("published")
FINALS, BESTS = (2.75, 2.5, 2.675), (2.61, 2.48, 2.44)


def ids(table: str) -> list[str]:
    return [id_ for found in behind(table).values() if not isinstance(found, str) for id_ in found]


@dataclass
class Maker:
    """Writes the runs behind a table of published baselines, with made-up numbers."""

    runs: Any
    root: Path

    def counts(self, remark: str = "") -> Path:
        folder = self.root / "runs" / "architectures" / "published-0123456789"
        folder.mkdir(parents=True, exist_ok=True)
        rows = [
            asdict(Counted(id_, one.name, table, "cifar10", {}, 3_841_750, 4.1, 603_452_448, False, 0, remark))
            for id_, one in published().items()
            for table in ("table1", "table2", "table3")
        ]
        ReceiptFile("architectures", "CPU", 1.0, ()).write(folder)
        (folder / "architectures.json").write_text(json.dumps(rows))
        return folder

    def training(self, id_: str, seed: int = 0, **more: Any) -> Path:
        folder: Path = self.runs.training(f"{id_}-train{seed}", FINALS[seed], BESTS[seed], **more)
        (folder / "genotype.json").write_text(json.dumps(published()[id_].genotype.values()))
        return folder

    def config(self, table: str, *entries: tuple[str, tuple[int, ...]]) -> PublishedConfig:
        return PublishedConfig(table, "tiny", False, tuple(PublishedEntry(*entry) for entry in entries))

    def build(self, config: PublishedConfig, inputs: Sequence[Path]) -> Path:
        out = self.root / f"out-{len(list(self.root.iterdir()))}" / f"{config.table}-tiny-0123456789"
        out.mkdir(parents=True)
        run(config, inputs, out, Workspace(out, "identity"))
        return out


@pytest.fixture
def maker(runs: Any, tmp_path: Path) -> Maker:
    return Maker(runs, tmp_path)


@pytest.fixture
def table1(maker: Maker) -> Path:
    """Two cells of Table 1, trained three times and once."""
    trainings = [maker.training("enas_figure", seed) for seed in range(3)] + [maker.training("dropnas_c10")]
    config = maker.config("table1_published", ("enas_figure", (1, 2, 3)), ("dropnas_c10", (4,)))
    return maker.build(config, [maker.counts("differs"), *trainings])


def lines_of(folder: Path, table: str) -> list[dict[str, str]]:
    with (folder / f"{table}.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def one_line(folder: Path, row: str, quantity: str) -> dict[str, str]:
    (found,) = [one for one in lines_of(folder, "table1_published") if (one["row"], one["quantity"]) == (row, quantity)]
    return found


def block(folder: Path, table: str, id_: str) -> list[str]:
    """The lines of a row in the Markdown."""
    text = (folder / f"{table}.md").read_text(encoding="utf-8")
    lines = [" ".join(line.split()) for line in text.splitlines() if line.startswith("|")]
    at = next(index for index, line in enumerate(lines) if f"| {id_} |" in line)
    after = next((index for index, line in enumerate(lines[at + 1 :], at + 1) if not line.startswith("| | |")), None)
    return lines[at:after]


@pytest.mark.parametrize("table", NAMES)
def test_every_published_architecture_of_a_table_belongs_to_exactly_one_of_its_rows(table: str) -> None:
    assert sorted(ids(table)) == sorted(one.id for one in quoted(table))
    assert list(behind(table)) == [row.key for row in layout(table).rows]


@pytest.mark.parametrize("table", NAMES)
def test_a_published_architecture_has_the_figures_of_its_row(table: str) -> None:
    """published.yaml has the same figures independently, so a wrong row would be noticed."""
    paper = layout(table)
    checked = 0
    for row in paper.rows:
        printed = dict(zip([column.key for column in paper.columns], row.cells, strict=True))
        found = behind(table)[row.key]
        for id_ in () if isinstance(found, str) else found:
            figures = published()[id_].paper_rows[paper.name]
            assert figures["params_m"] == printed["params"].mean
            assert figures["gpu_days"] == printed["days"].mean
            for ours, theirs in (("top1", "top1"), ("top5", "top5"), ("test_error", "error")):
                if figures.get(ours) is not None:
                    text = str(figures[ours]).partition(";")[0].replace("+-", "±")
                    assert [float(x) for x in re.findall(r"[\d.]+", text)] == [
                        float(x) for x in re.findall(r"[\d.]+", printed[theirs].text)
                    ]
                    checked += 1
    assert checked >= len(ids(table))


@pytest.mark.parametrize("table", NAMES)
def test_all_rows_and_quoted_errors_are_in_all_formats_in_the_papers_order(table: str, maker: Maker) -> None:
    out, paper = maker.build(maker.config(table), [maker.counts()]), layout(table)
    rows = list(dict.fromkeys(line["row"] for line in lines_of(out, table)))
    behind_rows = [behind(table)[row.key] for row in paper.rows]
    expected = [row.key if isinstance(ids, str) else ids for row, ids in zip(paper.rows, behind_rows, strict=True)]
    assert rows == [key for keys in expected for key in ([keys] if isinstance(keys, str) else keys)]
    md, tex = ((out / f"{table}.{suffix}").read_text(encoding="utf-8") for suffix in ("md", "tex"))
    place = 0
    for row in paper.rows:
        errors = quoted_errors(paper, row.cells)
        texts = (
            rf"{re.escape(row.heads[-1])} +",
            r" \S+ +",
            " quoted +",
            *(rf" {re.escape(text)} +" for text in errors),
        )
        found = re.compile(r"\|".join(texts)).search(md, place)
        assert found, row.key
        place = found.end()
        assert escaped(row.heads[-1]) in tex and all(escaped(text) in tex for text in errors)


def quoted_errors(paper: Layout, cells: Sequence[Any]) -> list[str]:
    return [cell.text for column, cell in zip(paper.columns, cells, strict=True) if column.quantity.endswith("error")]


def test_our_numbers_are_below_the_quoted_error_and_counts_below_them(table1: Path) -> None:
    mean, deviation = statistics.mean(FINALS), statistics.stdev(FINALS)
    final, best = f"{mean:.2f}±{deviation:.2f}", f"{statistics.mean(BESTS):.2f}±{statistics.stdev(BESTS):.2f}"
    lines = block(table1, "table1_published", "enas_figure")
    assert lines[0].startswith("| ENAS [Pham et al., 2018] | enas_figure | paper | 2.89 | 4.6 | - |")
    assert lines[1].startswith(f"| | | ours, final epoch | {final} (n=3) |")
    assert lines[2].startswith(f"| | | ours, best on test | {best} (n=3) |")
    assert lines[3].startswith("| | | counted | | 3.842 | 603.5 |")
    single = block(table1, "table1_published", "dropnas_c10")
    for line, text in zip(single, ("2.26 (2.58±0.14)", "2.75 (n=1)", "2.61 (n=1)"), strict=False):
        assert f"| {text} |" in line


def test_cells_that_share_a_row_have_separate_lines(table1: Path) -> None:
    trained = one_line(table1, "enas_figure", "top1_error_final")
    other = one_line(table1, "enas_micro", "top1_error")
    assert trained["paper"] == other["paper"] == "2.89"
    assert (trained["n"], other["n"]) == ("3", "")


def test_numbers_and_runs_are_kept_in_full(table1: Path) -> None:
    final, best = (one_line(table1, "enas_figure", f"top1_error_{kind}") for kind in ("final", "best_on_test"))
    assert float(best["ours_mean"]) == pytest.approx(statistics.mean(BESTS), rel=1e-12)
    assert float(final["ours_std"]) == pytest.approx(statistics.stdev(FINALS), rel=1e-12)
    assert final["ours_values"] == "2.75 2.5 2.675"
    assert float(one_line(table1, "enas_figure", "parameters_million")["ours_mean"]) == 3.84175
    assert float(one_line(table1, "enas_figure", "multiply_adds_million")["ours_mean"]) == 603.452448
    assert final["runs"] == "enas_figure-train0 enas_figure-train1 enas_figure-train2"
    assert (final["profile"], final["reproduction"], final["hardware"]) == ("tiny", "false", "Imaginary GPU")


def test_remarks_say_why_a_row_was_not_run_and_where_a_cell_is_from(table1: Path) -> None:
    remarks = {line["row"]: line["remarks"] for line in lines_of(table1, "table1_published")}
    assert "another search space" in remarks["proxylessnas"]
    assert remarks["darts_v1"] == "not run: its training was not requested; differs"
    assert remarks["enas_figure"].startswith("differs; source of the cell: third-party transcription")
    assert "specification" in remarks["amoebanet-b"] and "Table 1" in remarks["dropnas-augmented"]
    text = " ".join((table1 / "table1_published.md").read_text(encoding="utf-8").split())
    assert len(re.findall(r"- Remark \d+: differs\.", text)) == 1


def test_a_table_says_what_it_is_and_is_not(maker: Maker, table1: Path) -> None:
    for suffix in ("md", "tex"):
        text = " ".join((table1 / f"table1_published.{suffix}").read_text(encoding="utf-8").split())
        assert "Not a reproduction of the paper: profile" in text
        assert "Profile: tiny. Data: digits-300-100. Hardware: Imaginary GPU." in text
    config = PublishedConfig("table2_published", "paper", True, ())
    text = (maker.build(config, [maker.counts()]) / "table2_published.md").read_text(encoding="utf-8")
    assert text.startswith("# Published baselines of Table 2 (profile paper)\n") and "Not a reproduction" not in text
    assert "No runs of ours." in text


def test_table_3_has_both_errors_and_a_dash_where_there_are_too_few_classes(maker: Maker) -> None:
    inputs = [
        maker.counts(),
        maker.training("xnas", stage="transfer", top5=(7.26, 7.14)),
        maker.training("pdarts_c10", stage="transfer"),
    ]
    out = maker.build(maker.config("table3_published", ("xnas", (1,)), ("pdarts_c10", (2,))), inputs)
    xnas, pdarts = (block(out, "table3_published", id_) for id_ in ("xnas", "pdarts_c10"))
    assert "| xnas | paper | 24.0 | - | 5.2 |" in xnas[0] and "| 2.8 (n=1) | 7.3 (n=1) |" in xnas[1]
    assert "| pdarts_c10 | paper | 24.4 | 7.4 | 4.9 |" in pdarts[0] and "| 2.8 (n=1) | - |" in pdarts[1]
    assert "Squeeze-and-excitation is counted for DropNAS" in (out / "table3_published.md").read_text(encoding="utf-8")


def test_table_json_has_the_form_of_the_other_tables(table1: Path) -> None:
    content = json.loads((table1 / "table.json").read_text())
    assert (content["table"], content["number"], content["profile"]) == ("table1_published", 1, "tiny")
    own = [one for one in content["numbers"] if one["row"] == "enas_figure"]
    assert [one["source"] for one in own] == ["ours, final epoch", "ours, best on test", "counted", "counted"]
    assert own[0]["paper"] == "2.89" and own[2]["runs"] == ["published-0123456789"]
    (quoted_only,) = {one["row_label"] for one in content["numbers"] if one["row"] == "proxylessnas"}
    assert "2019]¹" in quoted_only and content["notes"] and content["warning"]


def test_metrics_and_terminal_have_what_was_trained_and_no_counts(table1: Path) -> None:
    found = metrics([table1])["table1_published"]
    assert list(found) == ["enas_figure", "dropnas_c10"] and list(found["enas_figure"]) == ["error"]
    assert found["enas_figure"]["error"]["top1_error_best_on_test_best"] == 2.44
    text = " ".join(summary([table1]).split())
    assert text.startswith("Published baselines of Table 1: ")
    assert "Test Error (%) 2.64±0.13 (n=3) 2.51±0.09 (n=3) 2.89" in text and "Param" not in text


def test_files_are_copied_beside_the_tables(table1: Path, maker: Maker, tmp_path: Path) -> None:
    counts = maker.counts()
    for suffix in ("md", "csv", "tex"):
        (counts / f"architectures.{suffix}").write_text(suffix)
    refresh([table1, counts], tmp_path / "results")
    copied = sorted(path.name for path in (tmp_path / "results" / "tables").iterdir())
    assert copied == sorted(
        f"{name}.{suffix}" for name in ("architectures", "table1_published") for suffix in ("md", "csv", "tex")
    )
    assert list(json.loads((tmp_path / "results" / "metrics.json").read_text())) == ["table1_published"]


def test_equal_runs_give_equal_bytes_whatever_the_seconds(table1: Path, maker: Maker) -> None:
    config = maker.config("table1_published", ("enas_figure", (1, 2, 3)), ("dropnas_c10", (4,)))
    for folder in maker.runs.folders:
        receipt = json.loads((folder / "run.json").read_text())
        (folder / "run.json").write_text(json.dumps({**receipt, "seconds": 5.0}))
    again = maker.build(config, [maker.counts("differs"), *maker.runs.folders])
    assert all((again / file.name).read_bytes() == file.read_bytes() for file in table1.iterdir())


def _genotype(maker: Maker, folder: Path) -> None:
    (folder / "genotype.json").write_text(json.dumps(published()["asap"].genotype.values()))


def _nan(maker: Maker, folder: Path) -> None:
    result = json.loads((folder / "result.json").read_text())
    result["top1_error"]["best"] = float("nan")
    (folder / "result.json").write_text(json.dumps(result))


def _stage(maker: Maker, folder: Path) -> None:
    receipt = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**receipt, "stage": "transfer"}))


def _count(maker: Maker, folder: Path) -> None:
    file = maker.counts() / "architectures.json"
    rows = [row for row in json.loads(file.read_text()) if row["architecture"] != "xnas"]
    rows = [row for row in rows if (row["architecture"], row["table"]) != ("darts_v1", "table1")]
    file.write_text(json.dumps(rows))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_genotype, "trained another cell than 'enas_micro'"),
        (_nan, "top1_error.best: input should be a finite number, not NaN"),
        (_stage, "is a transfer run, but a retrain run is needed"),
        (_count, "no count of 'darts_v1' in the network of table1"),
        (lambda maker, folder: (folder / "result.json").unlink(), "no such file"),
    ],
)
def test_a_run_that_is_not_what_it_should_be_is_refused(
    maker: Maker, damage: Callable[[Maker, Path], None], message: str
) -> None:
    counts, folder = maker.counts(), maker.training("enas_micro")
    damage(maker, folder)
    with pytest.raises(DropnasError, match=message):
        maker.build(maker.config("table1_published", ("enas_micro", (1,))), [counts, folder])


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([("xnas", (1,))], "table1_published: does not quote xnas"),
        ([("nonsense", (1,))], "table1_published: does not quote nonsense"),
    ],
)
def test_an_entry_that_fits_nowhere_is_refused(maker: Maker, entries: Any, message: str) -> None:
    inputs = [maker.counts(), maker.training("enas_micro")]
    with pytest.raises(DropnasError, match=message):
        maker.build(maker.config("table1_published", *entries), inputs)


def test_inputs_without_counts_are_refused(maker: Maker) -> None:
    with pytest.raises(DropnasError, match="is not the receipt of an architectures run"):
        maker.build(maker.config("table1_published"), [maker.training("enas_micro")])


def test_remarks_are_numbered_once_each() -> None:
    cells, notes = numbered({"x": ["b", "a"], "y": [], "z": ["c", "b"]})
    assert cells == {"x": "1, 2", "y": "", "z": "1, 3"}
    assert notes == ["Remark 1: b.", "Remark 2: a.", "Remark 3: c."]
