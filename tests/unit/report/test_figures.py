"""The figures: the content of figure.json, equal bytes, labels without overlap, layouts of cells, damaged inputs."""

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure

from dropnas.artifacts.figure_file import FigureFile
from dropnas.errors import DropnasError
from dropnas.extension import load
from dropnas.report.config import TARGETS, names
from dropnas.report.figures import labels
from dropnas.report.figures.cell_drawings import arcs
from dropnas.report.figures.figure_stage import foot
from dropnas.report.figures.sheet import style
from dropnas.report.figures.single_pictures import draw_cells, draw_trajectory
from dropnas.report.publish import refresh_figures
from dropnas.space.published import published
from tests.unit.report.made_figures import EPOCHS, NAMES, Case, Store, make_cases

SUFFIXES = (".svg", ".png", ".pdf")
FIRST_BYTES = {".svg": b"<?xml", ".png": b"\x89PNG", ".pdf": b"%PDF"}
FIGURES = names("figure")


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Case]:
    return make_cases(tmp_path_factory.mktemp("store"))  # type: ignore[return-value]


@pytest.fixture(scope="module")
def drawn(cases: dict[str, Case], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("drawn")
    return {name: case.draw(folder / name) for name, case in cases.items()}


@pytest.fixture
def without_dot(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))


def content(folder: Path) -> Any:
    return json.loads((folder / "figure.json").read_text())


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_written_in_all_formats(drawn: dict[str, Path], name: str) -> None:
    files = {path.name: path.read_bytes() for path in drawn[name].iterdir()}
    assert set(files) == {"figure.json", *(f"{name}{suffix}" for suffix in SUFFIXES)}
    for suffix in SUFFIXES:
        assert files[f"{name}{suffix}"].startswith(FIRST_BYTES[suffix])
    found = content(drawn[name])
    assert (found["figure"], found["profile"], found["reproduction"]) == (name, "paper", name != "figure5")
    assert found["hardware"] == ["Imaginary GPU"]  # not the head node's, which trains nothing
    assert found["data"] == (["cifar10"] if name == "figure5" else ["cifar10", "cifar100"])
    assert found["n"] == ([1, 1] if name == "figure5" else [2, 2])


@pytest.mark.parametrize("name", ["figure2", "figure3", "figure4", "figure5"])
def test_equal_runs_give_equal_bytes(
    without_dot: None, drawn: dict[str, Path], cases: dict[str, Case], tmp_path: Path, name: str
) -> None:
    """Also on a machine without graphviz' `dot`, which no figure needs."""
    again = cases[name].draw(tmp_path / "again")
    for path in drawn[name].iterdir():
        assert (again / path.name).read_bytes() == path.read_bytes(), path.name


def test_figure_1_says_how_often_any_operation_stands_alone(drawn: dict[str, Path], cases: dict[str, Case]) -> None:
    panel = content(drawn["figure1"])["panels"]["cifar100"]
    assert panel["runs"] == [folder.name for folder in cases["figure1"].inputs[2:]]
    assert panel["shown"] == panel["runs"][0] and set(panel["cells"]) == {"first", "last"}
    assert panel["statistics"]["first"] == {
        "silhouette_parameterised_mean": 0.25,
        "silhouette_parameterised_std": 0.0,
        "single_member_share": 0.5,
        "n": 2,
    }
    assert panel["statistics"]["last"]["silhouette_parameterised_mean"] == 0.75
    four = content(drawn["figure4"])["panels"]["cifar10"]["statistics"]  # skip-connect is alone; it has no weights
    assert (four["first"]["single_member_share"], four["last"]["single_member_share"]) == (1.0, 0.0)


def test_figure_2_has_rates_and_methods(drawn: dict[str, Path]) -> None:
    points = content(drawn["figure2"])["panels"]["cifar10"]
    assert [point["rate"] for point in points] == [1e-6, 3e-5, 1e-3, None, None, None]
    for point in points:
        assert len(point["runs"]) == len(point["best"]) == len(point["final"]) == 2
        assert [f - b for f, b in zip(point["final"], point["best"], strict=True)] == pytest.approx([0.1, 0.1])
    printed = {point["name"]: point["paper"] for point in points if point["paper"]}
    assert set(printed) == {"3e-05", "one-level-darts"}
    assert printed["3e-05"] == {"mean": 2.58, "std": pytest.approx(0.14 * (8 / 7) ** 0.5)}
    head, *lines = read_facts(drawn["figure2"])
    assert head == (
        "Data",
        "Drop path rate",
        "Accuracy, best on test (%)",
        "Accuracy, final epoch (%)",
        "The paper's (%)",
        "n",
    )
    assert float(lines[1][2]) == pytest.approx(100 - np.mean(points[1]["best"]), abs=0.005) and lines[1][4] == "97.42"


