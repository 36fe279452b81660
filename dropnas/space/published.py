"""The architectures that the paper's tables quote and that were published as cells, by id; and genotypes by any name.

Design choices: the facts lie in one data file, each with its source; what a person types for a genotype is understood
here and not in `dropnas.space.genotype`, so that a new published cell changes no training's identity.
"""

import difflib
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from dropnas.errors import DropnasError
from dropnas.space.genotype import Genotype, parse_genotype, read_genotype


@dataclass(frozen=True)
class Published:
    """One published architecture.

    Attributes:
        id: what it is called on the command line and in parameter files.
        name: what it is called in a table.
        source: repository, path and commit, and in which form it was published there.
        primitive_set: the operations that its search chose from.
        genotype: its two cells.
        paper_rows: the figures that the paper prints for it, by table (errors in percent, params_m in millions).
        notes: what a reader of a comparison should know.
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
    return {entry["id"]: Published(**{**entry, "genotype": Genotype.from_json(entry["genotype"])}) for entry in entries}


def load_genotype(text: str) -> Genotype:
    """The genotype that a person names: a published id, JSON text, a JSON file, or a run folder with a genotype.json.

    Raises:
        DropnasError: it is none of these (close ids are suggested), or it holds no valid genotype.
    """
    if text in published():
        return published()[text].genotype
    if text.lstrip().startswith(("{", "[")):
        return parse_genotype(text)
    if os.path.exists(text):  # unlike Path.exists, this takes text that can be no path
        return read_genotype(Path(text))
    known = ", ".join(published())
    close = difflib.get_close_matches(text, published(), n=3, cutoff=0.5)
    remedy = f"did you mean {' or '.join(close)}?" if close else f"known ids: {known}; or give a file, a run or JSON"
    raise DropnasError(f"unknown genotype {text[:100]!r}: no published id and no such file", remedy=remedy)
