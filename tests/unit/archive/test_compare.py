"""Comparing two stores: what differs, by how much, and what cannot be compared."""

import json
from pathlib import Path
from typing import Any

import numpy
import pytest
import yaml
from scipy.stats import ttest_ind_from_stats

from dropnas.archive.compare_view import COMPARISON_WIDTH, comparison
from dropnas.artifacts.verdicts_file import CellVerdict, VerdictsFile
from dropnas.errors import DropnasError
from dropnas.report.compare_results import compare, protocol_lines

ERROR = "top1_error_best_on_test"


def number(column: str = "dropnas", *, table: str = "table6", quantity: str = ERROR, **changes: Any) -> CellVerdict:
    fields = {"row": "cifar10", "row_label": "CIFAR-10", "column_label": column, "kind": "mean"}
    fields |= {"n": 8, "mean": 2.58, "std": 0.15, "runs": (), "ours_text": "", "paper_text": "", "n_paper": None}
    fields |= dict.fromkeys(("difference", "interval", "p_differs", "p_agrees")) | {"verdict": "", "reason": ""}
    return CellVerdict(table=table, column=column, quantity=quantity, **{**fields, **changes})


def results(*numbers: CellVerdict, profile: str = "paper") -> VerdictsFile:
    return VerdictsFile(profile, True, (), numbers)


def outcomes(first: VerdictsFile, second: VerdictsFile) -> list[str]:
    return list(compare(first, second)["outcome"])


def test_large_samples_give_the_p_values_of_scipy_corrected_over_all_tables() -> None:
    means = {"a": 2.50, "b": 2.53, "c": 2.56, "d": 2.62}
    tables = dict(zip(means, ("table4", "table5", "table4", "table5"), strict=True))
    ours = [number(name, table=tables[name], mean=mean, n=2000) for name, mean in means.items()]
    theirs = [number(name, table=tables[name], mean=2.54, std=0.3, n=3000) for name in means]
    frame = compare(results(*ours), results(*theirs)).set_index("column")
    raw = {
        name: ttest_ind_from_stats(mean, 0.15, 2000, 2.54, 0.3, 3000, equal_var=False).pvalue
        for name, mean in means.items()
    }
    steps = [(len(raw) - rank) * raw[name] for rank, name in enumerate(sorted(raw, key=raw.__getitem__))]
    expected = dict(
        zip(sorted(raw, key=raw.__getitem__), numpy.minimum(1, numpy.maximum.accumulate(steps)), strict=True)
    )
    for name, mean in means.items():
        assert frame.loc[name, "p"] == pytest.approx(expected[name], rel=0.03)
        assert frame.loc[name, "difference"] == pytest.approx(mean - 2.54)
        assert frame.loc[name, "low"] < mean - 2.54 < frame.loc[name, "high"]
    assert set(frame["table"]) == {"table4", "table5"} and frame.loc["d", "outcome"] == "differs"


def test_one_of_twenty_lists_has_a_false_difference() -> None:
    draws, wrong = numpy.random.default_rng(3), 0

    def drawn() -> VerdictsFile:
        values = draws.normal(size=(12, 3))
        return results(*(number(str(i), mean=v.mean(), std=v.std(ddof=1), n=3) for i, v in enumerate(values)))

    for _ in range(200):
        wrong += "differs" in outcomes(drawn(), drawn())
    assert wrong <= 16  # 5 % of 200 are 10, with a standard deviation of 3.1


@pytest.mark.parametrize(
    ("ours", "theirs", "outcome"),
    [
        (number(mean=2.0), number(mean=3.0), "differs"),
        (number(mean=2.58), number(mean=2.59), "not shown"),
        (number(n=1, std=None), number(), "only one run"),
        (number(runs=("x",)), number(runs=("x",)), "same runs"),
        (number(runs=("x",)), number(runs=("x",), mean=2.6), "not shown"),
        (number(quantity="search_device_days"), number(quantity="search_device_days", mean=9.0), "not tested"),
        (number(std=0.0), number(std=0.0, mean=9.0), "not shown"),
    ],
)
def test_the_outcome_of_a_comparison(ours: CellVerdict, theirs: CellVerdict, outcome: str) -> None:
    assert outcomes(results(ours), results(theirs)) == [outcome]


