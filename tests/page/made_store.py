"""A store with made-up runs of a whole plan, written by the real writers where these need no training.

Design choices: the results of trainings are derived from the run's id, so that equal plans give equal stores.
The stages compute everything else (genotypes, selections, correlations, tables, figures) from them. The store publishes
each run, with the record that a job writes.
"""

import shutil
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import numpy
from safetensors.numpy import save_file

from dropnas.artifacts.clusters_file import ClustersCell, ClustersCells, ClustersFile
from dropnas.artifacts.counts_file import Counted, CountsFile
from dropnas.artifacts.dataset_file import Dataset
from dropnas.artifacts.manifest_file import MANIFEST
from dropnas.artifacts.metrics_file import MetricsFile
from dropnas.artifacts.search_files import AlphasFile, Epoch, HistoryFile, SearchResultFile
from dropnas.artifacts.training_files import Errors, NetworkFile, TrainingResultFile
from dropnas.pipeline.plan import Plan
from dropnas.pipeline.stages import entry
from dropnas.report.count_texts import count_texts
from dropnas.runs.files import sha256
from dropnas.runs.identity import Run, resolved
from dropnas.runs.store import Store
from dropnas.space.genotype import Genotype
from dropnas.space.published import published
from dropnas.space.spaces import EDGES, ORIGINAL, find_space
from dropnas.workspace import Workspace

SECONDS = {"search": 52_000.0, "retrain": 86_000.0, "transfer": 600_000.0}
CLASSES = {"cifar10": 10, "cifar100": 100, "imagenet": 1000}
ERRORS = {"cifar10": 2.7, "cifar100": 17.0, "imagenet": 24.5}  # centres of the made-up errors, in percent


def publish_plan(plan: Plan, root: Path, wanted: Callable[[Run], bool] = lambda run: True) -> list[Run]:
    """Publish the wanted runs of a plan, inputs first; return these runs."""
    chosen = [run for run in plan.runs.values() if wanted(run)]
    for run in chosen:
        publish(run, root, plan.parameters.profile)
    return chosen


def publish(run: Run, root: Path, profile: str = "paper", git: dict[str, Any] | None = None) -> Path:
    """Publish one run."""
    store = Store(root)
    staged = store.scratch(run.id) / "staged"
    staged.mkdir(parents=True)
    inputs = [root / source.folder for source in run.inputs]
    if run.stage in MADE_UP:
        MADE_UP[run.stage](run, staged, numpy.random.default_rng(int(run.id, 16)), inputs)
    else:
        entry(run.stage)(run.config, inputs, staged, Workspace(staged.parent, run.id))
    store.publish(staged, root / run.folder, record(run, inputs, profile, git or {"commit": "0" * 40, "dirty": False}))
    store.discard_scratch(run.id)
    return root / run.folder


def record(run: Run, inputs: Collection[Path], profile: str, git: dict[str, Any]) -> dict[str, Any]:
    """The record of a run, as a job writes it."""
    return {
        **{"id": run.id, "stage": run.stage, "name": run.name, "profile": profile, "git": git},
        **{"config": resolved(run.config), "identity": run.identity, "inputs": [source.name for source in inputs]},
        "input_manifests": {source.name: sha256(source / MANIFEST) for source in inputs},
        **{"host": "node-1", "device": "NVIDIA H100 80GB HBM3", "device_kind": "cuda", "threads": 1, "image": ""},
        **{"job": "", "python": "3.11.7", "versions": {"numpy": "2.4.6", "torch": "2.14.1"}},
        "peak_memory_bytes": {"host": 2**31, "device": 2**34},
        "seconds": SECONDS.get(run.stage, 1.5),
        **{"started": "2026-01-02T03:04:05Z", "ended": "2026-01-03T04:05:06Z"},
        "statistics": {"images_per_second": 1234.5} if run.stage in SECONDS else {},
    }


def remove(run: Run, root: Path) -> None:
    """Remove a run from the store."""
    shutil.rmtree(root / run.folder)


