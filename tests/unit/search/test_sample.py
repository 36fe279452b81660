"""Random search: draws are genotypes of the space, and all are equally likely."""

import itertools
import random
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from dropnas.errors import DropnasError
from dropnas.search import sample
from dropnas.search.config import SampleConfig
from dropnas.space.genotype import Genotype
from dropnas.space.spaces import NODES, SPACES, SearchSpace
from dropnas.workspace import Workspace

DRAWS = 3000
ALPHA = 1e-3  # level of each chi-square test; the seeds are fixed


def drawn(config: SampleConfig, folder: Path) -> Genotype:
    folder.mkdir(parents=True)
    assert sample.run(config, [], folder, Workspace(folder / "scratch", "id")) == {}
    assert [path.name for path in folder.iterdir()] == ["genotype.json"]
    return Genotype.read(folder)


@given(st.sampled_from(sorted(SPACES)), st.integers(0, 2**40))
def test_a_draw_is_what_a_search_could_have_found(name: str, seed: int) -> None:
    space = SPACES[name]
    genotype = sample.draw(space, random.Random(seed))
    assert Genotype.of_text(genotype.json(), "here") == genotype
    assert genotype.normal_concat == genotype.reduce_concat == (2, 3, 4, 5)
    for cell in (genotype.normal, genotype.reduce):
        assert len(cell) == 2 * NODES
        assert {operation for operation, _ in cell} <= set(space.operations) - {"none"}
        for node in range(NODES):
            first, second = (predecessor for _, predecessor in cell[2 * node : 2 * node + 2])
            assert first < second < node + 2


@cache
def counted(space: SearchSpace) -> list[Genotype]:
    return [sample.draw(space, random.Random(seed)) for seed in range(DRAWS)]  # like runs, with one seed each


@pytest.mark.parametrize("name", sorted(SPACES))
def test_operations_are_uniform_and_equal_ones_each_count(name: str) -> None:
    space = SPACES[name]
    candidates = [operation for operation in space.operations if operation != "none"]
    share = Counter(candidates)
    for edge in range(2 * NODES):
        for kind in ("normal", "reduce"):
            found = Counter(getattr(genotype, kind)[edge][0] for genotype in counted(space))
            expected = {name: DRAWS * count / len(candidates) for name, count in share.items()}
            test = chisquare([found[name] for name in expected], list(expected.values()))
            assert test.pvalue > ALPHA / 48


def test_pairs_of_predecessors_are_uniform_for_each_node() -> None:
    genotypes = counted(SPACES["original"])
    for node in range(NODES):
        pairs = Counter(tuple(p for _, p in one.normal[2 * node : 2 * node + 2]) for one in genotypes)
        possible = (node + 2) * (node + 1) // 2
        assert len(pairs) == possible
        assert possible == 1 or chisquare(list(pairs.values())).pvalue > ALPHA


def test_edges_cells_and_seeds_are_independent() -> None:
    genotypes = counted(SPACES["original"])
    together = Counter((one.normal[0][0], one.reduce[0][0]) for one in genotypes)
    assert len(together) == 49 and chisquare(list(together.values())).pvalue > ALPHA
    beside = Counter((one.normal[2][0], one.normal[3][0]) for one in genotypes)
    assert len(beside) == 49 and chisquare(list(beside.values())).pvalue > ALPHA
    following = Counter((a.normal[0][0], b.normal[0][0]) for a, b in itertools.pairwise(genotypes))
    assert len(following) == 49 and chisquare(list(following.values())).pvalue > ALPHA


def test_a_seed_is_a_genotype(tmp_path: Path) -> None:
    one, again, other = (
        drawn(SampleConfig(seed=seed), tmp_path / name) for seed, name in ((3, "one"), (3, "again"), (4, "other"))
    )
    assert one == again != other
    assert (tmp_path / "one/genotype.json").read_bytes() == (tmp_path / "again/genotype.json").read_bytes()


def test_a_users_space_is_named_by_reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "from dropnas.space.spaces import SearchSpace\n"
    text += 'TINY = SearchSpace("tiny", ("users_ops:FANCY",), ("none", "avg_pool_3x3"))\n'
    (tmp_path / "users_space.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    genotype = drawn(SampleConfig("users_space:TINY", 1), tmp_path / "run")
    names = {operation for cell in (genotype.normal, genotype.reduce) for operation, _ in cell}
    assert names == {"users_ops:FANCY", "avg_pool_3x3"}


def test_an_unknown_space_is_named(tmp_path: Path) -> None:
    with pytest.raises(DropnasError, match="unknown search space '4-skip'"):
        drawn(SampleConfig("4-skip"), tmp_path / "run")
