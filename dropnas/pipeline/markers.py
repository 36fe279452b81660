"""The markers of a frozen start: a file for each job whose runs are all published. They tell Snakemake what is done.

Markers follow the store: each start of Snakemake corrects them, so it finds nothing to do in a store that is finished
or was pulled. Snakemake may delete the outputs of its rules; the markers are therefore its only outputs. A job writes
its own marker when it ends.
"""

import os
import shutil
from pathlib import Path
from typing import Any

from dropnas.artifacts.receipt_file import RECEIPT
from dropnas.runs.store import Store


def write_markers(plan: dict[str, Any], folder: Path, root: Path) -> None:
    """Write the markers of jobs whose runs are all published, and remove those of other jobs.

    Args:
        folder: folder of the frozen start, `plans/<id>`.
    """
    store = Store(root)
    published = {run["id"] for run in plan["runs"] if store.is_published(root / run["folder"])}
    for run in plan["runs"]:  # tables read the receipts of runs that no job checks again
        if run["id"] in published and not (root / run["folder"] / RECEIPT).exists():
            store.write_receipt(root / run["folder"])
    for job in plan["jobs"]:
        marker = folder / job["marker"]
        if not published.issuperset(job["runs"]):
            marker.unlink(missing_ok=True)
        elif not marker.is_file():
            marker.parent.mkdir(parents=True, exist_ok=True)
            result = root / job["result"]  # a pulled figure may lack its images
            shutil.copyfile(result if result.is_file() else os.devnull, marker)
