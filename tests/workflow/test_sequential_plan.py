"""A sequential plan through real Snakemake: some experiments stop, others go on; killed in the middle, same bytes."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.workflow.conftest import MICRO, Bench, make_bench

LOOKS: dict[str, Any] = {
    "datasets": {"cifar10": {"name": "digits", "source": "bundled", "train_images": 64, "test_images": 40}},
    "seeds": {"looks": [1, 2], "most": 3},
    "seeds_of": {},
    "tables": ["table5", "baselines"],
    "group_rates": [1e-5],  # of which no claim speaks: these seeds stop at the first look
    "baselines": ["random"],
    "figures": ["figure3"],
}


def prepared(folder: Path, project: Path) -> Bench:
    bench = make_bench(folder, project)
    bench.parameters.write_text(yaml.safe_dump({**MICRO, **LOOKS}))
    return bench


@pytest.fixture
def benches(tmp_path: Path, project: Path) -> Iterator[tuple[Bench, Bench]]:
    made = tuple(prepared(tmp_path / name, project) for name in ("undisturbed", "killed"))
    yield made[0], made[1]
    for bench in made:
        bench.kill_all()


def test_some_stop_others_go_on_and_a_kill_changes_no_byte(benches: tuple[Bench, Bench]) -> None:
    undisturbed, killed = benches
    said = undisturbed.run()
    assert "look 1: 1 seeds for 4 of 4 experiments" in said
    assert "look 2: 2 seeds for 3 of 4 experiments" in said
    assert "last start" in said
    record = json.loads((undisturbed.store / "results/micro/looks.json").read_text())
    assert record["judged"] >= 2
    seeds = sorted(len(runs) for runs in record["trainings"].values())
    assert seeds[0] == 1
    assert seeds[1:] in ([2, 2, 2], [2, 3, 3], [3, 3, 3])
    shutil.copytree(undisturbed.store / "data", killed.store / "data")
    process = killed.begin()
    killed.wait_until(lambda: list(killed.store.glob("runs/search/*-seed1-*")), "a search of the second look")
    killed.kill_all()
    process.wait()
    killed.run()
    assert killed.contents() == undisturbed.contents()
    for name in ("looks.json", "looks.md"):
        first, second = (bench.store / "results/micro" / name for bench in (undisturbed, killed))
        assert first.read_bytes() == second.read_bytes()
    looks = sorted(path.name for path in (killed.store / "plans/looks-micro").iterdir())
    assert looks == sorted(path.name for path in (undisturbed.store / "plans/looks-micro").iterdir())
    assert set(killed.counted("published").values()) == {1}  # nothing was run twice
