"""The progress of a plan: one live display on a terminal, plain lines elsewhere, for the verbs `run` and `watch`."""

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
    """Show progress until all is done or nothing more comes; with `once`, show it once.

    Args:
        over: waits for so many seconds at most and says whether nothing more comes.
        seen: receives each look at the plan.

    Returns:
        the last look at the plan.
    """
    console = Console()
    if once:
        snapshot = watch.look()
        (console if console.is_terminal else Console(width=WIDTH)).print(rendered(snapshot))
        return snapshot
    looks = _looks(watch, PERIOD if console.is_terminal else LINE_PERIOD, over)
    return _live(looks, console, seen) if console.is_terminal else _lines(looks, seen)


def _looks(watch: Watch, period: float, over: Callable[[float], bool]) -> Iterator[Snapshot]:
    """Looks at a plan; the last one shows the end."""
    ended = False
    while True:
        snapshot = watch.look()
        yield snapshot
        if ended or snapshot.complete:
            return
        ended = over(period)


def _live(looks: Iterator[Snapshot], console: Console, seen: Callable[[Snapshot], object]) -> Snapshot:
    with Live(console=console, auto_refresh=False) as live:
        for snapshot in looks:
            live.update(rendered(snapshot), refresh=True)
            seen(snapshot)
    return snapshot


def _lines(looks: Iterator[Snapshot], seen: Callable[[Snapshot], object]) -> Snapshot:
    """A line each, if it says something new."""
    before = ""
    for snapshot in looks:
        if (line := plain(snapshot)) != before:
            print(f"{datetime.fromtimestamp(snapshot.time):%F %H:%M} {line}", flush=True)
            before = line
        seen(snapshot)
    return snapshot


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
        heading = "failed" if any(one.log for one in snapshot.failed) else "stopped"
        parts += [Text(), Text(heading, style="dim"), *(Text(line, style="red") for line in failures(snapshot))]
    return Group(*parts)


def percent(part: float) -> str:
    """A part in words, rounded down: 100 % is said of nothing that goes on."""
    return f"{int(100 * part)} %"


def _states(snapshot: Snapshot) -> dict[str, Counter[str]]:
    """For each rule of the workflow the number of runs in each state."""
    states = {one.run["id"]: "running" for one in snapshot.running}
    states |= {one.run["id"]: "failed" for one in snapshot.failed if one.log} | dict.fromkeys(snapshot.done, "done")
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for run in snapshot.runs:
        found[STAGES[run["stage"]].rule][states.get(run["id"], "waiting")] += 1
    return found


def _stages(snapshot: Snapshot) -> Table:
    """A line for each rule of the workflow."""
    table = Table("", box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for heading in (*STATES, "hours left"):
        table.add_column(heading, justify="right")
    for rule, counts in _states(snapshot).items():
        hours = sum(snapshot.left.get(run["id"], 0.0) for run in snapshot.runs if STAGES[run["stage"]].rule == rule)
        numbers = (str(counts[state] or "-") for state in STATES)
        table.add_row(rule, *numbers, number(hours) if hours else "", style="dim" if not counts["running"] else "")
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


def failures(snapshot: Snapshot) -> Iterator[str]:
    """Each failed run with its reason, and the log in which more stands."""
    runs = {run["id"]: run for run in snapshot.runs}
    for one in snapshot.failed[:MOST_LINES]:
        words, seed = described(one.run, runs)
        name = " · ".join(filter(None, (words, seeds_text([] if seed is None else [seed]))))
        yield f"{name}: {one.reason}" if one.log else name
        if one.log:
            yield f"  {one.log}"
    if len(snapshot.failed) > MOST_LINES:
        yield f"and {len(snapshot.failed) - MOST_LINES} more"


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
