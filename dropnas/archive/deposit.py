"""The description of an archive for readers (README.md) and for a data repository (Zenodo)."""

import json

from dropnas.archive.archive_file import SUMS
from dropnas.archive.crate import CRATE
from dropnas.archive.reproduction import Reproduction

README, ZENODO = "README.md", ".zenodo.json"
README_TEXT = """# {title}

{summary}

| here | what it is |
|---|---|
| `results/{profile}/` | tables, figures, verdicts and the page, `report.html` |
| `runs/`, `data/` | each run: receipt, manifest (what went into it, the sha256 of its files), metrics, genotype |
| `{plan}/` | the frozen start: parameters, every run's spec, and the source that computed them |
| `{crate}` | the same as a Workflow Run RO-Crate |
| `{sums}` | for `sha256sum --check {sums}` in the unpacked folder |

Weights and images are not in it; the manifests hold their checksums.

To rebuild the tables, figures and the page without a GPU, in a checkout of the program:

    python -m dropnas results --from ARCHIVE --root FOLDER

To compare these numbers with yours:

    python -m dropnas compare ARCHIVE results/{profile}
"""


def readme_text(made: Reproduction) -> str:
    """README.md of the archive."""
    return README_TEXT.format(
        title=made.title, summary=made.summary, profile=made.profile, plan=made.plan, crate=CRATE, sums=SUMS
    )


def zenodo_text(made: Reproduction) -> str:
    """.zenodo.json: the metadata of a deposit, from CITATION.cff and the runs."""
    citation = made.citation
    deposit = {
        "title": made.title,
        "upload_type": "dataset",
        "description": made.summary,
        "creators": [{"name": name} for name in citation.names],
        "access_right": "open",
        "license": citation.license.lower(),
        "version": citation.version,
        "publication_date": made.ended[: len("2026-01-02")],
        "keywords": list(citation.keywords),
        "related_identifiers": [
            {"identifier": citation.paper.doi, "relation": "references", "scheme": "doi"},
        ],
    }
    return json.dumps(deposit, indent=2, ensure_ascii=False) + "\n"
