"""A small store of made-up runs, and a configuration for each figure that reads it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dropnas.report.config import TARGETS, FigureConfig, Series
from dropnas.report.figures.figure_stage import run
from dropnas.space.published import published
from dropnas.space.spaces import EDGES, ORIGINAL
from dropnas.workspace import Workspace

ROLES = ("cifar10", "cifar100")
NAMES = ORIGINAL.operations[:-1]  # the last one is zero
EPOCHS = 4


@dataclass(frozen=True)
class Case:
    """A figure to draw: its configuration and its inputs."""

    config: FigureConfig
    inputs: list[Path]

    def draw(self, out: Path) -> Path:
        """Run the stage into a new folder."""
        out.mkdir(parents=True)
        run(self.config, self.inputs, out, Workspace(out, "identity"))
        return out


class Store:
    """Writes run folders, like the stages and the store."""

    def __init__(self, root: Path) -> None:
        self.root, self.draws = root, np.random.default_rng(0)

    def folder(self, stage: str, name: str, inputs: list[str], device: str = "Imaginary GPU") -> Path:
        """Write a run with its receipt."""
        folder = self.root / "runs" / stage / name
        folder.mkdir(parents=True)
        receipt = {"stage": stage, "device": device, "seconds": 10.0, "inputs": inputs}
        self.write(folder, "run.json", receipt)
        return folder

    def write(self, folder: Path, name: str, content: Any) -> None:
        """Write a JSON file."""
        (folder / name).write_text(json.dumps(content))

    def search(self, role: str, method: str, seed: int) -> Path:
        """Write a search with its history."""
        folder = self.folder("search", f"{role}-{method}-seed{seed}", [f"{role}-0123456789"])
        drift = self.draws.normal(size=(2, EDGES, 8))
        epochs = [
            {"epoch": epoch, **dict(zip(("normal", "reduce"), (epoch * drift).tolist(), strict=True))}
            for epoch in range(EPOCHS)
        ]
        self.write(folder, "history.json", {"operations": ORIGINAL.operations, "epochs": epochs})
        return folder

    def training(self, role: str, name: str, seed: int) -> Path:
        """Write a retraining with its errors."""
        folder = self.folder("retrain", f"{role}-{name}-train{seed}", [f"{role}-0123456789", f"{role}-{name}"])
        best = float(2.5 + self.draws.random())
        errors = {"final": best + 0.1, "best": best, "best_epoch": 3}
        counts = dict.fromkeys(("parameters", "parameters_with_auxiliary", "multiply_adds"), 9)
        counts |= {"epochs": 3, "classes": 10, "test_images": 9}
        self.write(folder, "result.json", {"top1_error": errors, "top5_error": None, **counts})
        self.write(folder, "genotype.json", published()["dropnas_c10"].genotype.values())
        return folder

    def clusters(self, role: str, method: str, seed: int, alone: bool) -> Path:
        """Write clusters, in which sep_conv_5x5 is alone or not."""
        folder = self.folder("clusters", f"{role}-{method}-clusters{seed}", [f"{role}-0123456789"])
        cells = {place: self._cell(place, alone) for place in ("first", "last")}
        if method == "dropnas":  # with skip-connect alone in the first cell
            cells["first"] |= {"labels": [0, 0, 0, 0, 1, 1, 2], "single_member": ["skip_connect"]}
        self.write(folder, "clusters.json", {"edge": [0, 2], "images": 1000, "cells": cells})
        return folder

    def _cell(self, place: str, alone: bool) -> dict[str, Any]:
        labels = [0, 2 if alone else 0, 0, 0, 1, 1, 1]
        return {
            "cell": 0 if place == "first" else 13,
            "kind": "normal",
            "operations": NAMES,
            "parameterised": NAMES[:4],
            "points": self.draws.normal(size=(7, 2)).tolist(),
            "labels": labels,
            "explained": [0.5, 0.25],
            "silhouette": dict.fromkeys(NAMES, 0.25 if place == "first" else 0.75),
            "single_member": ["sep_conv_5x5"] if alone else [],
        }

    def select(self, role: str, genotype: str) -> Path:
        """Write the selection of the better of two retrainings; it ran on another machine."""
        candidates = [self.training(role, "candidate", seed).name for seed in (0, 1)]
        folder = self.folder("select", f"{role}-best-of-2", candidates, device="Head node")
        self.write(folder, "genotype.json", published()[genotype].genotype.values())
        return folder

    def correlation(self, edge: tuple[int, int], undefined: bool) -> Path:
        """Write a correlation on an edge."""
        trained = self.training("cifar10", f"edge-{edge[1]}", 0).name
        folder = self.folder("correlation", f"edge-{edge[0]}-{edge[1]}", [trained], device="Head node")
        none = dict.fromkeys(("value", "low", "high", "p_value"))
        some = {"value": 0.902, "low": 0.46, "high": 0.986, "p_value": 0.005}
        operations = [
            {"operation": name, "alpha": 0.1, "p": 0.1 + 0.01 * place, "accuracy_best": 97 + 0.1 * place}
            | {"accuracy_final": 96.5, "run": trained}
            for place, name in enumerate(NAMES)
        ]
        coefficients = dict.fromkeys(("pearson", "spearman"), none if undefined else some)
        content = {"edge": edge, "search": "a-search", "edge_was_there": not undefined, "n": 7, **coefficients}
        self.write(folder, "correlation.json", {**content, "operations": operations})
        return folder


def make_cases(root: Path) -> dict[str, Case]:
    """All figures, with two seeds, both data sets and the paper's names."""
    store = Store(root)
    figures: dict[str, list[tuple[str, str, list[Path]]]] = {
        "figure1": [(r, "darts", [store.clusters(r, "darts", s, alone=s == 0) for s in (0, 1)]) for r in ROLES],
        "figure2": [
            (r, name, [store.training(r, name, s) for s in (0, 1)])
            for r in ROLES
            for name in ("1e-06", "3e-05", "0.001", "one-level-darts", "drop-rate-0.75", "drop-rate-0.875")
        ],
        "figure3": [(r, "", [store.select(r, f"dropnas_c{r[5:]}")]) for r in ROLES],
        "figure4": [(r, "dropnas", [store.clusters(r, "dropnas", s, alone=False) for s in (0, 1)]) for r in ROLES],
        "figure5": [(f"{i},{j}", "", [store.correlation((i, j), undefined=i == 4)]) for i, j in ((0, 2), (4, 5))],
        "trajectories": [
            (r, method, [store.search(r, method, s) for s in (0, 1)])
            for r in ROLES
            for method in ("dropnas", "one-level-darts")
        ],
    }
    return {name: _case(name, series) for name, series in figures.items()}


def _case(name: str, series: list[tuple[str, str, list[Path]]]) -> Case:
    inputs = [folder for _, _, folders in series for folder in folders]
    made = tuple(
        Series(panel, name, f"the {name}", tuple(inputs.index(folder) for folder in folders))
        for panel, name, folders in series
    )
    target = TARGETS[name]
    config = FigureConfig(name, "paper", name != "figure5", made, drawing=target.drawing, caption=target.caption)
    return Case(config, inputs)