def read_facts(folder: Path) -> list[tuple[str, ...]]:
    """The table of numbers below a figure."""
    facts = FigureFile.read(folder).facts
    return [facts.head, *facts.rows]


def pictured(drawn: dict[str, Path], name: str, **changed: Any) -> Any:
    """Draw the content of a figure, with its layout."""
    found = FigureFile.read(drawn[name])
    panels = {panel: changed.get(panel, shown) for panel, shown in found.panels.items()}
    drawing = load(TARGETS[name].drawing)
    figure = drawing.draw(panels, {panel: panel for panel in panels})
    figure.draw_without_rendering()
    return figure


def overlaps(texts: Iterable[Any]) -> list[tuple[str, str]]:
    shown = [text for text in texts if text.get_visible() and text.get_text().strip()]
    extents = [text.get_window_extent() for text in shown]
    return [
        (shown[i].get_text(), shown[j].get_text())
        for i, j in combinations(range(len(shown)), 2)
        if extents[i].overlaps(extents[j])
    ]


def test_texts_of_figure_2_do_not_collide_and_its_legend_covers_nothing(drawn: dict[str, Path]) -> None:
    """With the paper's seven rates, which are closer together than the three made-up ones."""
    points = FigureFile.read(drawn["figure2"]).panels["cifar10"]
    rates = [{**points[0], "rate": rate, "name": f"{rate:g}"} for rate in (1e-6, 3e-6, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3)]
    with style():
        figure = pictured(drawn, "figure2", cifar10=[*rates, *points[3:]])
        texts = [
            label for axes in figure.axes for label in axes.get_xticklabels(which="both") if label.get_rotation() == 0
        ]
        texts += [label for axes in figure.axes for child in axes.child_axes for label in child.get_xticklabels()]
        assert len(texts) >= 2 * 7 and overlaps(texts) == []
        legend = figure.legends[0].get_window_extent()
        assert not any(legend.overlaps(axes.get_window_extent()) for axes in figure.axes)


def test_ticks_of_figure_5_do_not_collide_and_the_papers_coefficients_are_there(drawn: dict[str, Path]) -> None:
    shown = FigureFile.read(drawn["figure5"]).panels["0,2"]
    close = [{**one, "accuracy_best": 97.25 + 0.02 * k} for k, one in enumerate(shown["operations"])]
    with style():
        figure = pictured(drawn, "figure5", **{"0,2": {**shown, "operations": close}})
        for axes, printed in zip(figure.axes, ("0.902", "0.352"), strict=True):
            assert overlaps(axes.get_xticklabels()) == []
            assert f"the paper's coefficient: {printed}" in axes.get_xlabel()


def test_a_coefficient_without_an_interval_says_so(drawn: dict[str, Path]) -> None:
    shown = FigureFile.read(drawn["figure5"]).panels["0,2"]
    perfect = {"value": 1.0, "low": None, "high": None, "p_value": 0.0004}
    with style():
        figure = pictured(drawn, "figure5", **{"0,2": {**shown, "spearman": perfect}})
        assert "Spearman 1.000 (no interval)" in figure.axes[0].get_xlabel()


def test_a_line_at_zero_is_seen(drawn: dict[str, Path]) -> None:
    methods = FigureFile.read(drawn["trajectories"]).panels["cifar100"]
    zero = dict.fromkeys(("mean", "low", "high"), [0.0] * EPOCHS)
    with style():
        figure = pictured(drawn, "trajectories", cifar100=[{**one, "skips_normal": zero} for one in methods])
        axes = figure.axes[-2]
        assert "skip-connects" in axes.get_title(loc="left")
        assert axes.get_ylim()[0] < 0 < axes.get_ylim()[1]
        assert [float(tick).is_integer() for tick in axes.get_yticks()].count(True) == len(axes.get_yticks())


