"""The command line of the benchmarks: accepted names, and errors for wrong arguments. No test measures speed."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from benchmarks import precision
from benchmarks.__main__ import main, names
from benchmarks._workloads import dropnas_c10
from dropnas.data.arrays import ImageArrays
from dropnas.errors import DropnasError
from dropnas.space.published import load_genotype
from dropnas.training import precision as torch_precision
from dropnas.training.seeding import generator

PROJECT = Path(__file__).parents[3]


def asked(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """The exit status of a benchmark, run in this process, which has already imported torch."""
    monkeypatch.setattr(sys, "argv", ["benchmarks", *words])
    return main()


def test_each_benchmark_is_a_module_with_a_name_as_one_types_it() -> None:
    inputs, steps = {"input-cifar", "input-imagenet"}, {"search-step", "retrain-step", "kernels"}
    of_gpu = {"machine", "gpu-tests", "micro", "ncu", "numerics"}
    assert {*inputs, *steps, *of_gpu, "startup", "plan", "checkpoint", "precision", "sequential"} == {*names()}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nothing"], "nothing: no such benchmark"),
        (["plan", "--device", "abacus"], "unknown device 'abacus'"),
        (["search-step", "--device", "cuda:99"], "device 'cuda:99' was requested, but torch sees no GPU"),
        (["plan", "--tiny"], "plan: takes no --tiny"),
        (["retrain-step", "--strategies"], "retrain-step: takes no --strategies"),
        (["search-step", "--strategies", "--only", "one"], "search-step: takes --only or --strategies, not both"),
        (["search-step", "--only", "half"], "no part 'half'; one of one, seeds, precisions"),
    ],
)
def test_wrong_arguments_are_one_line(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DropnasError) as raised:
        asked(monkeypatch, *words, "--json", str(tmp_path / "results.json"))
    assert not list(tmp_path.iterdir())
    assert "\n" not in str(raised.value) and message in str(raised.value)


def test_a_process_ends_with_that_line() -> None:
    command = [sys.executable, "-m", "benchmarks", "nothing"]
    done = subprocess.run(command, cwd=PROJECT, text=True, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith("error: nothing: no such benchmark")


def test_what_is_written_is_what_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert asked(monkeypatch, "ncu", "--json", str(tmp_path / "results.json")) == 0
    results = json.loads((tmp_path / "results.json").read_text())
    assert json.loads(capsys.readouterr().out) == results
    assert [*results] == ["benchmark", "hardware", "back_to_dense"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="is about a GPU that is not there")
def test_a_machine_is_described_even_where_its_gpu_cannot_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    status = asked(monkeypatch, "machine", "--device", "cuda", "--json", str(tmp_path / "results.json"))
    results = json.loads((tmp_path / "results.json").read_text())
    assert status == 1 and results["versions"]["torch"] and results["GPU"]["failed"]


def test_the_genotype_of_the_benchmarks_is_the_published_one() -> None:
    assert dropnas_c10() == load_genotype("dropnas_c10")


@pytest.fixture
def as_it_was() -> Iterator[None]:
    """A benchmark changes process-wide settings, like a stage."""
    yield
    torch.use_deterministic_algorithms(False)
    torch_precision.apply("fp32")


def test_precisions_come_near_double_precision_and_another_seed_does_not(as_it_was: None) -> None:
    noise = torch.randint(0, 256, (8, 3, 8, 8), dtype=torch.uint8, generator=generator(0, "noise"))
    half = torch.full((3,), 0.5)
    images = ImageArrays(noise, torch.arange(8), 10, half, half)
    found = dict(precision.measured(precision.Size(3, 2, 4, None), precision.WAYS, images, "cpu"))
    rounding, seeds = found["fp32 plain with fp64 plain"], found["fp32 engine, another seed with fp32 engine"]
    assert 0 < rounding["rms_difference"] < 0.01 and rounding["spearman_of_moves"] > 0.99
    assert rounding["rms_difference"] < found["bf16 engine with fp64 plain"]["rms_difference"] < seeds["rms_difference"]
    assert 0 < abs(rounding["train_loss_difference"]) < 1e-5


def test_an_epoch_compared_with_itself_has_no_difference() -> None:
    row = [0.1 * place for place in range(8)]
    alphas, start = ({kind: [values] * 14 for kind in ("normal", "reduce")} for values in (row, [0.0] * 8))
    epoch = precision.Epoch(start, alphas, train_loss=2.0, train_accuracy=10.0, seconds=1.0)
    found = precision.compared(epoch, epoch)
    assert {name for name, value in found.items() if value == pytest.approx(1)} == {
        "spearman_of_moves",
        "best_operation_alike",
        "genotype_alike",
    }
    assert sorted(found.values())[:4] == [0, 0, 0, 0]
