"""Code fingerprints: what code can change a stage's result.

A stage's code is the static import closure of its entry module, inside this package and inside the packages of the
user's that its configuration names. Of each file the syntax tree is hashed without comments, docstrings and positions,
field by field, so that a reformatting changes nothing and Python 3.11 and 3.12 agree (`ast.unparse` does not).
A data file counts when a string in the code is the name of a file that lies beside it. Code that imports by name
would escape the walk and is refused; `dropnas.extension`, whose names stand in the configuration, is the exception.
"""

import ast
import hashlib
import importlib.util
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from dropnas.errors import DropnasError
from dropnas.extension import is_reference

PACKAGE = "dropnas"
EXTENSION = "dropnas.extension"
DATA_SUFFIXES = (".yaml", ".json", ".csv")
IGNORED_FIELDS = {"type_comment", "type_ignores", "kind", "ctx"}
DYNAMIC = {"__import__", "exec", "eval", "compile"}


@cache
def fingerprint(entry: str, references: tuple[str, ...] = ()) -> str:
    """Hash of all code that a stage runs.

    Args:
        entry: the stage's entry module, as `dropnas.search.stage`.
        references: `package.module:ATTRIBUTE` names in the stage's configuration.

    Raises:
        DropnasError: a module is missing, has a syntax error, lacks the attribute, or imports by name.
    """
    digest = hashlib.sha256()
    for module in closure(entry, references):
        digest.update(f"{module} {_file_hash(module)}\n".encode())
    return digest.hexdigest()


def closure(entry: str, references: tuple[str, ...] = ()) -> list[str]:
    """Names of all modules that a stage imports, directly or not, sorted."""
    for reference in references:
        _check_reference(reference)
    modules = [entry, *(reference.partition(":")[0] for reference in references)]
    roots = tuple(sorted({PACKAGE, *(module.partition(".")[0] for module in modules)}))
    found: set[str] = set()
    while modules:
        module = modules.pop()
        if module not in found:
            found.add(module)
            modules.extend(_imports(module, roots))
    return sorted(found)


@cache
def module_file(module: str) -> Path | None:
    """The file of a module of this package or of a user's package, found without importing it."""
    top, *rest = module.split(".")
    spec = importlib.util.find_spec(top)
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return None  # also what is built in or compiled: its code cannot be read
    origin = Path(spec.origin)
    if not rest:
        return origin
    base = origin.parent.joinpath(*rest)
    return next((file for file in (base.with_suffix(".py"), base / "__init__.py") if file.is_file()), None)


@cache
def _tree(module: str) -> ast.Module:
    file = module_file(module)
    if file is None:
        raise DropnasError(
            "no Python module of that name", where=module, remedy="check it, or start beside the package"
        )
    try:
        return ast.parse(file.read_text(encoding="utf-8"), filename=str(file))
    except SyntaxError as error:
        raise DropnasError(f"syntax error in line {error.lineno}", where=file) from error


@cache
def _nodes(module: str) -> tuple[ast.AST, ...]:
    """All imports, calls and constants of a module: what is looked at apart from the tree as a whole."""
    looked_at = (ast.Import, ast.ImportFrom, ast.Call, ast.Constant)
    return tuple(node for node in ast.walk(_tree(module)) if isinstance(node, looked_at))


@cache
def _imports(module: str, roots: tuple[str, ...]) -> tuple[str, ...]:
    """Modules under `roots` that one module imports. Package `__init__` files of this package are empty: not walked."""
    _refuse_dynamic_code(module)
    names = (name for node in _nodes(module) for name in _imported_names(node, module))
    modules = {name if module_file(name) else name.rpartition(".")[0] for name in names if _under(name, roots)}
    return tuple(sorted(name for name in modules if not _is_own_package(name)))


def _under(name: str, roots: tuple[str, ...]) -> bool:
    return name.partition(".")[0] in roots


def _is_own_package(name: str) -> bool:
    file = module_file(name)
    return _under(name, (PACKAGE,)) and file is not None and file.name == "__init__.py"


def _imported_names(node: ast.AST, module: str) -> Iterator[str]:
    """Dotted names that a statement may import; of `from a import b` both `a` and `a.b` when b is a module."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            file = module_file(module)
            levels = node.level - (file is not None and file.name == "__init__.py")
            base = ".".join([*module.split(".")[: len(module.split(".")) - levels], *([base] if base else [])])
        yield from (f"{base}.{alias.name}" for alias in node.names)
        yield base
    elif isinstance(node, ast.Constant) and isinstance(node.value, str) and is_reference(node.value):
        is_ours = _under(module, (PACKAGE,))  # its lists of methods and backends name more than a run uses
        yield from () if is_ours else (node.value.partition(":")[0],)  # a user's space that names a user's operation


def _refuse_dynamic_code(module: str) -> None:
    if module == EXTENSION:
        return
    for node in _nodes(module):
        imported = [name.partition(".")[0] for name in _imported_names(node, module)]
        called = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
        if "importlib" in imported or called in DYNAMIC:
            raise DropnasError(
                f"line {getattr(node, 'lineno', 0)} runs code that a fingerprint cannot see",
                where=module_file(module),
                remedy="import it by an ordinary import statement",
            )


def _check_reference(reference: str) -> None:
    """Require that a module defines the attribute that the configuration names, without importing it."""
    module, _, attribute = reference.partition(":")
    defined = {name for node in _tree(module).body for name in _defined_names(node)}
    if attribute not in defined:
        raise DropnasError(f"module {module!r} defines no {attribute!r}", where=reference)


def _defined_names(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Import | ast.ImportFrom):
        yield from (alias.asname or alias.name for alias in node.names)
    elif isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        yield from (target.id for target in targets if isinstance(target, ast.Name))


@cache
def _file_hash(module: str) -> str:
    digest = hashlib.sha256(json.dumps(canonical(_tree(module))).encode())
    for file in _data_files(module):
        digest.update(f"{file.name} {_data_hash(file)}".encode())
    return digest.hexdigest()


def _data_files(module: str) -> list[Path]:
    file = module_file(module)
    assert file is not None  # _tree has found it
    strings = {node.value for node in _nodes(module) if isinstance(node, ast.Constant)}
    names = sorted(name for name in strings if isinstance(name, str) and name.endswith(DATA_SUFFIXES))
    return [file.parent / name for name in names if "/" not in name and (file.parent / name).is_file()]


def _data_hash(file: Path) -> str:
    """Hash of a data file's content; of YAML and JSON that of the values, so that a comment changes nothing."""
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".yaml":
        text = json.dumps(yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)), default=str)
    elif file.suffix == ".json":
        text = json.dumps(json.loads(text))
    return hashlib.sha256(text.encode()).hexdigest()


def canonical(node: Any) -> Any:
    """A syntax tree as nested lists, without what cannot change a result or differs between Python versions.

    Empty fields are left out: Python 3.12 added `type_params`, empty in code that 3.11 can read.
    """
    if isinstance(node, ast.AST):
        fields = ((name, value) for name, value in ast.iter_fields(node) if name not in IGNORED_FIELDS)
        kept = [[name, canonical(value)] for name, value in fields if value is not None and value != []]
        return [type(node).__name__, *kept]
    if isinstance(node, list):
        return [canonical(item) for item in node if not _is_docstring(item)]
    return repr(node)


def _is_docstring(node: Any) -> bool:
    """A string that stands as a statement of its own does nothing, wherever it stands."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