def test_a_search_that_stopped_earlier_counts_as_long_as_it_ran(cases: dict[str, Case], tmp_path: Path) -> None:
    """As with DARTS+, each seed stops at another epoch."""
    case, store = cases["trajectories"], Store(tmp_path)
    short = store.search("cifar10", "darts-plus", 0)
    history = json.loads((short / "history.json").read_text())
    store.write(short, "history.json", {**history, "epochs": history["epochs"][:2]})
    series = (replace(case.config.series[0], runs=(0, 1)),)
    folder = Case(replace(case.config, series=series), [case.inputs[0], short]).draw(tmp_path / "out")
    (method,) = content(folder)["panels"]["cifar10"]
    assert method["epochs"] == list(range(EPOCHS))
    entropy = method["entropy_normal"]
    assert len(entropy["mean"]) == EPOCHS and entropy["low"][1] < entropy["mean"][1] < entropy["high"][1]
    assert entropy["low"][2:] == entropy["mean"][2:] == entropy["high"][2:]  # of the other search only


def test_figure_3_and_5_keep_what_they_show(drawn: dict[str, Path]) -> None:
    cells = content(drawn["figure3"])["panels"]["cifar100"]
    assert cells == {"genotype": published()["dropnas_c100"].genotype.values(), "run": "cifar100-best-of-2"}
    edges = content(drawn["figure5"])["panels"]
    assert edges["0,2"]["run"] == "edge-0-2" and edges["0,2"]["pearson"]["value"] == 0.902
    assert [one["operation"] for one in edges["4,5"]["operations"]] == list(NAMES)
    assert edges["4,5"]["spearman"]["value"] is None


def test_trajectories_are_means_and_ranges_over_the_seeds(drawn: dict[str, Path], cases: dict[str, Case]) -> None:
    methods = content(drawn["trajectories"])["panels"]["cifar10"]
    assert [method["name"] for method in methods] == ["dropnas", "one-level-darts"]
    histories = [json.loads((folder / "history.json").read_text()) for folder in cases["trajectories"].inputs[:2]]
    entropies = []
    for history in histories:
        alphas = np.array([epoch["normal"] for epoch in history["epochs"]])
        p = np.exp(alphas) / np.exp(alphas).sum(axis=-1, keepdims=True)
        entropies.append(-(p * np.log(p)).sum(axis=-1).mean(axis=-1))
    found = methods[0]["entropy_normal"]
    assert methods[0]["epochs"] == list(range(EPOCHS))
    assert found["mean"] == pytest.approx(np.mean(entropies, axis=0).tolist())
    assert found["low"] == pytest.approx(np.min(entropies, axis=0).tolist())
    assert found["high"] == pytest.approx(np.max(entropies, axis=0).tolist())
    assert {"entropy_reduce", "skips_normal", "skips_reduce", "changes", "p_normal"} <= set(methods[0])


@pytest.mark.parametrize("name", ["figure1", "figure2", "figure3", "trajectories"])
def test_one_data_set_has_its_panels_only(cases: dict[str, Case], tmp_path: Path, name: str) -> None:
    config = cases[name].config
    alone = replace(config, series=tuple(one for one in config.series if one.panel == "cifar100"))
    folder = Case(alone, cases[name].inputs).draw(tmp_path / "alone")
    assert list(content(folder)["panels"]) == ["cifar100"]


def test_a_single_seed_has_no_deviation(cases: dict[str, Case], tmp_path: Path) -> None:
    for name in ("figure1", "figure2"):
        config = cases[name].config
        first = replace(config, series=tuple(replace(one, runs=one.runs[:1]) for one in config.series))
        folder = Case(first, cases[name].inputs).draw(tmp_path / name)
        assert content(folder)["n"] == [1, 1]
    statistics = content(tmp_path / "figure1")["panels"]["cifar10"]["statistics"]["first"]
    assert statistics["silhouette_parameterised_std"] is None


def test_the_foot_has_profile_n_data_hardware_and_that_it_is_no_reproduction(drawn: dict[str, Path]) -> None:
    found = FigureFile.read(drawn["figure5"])
    sentences = foot(replace(found, n=(1, 8), profile="smoke", caption="A caption."))
    assert sentences[0] == "Profile: smoke. n = 1 to 8. Data: cifar10. Hardware: Imaginary GPU."
    assert sentences[1].startswith("Not a reproduction of the paper: profile 'smoke'")
    assert len(foot(replace(found, reproduction=True))) == 1  # the caption is below the picture wherever it is shown


