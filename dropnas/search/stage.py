"""The search stage (Section 4.2): trains supernets and their alphas, for one seed or for a group of seeds.

Design choices: each kind of random number has its own generator, derived from the seed, the purpose and, for draws
within an epoch, the epoch. A resumed search therefore continues bit for bit. All random numbers are drawn on the CPU,
so every device gets the same numbers. Grouping affects only speed and rounding. Seeds at the same step may therefore
train as a group, and a repeated job trains only the missing seeds. The files of the run record neither time nor
machine.
"""

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import torch

from dropnas.artifacts.genotype_file import GenotypeFile
from dropnas.artifacts.metrics_file import MetricsFile, Row
from dropnas.artifacts.search_files import AlphaRows, AlphasFile, Epoch, HistoryFile, Partial, SearchResultFile
from dropnas.data import arrays
from dropnas.errors import DropnasError
from dropnas.extension import load
from dropnas.search.architecture import Alphas, alpha_std
from dropnas.search.backend_agreement import require_agreement
from dropnas.search.config import SearchConfig
from dropnas.search.history import GENOTYPE_KEY, LEFT_KEY, matrices
from dropnas.search.hooks import returned
from dropnas.search.memory import fitting
from dropnas.search.seed_group import SeedGroup
from dropnas.search.state import Matrices, SeedRun
from dropnas.search.strategy import make_strategy
from dropnas.space.genotype import Genotype
from dropnas.space.spaces import find_space
from dropnas.training import determinism, precision
from dropnas.training.checkpoint import Checkpoints, common_checkpoint
from dropnas.training.graphs import recorder_for
from dropnas.training.loop import train
from dropnas.training.weights_file import save_weights
from dropnas.workspace import Workspace, silent

Statistics = dict[str, float]


def run(config: SearchConfig, inputs: Sequence[Path], out: Path, workspace: Workspace) -> Statistics:
    """Search with one seed; see `run_group`.

    Raises:
        DropnasError: the space, the strategy or an option is unknown, or a loss is not finite.
    """
    (result,) = run_group([config], inputs, [out], [workspace])
    if isinstance(result, DropnasError):
        raise result
    return result


def run_group(
    configs: Sequence[SearchConfig], inputs: Sequence[Path], outs: Sequence[Path], workspaces: Sequence[Workspace]
) -> list[Statistics | DropnasError]:
    """Search with each seed on the prepared dataset `inputs[0]`.

    Writes for each search: alphas.json, history.json (the alphas of every epoch; epoch 0 is the start), metrics.csv,
    result.json, supernet.safetensors and, if the strategy has its own derivation rule, genotype.json.

    Returns:
        for each search, its error or, if it finished, the size of its group (`group`) and the throughput of the group
        during this call (`images_per_second`).
    """
    workspace = workspaces[0]
    _set_up(configs[0], workspace)
    images = arrays.load(inputs[0], "train", device=workspace.device)
    group = new_group(configs, images, workspace.device, workspace.progress)
    started = time.perf_counter()
    results = train(group, group.epochs, workspaces)
    seconds = time.perf_counter() - started
    statistics = {"images_per_second": group.images_seen / seconds, "group": float(len(configs))}
    for out, search, rows in zip(outs, group.runs, results, strict=True):
        if not isinstance(rows, DropnasError):
            write(out, search, rows, group)
    return [rows if isinstance(rows, DropnasError) else statistics for rows in results]


def first(configs: Sequence[SearchConfig], inputs: Sequence[Path], workspaces: Sequence[Workspace]) -> list[int]:
    """Choose the searches to train now: those at the earliest step, or as many of these as fit into memory."""
    checkpoints = [Checkpoints(workspace.scratch, workspace.identity, silent) for workspace in workspaces]
    alike, workspace = list(common_checkpoint(checkpoints)), workspaces[0]
    if not make_strategy(configs[0], find_space(configs[0].space)).groups_seeds:
        return alike[:1]
    most = workspace.seeds_at_once
    if not most and len(alike) > 1:
        _set_up(configs[0], workspace)
        images = arrays.load(inputs[0], "train", device=workspace.device)
        make_group = partial(new_group, images=images, device=workspace.device)
        most = fitting([configs[index] for index in alike], images, workspace, make_group)
        workspace.progress(f"{min(most, len(alike))} of {len(alike)} seeds train as one group, as memory allows")
    return alike[: even_part(len(alike), most)] if most else alike


def even_part(count: int, most: int) -> int:
    """Split `count` evenly into the fewest parts of at most `most`, and return the size of the largest part."""
    parts = -(-count // most)
    return -(-count // parts)


def new_group(
    configs: Sequence[SearchConfig], images: arrays.ImageArrays, device: str, progress: Callable[[str], None] = silent
) -> SeedGroup:
    """Set up the searches on a device. On a GPU, they use CUDA graphs if the strategy allows it, and the given kernels.

    Raises:
        DropnasError: the backend cannot run here, or its numbers differ from torch's.
    """
    config, space = configs[0], find_space(configs[0].space)
    recorder = recorder_for(device)
    if recorder and not make_strategy(config, space).records:
        progress(f"strategy {config.strategy!r} cannot be recorded as a CUDA graph, so its steps run without one")
        recorder = None
    if config.kernels == "torch":
        return SeedGroup(configs, space, images, device, recorder)
    if not device.startswith("cuda"):
        raise DropnasError(f"kernels {config.kernels!r} need a GPU", where=device, remedy="set search.kernels: torch")
    backend, precompile = load(config.code["kernels"])()
    group = SeedGroup(configs, space, images, device, recorder, backend, precompile)
    require_agreement(group.state.engine, images, config)
    return group


def write(out: Path, search: SeedRun, rows: list[Row], group: SeedGroup) -> None:
    """Write the files of a finished search."""
    operations = search.space.operations
    epochs = [_epoch(number, entry) for number, entry in enumerate(search.history)]
    AlphasFile(operations, **matrices(search.architecture)).write(out)
    HistoryFile(operations, tuple(epochs)).write(out)
    MetricsFile(rows).write(out)
    start = Alphas(*(torch.tensor(search.history[0][kind]) for kind in Alphas._fields))
    SearchResultFile(
        train_loss=rows[-1]["train_loss"],
        train_accuracy=rows[-1]["train_accuracy"],
        epochs=len(rows),
        alpha_spread_start=alpha_std(start),
        alpha_spread_end=alpha_std(search.alphas),
        parameters=sum(weight.numel() for weight in search.supernet.parameters()),
        further=dict(group.strategy.results(search)),
    ).write(out)
    save_weights(search.supernet.state_dict(), out / "supernet.safetensors")
    genotype = group.strategy.derive(search)
    if genotype is not None:
        returned(genotype, Genotype, "derive", search.config.strategy).write(out)


def _epoch(number: int, entry: Matrices) -> Epoch:
    """Convert an entry of the history; the alpha of a pruned operation is None."""
    alphas, left, chosen = (entry["normal"], entry["reduce"]), entry.get(LEFT_KEY), entry.get(GENOTYPE_KEY)
    normal, reduce = map(_marked, alphas, left) if left else alphas
    return Epoch(number, normal, reduce, entry["further"], chosen and GenotypeFile(**chosen))


def _marked(alphas: AlphaRows, left: Sequence[Sequence[bool]]) -> Partial:
    rows = zip(alphas, left, strict=True)
    return tuple(tuple(alpha if keeps else None for alpha, keeps in zip(*row, strict=True)) for row in rows)


def _set_up(config: SearchConfig, workspace: Workspace) -> None:
    determinism.apply(config.seed, workspace.device, workspace.threads)
    precision.apply(config.precision)
