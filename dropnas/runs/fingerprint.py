"""Code fingerprints: a hash over the code that can change a stage's result.

The code of a stage is the static import closure of its entry module, inside this package and inside the user's packages
that its configuration names. `dropnas.runs.code` selects which code of each file is hashed. A data file is hashed if
its name is a string in the code of a module in the same folder. Code that imports modules by name at run time would
escape the analysis and is rejected. The exception is `dropnas.extension`, because the names that it imports are in the
configuration.

The code of configuration modules is not hashed. If other code imports a name from such a module, the value of the name
is hashed instead. For a class of options, only the defaults that differ from the recorded ones are hashed, so a new
option does not change a fingerprint.
"""

import ast
import hashlib
import importlib.util
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import is_dataclass
from functools import cache
from pathlib import Path
from types import FunctionType
from typing import TypeGuard

import yaml

from dropnas.errors import DropnasError
from dropnas.extension import is_reference
from dropnas.runs.code import ModuleCode, canonical, read
from dropnas.runs.identity import changed_defaults, hashed

PACKAGE = "dropnas"
EXTENSION = "dropnas.extension"
CONFIGURATION = re.compile(rf"{PACKAGE}\.\w+\.config")
DATA_SUFFIXES = (".yaml", ".json", ".csv")
DYNAMIC = {"__import__", "exec", "eval", "compile"}


_read: dict[Path, tuple[int, int]] = {}  # modification time and size of each file on which a hash depends


def refresh() -> None:
    """Discard all hashes if a file on which they depend has changed since it was read."""
    if any(_stamp(file) != stamp for file, stamp in _read.items()):
        for cached in (fingerprint, module_file, _code, _imports, _file_hash):
            cached.cache_clear()
        _read.clear()


@cache
def fingerprint(entry: str, references: tuple[str, ...] = ()) -> str:
    """Hash all code that a stage runs.

    Args:
        entry: the stage's entry module, such as `dropnas.search.stage`.
        references: `package.module:ATTRIBUTE` names in the stage's configuration.

    Raises a DropnasError if a module is missing, has a syntax error, lacks a referenced attribute, or imports modules
    by name at run time.
    """
    digest = hashlib.sha256()
    for part in closure(entry, references):
        counted = _value_hash(part) if ":" in part else _file_hash(part)
        digest.update(f"{part} {counted}\n".encode())
    digest.update(json.dumps(sorted(references)).encode())
    return digest.hexdigest()


def closure(entry: str, references: tuple[str, ...] = ()) -> list[str]:
    """List what a stage imports, directly or indirectly: modules, and parts of configurations (see `_parts`)."""
    for reference in references:
        _check_reference(reference)
    modules = [entry, *(reference.partition(":")[0] for reference in references)]
    roots = tuple(sorted({PACKAGE, *(module.partition(".")[0] for module in modules)}))
    found: set[str] = set()
    while modules:
        part = modules.pop()
        if part not in found:
            found.add(part)
            modules.extend(() if ":" in part else _imports(part, roots))
    return sorted(found)


@cache
def module_file(module: str) -> Path | None:
    """The file of a module of this package or of a user's package, found without importing it."""
    top, *rest = module.split(".")
    spec = importlib.util.find_spec(top)
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return None  # built-in or compiled modules have no readable code
    origin = Path(spec.origin)
    if not rest:
        return origin
    base = origin.parent.joinpath(*rest)
    return next((file for file in (base.with_suffix(".py"), base / "__init__.py") if file.is_file()), None)


@cache
def _code(module: str) -> ModuleCode:
    file = module_file(module)
    if file is None:
        remedy = "check the name, or start in the folder of the package"
        raise DropnasError("no Python module of that name", where=module, remedy=remedy)
    _read[file] = _stamp(file)
    try:
        return read(ast.parse(file.read_text(encoding="utf-8"), filename=str(file)))
    except SyntaxError as error:
        raise DropnasError(f"syntax error in line {error.lineno}", where=file) from error


@cache
def _imports(module: str, roots: tuple[str, ...]) -> tuple[str, ...]:
    """The modules under `roots` that a module imports, and the parts of configurations that it uses (see `_parts`).

    This package's `__init__` files are empty, so they are skipped.
    """
    found = [(node, name) for node in _code(module).nodes for name in _imported_names(node, module)]
    _refuse_dynamic_code(module, found)
    names = {name for _, name in found if _under(name, roots)}
    modules = {name if module_file(name) else name.rpartition(".")[0] for name in names}
    return (*sorted(name for name in modules if not _is_own_package(name)), *sorted(_parts(module)))


def _is_by_name(node: ast.AST) -> TypeGuard[ast.ImportFrom]:
    """Whether the statement imports names from a configuration module one by one, not with `*`."""
    if not isinstance(node, ast.ImportFrom) or CONFIGURATION.fullmatch(node.module or "") is None:
        return False
    return all(alias.name != "*" for alias in node.names)


