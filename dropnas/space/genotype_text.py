"""Genotypes as text, in the form that DARTS and its descendants print: `Genotype(normal=[('sep_conv_3x3', 0), …], …)`.

The text is Python, but nothing in it is evaluated. The parser walks the syntax tree and accepts only names of fields,
lists, tuples, strings, whole numbers and `range`.
"""

import ast
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from dropnas.errors import DropnasError
from dropnas.space.genotype import Genotype

GENOTYPE_NAME = "Genotype"
FIELDS = [field.name for field in fields(Genotype)]
MOST_CHARACTERS = 100_000


def is_genotype_text(text: str) -> bool:
    """Return whether a text is a genotype as printed by DARTS, rather than JSON or a file name."""
    return f"{GENOTYPE_NAME}(" in text.replace(" ", "")


def parse_genotype_text(text: str, where: object = "genotype") -> Genotype:
    """Parse a genotype from its text; an assignment such as `PC_DARTS = Genotype(…)` is accepted too.

    Raises:
        DropnasError: the text is not a genotype; `where` is the origin named in the error.
    """
    if len(text) > MOST_CHARACTERS:
        raise DropnasError(f"{len(text)} characters are too many for a genotype", where=where)
    call = _call(text, where)
    given = dict(zip(FIELDS, call.args, strict=False)) | {str(each.arg): each.value for each in call.keywords}
    try:
        values = {name: _value(node) for name, node in given.items()}
    except DropnasError as error:
        raise DropnasError(error.what, where=where) from error
    return Genotype.of_values(values, where)


def to_genotype_text(genotype: Genotype) -> str:
    """Write a genotype as DARTS prints it; consecutive output nodes become a `range`."""
    cells = genotype.values()
    parts = [f"{name}={_text(cells[name], name)}" for name in FIELDS]
    return f"{GENOTYPE_NAME}({', '.join(parts)})"


def _call(text: str, where: object) -> ast.Call:
    """Return the single `Genotype(…)` call in a text."""
    try:
        body = ast.parse(text.strip()).body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise DropnasError(f"is not the text of a genotype ({error})", where=where) from error
    statement = body[0] if len(body) == 1 else None
    value = statement.value if isinstance(statement, ast.Expr | ast.Assign) else None
    if not isinstance(value, ast.Call) or not isinstance(value.func, ast.Name) or value.func.id != GENOTYPE_NAME:
        raise DropnasError(
            "is not the text of a genotype", where=where, remedy=f"it is one {GENOTYPE_NAME}(normal=[…], …)"
        )
    return value


def _value(node: ast.expr) -> Any:
    """Convert a Python literal to the JSON value that a genotype file has."""
    match node:
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return [_value(item) for item in items]
        case ast.Constant(value=str() | int() as value):
            return value
        case ast.Call(func=ast.Name(id="range"), args=bounds, keywords=[]) if len(bounds) in (1, 2):
            return _range([_value(bound) for bound in bounds])
        case ast.Call(func=ast.Name(id="list" | "tuple"), args=[inner], keywords=[]):
            return _value(inner)
    raise DropnasError(f"{ast.unparse(node)[:60]!r} is not a list, string or whole number")


def _range(bounds: list[Any]) -> list[int]:
    if not all(isinstance(bound, int) and abs(bound) < 1000 for bound in bounds):
        raise DropnasError(f"range{tuple(bounds)} is not a range of nodes")
    return list(range(*bounds))


def _text(items: list[Any], field: str) -> str:
    if not field.endswith("_concat"):
        return f"[{', '.join(repr(tuple(edge)) for edge in items)}]"
    if items == list(range(items[0], items[-1] + 1)):
        return f"range({items[0]}, {items[-1] + 1})"
    return repr(items)


def cell_in_words(cell: Sequence[Sequence[Any]]) -> str:
    """Describe a cell's edges for a reader: the operations and the inputs of each node."""
    nodes = [cell[index : index + 2] for index in range(0, len(cell), 2)]
    return "; ".join(
        f"node {number}: " + " + ".join(f"{operation} of {predecessor}" for operation, predecessor in node)
        for number, node in enumerate(nodes, 2)
    )
