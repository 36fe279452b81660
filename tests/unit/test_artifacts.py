"""The files of runs: written values are read back, any fault is one line, and only one module has each file's name."""

import ast
import dataclasses
import importlib
import json
import math
import pkgutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dropnas import artifacts
from dropnas.artifacts.clusters_file import ClustersCell
from dropnas.artifacts.correlation_file import Coefficient
from dropnas.artifacts.counts_file import Counted, CountsFile
from dropnas.artifacts.dataset_file import Dataset
from dropnas.artifacts.json_file import FURTHER, JsonFile
from dropnas.artifacts.manifest_file import ManifestFile
from dropnas.artifacts.metrics_file import METRICS, MetricsFile
from dropnas.artifacts.receipt_file import ReceiptFile
from dropnas.artifacts.search_files import ALPHA_ROWS, AlphasFile, Epoch, HistoryFile, SearchResultFile
from dropnas.artifacts.selection_file import Candidate, SelectionFile
from dropnas.artifacts.training_files import NetworkFile
from dropnas.artifacts.variant_file import ORIGIN
from dropnas.artifacts.verdicts_file import CellVerdict, VerdictsFile
from dropnas.errors import DropnasError
from dropnas.space import spaces

PACKAGE = Path(artifacts.__file__).parents[1]
MODULES = [f"dropnas.artifacts.{one.name}" for one in pkgutil.iter_modules(artifacts.__path__)]
KINDS = sorted(
    {
        kind
        for module in map(importlib.import_module, MODULES)
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, JsonFile) and kind is not JsonFile
    },
    key=lambda kind: kind.__name__,
)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=5)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
SCALARS = {str: TEXTS, float: FINITE, int: st.integers(-(2**60), 2**60), bool: st.booleans(), NoneType: st.none()}
WRONG = [[["wrong"]]]  # of no type of a field
POSITIVE = st.integers(2, 10**9)


def values_of(kind: Any) -> st.SearchStrategy[Any]:
    """A hypothesis strategy for the values of an artifact's type."""
    if kind in CONSTRAINED:
        return CONSTRAINED[kind]
    if kind is CellVerdict:
        return cell_verdicts()
    if dataclasses.is_dataclass(kind):
        hints = get_type_hints(kind)
        names = [field.name for field in dataclasses.fields(kind)]
        return st.builds(kind, **{name: values_of(hints[name]) for name in names})  # type: ignore[arg-type]
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Literal:
        return st.sampled_from(parts)
    if origin in (Union, UnionType):
        return st.one_of(map(values_of, parts))
    if origin in (dict, Mapping):
        return st.dictionaries(TEXTS, values_of(parts[1]), max_size=2)
    if origin is tuple and parts[-1] is Ellipsis:
        return st.lists(values_of(parts[0]), max_size=3).map(tuple)
    if origin is tuple:
        return st.tuples(*map(values_of, parts))
    return st.none() if kind is Any else SCALARS[kind]


@st.composite
def alphas(draw: st.DrawFn, head: Any) -> Any:
    """An object with alphas of two operations, and a strategy's further parameters."""
    rows = st.tuples(FINITE, FINITE).map(lambda row: (row,) * ALPHA_ROWS)
    return head(draw(rows), draw(rows), {"temperature": draw(FINITE), "gates": draw(rows)})


@st.composite
def clusters_cells(draw: st.DrawFn) -> ClustersCell:
    names = ("sep_conv_3x3", "skip_connect")
    return ClustersCell(
        cell=draw(SCALARS[int]),
        kind=draw(st.sampled_from(("normal", "reduction"))),
        operations=names,
        parameterised=names[:1],
        points=tuple(draw(st.tuples(FINITE, FINITE)) for _ in names),
        labels=(0, 1),
        explained=draw(st.tuples(FINITE, FINITE)),
        silhouette={name: draw(FINITE) for name in names},
        single_member=draw(st.sampled_from(((), names))),
    )


