"""Fingerprints: what changes them and what must not."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from dropnas.errors import DropnasError
from dropnas.pipeline.stages import STAGES
from dropnas.report.config import TARGETS
from dropnas.runs import fingerprint as fp
from dropnas.search.config import BACKENDS, STRATEGIES

REPOSITORY = Path(__file__).parents[3]
SOURCE = '''"""A module."""
import json
from helper_part import offset


def scale(x, *, by=2.0):
    """Scale x."""
    # twice, unless a test says otherwise
    return [f"{item * by + offset:.3f}" for item in x if item is not None]
'''
REFORMATTED = """
import json
from helper_part import (
    offset,
)
def scale(
    x,
    *,
    by=2.0,
):
    "Another docstring, and no comment."
    return [f"{item * by + offset:.3f}"
            for item in x
            if (item is not None)]
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A user's package on the path, and a function that computes its fingerprint again."""
    folder = tmp_path / "user_method"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "part.py").write_text("offset = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))

    def fingerprint(source: str) -> str:
        for cached in (fp.module_file, fp._code, fp._imports, fp._file_hash, fp.fingerprint):
            cached.cache_clear()
        (folder / "method.py").write_text(source.replace("helper_part", "user_method.part"))
        return fp.fingerprint("user_method.method")

    fingerprint.folder = folder
    yield fingerprint
    fingerprint("")


def test_comments_docstrings_and_layout_change_nothing(package):
    assert package(SOURCE) == package(REFORMATTED)


@pytest.mark.parametrize(
    ("old", "new"),
    [("2.0", "2.5"), (" + ", " - "), (".3f", ".4f"), ("scale", "scaled"), ("is not", "is"), ("*, ", "")],
)
def test_every_change_of_code_changes_it(package, old, new):
    assert package(SOURCE) != package(SOURCE.replace(old, new))


TEXTS = """
from warnings import warn


def check(x, path, progress):
    progress(f"looks at {x}")
    warn("a warning")
    assert x, "an assertion"
    if x < 0:
        raise ValueError("too small" if x else f"{x} is odd")
    return f"{x} images", open(path, "rb")
"""


@pytest.mark.parametrize("text", ["looks at", "a warning", "an assertion", "too small", " is odd"])
def test_texts_of_errors_warnings_and_progress_do_not_count(package, text):
    assert text in TEXTS
    assert package(TEXTS) == package(TEXTS.replace(text, " another text"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (" images", " pictures"),
        ('"rb"', '"r"'),
        ("ValueError", "TypeError"),
        ("x < 0", "x < 1"),
        ("assert x", "assert"),
    ],
)
def test_other_strings_and_the_code_around_texts_count(package, old, new):
    changed = TEXTS.replace(old, new).replace("assert,", "assert not x,")
    assert changed != TEXTS and package(TEXTS) != package(changed)


def test_what_an_error_carries_counts(package):
    """An exception may pass a result to the code that catches it."""
    source = "def f(x):\n    raise StopIteration(x, 'found')\n"
    assert package(source) == package(source.replace("found", "it is here"))
    assert package(source) != package(source.replace("(x,", "(2 * x,"))


ANNOTATED = """
from dataclasses import dataclass
from typing import TYPE_CHECKING, Sequence

if TYPE_CHECKING:
    from user_method.part import Offset

LIMITS: Sequence[int] = (1, 2)


@dataclass
class Point:
    x: int = 0


def scale(point: Point, by: "Offset") -> int:
    scaled: int = point.x * by
    return scaled
"""
PLAIN = """
from dataclasses import dataclass
from typing import Any

LIMITS = (1, 2)


@dataclass
class Point:
    x: Any = 0


def scale(point, by):
    scaled = point.x * by
    return scaled
"""


def test_annotations_and_their_imports_do_not_count(package):
    assert package(ANNOTATED) == package(PLAIN)


def test_an_import_that_nothing_uses_counts(package):
    """The import may be needed for its side effects."""
    assert package("import json\n") != package("")


def test_an_annotation_that_makes_a_field_counts(package):
    assert package(PLAIN) != package(PLAIN.replace("x: Any = 0", "x = 0"))


@pytest.mark.parametrize("reader", ["from pydantic import TypeAdapter", "from typing import ClassVar", "import triton"])
def test_annotations_count_where_code_reads_them(package, reader):
    assert package(f"{reader}\n{PLAIN}") != package(f"{reader}\n{PLAIN.replace('x: Any', 'x: object')}")


def test_code_in_a_module_of_configuration_is_refused(package):
    package("from dropnas.search.config import RATE_AS_SNAS\nRATE = RATE_AS_SNAS\n")
    with pytest.raises(DropnasError, match=r"config:dataclass: is code in a configuration module"):
        package("from dropnas.search.config import dataclass\nMAKE = dataclass(object)\n")


def test_a_module_of_configuration_imported_as_a_whole_counts_as_code(package):
    package("from dropnas.search import config\nRATE = config.RATE_AS_SNAS\n")
    assert "dropnas.search.config" in fp.closure("user_method.method")


def test_the_named_code_counts(package):
    package("first = second = None\none = two = None\n")
    names = [("user_method.method:first",), ("user_method.method:one",)]
    with_first, with_one = (fp.fingerprint("user_method.method", name) for name in names)
    assert with_first != with_one


def test_an_imported_module_counts(package):
    before = package(SOURCE)
    (package.folder / "part.py").write_text("offset = 2\n")
    assert package(SOURCE) != before


def test_an_import_inside_a_function_counts(package):
    source = "def f():\n    from user_method import part\n    return part.offset\n"
    before = package(source)
    (package.folder / "part.py").write_text("offset = 2\n")
    assert package(source) != before


def test_a_relative_import_counts(package):
    source = "from .part import offset\n"
    before = package(source)
    (package.folder / "part.py").write_text("offset = 2\n")
    assert package(source) != before


def test_a_data_file_counts_by_its_values(package):
    source = 'from pathlib import Path\nTABLE = Path(__file__).with_name("numbers.yaml")\n'
    data = package.folder / "numbers.yaml"
    data.write_text("a: 1\n")
    before = package(source)
    data.write_text("# remarked\na:   1\n")
    assert package(source) == before
    data.write_text("a: 2\n")
    assert package(source) != before


def test_code_named_in_a_string_counts(package):
    source = 'OPERATIONS = ("user_method.part:offset",)\n'
    before = package(source)
    (package.folder / "part.py").write_text("offset = 2\n")
    assert package(source) != before


@pytest.mark.parametrize(
    "source",
    ["import importlib\n", "from importlib import import_module\n", "exec('x = 1')\n", "x = __import__('os')\n"],
)
def test_code_that_cannot_be_seen_is_refused(package, source):
    with pytest.raises(DropnasError, match="cannot see"):
        package(source)


def test_a_missing_attribute_is_named(package):
    package(SOURCE)
    with pytest.raises(DropnasError, match=r"user_method.method:nothing.*defines no 'nothing'"):
        fp.fingerprint("user_method.method", ("user_method.method:nothing",))


def test_closures_are_those_listed():
    """A stage's closure is a decision: a new module repeats its runs. The list is tests/golden/closures.yaml."""
    listed = yaml.safe_load((REPOSITORY / "tests/golden/closures.yaml").read_text())
    found = {name: fp.closure(stage.module) for name, stage in STAGES.items()}
    added = [("search", name, reference) for name, reference in {**STRATEGIES, **BACKENDS}.items()]
    added += [("figure", name, target.drawing) for name, target in TARGETS.items() if target.drawing]
    for stage, name, reference in added:  # what a run with this reference adds
        found[f"{stage}, {name}"] = sorted({*fp.closure(STAGES[stage].module, (reference,))} - {*found[stage]})
    assert found == listed


@pytest.mark.parametrize("stage", STAGES)
def test_bookkeeping_is_outside_every_closure(stage):
    outside = ("dropnas.runs", "dropnas.cli", "dropnas.config", "dropnas.pipeline", "dropnas.monitor")
    assert not [module for module in fp.closure(STAGES[stage].module) if module.startswith(outside)]


def test_package_files_are_empty():
    """`__init__` files are not walked, so they must hold nothing; the top one only forwards `load`."""
    files = set((REPOSITORY / "dropnas").rglob("__init__.py")) - {REPOSITORY / "dropnas/__init__.py"}
    assert [file for file in files if file.read_text().strip()] == []


def _python312() -> str | None:
    installed = sorted(Path.home().glob(".pyenv/versions/3.12.*/bin/python3.12"))
    is_312 = "import sys; sys.exit(sys.version_info[:2] != (3, 12))"
    for candidate in filter(None, [os.environ.get("PYTHON312"), *installed, shutil.which("python3.12")]):
        if subprocess.run([candidate, "-c", is_312], stderr=subprocess.DEVNULL).returncode == 0:
            return str(candidate)
    return None


def test_python_311_and_312_agree(tmp_path):
    """The same tree under the other version, in a separate process."""
    other = _python312()
    if other is None or sys.version_info[:2] == (3, 12):
        pytest.skip("no Python 3.12 beside this one")
    shutil.copytree(Path(yaml.__file__).parent, tmp_path / "yaml", ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    script = (
        "import json; from dropnas.runs.fingerprint import fingerprint;"
        f"print(json.dumps([fingerprint(m) for m in {[stage.module for stage in STAGES.values()]!r}]))"
    )
    environment = {"PYTHONPATH": f"{REPOSITORY}:{tmp_path}", "PATH": os.environ["PATH"]}
    found = subprocess.run([other, "-c", script], env=environment, capture_output=True, text=True, cwd=tmp_path)
    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout) == [fp.fingerprint(stage.module) for stage in STAGES.values()]


@pytest.mark.parametrize("module", ["os", "math", "no_such_module"])
def test_code_that_cannot_be_read_is_named(module):
    fp.module_file.cache_clear()
    with pytest.raises(DropnasError):
        fp.fingerprint("dropnas.search.stage", (f"{module}:anything",))
