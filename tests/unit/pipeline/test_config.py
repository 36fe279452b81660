"""Parameter files: how they are read, and how wrong ones are rejected."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from dropnas.config import read_parameters, schema
from dropnas.errors import DropnasError
from dropnas.pipeline.plan import make_plan
from dropnas.space.genotype import Genotype
from dropnas.space.genotype_text import to_genotype_text
from dropnas.space.published import published

REPOSITORY = Path(__file__).parents[3]
FILES = sorted((REPOSITORY / "params").glob("*.yaml"))
SMOKE = (REPOSITORY / "params/smoke.yaml").read_text()
PAIRS = next(line for line in SMOKE.splitlines(keepends=True) if "cifar100" in line)


def refusal(tmp_path, text: str) -> str:
    """The one-line error for a wrong parameter file."""
    file = tmp_path / "wrong.yaml"
    file.write_text(text)
    with pytest.raises(DropnasError) as caught:
        read_parameters(file)
    line = str(caught.value)
    assert "\n" not in line and "wrong.yaml" in line
    return line


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_projects_files_are_right(file):
    assert read_parameters(file).profile == file.stem


def test_paper_values_are_the_papers():
    """The values of Section 4.2, transcribed again."""
    paper = read_parameters(REPOSITORY / "params/paper.yaml")
    search, retrain, transfer = paper.search, paper.retrain, paper.transfer
    assert (search.cells, search.channels, search.epochs, search.batch_size) == (14, 16, 76, 96)
    assert (search.learning_rate, search.momentum, search.weight_decay, search.gradient_clip) == (0.0375, 0.9, 3e-4, 3)
    assert (search.alpha_learning_rate, search.alpha_beta1, search.alpha_beta2) == (3e-4, 0.5, 0.999)
    assert search.alpha_weight_decay == 1e-3
    assert (retrain.cells, retrain.channels, retrain.epochs, retrain.batch_size) == (20, 36, 600, 192)
    assert (retrain.learning_rate, retrain.weight_decay, retrain.auxiliary_weight) == (0.05, 3e-4, 0.4)
    assert paper.augmented.epochs == 1200
    assert (transfer.cells, transfer.channels, transfer.epochs, transfer.batch_size) == (14, 48, 600, 2048)
    assert (transfer.learning_rate, transfer.weight_decay, transfer.gradient_clip) == (0.8, 3e-5, 3.0)
    assert (transfer.label_smoothing, transfer.auxiliary_weight, transfer.squeeze_excitation) == (0.1, 0.4, True)
    assert paper.seeds == 8 and paper.reproduction


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("epochs: 1", "epoch: 2", r"search.epoch: unknown key.*did you mean 'epochs'"),
        ("epochs: 1", 'epochs: "2"', r"search.epochs: .*integer"),
        ("epochs: 1", "epochs: 1.5", r"search.epochs: .*integer"),
        ("epochs: 1", "epochs: 0", r"search.epochs: .*greater than or equal to 1"),
        ("epochs: 1", "epochs: 1\n  epochs: 3", r"'epochs' appears twice"),
        ("profile: smoke", "profile: ../smoke", r"profile: "),
        ("profile: smoke\n", "", r"profile: missing"),
        ("seeds: 1", "seeds: true", r"seeds: "),
        ("seeds_of: {table1", "seeds_of: {table9", r"seeds_of.table9: unknown name 'table9'; did you mean"),
        ("name: digits, ", "name: numerals, ", r"datasets.cifar10.name: unknown name 'numerals'.*known: cifar10"),
        ("source: bundled", "source: attic", r"datasets.cifar10.source: unknown name 'attic'"),
        ("source: bundled", "source: parquet", r"datasets.cifar10.source: dataset 'digits' has no source 'parquet'"),
        ("  cifar10: {", "  cifar: {", r"datasets.cifar: unknown name 'cifar'; did you mean 'cifar10'"),
        (
            PAIRS,
            "",
            r"datasets: no cifar100",
        ),
        ("flip: false", "flip: false\n  strategy: dropnas2", r"search.strategy: is set by the tables"),
        ("flip: false", "flip: false\n  options: {rate: 1}", r"search.options: rate: unknown key"),
        (
            "flip: false",
            "flip: false\n  options: {grouping: one-group}",
            "search.options.grouping: 'one-group' is one of the variants",
        ),
        ("micro_batch: 16", "micro_batch: 24", r"transfer.micro_batch: must divide"),
        ("device: cpu", "device: gpu7", r"machine.device"),
        ("seeds: 1", "seeds: 1\ngroup_rates: [1.5]", r"group_rates.0: .*less than 1"),
        ("seeds: 1", "seeds: 1\ntables: [table7]", r"tables.0: unknown name 'table7'.*did you mean"),
        ("figure5, trajectories]", "figure5, figure9]", r"figures\.5: unknown name 'figure9'"),
        ("figure5, trajectories]", "figure5, figure5]", r"tables, figures: a name or rate appears twice"),
        ("retrain:\n", "reproduction: true\nretrain:\n  held_out: 9\n", r"retrain.held_out: the paper held no images"),
        ("seeds: 1", "seeds: 1\nmethods: [{label: X, strategy: nosuch}]", r"no strategy 'nosuch'.*known: dropnas"),
        ("seeds: 1", "seeds: 1\nspaces: [{label: X, space: nosuch}]", r"no space 'nosuch'.*known: original"),
        ("seeds: 1", "seeds: [", r"is not valid YAML"),
        ("seeds: 1", "seeds: 10000000", r"seeds: .*less than or equal to 1000"),
        ("epochs: 1", "epochs: 1\n  learning_rate: .inf", r"is not finite"),
        ("epochs: 1", "epochs: 1\n  learning_rate: .nan", r"is not finite"),
        ("epochs: 1", "epochs: 1\n  ? [a]\n  : b", r"is not valid YAML"),
        ("epochs: 1", "epochs: &some 1\n  cells: *some", r"has an alias"),
        ("profile: smoke", "profile: 2026-99-99", r"is not valid YAML"),
        ("seeds_of: {table1: 2", "seeds_of: {table1: 0", r"seeds_of.table1: .*greater than or equal to 1"),
        ("seeds: 1", "seeds: 1\nmethods: [{label: DropNAS, strategy: dropnas}]", r"label dropnas is taken"),
        ("seeds: 1", "seeds: 1\nbaselines: [randon]", r"baselines.0: unknown name 'randon'; did you mean 'random'"),
        ("seeds: 1", "seeds: 1\nbaselines: [random, random]", r"baselines: a name or rate appears twice"),
        (
            "seeds: 1",
            "seeds: 1\nmethods: [{label: X, strategy: dropnas, search: {cell: 3}}]",
            r"methods \(X\).search: cell: unknown key.*did you mean 'cells'",
        ),
        (
            "seeds: 1",
            "seeds: 1\nmethods: [{label: X, strategy: dropnas, search: {seed: 3}}]",
            r"methods \(X\).search: seed is set elsewhere",
        ),
        (
            "seeds: 1",
            "seeds: 1\narchitectures: [{label: X, genotype: nowhere.json}]",
            r"unknown genotype 'nowhere.json'",
        ),
        ("seeds: 1", "seeds: 1\narchitectures: [{label: X, genotype: 'Genotype(a=1)'}]", r"a: unknown key"),
        ("seeds: 1", "seeds: 1\narchitectures: [{label: darts_v2, genotype: darts_v2}]", r"label darts-v2 is taken"),
        ("seeds: 1", "seeds: 1\narchitectures: [{label: '!', genotype: darts_v2}]", r"no letter and no digit"),
    ],
)
def test_a_mistake_is_named_in_one_line(tmp_path, old, new, message):
    import re

    assert old in SMOKE
    assert re.search(message, refusal(tmp_path, SMOKE.replace(old, new, 1)))


@pytest.mark.parametrize("text", ["", "[]", "7", "profile", "\x00"])
def test_what_is_no_parameter_file_is_refused(tmp_path, text):
    refusal(tmp_path, text)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DropnasError, match=r"none.yaml: cannot be read"):
        read_parameters(tmp_path / "none.yaml")


@pytest.mark.parametrize("text", ["3e-5", "3E-5", "3.0e-5", "0.00003", ".3e-4"])
def test_exponents_are_numbers(tmp_path, text):
    file = tmp_path / "right.yaml"
    file.write_text(SMOKE.replace("seeds: 1", f"seeds: 1\ngroup_rates: [{text}]", 1))
    assert read_parameters(file).group_rates == (3e-5,)


def test_a_genotype_beside_the_parameter_file_is_read_and_kept_as_json(tmp_path):
    """The frozen copy of the file is in another folder and must be complete."""
    genotype = published()["darts_v2"].genotype
    (tmp_path / "mine.txt").write_text(to_genotype_text(genotype))
    file = tmp_path / "right.yaml"
    file.write_text(SMOKE.replace("seeds: 1", "seeds: 1\narchitectures: [{label: Mine, genotype: mine.txt}]", 1))
    (mine,) = read_parameters(file).architectures
    assert Genotype.of_text(mine.genotype, "here") == genotype
    baselines = make_plan(read_parameters(file)).targets["table1_published"]
    (entry,) = [entry for entry in baselines.config.entries if entry.label]
    trained = [baselines.inputs[at] for at in entry.trainings]
    assert entry.label == "Mine" and {run.stage for run in trained} == {"retrain"}
    assert [run.inputs[1].config.genotype for run in trained] == [genotype.values()] * len(trained)


def test_the_schema_file_is_made_from_the_types():
    """`python -m dropnas schema > workflow/schemas/parameters.schema.json` after a change of a type."""
    assert json.loads((REPOSITORY / "workflow/schemas/parameters.schema.json").read_text()) == schema()


# JSON Schema accepts 1.0 as an integer; a parameter file must write 1.
FRACTIONS = st.floats(-1, 2).filter(lambda number: not number.is_integer())
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 2000),
    FRACTIONS,
    st.sampled_from(["", "cpu", "best", "x"]),
)
FIELDS = [
    *(("search", name) for name in ("epochs", "channels", "momentum", "flip", "precision", "gradient_clip", "typo")),
    *(("retrain", name) for name in ("drop_path", "cutout", "autoaugment", "learning_rate", "typo")),
    *(("transfer", name) for name in ("schedule", "mixup", "image_size", "typo")),
    *(("machine", name) for name in ("device", "threads")),
    *(("select", name) for name in ("criterion", "typo")),
]
SCHEMA = jsonschema.Draft202012Validator(schema())


@settings(deadline=None, max_examples=200)
@given(st.sampled_from(FIELDS), VALUES)
def test_schema_and_types_agree(tmp_path_factory, place, value):
    content = yaml.safe_load(SMOKE)
    content.setdefault(place[0], {})[place[1]] = value
    file = tmp_path_factory.getbasetemp() / "mutated.yaml"
    file.write_text(yaml.safe_dump(content))
    by_schema = SCHEMA.is_valid(content)
    try:
        read_parameters(file)
        by_types = True
    except DropnasError:
        by_types = False
    assert by_types == by_schema
