"""The part of a module's code that can change a result, as a syntax tree.

The tree contains no comments, docstrings, positions, annotations or messages. Code under `if TYPE_CHECKING` is removed
as well, and so are imports that only annotations or messages use. A message is a string or f-string in a raised
exception, in an assertion, or in a call of one of the functions in MESSAGE_CALLS. The tree is written field by field,
because the output of `ast.unparse` differs between Python 3.11 and 3.12. docs/decisions.md lists what this analysis
does not detect.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

MESSAGE_CALLS = {
    "DropnasError",
    "progress",
    "_log",
    "warn",
}  # calls whose strings are messages, on which no result depends
# A module that mentions one of these reads annotations at run time, so its annotations count.
READERS = {
    *("pydantic", "triton", "jit", "custom_op", "singledispatch", "singledispatchmethod"),
    *("get_type_hints", "__annotations__", "ClassVar", "InitVar", "KW_ONLY"),
}
IGNORED_FIELDS = {"type_comment", "type_ignores", "kind", "ctx"}


class Use(NamedTuple):
    """One use of a name. `attribute` is set for `name.attribute`, `given` for a call with only keyword arguments."""

    name: str
    attribute: str = ""
    given: tuple[str, ...] = ()


@dataclass(frozen=True)
class ModuleCode:
    """The code of a module."""

    tree: ast.Module  # its syntax tree, reduced to the code that can change a result
    nodes: tuple[ast.AST, ...]  # its imports, calls and constants, including imports and messages that `tree` omits
    uses: frozenset[Use]  # all uses of names in `tree`


def read(tree: ast.Module) -> ModuleCode:
    """Read the code of a module from its syntax tree, which is modified in place."""
    for _, block in _blocks(tree):
        block[:] = [statement for statement in block if not _does_nothing(statement)]
    nodes = walk(tree)
    spoken = [node for node in nodes if isinstance(node, ast.Call | ast.Raise | ast.Assert)]
    served = {"TYPE_CHECKING"} | {name for node in spoken for text in _take_texts(node) for name in _names(text)}
    if not any(_reads_annotations(node) for node in nodes):
        served |= {word for node in nodes for annotation in _take_annotations(node) for word in _words(annotation)}
    uses = _uses(tree)
    served -= {use.name for use in uses}
    for owner, block in _blocks(tree):
        block[:] = [kept for statement in block for kept in _kept(statement, owner, served)]
    looked_at = (ast.Import, ast.ImportFrom, ast.Call, ast.Constant)
    return ModuleCode(tree, tuple(node for node in nodes if isinstance(node, looked_at)), uses)


def canonical(node: Any) -> Any:
    """Convert a syntax tree to nested lists that are the same in all versions of Python.

    Empty fields are left out: Python 3.12 added `type_params`, which is empty in code that 3.11 can read.
    """
    if isinstance(node, ast.AST):
        values = [(name, getattr(node, name, None)) for name in node._fields if name not in IGNORED_FIELDS]
        return [type(node).__name__, *([name, canonical(one)] for name, one in values if one is not None and one != [])]
    return [canonical(item) for item in node] if isinstance(node, list) else repr(node)


def walk(tree: ast.AST) -> list[ast.AST]:
    """All nodes except contexts (`ctx`), parents first.

    This takes a third of the time of `ast.walk`, which matters because every start of the program waits for it.
    """
    found = [tree]
    for node in found:
        for name in node._fields:
            value = getattr(node, name, None)
            if isinstance(value, list):
                found += [item for item in value if isinstance(item, ast.AST)]
            elif isinstance(value, ast.AST) and name != "ctx":
                found.append(value)
    return found


def _blocks(tree: ast.Module) -> Iterator[tuple[ast.AST, list[ast.stmt]]]:
    """Yield all lists of statements with their owners; the caller may change a list before it takes the next one."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        for block in (getattr(node, name, None) for name in ("body", "orelse", "finalbody")):
            if isinstance(block, list):
                yield node, block
                waiting.extend(block)
        waiting.extend([*getattr(node, "handlers", ()), *getattr(node, "cases", ())])