def test_a_number_that_one_store_lacks_is_named_and_a_best_of_eight_is_no_second_number() -> None:
    ours = results(number("a"), number("b"), number("b", kind="best"))
    theirs = results(number("b"), number("c"))
    frame = compare(ours, theirs)
    assert list(frame["column"]) == ["a", "b", "c"]
    assert list(frame["outcome"]) == ["only in A", "not shown", "only in B"]
    assert frame.loc[0, "n_b"] is None and frame.loc[2, "mean_a"] is None


def test_exchanging_the_stores_changes_the_sign_alone() -> None:
    first = results(number("a", mean=2.5), number("b", mean=2.8, std=0.3, n=5))
    second = results(number("a"), number("b"))
    one, other = compare(first, second), compare(second, first)
    assert list(one["p"]) == pytest.approx(list(other["p"]))
    assert list(one["low"]) == pytest.approx([-high for high in other["high"]])


def test_the_protocols_are_compared_setting_by_setting() -> None:
    first = {"profile": "a", "seeds": 8, "search": {"epochs": 76, "options": {}}, "machine": {"threads": 1}}
    second = {
        "profile": "b",
        "seeds": 4,
        "search": {"epochs": 76, "options": {"decay": "l2"}},
        "machine": {"threads": 9},
    }
    assert protocol_lines(("a", "b"), first, second) == [
        "The profiles differ: a (A), b (B).",
        "The protocols differ: seeds 8 (A), 4 (B); search.options.decay unset (A), l2 (B).",
    ]
    assert protocol_lines(("a", "a"), first, first) == []
    assert protocol_lines(("a", "a"), first, None) == [
        "The protocols are not compared: no parameters.yaml next to the verdicts of B."
    ]


@pytest.fixture
def stores(tmp_path: Path) -> Path:
    """Two profiles of one store."""
    for profile, mean in (("one", 2.5), ("two", 12.5)):
        folder = tmp_path / "results" / profile
        folder.mkdir(parents=True)
        numbers = [number("No alpha-adjust", mean=mean), number("b", mean=3.0, n=1, std=None)]
        results(*numbers, profile=profile).write(folder)
        (folder / "parameters.yaml").write_text(yaml.safe_dump({"profile": profile, "seeds": round(mean)}))
    return tmp_path


def test_it_is_shown_in_80_columns(stores: Path) -> None:
    text = comparison("one", str(stores / "results" / "two"), stores, as_json=False)
    assert max(map(len, text.splitlines()[2:])) <= COMPARISON_WIDTH  # the first two lines name the stores
    for expected in ("The profiles differ: one (A), two (B).", "seeds 2 (A), 12 (B)", "-10.00 [", "< 0.001", "differs"):
        assert expected in text
    assert "1 of 1 tested numbers differs" in text and "1 more is not tested" in text


def test_a_program_reads_the_same(stores: Path) -> None:
    file = stores / "results" / "two" / "verdicts.json"
    found = json.loads(comparison("one", str(file), stores, as_json=True))
    assert [one["outcome"] for one in found["numbers"]] == ["differs", "only one run"]
    assert found["numbers"][0]["difference"] == pytest.approx(-10.0) and len(found["notes"]) == 2


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("three", "three: has no verdicts.json"),
        (".", "has results of several profiles; name one of"),
        ("broken.json", "broken.json: cannot be read as JSON"),
        ("wrong.json", "wrong.json: numbers.0.mean: input should be a finite number"),
        ("lone.json", "lone.json: numbers.0: n = 1 with the deviation 0.15"),
        ("text.zip", "text.zip: is not an archive, or is damaged"),
        ("yaml", "parameters.yaml: cannot be read as YAML"),
    ],
)
def test_bad_input_is_one_line(stores: Path, word: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(stores)
    good = (stores / "results" / "one" / "verdicts.json").read_text()
    for name, text in (("broken.json", "{"), ("text.zip", "no zip"), ("wrong.json", good.replace("2.5", "NaN"))):
        (stores / name).write_text(text)
    (stores / "lone.json").write_text(good.replace('"n": 8', '"n": 1'))
    (stores / "yaml").mkdir()
    (stores / "yaml" / "verdicts.json").write_text(good)
    (stores / "yaml" / "parameters.yaml").write_text("a: [")
    with pytest.raises(DropnasError) as caught:
        comparison("one", word, stores, as_json=False)
    assert message in str(caught.value) and "\n" not in str(caught.value)
