"""Speed and memory, the fast way and the plain way side by side in one run: `python -m benchmarks NAME`.

Design choices: a benchmark is a module of this folder whose `measure(device)` gives its results as plain values, so
that a new one needs a file and no list; what is printed for people is the same dictionary that `--json` writes. Results
come part by part, what matters most first, and are written as they come: an end loses only what was to
follow. `gpu` is not one of them: it starts others, each in a process of its own. Nothing but torch is needed here.
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
OPTIONS = ("only", "strategies", "tiny")  # of some benchmarks


def names() -> list[str]:
    """What can be measured, as one types it."""
    return sorted(file.stem.replace("_", "-") for file in HERE.glob("[a-z]*.py") if file.stem != "gpu")


def main() -> int:
    """Measure one thing and print what came out; gives the exit status."""
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
    of_one, of_gpu = parser.add_argument_group("but for gpu"), parser.add_argument_group("for gpu")
    of_one.add_argument("--json", type=Path, help="where to write the results, too")
    of_one.add_argument("--only", help="one part of it, where it has parts")
    of_one.add_argument("--strategies", action="store_true", help="of search-step: a step of every search method")
    of_one.add_argument("--tiny", action="store_true", help="a size that only shows that it works")
    of_gpu.add_argument("--out", type=Path, help="folder of the results")
    of_gpu.add_argument("--minutes", type=float, default=10.0, help="after which nothing more is measured (10)")
    asked = parser.parse_args()
    asked.device = asked.device or ("cuda" if asked.name == "gpu" else "cpu")
    return asked


def _measure(asked: argparse.Namespace) -> int:
    """One benchmark; a piece of it that failed is among the results, and in the exit status."""
    measure = importlib.import_module(f"benchmarks.{asked.name.replace('-', '_')}").measure
    with _device(asked, measure) as chosen:
        results: dict[str, Any] = {"benchmark": asked.name, "hardware": _hardware(chosen)}
        try:
            for part, found in _parts(asked, measure, chosen):
                results[part] = found
                _write(asked.json, results)
        except DropnasError:
            raise  # it is a line already
        except Exception as error:
            results[FAILED] = one_line(error)
            _write(asked.json, results)
            raise
    print(json.dumps(results, indent=2))
    return int(any(map(has_failed, results.values())))


@contextmanager
def _device(asked: argparse.Namespace, measure: Callable[..., Any]) -> Iterator[str]:
    """The device that was asked for, held until the end; what looks at the machine must do so without it, too."""
    import torch

    from benchmarks import machine
    from dropnas.machine.devices import claimed

    if measure is machine.measure:
        yield asked.device
        return
    with claimed(asked.device) as chosen, torch.cuda.device(chosen if chosen != "cpu" else -1):  # Triton's is that one
        yield chosen


def _hardware(device: str) -> str:
    try:
        return device_name(device)
    except (RuntimeError, AssertionError):  # torch was built for CPUs, or finds no driver that it can use
        return f"{device}, which torch cannot use"


def _parts(asked: argparse.Namespace, measure: Callable[..., Any], device: str) -> Iterator[tuple[str, Any]]:
    """The results as they come, each named when it is there."""
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
        raise SystemExit(130) from error  # what was measured is written
