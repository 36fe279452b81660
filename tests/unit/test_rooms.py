"""The order of the rooms: imports lead downwards, not in circles. Names of files, classes and constants are unique."""

import ast
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "dropnas"
# From the bottom up. A room may import rooms of earlier lines; rooms of one line do not import each other.
ORDER = (
    {"choice", "errors"},
    {"artifacts", "extension", "parsing", "workspace"},
    {"machine", "runs", "space", "training"},
    {"analysis", "data"},
    {"report"},
    {"evaluate", "search"},
    {"config", "sharing"},
    {"pipeline"},
    {"archive", "doctor", "monitor"},
    {"cli", "dropnas"},  # `dropnas` is the package's own `__init__`, which forwards `load`
    {"__main__"},
)
LEVEL = {room: level for level, rooms in enumerate(ORDER) for room in rooms}
SEVERAL = {"__init__.py", "config.py"}  # names that each room may have


def room(file: Path) -> str:
    """The room of a file: a folder of the package, or a file next to the folders."""
    first = file.relative_to(PACKAGE).parts[0]
    return "dropnas" if first == "__init__.py" else first.removesuffix(".py")


def imported(tree: ast.AST) -> Iterator[str]:
    """The rooms that a file imports, also inside its functions."""
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "a relative import hides where it leads"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        yield from (name.split(".")[1] for name in names if name.startswith("dropnas."))


def edges() -> Iterator[tuple[Path, str]]:
    """Each file with the other rooms that it imports."""
    for file in sorted(PACKAGE.rglob("*.py")):
        rooms = set(imported(ast.parse(file.read_text(encoding="utf-8"))))
        yield from ((file, other) for other in sorted(rooms) if other != room(file))


def test_each_room_has_its_place() -> None:
    assert {room(file) for file in PACKAGE.rglob("*.py")} == set(LEVEL)


def test_imports_lead_downwards() -> None:
    upwards = [
        f"{file.relative_to(PACKAGE)} -> {other}" for file, other in edges() if LEVEL[other] >= LEVEL[room(file)]
    ]
    assert upwards == []


def test_rooms_are_in_no_circle() -> None:
    """Independent of ORDER."""
    graph: dict[str, set[str]] = {}
    for file, other in edges():
        graph.setdefault(room(file), set()).add(other)
    TopologicalSorter(graph).prepare()


def test_a_name_of_a_file_occurs_once() -> None:
    files = [path for path in PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    counts = Counter(file.name for file in files)
    assert sorted(name for name, count in counts.items() if count > 1 and name not in SEVERAL) == []


def test_a_class_or_constant_has_a_name_of_its_own() -> None:
    counts = Counter(name for file in PACKAGE.rglob("*.py") for name in defined(ast.parse(file.read_text("utf-8"))))
    assert sorted(name for name, count in counts.items() if count > 1) == []


def defined(tree: ast.Module) -> Iterator[str]:
    """The classes, constants and types that a module defines at its top level."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = [name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)]
            yield from (name for name in names if name.lstrip("_")[:1].isupper())


def test_definitions_are_seen() -> None:
    source = "class A: B = 1\nC, (D, e) = 1, (2, 3)\nF: int = 1\n_G = 2\ndef H(): I = 1\n"
    assert list(defined(ast.parse(source))) == ["A", "C", "D", "F", "_G"]


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import dropnas.search.state", ["search"]),
        ("from dropnas.search import state, step", ["search", "search"]),
        ("from dropnas import cli", ["cli"]),
        ("def f():\n    from dropnas.pipeline.plan import Plan", ["pipeline"]),
        ("import numpy", []),
    ],
)
def test_imports_are_seen(source: str, found: list[str]) -> None:
    assert list(imported(ast.parse(source))) == found


LIGHT = """
import sys
from pathlib import Path
import dropnas.cli
from dropnas.config import read_parameters
from dropnas.pipeline.plan import make_plan
from dropnas.space.published import published

published()
make_plan(read_parameters(Path("params/paper.yaml")))
import dropnas.doctor.examine, dropnas.pipeline.start
planned = {"torch", "pandas", "numpy"} & set(sys.modules)

import dropnas.evaluate.fixed, dropnas.evaluate.select, dropnas.search.derive, dropnas.search.options
import dropnas.search.sample, dropnas.space.genotype, dropnas.space.spaces

print(planned, "torch" in sys.modules)
"""


def test_what_plans_and_what_trains_nothing_imports_no_torch() -> None:
    """The command line, the plan and a start (without numpy and pandas, too), and the stages that need no training."""
    done = subprocess.run([sys.executable, "-c", LIGHT], cwd=PACKAGE.parent, capture_output=True, text=True, check=True)
    assert done.stdout == "set() False\n"
