"""Checks that the runs of an archive were made from each other, and not from other computations of the same runs."""

from collections.abc import Sequence

from dropnas.errors import DropnasError
from dropnas.sharing.shared_run import SharedRun


def require_agreement(runs: Sequence[SharedRun], where: object, remedy: str) -> None:
    """Check that the inputs of each run are the runs in the archive.

    Raises:
        DropnasError: two computations of one run are mixed.
    """
    versions = {run.name: run.version for run in runs}
    for run in runs:
        for name, version in run.inputs.items():
            if versions.get(name, version) != version:
                raise DropnasError(
                    f"{run.folder} was made from another computation of {name}", where=where, remedy=remedy
                )
