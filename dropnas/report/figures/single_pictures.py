"""Draws pictures on request: the two cells of any genotype, or the trajectory of any finished search."""

import re
from pathlib import Path

from dropnas.analysis.finished_runs import read_run
from dropnas.errors import DropnasError
from dropnas.report.figures.cell_drawings import draw_genotype
from dropnas.report.figures.sheet import footer, require_format, save, style
from dropnas.report.figures.trajectories import draw_search
from dropnas.space.published import load_genotype

PICTURES_FOLDER = Path("results", "pictures")


def draw_cells(genotype: str, out: Path | None) -> Path:
    """Draw the normal and the reduction cell of a genotype.

    Args:
        genotype: any text that `load_genotype` accepts, such as a published id, a file, a run folder, or JSON.
        out: the file to write (.svg, .png or .pdf). The default is an SVG file in `results/pictures`.

    Returns:
        The written file.

    Raises:
        DropnasError: there is no such genotype, or the suffix is unknown.
    """
    cells = load_genotype(genotype)
    name = "genotype" if genotype.lstrip().startswith(("{", "[")) else Path(genotype).resolve().stem
    plain = re.sub(r"[^\w.+-]+", "-", name) or "genotype"
    file = require_format(out or PICTURES_FOLDER / f"{plain}.svg")
    with style():
        save(draw_genotype(name, cells), file)
    return file


def draw_trajectory(search: Path, out: Path | None) -> Path:
    """Draw the alphas of a finished search over its epochs.

    Args:
        search: the folder of the search.
        out: as in `draw_cells`.

    Raises:
        DropnasError: the folder is not a finished search, or the suffix is unknown.
    """
    if not search.is_dir():
        raise DropnasError("no such folder", where=search, remedy="name the folder of a search, runs/search/…")
    run = read_run(search.resolve())
    file = require_format(out or PICTURES_FOLDER / f"{run.name}-trajectory.svg")
    with style():
        figure = draw_search(run)
        footer(figure, [f"Data: {run.data}. Hardware: {run.device}."])
        save(figure, file)
    return file
