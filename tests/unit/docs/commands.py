"""The commands in the documentation: in shell blocks, and inline as `make …`, `python -m …` and so on."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby, takewhile
from pathlib import Path

REPOSITORY = Path(__file__).parents[3]
PAGES = [
    *(REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md", "data/README.md")),
    *sorted((REPOSITORY / "docs").glob("*.md")),
]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`((?:make|python|snakemake|dvc|tests/\S+\.sh)(?: [^`]*)?)`")
PLACES = {"N": "1", "NAME": "machine", "PARAMS": "params/smoke.yaml", "FILE": "out.json"}  # for the pages' placeholders


@dataclass(frozen=True)
class Command:
    """A simple command, with the folder of a preceding `cd`."""

    page: str
    words: tuple[str, ...]
    folder: str = "."

    def __str__(self) -> str:
        return " ".join(self.words)


def shown() -> list[Command]:
    """The commands of all pages, each once."""
    found = [Command(page.name, words, folder) for page in PAGES for words, folder in _on(page.read_text())]
    return list({(one.words, one.folder): one for one in found}.values())


def _on(text: str) -> Iterator[tuple[tuple[str, ...], str]]:
    prose = FENCE.sub("", text)
    fenced = [body for language, body in FENCE.findall(text) if language in ("", "sh", "bash", "shell")]
    indented = re.findall(r"^ {4}(.*)$", prose, re.MULTILINE)
    for block in (*fenced, "\n".join(indented)):
        for line in block.replace("\\\n", " ").splitlines():
            yield from split(line)
    for span in SPAN.findall(" ".join(prose.split())):
        yield from split(span)


def split(line: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """The simple commands of a line, with their folders. Comments and synopsis brackets are removed."""
    folder = "."
    words = shlex.split(re.sub(r"[\[\]…]", "", line), comments=True)
    for joined, command in groupby(words, key="&&".__eq__):
        if joined:
            continue
        first, *rest = command
        if first == "cd":
            folder = rest[0]
        else:
            values = [PLACES.get(word, word) for word in rest]
            yield (first.removeprefix(".venv/bin/"), *takewhile(lambda word: word != ">", values)), folder
