"""The search stage for searches that differ in their seed alone: trained as one, each written as if it were alone.

Design choices: who trains together decides nothing but speed and the rounding of sums, so any that stand at the same
place may, and a repeat trains those that are missing. How many is limited by memory; of what has to be divided the
parts are of equal size.
"""

import time
from collections.abc import Sequence
from pathlib import Path

from dropnas.data import arrays
from dropnas.errors import DropnasError
from dropnas.search.config import SearchConfig
from dropnas.search.memory import fitting
from dropnas.search.stage import write
from dropnas.search.together import SearchesTogether
from dropnas.space.spaces import find_space
from dropnas.training import determinism, precision
from dropnas.training.checkpoint import Checkpoints
from dropnas.training.lockstep import in_step
from dropnas.training.loop import train_together
from dropnas.workspace import Workspace, silent

Statistics = dict[str, float]


def run(config: SearchConfig, inputs: Sequence[Path], out: Path, workspace: Workspace) -> Statistics:
    """A search of which no other seed is wanted now; as `dropnas.search.stage.run`.

    Raises:
        DropnasError: an unknown space or option; a loss that is not finite.
    """
    (result,) = run_together([config], inputs, [out], [workspace])
    if isinstance(result, DropnasError):
        raise result
    return result


def first(configs: Sequence[SearchConfig], inputs: Sequence[Path], workspaces: Sequence[Workspace]) -> list[int]:
    """Which of some searches to train now: of those that are least far and stand at the same place as many as fit."""
    checkpoints = [Checkpoints(workspace.scratch, workspace.identity, silent) for workspace in workspaces]
    alike, workspace = list(in_step(checkpoints)), workspaces[0]
    most = workspace.seeds_at_once
    if not most and len(alike) > 1:
        _prepare(configs[0], workspace)
        images = arrays.load(inputs[0], "train", device=workspace.device)
        most = fitting([configs[index] for index in alike], images, workspace)
        workspace.progress(f"{min(most, len(alike))} of {len(alike)} seeds train together, as memory allows")
    return alike[: even_part(len(alike), most)] if most else alike


def even_part(count: int, most: int) -> int:
    """The size of the largest of so many parts of `count` as must be made lest one be larger than `most`."""
    parts = -(-count // most)
    return -(-count // parts)


def run_together(
    configs: Sequence[SearchConfig], inputs: Sequence[Path], outs: Sequence[Path], workspaces: Sequence[Workspace]
) -> list[Statistics | DropnasError]:
    """Search with each seed on the prepared dataset `inputs[0]`; writes of each what `dropnas.search.stage.run` does.

    Returns:
        of each search what it failed by, or how many trained `together` and the images_per_second of all of them, of
        this start: a search's share of the time is what it would have taken alone at this pace.
    """
    workspace = workspaces[0]
    _prepare(configs[0], workspace)
    images = arrays.load(inputs[0], "train", device=workspace.device)
    company = SearchesTogether(configs, find_space(configs[0].space), images, workspace.device)
    started = time.perf_counter()
    results = train_together(company, configs[0].epochs, workspaces)
    seconds = time.perf_counter() - started
    statistics = {"images_per_second": company.images_seen / seconds, "together": float(len(configs))}
    for out, search, rows in zip(outs, company.searches, results, strict=True):
        if not isinstance(rows, DropnasError):
            write(out, search, rows)
    return [rows if isinstance(rows, DropnasError) else statistics for rows in results]


def _prepare(config: SearchConfig, workspace: Workspace) -> None:
    determinism.apply(config.seed, workspace.device, workspace.threads)
    precision.apply(config.precision)
