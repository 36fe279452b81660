"""Measures speed and memory of the fast and the plain implementation in one run: `python -m benchmarks NAME`.

Design choices: a benchmark is a module in this folder with a function `measure(device)` that yields its results as
plain values. A new benchmark therefore needs one file and no entry in a list. The benchmark prints the same dictionary
that `--json` writes to a file. Results come in parts, the most important first, and are written immediately; if a
benchmark is interrupted, only later parts are missing. `gpu` is not itself a benchmark; it runs others in separate
processes. This module needs only torch.
"""

import argparse
import importlib
import inspect
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import gpu
from benchmarks._results import FAILED, has_failed, one_line, write_results
from dropnas.errors import DropnasError
from dropnas.runs.environment import device_name

HERE = Path(__file__).parent
OPTIONS = ("only", "strategies", "tiny")  # options that only some benchmarks have


def names() -> list[str]:
    """The names of the benchmarks, as typed on the command line."""
    return sorted(file.stem.replace("_", "-") for file in HERE.glob("[a-z]*.py") if file.stem != "gpu")


def main() -> int:
    """Run a benchmark and print its results; return the exit status."""
    asked = _arguments()
    if asked.name == "gpu":
        return gpu.run(asked.out, 60 * asked.minutes, asked.device)
    if asked.name not in names():
        raise DropnasError("no such benchmark", where=asked.name, remedy=f"gpu or one of {', '.join(names())}")
    return _measure(asked)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks", description=str(__doc__).partition("\n")[0])
    parser.add_argument("name", help=f"gpu, or one of {', '.join(names())}")
    parser.add_argument("--device", help="cpu, cuda or cuda:N (cuda for gpu, else cpu)")
    of_one, of_gpu = parser.add_argument_group("for all but gpu"), parser.add_argument_group("for gpu")
    of_one.add_argument("--json", type=Path, help="also write the results to this file")
    of_one.add_argument("--only", help="measure one part only, if the benchmark has parts")
    of_one.add_argument(
        "--strategies", action="store_true", help="search-step only: measure a step of every search method"
    )
    of_one.add_argument("--tiny", action="store_true", help="a tiny size, which only shows that the benchmark works")
    of_gpu.add_argument("--out", type=Path, help="folder for the results")
    of_gpu.add_argument("--minutes", type=float, default=10.0, help="start no measurement after this time (10)")
    asked = parser.parse_args()
    asked.device = asked.device or ("cuda" if asked.name == "gpu" else "cpu")
    return asked


def _measure(asked: argparse.Namespace) -> int:
    """Run a benchmark; if a piece fails, the results say so and the exit status is 1."""
    measure = importlib.import_module(f"benchmarks.{asked.name.replace('-', '_')}").measure
    with _device(asked, measure) as chosen:
        results: dict[str, Any] = {"benchmark": asked.name, "hardware": _hardware(chosen)}
        try:
            for part, found in _parts(asked, measure, chosen):
                results[part] = found
                _write(asked.json, results)
        except DropnasError:
            raise  # its message is already a single line
        except Exception as error:
            results[FAILED] = one_line(error)
            _write(asked.json, results)
            raise
    print(json.dumps(results, indent=2))
    return int(any(map(has_failed, results.values())))


@contextmanager
def _device(asked: argparse.Namespace, measure: Callable[..., Any]) -> Iterator[str]:
    """Claim the requested device inside this context, except for `machine`, which must work without a usable GPU."""
    import torch

    from benchmarks import machine
    from dropnas.machine.devices import claimed

    if measure is machine.measure:
        yield asked.device
        return
    # the chosen GPU becomes the current device, on which Triton launches its kernels
    with claimed(asked.device) as chosen, torch.cuda.device(chosen if chosen != "cpu" else -1):
        yield chosen


def _hardware(device: str) -> str:
    try:
        return device_name(device)
    except (RuntimeError, AssertionError):  # torch was built for CPUs, or finds no usable driver
        return f"{device}, which torch cannot use"


def _parts(asked: argparse.Namespace, measure: Callable[..., Any], device: str) -> Iterator[tuple[str, Any]]:
    """Yield the results as they arrive, and print the name of each."""
    options = {name: value for name in OPTIONS if (value := getattr(asked, name))}
    for name in options:
        if name not in inspect.signature(measure).parameters:
            raise DropnasError(f"takes no --{name}", where=asked.name, remedy="leave it out")
    began = time.monotonic()
    for part, found in measure(device, **options):
        yield part, found
        print(f"{asked.name}, {time.monotonic() - began:.0f} s: {part}", file=sys.stderr, flush=True)


def _write(file: Path | None, results: dict[str, Any]) -> None:
    if file is not None:
        write_results(file, results)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except DropnasError as error:
        raise SystemExit(f"error: {error}") from error
    except KeyboardInterrupt as error:
        raise SystemExit(130) from error  # the results so far have been written
