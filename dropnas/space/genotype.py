"""A genotype: the two cells that a search finds, and the only format in which they are stored.

Design choices: the constructor checks everything, so every Genotype object is valid. A genotype is JSON with a fixed
schema, and nothing in it is ever evaluated. The numbering is that of DARTS: state 0 is the output of the cell before
the previous one, state 1 that of the previous cell, nodes start at 2, and two consecutive edges belong to one node. The
number of nodes is not fixed: NASNet-A has five. No torch here.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dropnas.errors import DropnasError
from dropnas.space.names import INPUTS, check_operation

Edge = tuple[str, int]
FIELDS = ("normal", "normal_concat", "reduce", "reduce_concat")
EDGES_PER_NODE = 2
MOST_NODES = 64  # of a cell; published ones have up to five


@dataclass(frozen=True)
class Genotype:
    """The normal and the reduction cell (Section 2.1, the derived architecture).

    Attributes:
        normal, reduce: edges (operation, predecessor), two consecutive ones for each node, nodes in order.
        normal_concat, reduce_concat: the nodes whose outputs are concatenated to the cell's output.

    Raises:
        DropnasError: an unknown operation, a predecessor that does not come before its node, a node without exactly two
            edges, or an output that is not a node.
    """

    normal: tuple[Edge, ...]
    normal_concat: tuple[int, ...]
    reduce: tuple[Edge, ...]
    reduce_concat: tuple[int, ...]

    def __post_init__(self) -> None:
        _check_cell("normal", self.normal, self.normal_concat)
        _check_cell("reduce", self.reduce, self.reduce_concat)

    def to_json(self) -> dict[str, list[Any]]:
        """The genotype as plain lists, in the format of genotype.json."""
        return {
            "normal": [list(edge) for edge in self.normal],
            "normal_concat": list(self.normal_concat),
            "reduce": [list(edge) for edge in self.reduce],
            "reduce_concat": list(self.reduce_concat),
        }

    @classmethod
    def from_json(cls, value: object) -> "Genotype":
        """The inverse of `to_json`.

        Raises:
            DropnasError: a missing or unknown key, a value of the wrong form, or anything that the constructor rejects.
        """
        if not isinstance(value, dict):
            raise DropnasError(f"is a {type(value).__name__}, not an object with {', '.join(FIELDS)}", where="genotype")
        if unknown := sorted(set(map(str, value)) - set(FIELDS)):
            raise DropnasError(
                f"unknown key {unknown[0]!r}", where="genotype", remedy=f"its keys are {', '.join(FIELDS)}"
            )
        if missing := [name for name in FIELDS if name not in value]:
            raise DropnasError(f"key {missing[0]!r} is missing", where="genotype")
        return cls(
            normal=_edges(value["normal"], "normal"),
            normal_concat=_nodes(value["normal_concat"], "normal_concat"),
            reduce=_edges(value["reduce"], "reduce"),
            reduce_concat=_nodes(value["reduce_concat"], "reduce_concat"),
        )


def parse_genotype(text: str, where: object = "genotype") -> Genotype:
    """Parse a genotype from JSON text.

    Raises:
        DropnasError: the text is not JSON, or not a genotype; `where` names its origin.
    """
    try:
        return Genotype.from_json(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise DropnasError(f"malformed JSON ({error})", where=where) from error
    except DropnasError as error:
        place = where if error.where == "genotype" else f"{where}: {error.where.removeprefix('genotype, ')}"
        raise DropnasError(error.what, where=place, remedy=error.remedy) from error


def read_genotype(path: Path) -> Genotype:
    """The genotype of a JSON file, or of the genotype.json of a run folder.

    Raises:
        DropnasError: there is no such file, or it does not contain a genotype.
    """
    return parse_genotype(genotype_file_text(path), _file_of(path))


def genotype_file_text(path: Path) -> str:
    """The content of a genotype's file, or of the genotype.json of a run folder.

    Raises:
        DropnasError: there is no such file, or it cannot be read.
    """
    file = _file_of(path)
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise DropnasError("no such file", where=file, remedy="derive, retrain and select runs hold one") from error
    except (OSError, UnicodeDecodeError) as error:
        raise DropnasError(f"cannot be read ({error})", where=file) from error


def _file_of(path: Path) -> Path:
    return path / "genotype.json" if path.is_dir() else path


def _edges(value: object, field: str) -> tuple[Edge, ...]:
    """The edges of a cell from JSON; only their form is checked here, not their meaning."""
    if not isinstance(value, list):
        raise DropnasError("is no list of edges", where=f"genotype, {field}")
    for edge in value:
        if not (isinstance(edge, list) and len(edge) == 2 and isinstance(edge[0], str) and _is_index(edge[1])):
            raise DropnasError(f"edge {json.dumps(edge)} is not [operation, predecessor]", where=f"genotype, {field}")
    return tuple((operation, predecessor) for operation, predecessor in value)


def _nodes(value: object, field: str) -> tuple[int, ...]:
    if not (isinstance(value, list) and all(map(_is_index, value))):
        raise DropnasError("is no list of node numbers", where=f"genotype, {field}")
    return tuple(value)


def _is_index(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _check_cell(kind: str, edges: tuple[Edge, ...], concat: tuple[int, ...]) -> None:
    where = f"genotype, {kind} cell"
    if not edges or len(edges) % EDGES_PER_NODE:
        raise DropnasError(f"{len(edges)} edges", where=where, remedy="each node has exactly two")
    if len(edges) > EDGES_PER_NODE * MOST_NODES:
        raise DropnasError(f"{len(edges)} edges", where=where, remedy=f"a cell has at most {MOST_NODES} nodes")
    for index, (operation, predecessor) in enumerate(edges):
        node = INPUTS + index // EDGES_PER_NODE
        check_operation(operation, where)
        if not 0 <= predecessor < node:
            raise DropnasError(
                f"edge {index} ({operation}) of node {node} comes from {predecessor}, which does not come before it",
                where=where,
                remedy=f"a predecessor of node {node} is 0 to {node - 1}",
            )
    end = INPUTS + len(edges) // EDGES_PER_NODE
    if not concat or len(set(concat)) < len(concat) or not all(INPUTS <= node < end for node in concat):
        raise DropnasError(
            f"output {list(concat)} is not made of the cell's nodes",
            where=f"genotype, {kind}_concat",
            remedy=f"name some of the nodes {INPUTS} to {end - 1}, each once",
        )
