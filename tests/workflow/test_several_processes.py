"""A transfer whose parameter file requests several processes, each with its own GPU; here they run on the CPU."""

import json

import pytest

from dropnas.config import read_parameters
from dropnas.errors import DropnasError
from dropnas.pipeline.freeze import plan_content
from dropnas.pipeline.plan import make_plan
from tests.workflow.conftest import make_bench


def test_the_rule_starts_them_and_its_receipt_says_so(bench):
    missing = min(bench.finished("transfer/"))
    bench.remove(missing, "runs/table/table3-*")
    bench.configure(machine={"transfer_processes": 2})
    bench.run("table3")
    assert json.loads((bench.store / missing / "run.json").read_text())["processes"] == 2
    assert list(bench.store.glob("runs/table/table3-*/table3.csv"))


@pytest.fixture
def checkout(project, tmp_path):
    return make_bench(tmp_path, project)


def test_it_asks_for_their_gpus_memory_and_threads(checkout):
    checkout.configure(machine={"transfer_processes": 2, "device": "auto", "threads": 3, "memory_mb": 1000})
    rules = plan_content(make_plan(read_parameters(checkout.parameters)))["rules"]
    asked = {name: (rule["processes"], rule["threads"], *rule["resources"].values()) for name, rule in rules.items()}
    assert asked["transfer"][:4] == (2, 6, 2, 2000) and asked["retrain"][:4] == (1, 3, 1, 1000)


@pytest.mark.parametrize(
    ("machine", "words"), [({"transfer_processes": 3}, "micro-batches"), ({"device": "cuda:1"}, "cuda:1")]
)
def test_what_processes_cannot_share_is_reported_before_the_start(checkout, machine, words):
    checkout.configure(machine={"transfer_processes": 2, **machine})
    with pytest.raises(DropnasError, match=words):
        read_parameters(checkout.parameters)