def _parts(module: str) -> Iterator[str]:
    """The parts of configurations that a module's code uses; annotations do not count.

    A part is `module:NAME`, `module:NAME.option`, or `module:NAME(option, …)`. In the last form, the code calls a
    class and sets the options in parentheses itself, so the defaults of these options do not count.
    """
    for node in filter(_is_by_name, _code(module).nodes):
        for alias in node.names:
            for use in _code(module).uses:
                if use.name == (alias.asname or alias.name):
                    how = f".{use.attribute}" if use.attribute else f"({', '.join(use.given)})" if use.given else ""
                    yield f"{node.module}:{alias.name}{how}"


def _value_hash(part: str) -> str:
    """Hash the value of a part of a configuration; for a class, the defaults that differ from the recorded ones."""
    module, name, option, given = re.fullmatch(r"(.+):(\w+)(?:\.(\w+))?(?:\((.*)\))?", part).groups("")  # type: ignore[union-attr]
    found = getattr(importlib.import_module(module), name, None)
    value = hashed(found)
    if is_dataclass(found) and isinstance(found, type):
        changed = changed_defaults(found)
        value = {key: changed[key] for key in changed if option in ("", key) and key not in given.split(", ")}
    elif isinstance(found, type | FunctionType):
        raise DropnasError("is code in a configuration module", where=part, remedy="move it to another module")
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=repr).encode()).hexdigest()


def _under(name: str, roots: tuple[str, ...]) -> bool:
    return name.partition(".")[0] in roots


def _is_own_package(name: str) -> bool:
    file = module_file(name)
    return _under(name, (PACKAGE,)) and file is not None and file.name == "__init__.py"


def _imported_names(node: ast.AST, module: str) -> Iterator[str]:
    """Dotted names that a statement may import; for `from a import b`, both `a` and `a.b`, as b may be a module."""
    if _is_by_name(node):
        return  # `_parts` yields the names that are used
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            is_package = (file := module_file(module)) is not None and file.name == "__init__.py"
            package = module if is_package else module.rpartition(".")[0]
            base = importlib.util.resolve_name("." * node.level + base, package)
        yield from (f"{base}.{alias.name}" for alias in node.names)
        yield base
    elif isinstance(node, ast.Constant) and isinstance(node.value, str) and is_reference(node.value):
        # A string may name a module, for example if a user's space names a user's operation. This package's own strings
        # are ignored, because it has lists that name more modules than a run uses.
        yield from () if _under(module, (PACKAGE,)) else (node.value.partition(":")[0],)


def _refuse_dynamic_code(module: str, imported: Iterable[tuple[ast.AST, str]]) -> None:
    calls = [node for node in _code(module).nodes if isinstance(node, ast.Call)]
    lines = [node.lineno for node in calls if isinstance(node.func, ast.Name) and node.func.id in DYNAMIC]
    lines += [getattr(node, "lineno", 0) for node, name in imported if name.partition(".")[0] == "importlib"]
    if lines and module != EXTENSION:
        fault, remedy = f"line {min(lines)} runs code that a fingerprint cannot see", "use an import statement"
        raise DropnasError(fault, where=module_file(module), remedy=remedy)


def _check_reference(reference: str) -> None:
    module, _, attribute = reference.partition(":")
    defined = {name for node in _code(module).tree.body for name in _defined_names(node)}
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
    digest = hashlib.sha256(json.dumps(canonical(_code(module).tree)).encode())
    for file in _data_files(module):
        digest.update(f"{file.name} {_data_hash(file)}".encode())
    return digest.hexdigest()


def _data_files(module: str) -> list[Path]:
    file = module_file(module)
    assert file is not None  # the module has already been read
    strings = {node.value for node in _code(module).nodes if isinstance(node, ast.Constant)}
    names = sorted(name for name in strings if isinstance(name, str) and name.endswith(DATA_SUFFIXES))
    return [file.parent / name for name in names if "/" not in name and (file.parent / name).is_file()]


def _data_hash(file: Path) -> str:
    """Hash a data file's content. For YAML and JSON the values are hashed, so comments do not count."""
    _read[file] = _stamp(file)
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".yaml":
        text = json.dumps(yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)), default=str)
    elif file.suffix == ".json":
        text = json.dumps(json.loads(text))
    return hashlib.sha256(text.encode()).hexdigest()


def _stamp(file: Path) -> tuple[int, int]:
    """Modification time and size of a file; (-1, -1), which no file has, if the file is missing or unreachable."""
    try:
        status = file.stat()
    except OSError:
        return (-1, -1)
    return (status.st_mtime_ns, status.st_size)
