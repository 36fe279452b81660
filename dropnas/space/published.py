"""The published cells of the architectures that the paper's tables quote, and the genotypes that a user can name.

Design choices: one data file holds all facts, each with its source. The lookup of the genotype that a user names is
here and not in `dropnas.space.genotype`, so that a new published cell does not change the identity of any training.
"""

import difflib
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from dropnas.errors import DropnasError
from dropnas.space.genotype import Genotype
from dropnas.space.genotype_text import is_genotype_text, parse_genotype_text


@dataclass(frozen=True)
class Published:
    """One published architecture.

    Attributes:
        id: its name on the command line and in parameter files.
        name: its name in a table.
        source: repository, path and commit of the publication, and the form in which it appears there.
        primitive_set: the candidate operations of its search.
        genotype: its two cells.
        paper_rows: the numbers in the paper, by table. Errors are in percent, `params_m` in millions.
        notes: remarks for readers who compare architectures.
    """

    id: str
    name: str
    source: dict[str, str | None]
    primitive_set: str
    genotype: Genotype
    paper_rows: dict[str, Any]
    notes: str


@cache
def published() -> dict[str, Published]:
    """All published architectures by id, in the order of the paper's tables."""
    text = Path(__file__).with_name("published.yaml").read_text(encoding="utf-8")
    entries = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))["architectures"]
    return {
        entry["id"]: Published(**{**entry, "genotype": Genotype.of_values(entry["genotype"], entry["id"])})
        for entry in entries
    }


def load_genotype(text: str) -> Genotype:
    """Load the genotype that a user names: a published id, JSON, text as DARTS prints it, a file or a run folder.

    Raises:
        DropnasError: the text is none of these (the error suggests similar ids), or the genotype is not valid.
    """
    if text in published():
        return published()[text].genotype
    if is_genotype_text(text):
        return parse_genotype_text(text)
    if text.lstrip().startswith(("{", "[")):
        return Genotype.of_text(text, "genotype")
    if os.path.exists(text):  # unlike Path.exists, this accepts text that is not a valid path
        return _read_either(Path(text))
    known = ", ".join(published())
    close = difflib.get_close_matches(text, published(), n=3, cutoff=0.5)
    remedy = f"did you mean {' or '.join(close)}?" if close else f"known ids: {known}; or give a file, a run or JSON"
    raise DropnasError(f"unknown genotype {text[:100]!r}: no published id and no such file", remedy=remedy)


def _read_either(path: Path) -> Genotype:
    """Read a genotype, as JSON or text, from a file or a run folder."""
    text, file = Genotype.text(path), Genotype.file(path)
    return parse_genotype_text(text, file) if is_genotype_text(text) else Genotype.of_text(text, file)
