"""What the rows of Tables 1-3 represent: published architectures, or a reason why there are none to train.

Design choice: the rows' keys are the paper's and the ids are the publications', so one file joins them by hand, and a
slip in it is refused when it is read.
"""

from functools import cache
from pathlib import Path
from typing import Any

import yaml

from dropnas.report.printed import Layout, layouts


def quoted_layout(table: str) -> Layout:
    """The paper's table that these published baselines are quoted in."""
    return layouts()[table.removesuffix("_published")]


@cache
def behind(table: str) -> dict[str, tuple[str, ...] | str]:
    """For each row of the paper's table, in its order, the ids of published architectures, or a reason.

    Raises:
        ValueError: the file has other rows than the table, or an entry that is neither.
    """
    name = table.removesuffix("_published")
    entries = yaml.safe_load(Path(__file__).with_name("published_rows.yaml").read_text(encoding="utf-8"))[name]
    rows = [row.key for row in quoted_layout(table).rows]
    if list(entries) != rows:
        raise ValueError(
            f"published_rows.yaml, {name}: rows are {', '.join(entries)}; the paper's are {', '.join(rows)}"
        )
    return {key: _entry(name, key, value) for key, value in entries.items()}


def _entry(name: str, key: str, value: Any) -> tuple[str, ...] | str:
    if isinstance(value, str) and value:
        return value
    if isinstance(value, list) and value and all(isinstance(id_, str) for id_ in value):
        return tuple(value)
    raise ValueError(f"published_rows.yaml, {name}, {key}: neither a list of ids nor a reason")
