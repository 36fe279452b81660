"""The progress of a plan: one live display on a terminal, plain lines elsewhere, for the verbs `run` and `watch`."""

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from datetime import datetime

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from dropnas.monitor.estimate import HOUR, number
from dropnas.monitor.screen import console
from dropnas.monitor.watch import Snapshot, Watch, Watched, time_left
from dropnas.monitor.words import Runs, described, joined, seeds_text
from dropnas.pipeline.stages import STAGES

PERIOD = 2.0  # seconds between two looks
LINE_PERIOD = 60.0  # the same if the output is no terminal
MOST_LINES = 8  # running groups, or failed runs, that are listed
STATES = ("done", "running", "waiting", "failed")
WIDTH = 80  # columns, if the output is no terminal


def pause(seconds: float) -> bool:
    """Let time pass; more may come after it."""
    time.sleep(seconds)
    return False


def show(
    watch: Watch,
    *,
    once: bool = False,
    over: Callable[[float], bool] = pause,
    seen: Callable[[Snapshot], object] = lambda snapshot: None,
) -> Snapshot:
    """Show progress, with `once` once, until all is done or nothing more comes; return the last look at the plan.

    `over` waits for so many seconds at most and says whether nothing more comes. `seen` receives each look.
    """
    output, line, ended = console(WIDTH), "", once
    live = Live(console=output, auto_refresh=False) if output.is_terminal and not once else None
    with live or nullcontext():
        while True:
            snapshot = watch.look()
            if once:
                output.print(rendered(snapshot))
            elif live:
                live.update(rendered(snapshot), refresh=True)
            elif line != (line := plain(snapshot)):
                print(f"{datetime.fromtimestamp(snapshot.time):%F %H:%M} {line}", flush=True)
            seen(snapshot)
            if ended or snapshot.complete:
                return snapshot
            ended = over(PERIOD if live else LINE_PERIOD)


def plain(snapshot: Snapshot) -> str:
    """A snapshot in one line of a log."""
    states = Counter(one.state for one in snapshot.work)
    counts = ", ".join(f"{states[state]} {state}" for state in STATES if states[state])
    last = f"last: {snapshot.last}" if snapshot.last else ""
    return "; ".join(filter(None, (_percent(snapshot), counts, _hours(snapshot), _end(snapshot), last)))


def rendered(snapshot: Snapshot) -> RenderableType:
    """A snapshot as rich shows it."""
    bar, facts = Table.grid(padding=(0, 1), expand=True), Table.grid(padding=(0, 2))
    bar.add_column(ratio=1)
    bar.add_row(ProgressBar(1.0, snapshot.part, finished_style="bar.complete"), _percent(snapshot))
    said = {"hours": _hours(snapshot), "end": _end(snapshot), "last": snapshot.last, "next": snapshot.next}
    for name, text in said.items():
        if text:
            facts.add_row(Text(name, style="dim"), Text(text))
    parts: list[RenderableType] = [Text(snapshot.title, style="bold"), bar, facts, Text(), _stages(snapshot)]
    if snapshot.running:
        parts += [Text(), _running(snapshot)]
    if failed := snapshot.failed:
        heading = "failed" if any(one.log for one in failed) else "stopped"
        lines = failures(failed, snapshot.runs)
        parts += [Text(), Text(heading, style="dim"), *(Text(line, style="red") for line in lines)]
    return Group(*parts)


def _percent(snapshot: Snapshot) -> str:
    """How much is done, rounded down: 100 % is said of nothing that goes on."""
    return f"{int(100 * snapshot.part)} %"


def _stages(snapshot: Snapshot) -> Table:
    """A line for each rule of the workflow."""
    table = Table("", box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for heading in (*STATES, "hours left"):
        table.add_column(heading, justify="right")
    of_rule = defaultdict[str, list[Watched]](list)
    for one in snapshot.work:
        of_rule[STAGES[one.run["stage"]].rule].append(one)
    for rule, own in of_rule.items():
        counts, hours = Counter(one.state for one in own), sum(one.left for one in own)
        numbers = (str(counts[state] or "-") for state in STATES)
        table.add_row(rule, *numbers, number(hours) if hours else "", style="" if counts["running"] else "dim")
    return table


def _running(snapshot: Snapshot) -> Table:
    """What runs now, those that began first at the top; runs that differ in their seed alone share a line."""
    runs, groups = snapshot.runs, defaultdict[tuple[str, str], list[tuple[float, int | None]]](list)
    for one in sorted(snapshot.running, key=lambda one: one.started):
        words, seed = described(one.run, runs)
        groups[words, one.line].append((one.started, seed))
    table = Table(box=None, pad_edge=False, expand=True, header_style="dim")
    table.add_column("running", ratio=1)
    table.add_column("for", justify="right", no_wrap=True)
    for (words, line), own in list(groups.items())[:MOST_LINES]:
        hours, minutes = divmod(int(snapshot.time - own[0][0]) // 60, 60)
        table.add_row(Text(joined(words, seeds_text(seed for _, seed in own), line)), f"{hours}:{minutes:02} h")
    if len(groups) > MOST_LINES:
        table.add_row(f"and {len(groups) - MOST_LINES} more", "")
    return table


def failures(failed: Sequence[Watched], runs: Runs) -> Iterator[str]:
    """Each failed run with its reason, and the log in which more stands."""
    for one in failed[:MOST_LINES]:
        words, seed = described(one.run, runs)
        name = joined(words, seeds_text([seed]))
        yield from (f"{name}: {one.reason}", f"  {one.log}") if one.log else (name,)
    if len(failed) > MOST_LINES:
        yield f"and {len(failed) - MOST_LINES} more"


def _hours(snapshot: Snapshot) -> str:
    """Hours spent and left."""
    work = snapshot.work
    spent, left = sum((one.hours or 0.0) * one.part for one in work), sum(one.left for one in work)
    known = f"{number(spent)} {snapshot.unit} spent, {number(left)} left"
    if not (count := sum(one.hours is None for one in work)):
        return known
    unknown = f"the hours of {count} trainings are unknown (plan --measure)"
    return f"{known}; {unknown}" if left else unknown


def _end(snapshot: Snapshot) -> str:
    """The date on which all will be finished; empty if it is unknown."""
    if snapshot.complete or not snapshot.jobs:
        return "all is done" if snapshot.complete else "nothing trains now"
    if any(one.hours is None for one in snapshot.work):
        return ""
    ready = datetime.fromtimestamp(snapshot.time + time_left(snapshot.work, snapshot.jobs) * HOUR)
    return f"finished about {ready:%a %F %H:%M}, {snapshot.jobs} at a time"
