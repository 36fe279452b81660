"""The content of an archive, and its description for readers (README.md) and for a data repository (Zenodo)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import yaml

from dropnas.archive.archive_file import SUMS
from dropnas.errors import DropnasError
from dropnas.parsing import parse

CRATE = "ro-crate-metadata.json"


@dataclass(frozen=True)
class _Reference:
    """A work that CITATION.cff refers to."""

    title: str
    doi: str


@dataclass(frozen=True)
class Citation:
    """The fields of CITATION.cff that are used.

    Attributes:
        license: an SPDX identifier.
        authors: persons or entities, as in the file.
        references: cited works; the first one is the paper.
    """

    title: str
    version: str
    license: str
    authors: tuple[dict[str, str], ...]
    references: tuple[_Reference, ...]
    keywords: tuple[str, ...] = ()

    @classmethod
    def read(cls, file: Path) -> Self:
        """Read the file. Raises a DropnasError if it is missing, or a field is missing or wrong."""
        if not file.is_file():
            raise DropnasError("no such file", where=file, remedy="run archive in a checkout")
        found: Self = parse(cls, yaml.safe_load(file.read_text(encoding="utf-8")), file)
        return found

    @property
    def names(self) -> list[str]:
        """The authors: persons as "Family, Given", entities by their name."""
        return [
            author.get("name") or ", ".join(filter(None, (author.get("family-names"), author.get("given-names"))))
            for author in self.authors
        ]


@dataclass(frozen=True)
class Reproduction:
    """A profile whose runs are archived.

    Attributes:
        plan: folder of the frozen plan; all folders here are relative to the store's root.
        planned: number of runs in the plan.
        records: maps the folder of each finished run to the entry `run` of its manifest. The inputs of a run precede
            the run.
        verdict: a sentence on the outcome of the paper's claims.
    """

    profile: str
    plan: str
    planned: int
    records: Mapping[str, dict[str, Any]]
    verdict: str
    citation: Citation

    @property
    def title(self) -> str:
        """The title of the archive."""
        return f"{self.citation.title}: runs and results, profile {self.profile}"

    @property
    def summary(self) -> str:
        """What the archive contains, and the outcome of the reproduction, in a few sentences."""
        return (
            f'Reproduction of the paper "{self.paper.title}". {len(self.records)} of {self.planned} planned '
            f"runs, without weights and images, with the results and the frozen plan. {self.verdict}"
        )

    @property
    def paper(self) -> _Reference:
        """The reproduced paper."""
        return self.citation.references[0]

    @property
    def times(self) -> tuple[str, str]:
        """Start of the first run and end of the last one, in ISO 8601."""
        records = self.records.values()
        return min(str(one["started"]) for one in records), max(str(one["ended"]) for one in records)

    def readme(self) -> str:
        """README.md of the archive."""
        from jinja2 import Template

        template = Path(__file__).with_name("readme.md.j2").read_text(encoding="utf-8")
        text: str = Template(template, keep_trailing_newline=True).render(made=self, crate=CRATE, sums=SUMS)
        return text

    def zenodo(self) -> str:
        """.zenodo.json: the metadata of a deposit, from CITATION.cff and the runs."""
        citation = self.citation
        deposit = {
            "title": self.title,
            "upload_type": "dataset",
            "description": self.summary,
            "creators": [{"name": name} for name in citation.names],
            "access_right": "open",
            "license": citation.license.lower(),
            "version": citation.version,
            "publication_date": self.times[1].partition("T")[0],
            "keywords": citation.keywords,
            "related_identifiers": [{"identifier": self.paper.doi, "relation": "references", "scheme": "doi"}],
        }
        return json.dumps(deposit, indent=2, ensure_ascii=False) + "\n"
