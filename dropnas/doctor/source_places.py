"""Checks the sources of the data sets that are not prepared yet."""

import importlib.util
import socket
from functools import cache
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

from dropnas.data.config import DatasetConfig
from dropnas.doctor.check import Check, Checks, Situation, check
from dropnas.runs.store import Store

SERVER_SECONDS = 2.0  # seconds to wait for a server


def examine(situation: Situation) -> Checks:
    """Check that each data set is prepared, or that its source can be reached."""
    store = Store(situation.root)
    for run in situation.runs:
        if run.stage == "data":
            name = f"data: {run.config.name}"
            done = store.is_published(situation.root / run.folder)
            yield check(name, True, "is prepared") if done else _source(name, run.config)


def _source(name: str, config: DatasetConfig) -> Check:
    if config.source == "parquet" and importlib.util.find_spec("pyarrow") is None:
        return check(name, False, "pyarrow is not installed", "pip install 'dropnas[parquet]', or use another source")
    if config.source == "bundled":
        return check(name, True, "comes with scikit-learn")
    if config.path:
        there = Path(config.path).exists()
        hint = f"put it there, or set datasets.….path (data/README.md describes the layouts of {config.name})"
        return check(name, there, config.path if there else f"{config.path} does not exist", hint)
    if config.source != "torchvision":
        return check(name, False, "has no `path`", "set `path` to the location of its source")
    from dropnas.data.cifar import BASE_URL  # imports numpy, which is rarely needed here

    return _server(name, config.mirror or BASE_URL)


def _server(name: str, url: str) -> Check:
    parts = urlsplit(url)
    if parts.scheme == "file":
        return check(name, True, f"is read from {url}")
    fault = _unreachable(parts.hostname or "", 80 if parts.scheme == "http" else 443)
    hint = "set `path` to a local archive, or `mirror` to a server that can be reached from here"
    found = f"{url} cannot be reached ({fault})" if fault else f"{parts.hostname} can be reached"
    return check(name, not fault, found, hint)


@cache
def _unreachable(host: str, port: int) -> str:
    """Return the reason why a server cannot be reached; empty if it can be reached.

    The connection is made in a thread, because a name look-up has no time limit.
    """
    fault = ["no response"]

    def connect() -> None:
        try:
            socket.create_connection((host, port), SERVER_SECONDS).close()
            fault[0] = ""
        except (OSError, ValueError) as error:
            fault[0] = str(error)

    thread = Thread(target=connect, daemon=True)
    thread.start()
    thread.join(SERVER_SECONDS)
    return fault[0]
