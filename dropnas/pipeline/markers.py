"""The markers of a frozen start: a file for each job whose runs are all published. Snakemake decides by them.

They follow the store: each start of Snakemake puts them right, so a finished store, or one that was pulled, has nothing
to do. Snakemake deletes outputs freely and therefore owns nothing else. A job writes its own marker when it ends.
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
        plan: as plan.json holds it.
        folder: of the frozen start, `plans/<id>`.
        root: of the store.
    """
    store = Store(root)
    published = {run["id"] for run in plan["runs"] if store.is_published(root / run["folder"])}
    for run in plan["runs"]:  # tables read the receipts of runs that no job will look at again
        if run["id"] in published and not (root / run["folder"] / RECEIPT).exists():
            store.write_receipt(root / run["folder"])
    for job in plan["jobs"]:
        marker = folder / job["marker"]
        if not published.issuperset(job["runs"]):
            marker.unlink(missing_ok=True)
        elif not marker.is_file():
            marker.parent.mkdir(parents=True, exist_ok=True)
            result = root / job["result"]  # a figure that was pulled may be here without its pictures
            shutil.copyfile(result if result.is_file() else os.devnull, marker)