def damaged(cases: dict[str, Case], name: str, tmp_path: Path, change: Callable[[Store], Any]) -> Case:
    store = Store(tmp_path)
    folder = change(store)
    series = tuple(replace(one, runs=(0,)) for one in cases[name].config.series[:1])
    return Case(replace(cases[name].config, series=series), [folder])


@pytest.mark.parametrize(
    ("name", "file", "old", "new", "message"),
    [
        ("figure1", "clusters.json", '"explained": [0.5', '"explained": [NaN', "finite number"),
        ("figure1", "clusters.json", '"labels": [0, ', '"labels": [', "do not fit each other"),
        ("figure1", "clusters.json", '"kind": "normal"', '"kind": 3', "kind: input should be 'normal' or 'reduction'"),
        ("figure1", "run.json", '"clusters"', '"search"', "but a clusters run is needed"),
        ("trajectories", "history.json", '"none"', '"none", "one-more"', "14 rows of 9 alphas"),
        ("trajectories", "history.json", "{", "", "cannot be read as JSON"),
    ],
)
def test_damage_is_named(
    cases: dict[str, Case], tmp_path: Path, name: str, file: str, old: str, new: str, message: str
) -> None:
    def change(store: Store) -> Path:
        made = (
            store.clusters("cifar10", "darts", 0, True) if name == "figure1" else store.search("cifar10", "dropnas", 0)
        )
        text = (made / file).read_text()
        assert old in text
        (made / file).write_text(text.replace(old, new, 1))
        return made

    with pytest.raises(DropnasError, match=message) as error:
        damaged(cases, name, tmp_path, change).draw(tmp_path / "out")
    assert file in str(error.value)


def test_a_missing_file_and_a_run_that_is_none_of_the_inputs_are_named(cases: dict[str, Case], tmp_path: Path) -> None:
    def change(store: Store) -> Path:
        folder = store.search("cifar10", "dropnas", 0)
        (folder / "history.json").unlink()
        return folder

    with pytest.raises(DropnasError, match=r"history\.json: no such file"):
        damaged(cases, "trajectories", tmp_path, change).draw(tmp_path / "out")
    config = cases["figure3"].config
    wrong = replace(config, series=(replace(config.series[0], runs=(9,)),))
    with pytest.raises(DropnasError, match="series ''"):
        Case(wrong, cases["figure3"].inputs).draw(tmp_path / "other")


@settings(deadline=None, max_examples=25)
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=7, max_size=7, unique=True))
def test_names_beside_points_do_not_overlap(points: list[tuple[float, float]]) -> None:
    with style():
        figure = Figure(figsize=(4, 4))
        axes = figure.add_subplot()
        axes.plot([x for x, _ in points], [y for _, y in points], "o")
        axes.set(xlim=(-0.3, 1.3), ylim=(-0.3, 1.3))
        labels.label_points(axes, points, [labels.shorter(name) for name in NAMES])
        extents = [text.get_window_extent() for text in axes.texts]
    for one, other in combinations(extents, 2):
        assert labels.overlap(one, other) < 0.02 * one.width * one.height


@pytest.mark.parametrize("id_", list(published()))
def test_every_published_cell_has_a_layout(id_: str) -> None:
    genotype = published()[id_].genotype
    for cell, concat in ((genotype.normal, genotype.normal_concat), (genotype.reduce, genotype.reduce_concat)):
        found = arcs(cell, concat)
        assert found["head"].max() == 2 + len(cell) // 2
        ends = [(round(x, 6), high > 0) for end in ("start", "end") for x, high in found[[end, "height"]].to_numpy()]
        assert len(set(ends)) == len(ends)  # no two edges begin or end at the same point
        edges = found[found["text"] != ""]
        assert list(edges["text"]) == [labels.short(name) for name, _ in cell]
        assert len(found) == len(cell) + len(concat)
        places = zip((edges["start"] + edges["end"]) / 2, edges["height"], strict=True)
        assert all(abs(a[0] - b[0]) > 0.5 or abs(a[1] - b[1]) > 0.15 for a, b in combinations(places, 2))


