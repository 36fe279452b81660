"""The progress of a plan: one live display on a terminal, plain lines elsewhere. `watch` and `run` can both show it."""

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import datetime

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from dropnas.monitor.estimate import number
from dropnas.monitor.timings import HOUR
from dropnas.monitor.watch import Running, Snapshot, Watch
from dropnas.monitor.words import described, seeds_text

PERIOD = 2.0  # seconds between two looks
LINE_PERIOD = 60.0  # the same if the output is no terminal
MOST_LINES = 8  # running groups, or failed runs, that are listed
STATES = ("done", "running", "waiting", "failed")
WIDTH = 80  # columns, if the output is no terminal


def show(watch: Watch, *, once: bool = False, ended: Callable[[], bool] = lambda: False) -> Snapshot:
    """Show progress until all is done, or `ended` says that nothing more comes; with `once`, show it once.

    Returns:
        the last look at the plan.
    """
    console = Console()
    if once:
        snapshot = watch.look()
        (console if console.is_terminal else Console(width=WIDTH)).print(rendered(snapshot))
        return snapshot
    return _live(watch, console, ended) if console.is_terminal else _lines(watch, ended)


def _live(watch: Watch, console: Console, ended: Callable[[], bool]) -> Snapshot:
    with Live(console=console, auto_refresh=False) as live:
        while True:
            over = ended()  # before the look, so that the look shows the end
            snapshot = watch.look()
            live.update(rendered(snapshot), refresh=True)
            if snapshot.complete or over:
                return snapshot
            time.sleep(PERIOD)


def _lines(watch: Watch, ended: Callable[[], bool]) -> Snapshot:
    """A line a minute, if it says something new."""
    before, due = "", 0.0
    while True:
        over = ended()
        if over or time.monotonic() >= due:
            snapshot, due = watch.look(), time.monotonic() + LINE_PERIOD
            if (line := plain(snapshot)) != before:
                print(f"{datetime.fromtimestamp(snapshot.time):%F %H:%M} {line}", flush=True)
                before = line
            if snapshot.complete or over:
                return snapshot
        time.sleep(PERIOD)


def plain(snapshot: Snapshot) -> str:
    """A snapshot in one line of a log."""
    states = sum(_states(snapshot).values(), Counter())
    counts = ", ".join(f"{states[state]} {state}" for state in STATES if states[state])
    last = f"last: {snapshot.last}" if snapshot.last else ""
    return "; ".join(filter(None, (percent(snapshot.part), counts, _hours(snapshot), _end(snapshot), last)))


def rendered(snapshot: Snapshot) -> RenderableType:
    """A snapshot as rich shows it."""
    bar = Table.grid(padding=(0, 1), expand=True)
    bar.add_column(ratio=1)
    bar.add_row(ProgressBar(1.0, snapshot.part, finished_style="bar.complete"), percent(snapshot.part))
    facts = Table.grid(padding=(0, 2))
    for name, text in (
        ("hours", _hours(snapshot)),
        ("end", _end(snapshot)),
        ("last", snapshot.last),
        ("next", snapshot.next),
    ):
        if text:
            facts.add_row(Text(name, style="dim"), Text(text))
    parts: list[RenderableType] = [Text(snapshot.title, style="bold"), bar, facts, Text(), _stages(snapshot)]
    if snapshot.running:
        parts += [Text(), _running(snapshot)]
    if snapshot.failed:
        parts += [Text(), *_failed(snapshot)]
    return Group(*parts)


def percent(part: float) -> str:
    """A part in words, rounded down: 100 % is said of nothing that goes on."""
    return f"{int(100 * part)} %"


def _states(snapshot: Snapshot) -> dict[str, Counter[str]]:
    """For each stage the number of runs in each state."""
    states = {one.run["id"]: "running" for one in snapshot.running}
    states |= {one.run["id"]: "failed" for one in snapshot.failed} | dict.fromkeys(snapshot.done, "done")
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for run in snapshot.runs:
        found[run["stage"]][states.get(run["id"], "waiting")] += 1
    return found


def _stages(snapshot: Snapshot) -> Table:
    """A line for each stage."""
    table = Table("", box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for heading in (*STATES, "hours left"):
        table.add_column(heading, justify="right")
    for stage, counts in _states(snapshot).items():
        hours = sum(snapshot.left.get(run["id"], 0.0) for run in snapshot.runs if run["stage"] == stage)
        numbers = (str(counts[state] or "-") for state in STATES)
        table.add_row(stage, *numbers, number(hours) if hours else "", style="dim" if not counts["running"] else "")
    return table


def _running(snapshot: Snapshot) -> Table:
    """What runs now, those that began first at the top; runs that differ in their seed alone share a line."""
    runs, groups = {run["id"]: run for run in snapshot.runs}, defaultdict[tuple[str, str], list[Running]](list)
    for one in sorted(snapshot.running, key=lambda one: one.started or snapshot.time):
        groups[described(one.run, runs)[0], one.epoch].append(one)
    table = Table(box=None, pad_edge=False, expand=True, header_style="dim")
    table.add_column("running", ratio=1)
    table.add_column("for", justify="right", no_wrap=True)
    for (words, epoch), own in list(groups.items())[:MOST_LINES]:
        seeds = seeds_text([seed for one in own if (seed := described(one.run, runs)[1]) is not None])
        hours, minutes = divmod(int(snapshot.time - min(one.started or snapshot.time for one in own)) // 60, 60)
        table.add_row(" · ".join(filter(None, (words, seeds, epoch))), f"{hours}:{minutes:02} h")
    if len(groups) > MOST_LINES:
        table.add_row(f"and {len(groups) - MOST_LINES} more", "")
    return table


def _failed(snapshot: Snapshot) -> Iterator[Text]:
    yield Text("failed", style="dim")
    runs = {run["id"]: run for run in snapshot.runs}
    for one in snapshot.failed[:MOST_LINES]:
        words, seed = described(one.run, runs)
        name = " · ".join(filter(None, (words, seeds_text([] if seed is None else [seed]))))
        yield Text(f"{name}: {one.reason}", style="red" if one.log else "yellow")
        if one.log:
            yield Text(f"  {one.log}", style="dim")
    if len(snapshot.failed) > MOST_LINES:
        yield Text(f"and {len(snapshot.failed) - MOST_LINES} more")


def _hours(snapshot: Snapshot) -> str:
    """Hours spent and left."""
    known = f"{number(snapshot.spent)} {snapshot.unit} spent, {number(sum(snapshot.left.values()))} left"
    if not snapshot.unknown:
        return known
    unknown = f"the hours of {snapshot.unknown} trainings are unknown (plan --measure)"
    return f"{known}; {unknown}" if snapshot.left else unknown


def _end(snapshot: Snapshot) -> str:
    """The date on which all will be finished; empty if it is unknown."""
    if snapshot.complete:
        return "all is done"
    if not snapshot.jobs:
        return "nothing trains now"
    if snapshot.unknown:
        return ""
    ready = datetime.fromtimestamp(snapshot.time + snapshot.hours * HOUR)
    return f"finished about {ready:%a %F %H:%M}, {snapshot.jobs} at a time"
