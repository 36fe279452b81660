"""Speed and memory, the fast way and the plain way side by side in one run: `python -m benchmarks NAME`.

Design choices: a benchmark is a module of this folder whose `measure(device)` gives its results as plain values, so
that a new one needs a file and no list; what is printed for people is the same dictionary that `--json` writes. Results
come part by part, what matters most first, and are written at once: whoever has little time loses only what was to
follow.
"""

import importlib
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from dropnas.errors import DropnasError
from dropnas.machine.devices import claimed
from dropnas.provenance.environment import device_name
from dropnas.provenance.files import write_json

HERE = Path(__file__).parent


def names() -> list[str]:
    """What can be measured, as one types it."""
    return sorted(file.stem.replace("_", "-") for file in HERE.glob("[a-z]*.py"))


def run(
    name: Annotated[str, typer.Argument(help=f"One of {', '.join(names())}.")],
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:N.")] = "cpu",
    json_file: Annotated[Path | None, typer.Option("--json", help="Where to write the results, too.")] = None,
    minutes: Annotated[float, typer.Option(help="Begin no further part after so many.", min=0)] = float("inf"),
) -> None:
    """Measure one thing and print what came out."""
    if name not in names():
        raise DropnasError("no such benchmark", where=name, remedy=f"one of {', '.join(names())}")
    with claimed(device) as chosen:
        results: dict[str, Any] = {"benchmark": name, "hardware": device_name(chosen)}
        for part, found in _parts(name, chosen, minutes):
            results[part] = found
            if json_file is not None:
                write_json(json_file, results)
    print(json.dumps(results, indent=2))


def _parts(name: str, device: str, minutes: float) -> Iterator[tuple[str, Any]]:
    """The results as they come, each told at once; one more says where time was up."""
    began = time.monotonic()
    for part, found in importlib.import_module(f"benchmarks.{name.replace('-', '_')}").measure(device):
        yield part, found
        passed = time.monotonic() - began
        print(f"{name}, {passed:.0f} s: {part}", file=sys.stderr, flush=True)
        if passed > 60 * minutes:
            yield "stopped", f"after {passed / 60:.1f} minutes, with {part!r}; what may follow was not measured"
            return


if __name__ == "__main__":
    try:
        typer.run(run)
    except DropnasError as error:
        raise SystemExit(f"error: {error}") from error
