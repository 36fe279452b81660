"""A sequential plan through real Snakemake: some experiments stop, others continue; a kill changes no byte."""

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
    "group_rates": [1e-5],  # no claim uses it, so these seeds stop at the first look
    "baselines": ["random"],
    "figures": ["figure3"],
}


@pytest.fixture
def undisturbed(tmp_path: Path, project: Path) -> Iterator[Bench]:
    bench = make_bench(tmp_path / "undisturbed", project)
    bench.parameters.write_text(yaml.safe_dump({**MICRO, **LOOKS}))
    yield bench
    bench.kill_all()


@pytest.fixture
def killed(undisturbed: Bench) -> Iterator[Bench]:
    bench = Bench(undisturbed.folder.with_name("killed"))
    yield bench
    bench.kill_all()


def with_first_look_alone(finished: Bench, bench: Bench) -> None:
    """Copy a bench with the results of the first look's start and of no later one."""
    shutil.copytree(finished.folder, bench.folder, symlinks=True)
    plans = [folder.parent for folder in bench.store.glob("plans/*/plan.json")]
    (first,) = (plan for plan in plans if yaml.safe_load((plan / "parameters.yaml").read_text())["look"] == 1)
    kept = {run["folder"] for run in json.loads((first / "plan.json").read_text())["runs"]}
    later = [folder for folder in bench.runs() if folder not in kept]
    others = [str(plan.relative_to(bench.store)) for plan in plans if plan != first]
    bench.remove(*later, *others, "results", "logs", ".snakemake")
    for file in [*bench.store.glob("plans/looks-micro/look-[!1].yaml"), *bench.store.glob("*.txt")]:
        file.unlink()


@pytest.mark.trial
def test_some_stop_others_go_on_and_a_kill_changes_no_byte(undisturbed: Bench, killed: Bench) -> None:
    said = undisturbed.run()
    assert "look 1: 1 seeds for 4 of 4 experiments" in said
    assert "look 2: 2 seeds for 3 of 4 experiments" in said
    assert "last start" in said
    record = json.loads((undisturbed.store / "results/micro/looks.json").read_text())
    assert record["judged"] >= 2
    seeds = sorted(len(runs) for runs in record["trainings"].values())
    assert seeds[0] == 1
    assert seeds[1:] in ([2, 2, 2], [2, 3, 3], [3, 3, 3])
    with_first_look_alone(undisturbed, killed)
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
    assert set(killed.counted("published").values()) == {1}  # no run was computed twice
