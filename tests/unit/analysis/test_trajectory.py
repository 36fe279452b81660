"""The trajectory of a search against the log of the search, and against plain sums."""

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dropnas.analysis.naming import numbered
from dropnas.analysis.trajectory import CELL_KINDS, trajectory
from dropnas.artifacts.genotype_file import GenotypeFile
from dropnas.artifacts.search_files import Epoch, HistoryFile
from dropnas.search import stage
from dropnas.search.config import SearchConfig
from dropnas.space.spaces import EDGES, THREE_SKIP, edges
from dropnas.workspace import Workspace

OPERATIONS = ("sep_conv_3x3", "max_pool_3x3", "skip_connect", "none")


def alphas(best: dict[tuple[int, int], str]) -> list[list[float]]:
    """Alphas of 0, except one operation of some edges, whose alpha decreases with the index of the edge."""
    rows = [[0.0] * len(OPERATIONS) for _ in edges()]
    for place, (edge, name) in enumerate(best.items()):
        rows[edges().index(edge)][OPERATIONS.index(name)] = 2.0 - place / 10
    return rows


def epoch(normal: Any, reduce: Any, chosen: GenotypeFile | None = None) -> Epoch:
    return Epoch(0, normal, reduce, genotype=chosen)


def test_what_was_pruned_has_no_weight() -> None:
    pruned = [[None, 1.0, 1.0, None] for _ in edges()]
    found = trajectory(OPERATIONS, [epoch(alphas({}), pruned)])
    assert found.reduce.p[0].tolist() == [[0, 0.5, 0.5, 0]] * EDGES
    assert found.reduce.entropy == pytest.approx([math.log(2)])


def test_the_genotype_is_that_of_the_methods_own_rule() -> None:
    cells = [tuple((name, place % 2) for place in range(8)) for name in ("skip_connect", "none")]
    chosen = GenotypeFile(cells[0], (2, 3, 4, 5), cells[1], (2, 3, 4, 5))
    flat = alphas({})
    found = trajectory(OPERATIONS, [epoch(flat, flat), epoch(flat, flat, chosen), epoch(flat, flat, chosen)])
    assert found.normal.skips == [None, 8, 8] and found.reduce.skips == [None, 0, 0]
    assert found.normal.changes == [None, None, 0]


def test_p_entropy_skips_and_changes() -> None:
    start = alphas({})
    first = alphas({(3, 2): "skip_connect", (3, 0): "max_pool_3x3"})
    second = alphas({(3, 0): "max_pool_3x3", (3, 2): "skip_connect"})  # the same two edges in another order
    third = alphas({(3, 2): "max_pool_3x3", (3, 0): "max_pool_3x3"})
    found = trajectory(OPERATIONS, [epoch(matrix, start) for matrix in (start, first, second, third)])
    assert found.normal.p.shape == (4, EDGES, len(OPERATIONS))
    assert found.normal.entropy[0] == pytest.approx(math.log(4))
    row = [0, 0, 2, 0]
    p = [math.exp(a) / sum(map(math.exp, row)) for a in row]
    assert found.normal.p[1, edges().index((3, 2))].tolist() == pytest.approx(p)
    of_row = -sum(q * math.log(q) for q in p)
    other = [math.exp(a) / (3 + math.exp(1.9)) for a in (0, 1.9, 0, 0)]
    of_other = -sum(q * math.log(q) for q in other)
    assert found.normal.entropy[1] == pytest.approx((12 * math.log(4) + of_row + of_other) / EDGES)
    # at the start, all edges are sep_conv_3x3 from 0 and 1, the lowest indices
    assert found.normal.skips == [0, 1, 1, 0]
    assert found.normal.changes == [0, 2, 0, 1]
    assert found.reduce.skips == [0] * 4 and found.reduce.changes == [0] * 4


SMALL: dict[str, Any] = {"cells": 1}
STAGES: dict[str, Any] = {**SMALL, "options": {"added_cells": 0}}
PHASES: dict[str, Any] = {**SMALL, "options": {"added_cells_2": 0, "added_cells_3": 0}}
FAST: dict[str, Any] = {**SMALL, "options": {"threshold": 0.9}}


@pytest.mark.parametrize(
    ("strategy", "own"),
    [
        ("dropnas", SMALL),
        ("p-darts", PHASES),
        ("pc-darts", SMALL),
        ("snas", SMALL),
        ("asap", FAST),
        ("xnas", SMALL),
        ("stacnas", STAGES),
        ("gdas", SMALL),
        ("random-weight-sharing", SMALL),
    ],
)
def test_it_agrees_with_what_the_search_logged(tmp_path: Path, strategy: str, own: dict[str, Any]) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    data.mkdir()
    out.mkdir()
    draws = np.random.default_rng(0)
    for split in ("train", "test"):
        np.save(data / f"{split}_images.npy", draws.integers(0, 256, (16, 6, 6, 1), dtype=np.uint8))
        np.save(data / f"{split}_labels.npy", np.arange(16, dtype=np.int64) % 4)
    content = {"name": "noise", "kind": "arrays", "classes": 4, "channels": 1, "height": 6, "width": 6}
    content |= {"mean": [0.5] * 3, "std": [0.3] * 3, "train": 16, "test": 16}
    (data / "dataset.json").write_text(json.dumps(content))
    config = SearchConfig(
        strategy=strategy, channels=4, epochs=3, batch_size=8, crop_padding=1, alpha_learning_rate=0.1, **own
    )
    stage.run(config, [data], out, Workspace(tmp_path / "scratch", "identity"))
    history = HistoryFile.read(out)
    found = trajectory(history.operations, history.epochs)
    with (out / "metrics.csv").open() as file:
        logged = list(csv.DictReader(file))
    for kind, cell in (("normal", found.normal), ("reduce", found.reduce)):
        assert cell.entropy[1:] == pytest.approx([float(row[f"alpha_entropy_{kind}"]) for row in logged])
        assert cell.skips[1:] == [int(row[f"skips_{kind}"]) if row[f"skips_{kind}"] else None for row in logged]
    left = {len([alpha for alpha in row if alpha is not None]) for row in history.epochs[-1].normal}
    assert strategy not in ("p-darts", "stacnas") or left == {3}
    if (out / "genotype.json").exists():  # the last epoch's is the result
        assert history.epochs[-1].genotype == GenotypeFile.read(out)
        cells = [[name for name, _ in getattr(history.epochs[-1].genotype, kind)] for kind in CELL_KINDS]
        assert [found.normal.skips[-1], found.reduce.skips[-1]] == [cell.count("skip_connect") for cell in cells]


def test_equal_operations_are_numbered() -> None:
    names = numbered(THREE_SKIP.operations)
    assert names[4:] == ["skip_connect 1", "skip_connect 2", "skip_connect 3", "none"]
    assert len(set(names)) == len(names)