def _data(run: Run, out: Path, draws: numpy.random.Generator, inputs: list[Path]) -> None:
    name = run.config.name
    counts = (1_281_167, 50_000) if name == "imagenet" else (50_000, 10_000)
    fields = (CLASSES.get(name, 10), 3, 32, 32, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25), *counts)
    Dataset(name, "arrays", *fields).write(out)
    numpy.save(out / "train_labels.npy", numpy.zeros(8, numpy.uint8))


def _search(run: Run, out: Path, draws: numpy.random.Generator, inputs: list[Path]) -> None:
    operations = find_space(run.config.space).operations
    drift = draws.normal(size=(2, EDGES, len(operations))) / 10
    epochs = [Epoch(epoch, *(drift * epoch).tolist()) for epoch in range(6)]
    AlphasFile(operations, epochs[-1].normal, epochs[-1].reduce).write(out)
    HistoryFile(operations, tuple(epochs)).write(out)
    MetricsFile([{"epoch": epoch, "train_loss": 2.0 / epoch} for epoch in range(1, 6)]).write(out)
    SearchResultFile(0.4, 0.9, 5, 0.0, 0.5, 1_930_000).write(out)
    save_file({"stem.weight": draws.normal(size=(4, 4))}, out / "supernet.safetensors")


def _training(run: Run, out: Path, draws: numpy.random.Generator, inputs: list[Path]) -> None:
    data = run.inputs[0].config.name
    best = ERRORS.get(data, 5.0) * (1 + 0.05 * float(draws.normal()))
    Genotype.read(inputs[1]).write(out)
    classes = CLASSES.get(data, 10)
    NetworkFile("cifar", 20, 36, classes, False, True, False, (32, 32)).write(out)
    errors, top5 = Errors(best + 0.08, best, 590), Errors((best + 0.08) / 3, best / 3, 590)
    counts = 3_800_000, 4_300_000, 600_000_000
    TrainingResultFile(errors, top5 if data != "cifar10" else None, 600, classes, *counts, 10_000).write(out)
    MetricsFile([{"epoch": epoch, "top1_error": best + 9.0 / epoch} for epoch in range(1, 31)]).write(out)
    save_file({"classifier.weight": draws.normal(size=(4, 4))}, out / "network.safetensors")


def _clusters(run: Run, out: Path, draws: numpy.random.Generator, inputs: list[Path]) -> None:
    cells = ClustersCells(_cluster_cell(0, draws), _cluster_cell(13, draws))
    ClustersFile((0, 2), 1000, cells).write(out)


def _cluster_cell(cell: int, draws: numpy.random.Generator) -> ClustersCell:
    names = ORIGINAL.operations[:-1]
    return ClustersCell(
        **{"cell": cell, "kind": "normal", "operations": names, "parameterised": names[:4]},
        points=draws.normal(size=(7, 2)).tolist(),
        **{"labels": (0, 0, 0, 0, 1, 1, 2), "explained": (0.5, 0.25), "single_member": (names[-1],)},
        silhouette=dict(zip(names, draws.uniform(size=7).tolist(), strict=True)),
    )


def _architectures(run: Run, out: Path, draws: numpy.random.Generator, inputs: list[Path]) -> None:
    networks = {"table1": "cifar10", "table2": "cifar100", "table3": "imagenet"}
    counts = [
        Counted(one.id, one.name, table, networks[table], row, 3_300_000, 3.6, 540_000_000, False, 0, "")
        for one in published().values()
        for table, row in one.paper_rows.items()
        if table in networks
    ]
    CountsFile(tuple(counts)).write(out)
    for suffix, text in count_texts(counts, pool_norm=True).items():
        (out / f"architectures.{suffix}").write_text(text, encoding="utf-8")


MADE_UP: dict[str, Callable[[Run, Path, numpy.random.Generator, list[Path]], None]] = {
    "data": _data,
    "search": _search,
    "retrain": _training,
    "transfer": _training,
    "clusters": _clusters,
    "architectures": _architectures,
}
