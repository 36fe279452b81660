"""Which runs of the paper's plan get another identity after an edit: exactly those whose result may change.

Each test edits a copy of the package and plans again. Runs are compared one by one: the edited runs and all runs that
read them must change, and no others.
"""

import ast
import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dropnas.pipeline.stages import STAGES
from dropnas.runs.code import READERS
from dropnas.search.config import FIRST_ORDER, PRESETS, SECOND_ORDER

REPOSITORY = Path(__file__).parents[3]
DARTS = {FIRST_ORDER, SECOND_ORDER}
Run = dict[str, Any]
Edit = Callable[[str], str]


def swap(old: str, new: str) -> Edit:
    """Replace a text, which must exist."""

    def edit(source: str) -> str:
        assert old in source, f"{old!r} is not in the source: the test needs another edit"
        return source.replace(old, new)

    return edit


@dataclass
class Copy:
    """A copy of the package, and a process that plans with it."""

    root: Path
    server: "subprocess.Popen[str]"
    plans: dict[str, list[Run]]

    def plan(self, parameters: str) -> list[Run]:
        assert self.server.stdin and self.server.stdout
        print(self.root / parameters, file=self.server.stdin, flush=True)
        found: list[Run] | None = json.loads(self.server.stdout.readline())
        assert found is not None, "the plan failed"
        return found

    def changed(self, edits: dict[str, Edit], parameters: str = "paper.yaml") -> set[int]:
        """The positions of the runs with another identity after some edits, which are then undone."""
        before = {file: (self.root / file).read_text() for file in edits}
        edited = {file: edit(before[file]) for file, edit in edits.items()}
        try:
            for file, source in edited.items():
                (self.root / file).write_text(source)
            after = self.plan(parameters)
        finally:
            for file, source in before.items():
                (self.root / file).write_text(source)
        planned = self.plans[parameters]
        assert [run["stage"] for run in after] == [run["stage"] for run in planned]
        return {at for at, run in enumerate(planned) if run["id"] != after[at]["id"]}

    def affected(self, directly: Callable[[Run], bool], parameters: str = "paper.yaml") -> set[int]:
        """The positions of some runs and of all that read them."""
        found: set[int] = set()
        for at, run in enumerate(self.plans[parameters]):
            if directly(run) or not found.isdisjoint(run["inputs"]):
                found.add(at)
        return found

    def count(self, positions: set[int]) -> dict[str, int]:
        """The number of runs of each stage."""
        return dict(Counter(self.plans["paper.yaml"][at]["stage"] for at in positions))


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Copy]:
    root = tmp_path_factory.mktemp("checkout")
    shutil.copytree(REPOSITORY / "dropnas", root / "dropnas", ignore=shutil.ignore_patterns("__pycache__"))
    paper = (REPOSITORY / "params/paper.yaml").read_text()
    (root / "paper.yaml").write_text(paper)
    shorter = paper.replace("reproduction: true\n", "").replace(
        "search:\n", "search:\n  kernels: triton\n  epochs: 70\n"
    )
    (root / "triton.yaml").write_text(shorter)
    compiled = [sys.executable, "-m", "compileall", "-q", "--invalidation-mode", "checked-hash", str(root / "dropnas")]
    subprocess.run(compiled, check=True)
    command = [sys.executable, "-B", str(Path(__file__).with_name("plan_server.py"))]
    server = subprocess.Popen(
        command, cwd=root, env={"PYTHONPATH": str(root)}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with server:
        copy = Copy(root, server, {})
        copy.plans |= {name: copy.plan(name) for name in ("paper.yaml", "triton.yaml")}
        yield copy
        assert server.stdin
        server.stdin.close()


def of(*stages: str) -> Callable[[Run], bool]:
    return lambda run: run["stage"] in stages


def searches(*strategies: str) -> Callable[[Run], bool]:
    return lambda run: run["stage"] == "search" and run["strategy"] in strategies


def figures(name: str) -> Callable[[Run], bool]:
    return lambda run: run["stage"] == "figure" and name in run["name"]


def nothing(run: Run) -> bool:
    return False


def with_new_option(source: str) -> str:
    """Every class of options with an additional option."""
    lines = source.splitlines()
    for node in reversed(ast.parse(source).body):
        options = [one for one in getattr(node, "body", ()) if isinstance(one, ast.AnnAssign)]
        if isinstance(node, ast.ClassDef) and options:
            lines.insert(options[-1].end_lineno or 0, "    novelty: int = field(default=3, kw_only=True)")
    return "\n".join(lines) + "\n"


def reworded(source: str) -> str:
    """Another text in every error and every line of progress."""
    return re.sub(r'((?:raise \w+|Error|progress|_log)\(\s*f?)"', r'\1"In other words: ', source)


def rewritten(source: str) -> str:
    """Other docstrings and annotations, no comments and another layout."""
    tree = ast.parse(source)
    keeps = any(word in source for word in READERS)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body[0] = ast.Expr(ast.Constant("Something else."))
        for name in () if keeps else ("annotation", "returns"):
            if annotation := getattr(node, name, None):
                setattr(node, name, ast.Constant(f"{ast.unparse(annotation)} | None"))
    return "# Another comment.\n\n\n" + ast.unparse(ast.fix_missing_locations(tree)) + "\n"


def everywhere(edit: Edit) -> dict[str, Edit]:
    files = [str(file.relative_to(REPOSITORY)) for file in (REPOSITORY / "dropnas").rglob("*.py")]
    return dict.fromkeys(files, edit)


def files(pattern: str) -> list[str]:
    return [str(file.relative_to(REPOSITORY)) for file in REPOSITORY.glob(pattern)]


def both(*edits: Edit) -> Edit:
    def edit(source: str) -> str:
        for each in edits:
            source = each(source)
        return source

    return edit


SEARCH, EVALUATE, ANALYSIS = (f"dropnas/{room}/config.py" for room in ("search", "evaluate", "analysis"))
STRATEGY, METHODS = "dropnas/search/strategies", "dropnas/search/methods.py"
CONSTANT = "\nEDITED = True\n"


def test_a_new_option_in_every_class_changes_nothing(copy: Copy) -> None:
    configurations = files("dropnas/*/config.py")
    edited = "".join(with_new_option((REPOSITORY / file).read_text()) for file in configurations)
    assert edited.count("novelty") >= len({stage.config for stage in STAGES.values()})
    assert copy.changed(dict.fromkeys(configurations, with_new_option)) == set()


def test_what_is_registered_beside_the_others_changes_nothing(copy: Copy) -> None:
    search = both(
        swap("PRESETS: dict[str, DropoutOptions] = {", 'PRESETS: dict[str, DropoutOptions] = {"x": DropoutOptions(),'),
        swap("BACKENDS = {", 'BACKENDS = {"cutlass": "dropnas.search.cutlass:make_backend", '),
        swap('Kernels = Literal["torch",', 'Kernels = Literal["torch", "cutlass",'),
    )
    methods = swap(
        "METHODS: dict[str, SearchMethod] = {", 'METHODS = {"y": SearchMethod("dropnas.search.mine:M", "Y"),'
    )
    edits = {SEARCH: search, METHODS: methods, "dropnas/training/config.py": swap('"bf16"', '"bf16", "fp16"')}
    assert copy.changed(edits) == copy.changed(edits, "triton.yaml") == set()


def test_other_words_in_errors_and_progress_change_nothing(copy: Copy) -> None:
    edits = dict.fromkeys(files("dropnas/**/*.py"), reworded)
    assert sum(reworded((REPOSITORY / file).read_text()).count("In other words") for file in edits) > 300
    assert copy.changed(edits) == set()


def test_comments_docstrings_annotations_and_layout_change_nothing(copy: Copy) -> None:
    """Except for the configuration modules, which must stay importable."""
    names = (file for file in files("dropnas/**/*.py") if not file.endswith(("config.py", "runs/identity.py")))
    assert copy.changed(dict.fromkeys(names, rewritten)) == set()


def added(file: str) -> dict[str, Edit]:
    """Add a statement to a file."""
    return {file: lambda source: source + CONSTANT}


@pytest.mark.parametrize(
    ("edits", "directly"),
    [
        pytest.param(
            {SEARCH: swap('"dropnas": DropoutOptions()', '"dropnas": DropoutOptions(dropped="frozen")')},
            searches("dropnas"),
            id="preset",
        ),
        pytest.param(
            {SEARCH: swap("RATE_AS_SNAS = 0.875", "RATE_AS_SNAS = 0.885")}, searches("drop-rate-0.875"), id="rate"
        ),
        pytest.param(
            {
                SEARCH: swap(
                    '= "darts-first-order", "darts-second-order"', '= "darts-second-order", "darts-first-order"'
                )
            },
            searches(*DARTS),
            id="constant",
        ),
        pytest.param({METHODS: swap("darts:Darts", "darts:Loss")}, searches(*DARTS), id="registered code"),
        pytest.param({SEARCH: swap("(default=76", "(default=50")}, of("search"), id="default of the search"),
        pytest.param({SEARCH: swap('"l2"] = "released"', '"l2"] = "l2"')}, searches(*PRESETS), id="of dropout"),
        pytest.param(
            {
                SEARCH: swap(
                    'skips: Literal["separate", "summed"] = "separate"',
                    'skips: Literal["separate", "summed"] = "summed"',
                )
            },
            of("derive"),
            id="of the derivation",
        ),
        pytest.param({SEARCH: swap('"original"\n    seed', '"3-skip"\n    seed')}, nothing, id="of what all plans say"),
        pytest.param({EVALUATE: swap("(default=16,", "(default=12,")}, of("retrain"), id="of the retraining"),
        pytest.param(
            {EVALUATE: swap('(default=0.2, metadata={"ge": 0})', "(default=0.1)")}, of("transfer"), id="of the transfer"
        ),
        pytest.param(
            {EVALUATE: swap('"best", "final", "held-out"] = "best"', '"best", "final", "held-out"] = "final"')},
            of("select", "table"),  # tables name the criterion
            id="of the selection",
        ),
        pytest.param({ANALYSIS: swap("(default=1000", "(default=999")}, of("clusters"), id="of the clusters"),
        pytest.param(added("dropnas/evaluate/transfer.py"), of("transfer"), id="transfer"),
        pytest.param(added("dropnas/data/imagenet.py"), of("transfer"), id="images of the transfer"),
        pytest.param(added("dropnas/search/dropout.py"), searches(*PRESETS), id="dropout rule"),
        pytest.param(added(f"{STRATEGY}/grouped_dropout.py"), searches(*PRESETS), id="DropNAS"),
        pytest.param(added(f"{STRATEGY}/hypergradient.py"), searches(*DARTS), id="DARTS"),
        pytest.param(added("dropnas/search/triton/kernels.py"), nothing, id="kernels that no run asks for"),
        pytest.param(added("dropnas/evaluate/retrain.py"), of("retrain"), id="retraining"),
        pytest.param(added("dropnas/evaluate/cifar_network.py"), of("retrain", "architectures"), id="network"),
        pytest.param(added("dropnas/report/table.py"), of("table", "published"), id="tables"),
        pytest.param(added("dropnas/report/figures/cell_drawings.py"), figures("figure3"), id="drawings"),
    ],
)
def test_an_edit_changes_those_runs_alone(copy: Copy, edits: dict[str, Edit], directly: Callable[[Run], bool]) -> None:
    found, expected = copy.changed(edits), copy.affected(directly)
    assert copy.count(found - expected) == {}
    assert copy.count(expected - found) == {}


def test_kernels_change_the_searches_that_ask_for_them(copy: Copy) -> None:
    edits = {"dropnas/search/triton/fused.py": lambda source: source + CONSTANT}
    assert copy.changed(edits, "triton.yaml") == copy.affected(of("search"), "triton.yaml")


def test_a_changed_default_leaves_runs_that_set_the_value(copy: Copy) -> None:
    """Only the clusters read a search's whole configuration, and with it every default."""
    changed = copy.changed({SEARCH: swap("(default=76", "(default=50")}, "triton.yaml")
    assert changed == copy.affected(of("clusters"), "triton.yaml")