@st.composite
def datasets(draw: st.DrawFn) -> Dataset:
    threes = st.tuples(*[st.floats(0.01, 1.0)] * 3)
    sizes = draw(st.tuples(*[st.integers(0, 10**9)] * 5))
    kind = draw(st.sampled_from(("arrays", "files")))
    files = {"location": draw(TEXTS), "test_is_train": draw(st.booleans())} if kind == "files" else {}
    return Dataset("x", kind, sizes[0], 3, *sizes[1:3], draw(threes), draw(threes), *sizes[3:], **files)


def cell_verdicts() -> st.SearchStrategy[CellVerdict]:
    """Verdicts on several runs, which therefore have a deviation."""
    hints = get_type_hints(CellVerdict)
    values = {name: values_of(hint) for name, hint in hints.items() if name not in ("n", "std")}
    return st.builds(CellVerdict, n=POSITIVE, std=st.floats(0, 1e9), **values)


CONSTRAINED: dict[Any, st.SearchStrategy[Any]] = {
    AlphasFile: alphas(lambda *matrices: AlphasFile(("a", "b"), *matrices)),
    HistoryFile: st.lists(alphas(lambda *matrices: Epoch(3, *matrices)), max_size=2).map(
        lambda epochs: HistoryFile(("a", "b"), tuple(epochs))
    ),
    SearchResultFile: st.builds(
        SearchResultFile, *[FINITE] * 2, POSITIVE, *[FINITE] * 2, POSITIVE, st.just({"stop_reason": "end", "left": 3})
    ),
    ClustersCell: clusters_cells(),
    Coefficient: st.just(Coefficient(None, None, None, None)) | st.builds(Coefficient, st.floats(-1, 1), *[FINITE] * 3),
    Counted: st.builds(
        Counted, *[TEXTS] * 4, st.just({"error": None}), POSITIVE, FINITE, POSITIVE, st.booleans(), POSITIVE, TEXTS
    ),
    Dataset: datasets(),
    ManifestFile: st.builds(ManifestFile, st.just({"id": "0", "more": [None]}), st.dictionaries(TEXTS, TEXTS)),
    NetworkFile: st.builds(
        NetworkFile,
        st.sampled_from(("cifar", "imagenet")),
        *[POSITIVE] * 3,
        *[st.booleans()] * 2,
        st.just(False),
        st.tuples(POSITIVE, POSITIVE),
    ),
    ReceiptFile: st.builds(ReceiptFile, st.just("search"), st.just("CPU"), FINITE, st.just(("a", "b"))),
    SelectionFile: st.lists(
        st.builds(Candidate, TEXTS, FINITE, FINITE, st.none() | FINITE), min_size=1, max_size=3
    ).map(lambda candidates: SelectionFile(candidates[0].run, "best", tuple(candidates))),
}


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=10)
@given(data=st.data())
def test_what_is_written_reads_back(kind: type[JsonFile], data: st.DataObject) -> None:
    made = data.draw(values_of(kind))
    with TemporaryDirectory() as folder:
        made.write(Path(folder))
        assert [path.name for path in Path(folder).iterdir()] == [kind.FILE]
        back = kind.read(Path(folder))
    assert back == made and back.json() == made.json()


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=10)
@given(data=st.data())
def test_what_is_wrong_is_one_line_with_file_and_field(kind: type[JsonFile], data: st.DataObject) -> None:
    values = data.draw(values_of(kind)).values()
    fields: dict[str, dataclasses.Field[Any]] = {one.name: one for one in dataclasses.fields(kind)}  # type: ignore[arg-type]
    if kind is CountsFile:  # a list
        refused(kind, WRONG, "counts")
        return
    for name, field in fields.items():
        key = ORIGIN if name == "origin" else name
        if name != FURTHER:
            refused(kind, {**values, key: WRONG}, name)
        if field.default is field.default_factory is dataclasses.MISSING:
            refused(kind, {one: value for one, value in values.items() if one != key}, f"{name}: field required")
    if FURTHER not in fields and kind not in (HistoryFile, ReceiptFile, VerdictsFile):  # which may have further keys
        refused(kind, {**values, "unheard_of": 1}, "unheard_of")
    for wrong in (None, 3, [], "text"):
        refused(kind, wrong, "")


