"""The counts of the published architectures: the recorded values, and the remarks on printed ones that differ."""

import csv
import json
import re
from pathlib import Path

import pytest

from dropnas.artifacts.receipt_file import ReceiptFile
from dropnas.errors import DropnasError
from dropnas.evaluate.architectures import NETWORKS, REASONS, count_one, remark, run
from dropnas.evaluate.config import ArchitecturesConfig
from dropnas.report.count_texts import count_texts
from dropnas.report.published_table import read_counts
from dropnas.space.published import published
from dropnas.workspace import Workspace

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "counts.json").read_text())
ROWS = [(table, id_) for table in NETWORKS for id_, one in published().items() if table in one.paper_rows]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The stage's output, with a receipt as the store writes it."""
    out = tmp_path_factory.mktemp("architectures")
    run(ArchitecturesConfig(), [], out, Workspace(out, "identity"))
    ReceiptFile("architectures", "CPU", 1.0, ()).write(out)
    return out


@pytest.fixture(scope="module")
def counts(folder):
    return read_counts(folder)


def golden(id_, table, norm="pool_norm"):
    return GOLDEN[id_][NETWORKS[table]][norm]


def excitation(id_, channels=48, cells=14):
    """Two matrices of C x C/16 after each cell of C channels."""
    genotype, total = published()[id_].genotype, 0
    for index in range(cells):
        reduction = index in (cells // 3, 2 * cells // 3)
        channels *= 1 + reduction
        width = channels * len(genotype.reduce_concat if reduction else genotype.normal_concat)
        total += 2 * width * (width // 16)
    return total


def test_every_architecture_is_counted_in_every_table_that_has_it(counts):
    assert [(table, id_) for id_, table in counts] == ROWS
    assert {one.network for one in counts.values()} == {"cifar10", "cifar100", "imagenet"}
    assert all(one.printed == published()[id_].paper_rows[table] for (id_, table), one in counts.items())


def test_counts_are_the_recorded_ones(counts):
    """Recorded without squeeze-and-excitation, which only DropNAS has in Table 3."""
    for (id_, table), one in counts.items():
        more = excitation(id_) if table == "table3" and id_.startswith("dropnas") else 0
        expected = golden(id_, table)
        assert one.parameters == expected["parameters"] + more
        assert one.multiply_adds == expected["multiply_adds"] + more
        released = (expected["parameters_with_auxiliary"] + more) / 2**20
        assert one.as_released == pytest.approx(released, abs=1e-6)
        assert one.squeeze_excitation == bool(more)
        assert one.excitation_parameters == (excitation(id_) if table == "table3" else 0)


def test_a_difference_beyond_rounding_is_reported_with_its_size(counts):
    for (_, table), one in counts.items():
        printed = one.printed["params_m"]
        if printed is None:
            assert one.remark == "the paper prints no number of parameters"
        elif abs(one.parameters / 1e6 - printed) > 0.05:
            found = re.match(r"computed ([+-]\d\.\d\d)M against the printed ([\d.]+)M: .+", one.remark)
            assert float(found[1]) == pytest.approx(one.parameters / 1e6 - printed, abs=0.0051), table
            assert float(found[2]) == printed
        else:
            assert one.remark == ""


def test_every_reason_belongs_to_a_difference(counts):
    """No reason is given for a row that agrees or is in no table."""
    assert {key for key, one in counts.items() if "no reason known" not in one.remark and one.remark} == {
        *REASONS,
        ("asap", "table3"),  # nothing is printed
    }


def test_the_numbers_in_the_reasons_are_computed_ones():
    millions = {key: golden(*key, norm="no_pool_norm")["parameters"] / 1e6 for key in [("snas_moderate", "table3")]}
    assert f"{millions['snas_moderate', 'table3']:.3f}M" in REASONS["snas_mild", "table3"]
    assert f"{golden('asap', 'table1')['parameters'] / 1e6:.3f}M" in REASONS["asap", "table2"]
    for id_, table in (("dropnas_c10", "table1"), ("dropnas_c100", "table2")):
        released = golden(id_, table)["parameters_with_auxiliary"] / 2**20
        assert f"which gives {released:.3f};" in REASONS[id_, table]
    assert "5,258,564" in REASONS["xnas", "table3"] and "5,258,564" in published()["xnas"].notes


@pytest.mark.parametrize(("parameters", "printed"), [(3_350_000, 3.3), (3_250_000, 3.3), (5_700_000, 5.7)])
def test_rounding_is_no_difference(parameters, printed):
    assert remark("anything", "table1", parameters, printed) == ""


def test_an_unexplained_difference_is_reported_as_such():
    text = remark("anything", "table1", 3_360_000, 3.3)
    assert text == "computed +0.06M against the printed 3.3M: no reason known"


def test_batch_norm_after_pooling_moves_no_printed_digit():
    """The note below the table says so."""
    for table, id_ in ROWS:
        with_norm, without = (golden(id_, table, norm)["parameters"] / 1e6 for norm in ("pool_norm", "no_pool_norm"))
        assert 0 <= with_norm - without < 0.02
        assert f"{with_norm:.1f}" == f"{without:.1f}"


def test_the_files_hold_all_rows_and_are_the_same_for_the_same_counts(folder, counts):
    rows = list(counts.values())
    for suffix, text in count_texts(rows, True).items():
        assert (folder / f"architectures.{suffix}").read_bytes() == text.encode()
        lines = [
            line for line in text.splitlines() if any(id_.replace("_", r"\_") in line or id_ in line for _, id_ in ROWS)
        ]
        assert len(lines) >= len(ROWS)
    with (folder / "architectures.csv").open(newline="", encoding="utf-8") as stream:
        lines = list(csv.DictReader(stream))
    assert [(line["table"], line["architecture"]) for line in lines] == ROWS
    assert [int(line["parameters"]) for line in lines] == [one.parameters for one in rows]
    assert "There is no batch norm after pooling" in " ".join(count_texts(rows, False)["md"].split())


def test_without_pool_norm_the_counts_are_those_without():
    without = {table: count_one(published()["asap"], table, pool_norm=False).parameters for table in NETWORKS}
    assert without == {table: golden("asap", table, "no_pool_norm")["parameters"] for table in NETWORKS}


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda rows: {}, "architectures.json: counts: input should be a valid array"),
        (lambda rows: [{**rows[0], "parameters": None}], "0.parameters: input should be a valid integer"),
        (lambda rows: [{**rows[0], "multiply_adds": 0}], "counts.0: parameters and multiply_adds are at least 1"),
        (lambda rows: [{**rows[0], "more": 1}], "0.more: unknown key"),
        (lambda rows: [{**rows[0], "as_released": float("nan")}], "0.as_released: input should be a finite number"),
        (lambda rows: [3], "0: input should be"),
        (lambda rows: [{**rows[0], "remark": None}], "0.remark: input should be a valid string"),
    ],
)
def test_a_damaged_count_is_refused(folder, tmp_path, damage, message):
    rows = json.loads((folder / "architectures.json").read_text())
    ReceiptFile("architectures", "CPU", 1.0, ()).write(tmp_path)
    (tmp_path / "architectures.json").write_text(json.dumps(damage(rows)))
    with pytest.raises(DropnasError, match=message):
        read_counts(tmp_path)


@pytest.mark.parametrize(
    ("receipt", "message"),
    [
        (
            '{"stage": "retrain", "device": "CPU", "seconds": 1.0, "inputs": []}',
            "is not the receipt of an architectures run",
        ),
        ("[]", "run.json: the file: input should be"),
        ("{}", "run.json: stage: field required"),
    ],
)
def test_a_run_of_another_stage_has_no_counts(folder, tmp_path, receipt, message):
    (tmp_path / "architectures.json").write_text((folder / "architectures.json").read_text())
    (tmp_path / "run.json").write_text(receipt)
    with pytest.raises(DropnasError, match=message):
        read_counts(tmp_path)
