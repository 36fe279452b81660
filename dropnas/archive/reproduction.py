"""The content of an archive, as its metadata describe it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import yaml

from dropnas.errors import DropnasError
from dropnas.parsing import parse

LICENSE_URL = "https://spdx.org/licenses/{}"
DOI_URL = "https://doi.org/{}"


@dataclass(frozen=True)
class _Reference:
    """A work that CITATION.cff refers to."""

    title: str
    doi: str


@dataclass(frozen=True)
class Citation:
    """The fields of CITATION.cff that are used.

    Attributes:
        title, version, license: of the software; the license is an SPDX identifier.
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
        """Read the file. Raises a DropnasError if it is missing, or names no author or no paper."""
        try:
            found: Self = parse(cls, yaml.safe_load(file.read_text(encoding="utf-8")), file)
        except FileNotFoundError as error:
            raise DropnasError("no such file", where=file, remedy="make the archive in a checkout") from error
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise DropnasError(f"cannot be read ({error})", where=file) from error
        if not found.authors or not found.references:
            raise DropnasError("names no author or no paper", where=file)
        return found

    @property
    def names(self) -> list[str]:
        """The authors, each as "Family, Given" or by the entity's name."""
        return [
            author.get("name") or ", ".join(filter(None, (author.get("family-names"), author.get("given-names"))))
            for author in self.authors
        ]

    @property
    def paper(self) -> _Reference:
        """The reproduced paper."""
        return self.references[0]


@dataclass(frozen=True)
class Reproduction:
    """A profile whose runs are archived.

    Attributes:
        profile: profile of the parameter file.
        plan: folder of the frozen plan; all names here are relative to the store's root.
        planned: number of runs in the plan.
        records: the record of each finished run, by its folder, inputs first.
        verdict: a sentence on the outcome of the paper's claims.
        citation: the authors, and the reproduced paper.
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
        """The content and the outcome, in a few sentences."""
        return (
            f'Reproduction of the paper "{self.citation.paper.title}". {len(self.records)} of {self.planned} planned '
            f"runs, without weights and images, with the results and the frozen plan. {self.verdict}"
        )

    @property
    def started(self) -> str:
        """Start of the first run, in ISO 8601."""
        return min(str(record["started"]) for record in self.records.values())

    @property
    def ended(self) -> str:
        """End of the last run, in ISO 8601."""
        return max(str(record["ended"]) for record in self.records.values())
