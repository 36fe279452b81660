"""Small run folders with made-up numbers, and a configuration for each table that reads them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from dropnas.report.config import TableConfig, TrainedCell
from dropnas.report.table_stage import run
from dropnas.workspace import Workspace

GENOTYPE = {
    "normal": [["sep_conv_3x3", 0], ["skip_connect", 1]],
    "normal_concat": [2],
    "reduce": [["max_pool_3x3", 0], ["dil_conv_5x5", 1]],
    "reduce_concat": [2],
}


@dataclass
class Runs:
    """Writes run folders below a root, like the stages and the store."""

    root: Path
    device: str = "Imaginary GPU"
    folders: list[Path] = field(default_factory=list)

    def search(self, name: str, seconds: float) -> Path:
        """A search: only its receipt is read."""
        return self._folder(name, "search", seconds)

    def training(
        self,
        name: str,
        final: float,
        best: float,
        *,
        stage: str = "retrain",
        parameters: int = 3_834_567,
        auxiliary: int = 444_444,
        top5: tuple[float, float] | None = None,
    ) -> Path:
        """A retraining or transfer with its errors in percent."""
        folder = self._folder(name, stage, seconds=1000.0)
        result: dict[str, Any] = {
            "top1_error": {"final": final, "best": best, "best_epoch": 3},
            "top5_error": None if top5 is None else {"final": top5[0], "best": top5[1], "best_epoch": 3},
            "parameters": parameters,
            "parameters_with_auxiliary": parameters + auxiliary,
            **{"multiply_adds": 9, "epochs": 3, "classes": 10, "test_images": 9},
        }
        (folder / "result.json").write_text(json.dumps(result))
        (folder / "genotype.json").write_text(json.dumps(GENOTYPE))
        return folder

    def _folder(self, name: str, stage: str, seconds: float) -> Path:
        folder = self.root / stage / name
        folder.mkdir(parents=True)
        receipt = {
            "stage": stage,
            "name": name,
            "device": self.device,
            "seconds": seconds,
            "inputs": ["digits-300-100-0123456789", "another-abcdef0123"],
        }
        (folder / "run.json").write_text(json.dumps(receipt))
        self.folders.append(folder)
        return folder


@dataclass(frozen=True)
class Case:
    """A table to build: its configuration and its inputs."""

    config: TableConfig
    inputs: Sequence[Path]

    def build(self, out: Path) -> Path:
        """Run the stage into a new folder."""
        out.mkdir(parents=True)
        run(self.config, self.inputs, out, Workspace(out, "identity"))
        return out


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    """A writer of run folders."""
    return Runs(tmp_path / "runs")


@pytest.fixture
def cases(runs: Runs) -> dict[str, Case]:
    """All six tables, with three seeds, two rows of augmented or transferred networks, a user's method and space."""
    return make_cases(runs)


def make_cases(runs: Runs) -> dict[str, Case]:
    """See `cases`; each table reads three searches, three retrainings and two more trainings."""
    searches = [runs.search(f"search-seed{seed}", 50_000.0 + 4000 * seed) for seed in range(3)]
    finals, bests, sizes = (2.75, 2.5, 2.675), (2.61, 2.48, 2.44), (3_834_567, 3_612_345, 912_345)
    retrainings = [
        runs.training(f"retrain-seed{seed}", finals[seed], bests[seed], parameters=sizes[seed]) for seed in range(3)
    ]
    augmented = [runs.training(f"augmented-{name}", 1.95, 1.875) for name in ("a", "b")]
    transfers = [
        runs.training("transfer-a", 24.06, 23.94, stage="transfer", parameters=5_400_000, top5=(7.26, 7.14)),
        runs.training("transfer-b", 25.5, 25.0, stage="transfer", parameters=54_321, top5=None),
    ]
    retrained, transferred = [*searches, *retrainings, *augmented], [*searches, *transfers]
    return {
        "table1": Case(_config("table1", _methods("dropnas", "mine")), retrained),
        "table2": Case(_config("table2", _methods("dropnas")), retrained),
        "table3": Case(_config("table3", _transfers()), transferred),
        "table4": Case(_config("table4", _spaces()), retrained),
        "table5": Case(_config("table5", (_entry("1e-5", "3e-5"), _entry("3e-5", "1e-4", (4,)))), retrained),
        "table6": Case(_config("table6", _ablations()), retrained),
    }


def _config(table: Any, entries: tuple[TrainedCell, ...]) -> TableConfig:
    reproduction = table == "table2"  # one of the six has no warning
    return TableConfig(table, "paper" if reproduction else "tiny", reproduction, entries)


def _entry(row: str, column: str, trainings: tuple[int, ...] = (3, 4, 5), label: str = "") -> TrainedCell:
    return TrainedCell(row, column, label, searches=(0, 1, 2), trainings=trainings)


def _methods(*rows: str) -> tuple[TrainedCell, ...]:
    labels = {"dropnas": ("", ""), "mine": ("A | method_1 & more", "A | method_1 & more (Augmented)")}
    return tuple(
        entry
        for row in rows
        for entry in (
            _entry(row, "error", label=labels[row][0]),
            _entry(f"{row}-augmented", "error", (6,), label=labels[row][1]),
        )
    )


def _transfers() -> tuple[TrainedCell, ...]:
    return _entry("dropnas-cifar10", "error", (3,)), _entry("dropnas-cifar100", "error", (4,))


def _spaces() -> tuple[TrainedCell, ...]:
    """A user's method in every space, and a user's space for every method, on one of the two data sets."""
    spaces = {"3-skip": "", "1-skip": "", "original": "", "wide": "My space"}
    methods = {"dropnas": "", "one-level-darts": "", "mine": "My method"}
    return tuple(
        _entry(f"cifar10/{space}", method, label=" / ".join(filter(None, (spaces[space], methods[method]))))
        for space in spaces
        for method in methods
    )


def _ablations() -> tuple[TrainedCell, ...]:
    known = (_entry("cifar10", "dropnas"), _entry("cifar100", "no-grouping", (5,)))
    return (*known, _entry("cifar10", "mine", label="My method"))