def refused(kind: type[JsonFile], values: Any, field: str) -> None:
    with pytest.raises(DropnasError) as raised:
        kind.of_text(json.dumps(values), f"folder/{kind.FILE}")
    line = str(raised.value)
    assert line.startswith(f"folder/{kind.FILE}: ") and field in line and "\n" not in line


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=5)
@given(data=st.data(), number=st.sampled_from((math.nan, math.inf, -math.inf)))
def test_a_number_that_is_not_finite_is_refused(kind: type[JsonFile], data: st.DataObject, number: float) -> None:
    values = data.draw(values_of(kind)).values()
    for changed in islice(with_number(values, number), 20):
        refused(kind, changed, "finite")


def with_number(values: Any, number: float) -> Iterator[Any]:
    """The values with a number in place of each fraction, one at a time."""
    if isinstance(values, float):
        yield number
    elif isinstance(values, dict):
        yield from ({**values, key: one} for key, item in values.items() for one in with_number(item, number))
    elif isinstance(values, list):
        for at, item in enumerate(values):
            yield from ([*values[:at], one, *values[at + 1 :]] for one in with_number(item, number))


def test_nothing_that_is_not_finite_is_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        ReceiptFile("search", "CPU", math.nan, ()).write(tmp_path)
    assert not list(tmp_path.iterdir())


@given(st.lists(st.tuples(SCALARS[int], FINITE, st.none() | FINITE), min_size=1, max_size=4))
def test_metrics_read_back(found: list[tuple[int, float, float | None]]) -> None:
    rows = [dict(zip(("epoch", "loss", "top5"), row, strict=True)) for row in found]
    with TemporaryDirectory() as folder:
        MetricsFile(rows).write(Path(folder))
        assert [*MetricsFile.read(Path(folder)).rows] == rows


@pytest.mark.parametrize("text", ["", "a,b\n1\n", "a\nnan\n", "a\ninf\n", "a\nx\n"])
def test_metrics_that_are_damaged_are_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / METRICS).write_text(text)
    with pytest.raises(DropnasError, match=METRICS) as raised:
        MetricsFile.read(tmp_path)
    assert "\n" not in str(raised.value)


def test_a_file_that_is_missing_or_torn_is_named(tmp_path: Path) -> None:
    with pytest.raises(DropnasError, match=r"run\.json: no such file"):
        ReceiptFile.read(tmp_path)
    (tmp_path / "run.json").write_bytes(b"\xff")
    with pytest.raises(DropnasError, match=r"run\.json: cannot be read"):
        ReceiptFile.read(tmp_path)
    (tmp_path / "run.json").write_text('{"stage": ')
    with pytest.raises(DropnasError, match=r"run\.json: cannot be read as JSON"):
        ReceiptFile.read(tmp_path)


def test_writing_needs_the_standard_library_alone(tmp_path: Path) -> None:
    """A search runs if neither pydantic nor numpy is installed with torch."""
    code = (
        "import sys; from importlib import import_module; from pathlib import Path\n"
        "sys.modules.update(dict.fromkeys(('pydantic', 'numpy', 'torch')))\n"
        f"for name in {MODULES}: import_module(name)\n"
        "from dropnas.artifacts.receipt_file import ReceiptFile\n"
        f"ReceiptFile('search', 'CPU', 1.0, ()).write(Path({str(tmp_path)!r}))"
    )
    subprocess.run([sys.executable, "-c", code], cwd=PACKAGE.parent, check=True)
    assert ReceiptFile.read(tmp_path).device == "CPU"


def test_nobody_else_knows_the_names_of_the_files() -> None:
    names = {METRICS, *(kind.FILE for kind in KINDS)}
    assert len(names) == 19
    known = [
        f"{file.relative_to(PACKAGE)}: {node.value}"
        for file in sorted(PACKAGE.rglob("*.py"))
        if file.parent.name != "artifacts"
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.split("/")[-1] in names
    ]
    assert known == []


def test_alphas_have_a_row_for_each_edge() -> None:
    assert ALPHA_ROWS == spaces.EDGES