def test_draw_takes_ids_files_and_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert draw_cells("dropnas_c10", None) == Path("results/pictures/dropnas_c10.svg")
    genotype = json.dumps(published()["pdarts_c10"].genotype.values())
    assert draw_cells(genotype, None) == Path("results/pictures/genotype.svg")
    (tmp_path / "mine.json").write_text(genotype)
    assert draw_cells("mine.json", tmp_path / "new" / "mine.PDF") == tmp_path / "new" / "mine.PDF"
    pictures = tmp_path / "results" / "pictures"
    for file in (pictures / "dropnas_c10.svg", pictures / "genotype.svg", tmp_path / "new" / "mine.PDF"):
        assert file.read_bytes().startswith(FIRST_BYTES[file.suffix.lower()])


def test_draw_works_without_dot(without_dot: None, tmp_path: Path) -> None:
    assert draw_cells("nasnet_a", tmp_path / "cells.png").read_bytes().startswith(FIRST_BYTES[".png"])


def test_what_cannot_be_drawn_is_named(tmp_path: Path, cases: dict[str, Case]) -> None:
    with pytest.raises(DropnasError, match="is not a format"):
        draw_cells("dropnas_c10", tmp_path / "cells.gif")
    with pytest.raises(DropnasError, match="unknown genotype"):
        draw_cells("dropnas_c11", None)
    with pytest.raises(DropnasError, match="no such folder"):
        draw_trajectory(tmp_path / "nothing", None)
    with pytest.raises(DropnasError, match="but a search run is needed"):
        draw_trajectory(cases["figure1"].inputs[0], tmp_path / "trajectory.svg")


def test_the_trajectory_of_one_search(tmp_path: Path, cases: dict[str, Case]) -> None:
    file = draw_trajectory(cases["trajectories"].inputs[0], tmp_path / "trajectory.svg")
    assert file.read_bytes().startswith(FIRST_BYTES[".svg"])


def test_figures_are_copied_byte_for_byte_and_once(drawn: dict[str, Path], tmp_path: Path) -> None:
    changed = refresh_figures(list(drawn.values()), tmp_path)
    assert sorted(path.name for path in changed) == sorted(f"{name}{suffix}" for name in FIGURES for suffix in SUFFIXES)
    for name, folder in drawn.items():
        assert (tmp_path / "figures" / f"{name}.png").read_bytes() == (folder / f"{name}.png").read_bytes()
    assert refresh_figures(list(drawn.values()), tmp_path) == []


@pytest.mark.parametrize(
    ("operation", "name"),
    [
        ("sep_conv_3x3", "sep_3x3"),
        ("dil_conv_5x5", "dil_5x5"),
        ("skip_connect 2", "skip 2"),
        ("max_pool_3x3", "max_3x3"),
        ("conv_7x1_1x7", "conv_7x1_1x7"),
        ("mine.operations:Swish", "Swish"),
    ],
)
def test_short_names_are_those_of_figure_3(operation: str, name: str) -> None:
    assert labels.short(operation) == name


def test_poolings_are_shorter_still_in_figure_1() -> None:
    assert [labels.shorter(name) for name in NAMES] == [
        "sep_3x3", "sep_5x5", "dil_3x3", "dil_5x5", "max", "avg", "skip",
    ]  # fmt: skip


def test_trajectories_of_many_methods_whose_searches_end_early(tmp_path: Path) -> None:
    """A mean is over the searches that reached the epoch; methods are in rows."""
    case = make_cases(tmp_path / "store")["trajectories"]
    file = case.inputs[1] / "history.json"
    history = json.loads(file.read_text())
    file.write_text(json.dumps({**history, "epochs": history["epochs"][:-1]}))
    first = case.config.series[0]
    named = tuple(replace(first, name=f"method-{number}", label=f"Method {number}") for number in range(7))
    folder = Case(replace(case.config, series=named), case.inputs).draw(tmp_path / "drawn")
    methods = content(folder)["panels"]["cifar10"]
    assert len(methods) == 7 and methods[0]["epochs"] == list(range(EPOCHS))
    entropy = methods[0]["entropy_normal"]
    assert entropy["low"][-1] == entropy["mean"][-1] == entropy["high"][-1]
    assert entropy["low"][-2] < entropy["mean"][-2] < entropy["high"][-2]
    assert len(methods[0]["p_normal"]["none"]) == EPOCHS
