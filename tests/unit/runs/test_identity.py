"""Identities: what makes two runs the same."""

import dataclasses
import sys
from dataclasses import dataclass, field, is_dataclass, make_dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dropnas.data.config import DatasetConfig
from dropnas.errors import DropnasError
from dropnas.evaluate.config import RetrainConfig
from dropnas.pipeline.stages import STAGES
from dropnas.runs.identity import Run, canonical_json, defaults, hashed, omitted_defaults, recorded, resolved
from dropnas.search.config import PRESETS, STRATEGIES, DropoutOptions, SearchConfig

MODULES = {stage.config.__module__ for stage in STAGES.values()}
CONFIGURATIONS = [
    kind
    for name in sorted(MODULES)
    for kind in vars(sys.modules[name]).values()
    if isinstance(kind, type) and is_dataclass(kind)
]
DATA = Run("data", "digits", DatasetConfig("digits", "bundled"), (), "preparation-1")


def search(**changes) -> Run:
    return Run("search", "a-search", SearchConfig(**changes), (DATA,), "code")


def test_a_field_at_its_default_leaves_the_identity_alone():
    assert search(epochs=SearchConfig().epochs).id == search().id
    assert search().identity["config"] == {}


def test_a_new_option_changes_no_old_identity():
    grown = make_dataclass("Grown", [("novelty", int, field(default=3))], bases=(SearchConfig,), frozen=True)
    assert Run("search", "a-search", grown(seed=2), (DATA,), "code").id == search(seed=2).id
    assert Run("search", "a-search", grown(seed=2, novelty=4), (DATA,), "code").id != search(seed=2).id


def test_a_changed_default_changes_the_runs_that_rely_on_it(monkeypatch):
    monkeypatch.setitem(recorded()["SearchConfig"], "epochs", 70)  # as if the default 76 were new
    omitted_defaults.cache_clear()
    assert search().identity["config"] == {"epochs": 76}
    assert search(epochs=70).identity["config"] == {}
    omitted_defaults.cache_clear()


@pytest.mark.parametrize("kind", CONFIGURATIONS, ids=lambda kind: kind.__name__)
def test_every_default_is_on_record(kind):
    """A new option needs its line in dropnas/runs/defaults.yaml, so that a later change of its default counts."""
    assert set(recorded().get(kind.__name__, {})) == set(defaults(kind))


def test_the_options_behind_a_preset_count_by_value(monkeypatch):
    before = {name: search(strategy=name).id for name in STRATEGIES}
    monkeypatch.setitem(PRESETS, "dropnas", DropoutOptions(dropped="frozen"))
    assert [name for name in STRATEGIES if search(strategy=name).id != before[name]] == ["dropnas"]


def test_a_users_strategy_counts_the_defaults_that_it_may_build_on(monkeypatch):
    monkeypatch.setitem(recorded()["DropoutOptions"], "masks", "per-cell")
    omitted_defaults.cache_clear()
    assert search(strategy="package.module:Mine").identity["config"]["preset"] == {"masks": "shared"}
    assert "preset" not in search(strategy="darts-first-order").identity["config"]
    omitted_defaults.cache_clear()


def test_a_method_of_a_configuration_is_refused():
    @dataclass(frozen=True)
    class WithMethod:
        epochs: int = 1

        def doubled(self) -> int:
            return 2 * self.epochs

    with pytest.raises(DropnasError, match=r"WithMethod.doubled: is a method .* make it a property"):
        hashed(WithMethod())


@given(st.sampled_from([f.name for f in dataclasses.fields(RetrainConfig)]), st.data())
def test_every_other_value_changes_the_identity(name, data):
    default = getattr(RetrainConfig(), name)
    values = {bool: st.just(not default), int: st.integers(0, 10**6), float: st.floats(0, 1), str: st.just("bf16")}
    value = data.draw(values[type(default)])
    run = Run("retrain", "x", replace(RetrainConfig(), **{name: value}), (DATA,), "code")
    assert (run.id == Run("retrain", "x", RetrainConfig(), (DATA,), "code").id) == (value == default)


def test_the_location_of_a_source_is_not_hashed():
    moved = Run("data", "digits", replace(DATA.config, path="elsewhere"), (), "preparation-1")
    assert moved.id == DATA.id
    assert resolved(moved.config)["path"] == "elsewhere"


def test_inputs_code_stage_and_order_count():
    other = Run("data", "digits", replace(DATA.config, train_images=5), (), "preparation-1")
    runs = [
        search(),
        replace(search(), code="other"),
        replace(search(), inputs=(other,)),
        replace(search(), inputs=(DATA, other)),
        replace(search(), inputs=(other, DATA)),
        replace(search(), stage="retrain"),
    ]
    assert len({run.id for run in runs}) == len(runs)


def test_a_name_is_no_part_of_the_identity():
    assert replace(search(), name="renamed").id == search().id


def test_what_changes_rounding_is_declared_as_numerics():
    assert search().identity["numerics"] == "fp32"
    assert search(precision="bf16").identity["numerics"] == "bf16"
    assert search(group_seeds=True).identity["numerics"] == "fp32, grouped seeds"
    assert search(group_seeds=True).id != search().id


def test_folders_are_readable():
    assert str(search().folder) == f"runs/search/a-search-{search().id}"
    assert str(DATA.folder) == f"data/digits/digits-{DATA.id}"
    assert len(search().id) == 10


def test_not_finite_numbers_have_no_canonical_form():
    with pytest.raises(ValueError):
        canonical_json({"x": float("nan")})


@dataclass(frozen=True)
class Nested:
    inner: RetrainConfig = field(default_factory=RetrainConfig)
    items: tuple[int, ...] = ()


def test_nested_configurations_are_hashed_by_what_differs():
    assert hashed(Nested(RetrainConfig(epochs=3), (1, 2))) == {
        "inner": {"epochs": 3},
        "items": [1, 2],
    }
