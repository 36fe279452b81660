"""A plan's progress in a terminal: a bar for each stage, the runs in work, the rate, the time to go."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from dropnas.monitor.pace import HOUR
from dropnas.monitor.totals import number
from dropnas.monitor.watch import Failed, Running, Snapshot, Watch
from dropnas.monitor.work import COSTLY

PERIOD = 2.0  # seconds between two looks
BAR = 30  # columns
MOST_LINES = 12  # runs in work, or failed, that are told one by one
WIDTH = 120  # columns, where the output is no terminal


def show(watch: Watch, *, once: bool) -> None:
    """Show progress until all is done; with `once`, or where the output is no terminal, show it once."""
    console = Console()
    if once or not console.is_terminal:
        console = console if console.is_terminal else Console(width=WIDTH)
        console.print(rendered(watch.look()))
        return
    with Live(console=console, auto_refresh=False) as live:
        while True:
            snapshot = watch.look()
            live.update(rendered(snapshot), refresh=True)
            if snapshot.complete:
                return
            time.sleep(PERIOD)


def rendered(snapshot: Snapshot) -> RenderableType:
    """A snapshot as rich shows it."""
    parts: list[RenderableType] = [Text(snapshot.title, style="bold"), _stages(snapshot)]
    if snapshot.running:
        parts.append(_running(snapshot))
    if snapshot.failed:
        parts.append(Group(*_failed(snapshot.failed)))
    return Group(*parts, *(Text(line) for line in _pace(snapshot)))


def _stages(snapshot: Snapshot) -> Table:
    """A line for each stage."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("")
    table.add_column("", width=BAR)
    for heading in ("done", "of", "running", "waiting", "failed", "hours to go"):
        table.add_column(heading, justify="right")
    running, failed = _by_stage(snapshot.running), _by_stage(snapshot.failed)
    for stage, count in Counter(run["stage"] for run in snapshot.runs).items():
        own = [run["id"] for run in snapshot.runs if run["stage"] == stage]
        done = sum(id_ in snapshot.done for id_ in own)
        waiting = count - done - running[stage] - failed[stage]
        hours = sum(snapshot.left.get(id_, 0.0) for id_ in own)
        numbers = [str(some or "-") for some in (done, count, running[stage], waiting, failed[stage])]
        table.add_row(stage, ProgressBar(count, done, width=BAR), *numbers, number(hours) if hours else "")
    return table


def _by_stage(found: Sequence[Running] | Sequence[Failed]) -> Counter[str]:
    return Counter(one.run["stage"] for one in found)


def _running(snapshot: Snapshot) -> Table:
    """The runs in work, those that began first at the top."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("running", no_wrap=True)
    table.add_column("for", justify="right", no_wrap=True)
    table.add_column("its last line", no_wrap=True, overflow="ellipsis")
    ordered = sorted(snapshot.running, key=lambda one: one.started or snapshot.time)
    for one in ordered[:MOST_LINES]:
        elapsed = duration(snapshot.time - one.started) if one.started else ""
        table.add_row(f"{one.run['stage']} {one.run['name']}", elapsed, one.line)
    if len(ordered) > MOST_LINES:
        table.add_row(f"and {len(ordered) - MOST_LINES} more", "", "")
    return table


def _failed(found: Sequence[Failed]) -> Iterator[Text]:
    for one in found[:MOST_LINES]:
        where = f" ({one.log})" if one.log else ""
        style = "red" if one.log else "yellow"
        yield Text.assemble((f"{one.run['stage']} {one.run['name']}: {one.reason}", style), where)
    if len(found) > MOST_LINES:
        yield Text(f"and {len(found) - MOST_LINES} more")
    yield Text()


def _pace(snapshot: Snapshot) -> Iterator[str]:
    if snapshot.complete:
        yield "All is done."
        return
    if snapshot.rate:
        since = datetime.fromtimestamp(snapshot.rate.since)
        speed = f"{number(snapshot.rate.trainings)} trainings and {number(snapshot.rate.device_hours)} device-hours"
        yield f"{speed} an hour, since {since:%H:%M}"
    known = f"{number(sum(snapshot.left.values()))} device-hours"
    jobs = sum(one.run["stage"] in COSTLY for one in snapshot.running)
    if snapshot.unknown:
        more = f"{snapshot.unknown} training{'s' if snapshot.unknown > 1 else ''} of a kind that none is done of"
        yield f"To go: {known} and {more} (plan --measure)"
    elif jobs:
        ready = datetime.fromtimestamp(snapshot.time + snapshot.hours * HOUR)
        told = f"{duration(snapshot.hours * HOUR)} with {jobs} at a time, until about {ready:%a %H:%M}"
        yield f"To go: {known}, {told}"
    else:
        yield f"To go: {known}; nothing trains now"


def duration(seconds: float) -> str:
    """Days and hours, hours and minutes, or minutes and seconds."""
    minutes, rest = divmod(round(max(seconds, 0.0)), 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= 48:
        return f"{hours // 24} d {hours % 24} h"
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