def _does_nothing(statement: ast.stmt) -> bool:
    match statement:
        case ast.Expr(value=ast.Constant(value=str())) | ast.If(test=ast.Name(id="TYPE_CHECKING"), orelse=[]):
            return True
    return False


def _reads_annotations(node: ast.AST) -> bool:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name in READERS
        case ast.Import(names=names) | ast.ImportFrom(names=names):
            dotted = [getattr(node, "module", None) or "", *(alias.name for alias in names)]
            return not READERS.isdisjoint(part for name in dotted for part in name.split("."))
    return False


def _take_annotations(node: ast.AST) -> Iterator[ast.expr]:
    """Remove a node's annotations and yield them. An annotated assignment remains an `ast.AnnAssign`."""
    if isinstance(node, ast.arg | ast.AnnAssign) and node.annotation is not None:
        yield node.annotation
        node.annotation = None  # type: ignore[assignment]
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.returns is not None:
        yield node.returns
        node.returns = None


def _take_texts(node: ast.AST) -> Iterator[ast.expr]:
    if isinstance(node, ast.Assert) and node.msg is not None and _is_text(node.msg):
        yield node.msg
        node.msg = None
    call = node.exc if isinstance(node, ast.Raise) else node
    if isinstance(call, ast.Call) and (call is not node or _called(call) in MESSAGE_CALLS):
        yield from (value for value in (*call.args, *(word.value for word in call.keywords)) if _is_text(value))
        call.args = [value for value in call.args if not _is_text(value)]
        call.keywords = [word for word in call.keywords if not _is_text(word.value)]


def _called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _is_text(node: ast.expr) -> bool:
    match node:
        case ast.Constant(value=str()) | ast.JoinedStr():
            return True
        case ast.IfExp(body=first, orelse=second) | ast.BinOp(left=first, right=second):
            return _is_text(first) or _is_text(second)
    return False


def _uses(tree: ast.Module) -> frozenset[Use]:
    found: dict[ast.Name, Use] = {}
    for node in walk(tree):  # an attribute or a call precedes the name inside it
        match node:
            case ast.Attribute(value=ast.Name() as name):
                found[name] = Use(name.id, node.attr)
            case ast.Call(func=ast.Name() as name, args=[], keywords=words) if all(word.arg for word in words):
                found[name] = Use(name.id, given=tuple(sorted(str(word.arg) for word in words)))
            case ast.Name():
                found.setdefault(node, Use(node.id))
    return frozenset(found.values())


def _names(part: ast.expr) -> Iterator[str]:
    yield from (node.id for node in walk(part) if isinstance(node, ast.Name))


def _words(annotation: ast.expr) -> Iterator[str]:
    """The names in an annotation, which may be a string or contain one."""
    yield from _names(annotation)
    for node in walk(annotation):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from re.findall(r"\w+", node.value)


def _kept(statement: ast.stmt, owner: ast.AST, served: set[str]) -> list[ast.stmt]:
    """Reduce a statement to what can change a result; the list is empty if nothing is left.

    An annotated variable (not a field of a class) becomes a plain assignment. Imports of the names in `served`, which
    only annotations or messages use, are removed.
    """
    if isinstance(statement, ast.AnnAssign) and statement.annotation is None and not isinstance(owner, ast.ClassDef):
        return [ast.Assign([statement.target], statement.value)] if statement.value else []
    if not isinstance(statement, ast.Import | ast.ImportFrom):
        return [statement]
    kept = [alias for alias in statement.names if (alias.asname or alias.name.partition(".")[0]) not in served]
    if isinstance(statement, ast.Import):
        return [ast.Import(kept)] if kept else []
    return [ast.ImportFrom(statement.module, kept, statement.level)] if kept else []
