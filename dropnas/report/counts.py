"""The counts of the published architectures, for the tables that show them."""

from pathlib import Path

from dropnas.artifacts.counts_file import Counted, CountsFile
from dropnas.artifacts.receipt_file import ReceiptFile
from dropnas.errors import DropnasError

STAGE = "architectures"


def read_counts(folder: Path) -> dict[tuple[str, str], Counted]:
    """The counts of an `architectures` run, by architecture and table.

    Raises:
        DropnasError: a run of another stage, a file that is missing or damaged, or something in it that is no count.
    """
    if ReceiptFile.read(folder).stage != STAGE:
        raise DropnasError(f"is no receipt of an {STAGE} run", where=ReceiptFile.file(folder))
    return {(one.architecture, one.table): one for one in CountsFile.read(folder).counts}
