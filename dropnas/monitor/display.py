"""The progress of a plan: one live display on a terminal, plain lines elsewhere, for the verbs `run` and `watch`."""

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from dropnas.monitor.estimate import number
from dropnas.monitor.screen import console
from dropnas.monitor.timings import HOUR
from dropnas.monitor.watch import Snapshot, Watch, Watched
from dropnas.monitor.words import Runs, described, seeds_text
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
    output = console(WIDTH)
    if once:
        snapshot = watch.look()
        output.print(rendered(snapshot))
        return snapshot
    if not output.is_terminal:
        return _lines(_looks(watch, LINE_PERIOD, over), seen)
    with Live(console=output, auto_refresh=False) as live:
        for snapshot in _looks(watch, PERIOD, over):
            live.update(rendered(snapshot), refresh=True)
            seen(snapshot)
    return snapshot


def _looks(watch: Watch, period: float, over: Callable[[float], bool]) -> Iterator[Snapshot]:
    """Looks at a plan; the last one shows the end."""
    ended = False
    while True:
        snapshot = watch.look()
        yield snapshot
        if ended or snapshot.complete:
            return
        ended = over(period)


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
    states = Counter(one.state for one in snapshot.work)
    counts = ", ".join(f"{states[state]} {state}" for state in STATES if states[state])
    last = f"last: {snapshot.last}" if snapshot.last else ""
    return "; ".join(filter(None, (_percent(snapshot), counts, _hours(snapshot), _end(snapshot), last)))


def rendered(snapshot: Snapshot) -> RenderableType:
    """A snapshot as rich shows it."""
    bar = Table.grid(padding=(0, 1), expand=True)
    bar.add_column(ratio=1)
    bar.add_row(ProgressBar(1.0, snapshot.part, finished_style="bar.complete"), _percent(snapshot))
    facts = {"hours": _hours(snapshot), "end": _end(snapshot), "last": snapshot.last, "next": snapshot.next}
    grid = Table.grid(padding=(0, 2))
    for name, text in facts.items():
        if text:
            grid.add_row(Text(name, style="dim"), Text(text))
    parts: list[RenderableType] = [Text(snapshot.title, style="bold"), bar, grid, Text(), _stages(snapshot)]
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
    states: dict[str, Counter[str]] = defaultdict(Counter)
    hours: dict[str, float] = defaultdict(float)
    left = snapshot.left
    for one in snapshot.work:
        rule = STAGES[one.run["stage"]].rule
        states[rule][one.state] += 1
        hours[rule] += left.get(one.run["id"], 0.0)
    for rule, counts in states.items():
        numbers = (str(counts[state] or "-") for state in STATES)
        to_go = number(hours[rule]) if hours[rule] else ""
        table.add_row(rule, *numbers, to_go, style="dim" if not counts["running"] else "")
    return table


def _running(snapshot: Snapshot) -> Table:
    """What runs now, those that began first at the top; runs that differ in their seed alone share a line."""
    runs, groups = snapshot.runs, defaultdict[tuple[str, str], list[Watched]](list)
    for one in sorted(snapshot.running, key=lambda one: one.started or snapshot.time):
        groups[described(one.run, runs)[0], one.epoch].append(one)
    table = Table(box=None, pad_edge=False, expand=True, header_style="dim")
    table.add_column("running", ratio=1)
    table.add_column("for", justify="right", no_wrap=True)
    for (words, epoch), own in list(groups.items())[:MOST_LINES]:
        seeds = seeds_text([seed for one in own if (seed := described(one.run, runs)[1]) is not None])
        hours, minutes = divmod(int(snapshot.time - min(one.started or snapshot.time for one in own)) // 60, 60)
        table.add_row(Text(" · ".join(filter(None, (words, seeds, epoch)))), f"{hours}:{minutes:02} h")
    if len(groups) > MOST_LINES:
        table.add_row(f"and {len(groups) - MOST_LINES} more", "")
    return table


def failures(failed: Sequence[Watched], runs: Runs) -> Iterator[str]:
    """Each failed run with its reason, and the log in which more stands."""
    for one in failed[:MOST_LINES]:
        words, seed = described(one.run, runs)
        name = " · ".join(filter(None, (words, seeds_text([] if seed is None else [seed]))))
        yield f"{name}: {one.reason}" if one.log else name
        if one.log:
            yield f"  {one.log}"
    if len(failed) > MOST_LINES:
        yield f"and {len(failed) - MOST_LINES} more"


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
