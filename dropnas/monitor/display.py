"""Shows the progress of a plan in `run` and `watch`: a live display on a terminal, plain lines elsewhere."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import datetime

from pandas import DataFrame, crosstab
from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from dropnas.monitor.estimate import HOUR, number
from dropnas.monitor.screen import console, table
from dropnas.monitor.watch import Snapshot, Watch, time_left
from dropnas.monitor.words import RunsById, described, joined, seeds_text
from dropnas.pipeline.stages import STAGES

PERIOD = 2.0  # seconds between two updates
LINE_PERIOD = 60.0  # seconds between two lines if the output is not a terminal
MOST_LINES = 8  # largest number of running groups, and of failed runs, that are listed
SHOWN_STATES = ["done", "running", "waiting", "failed"]
DISPLAY_WIDTH = 80  # number of columns if the output is not a terminal


def pause(seconds: float) -> bool:
    """Wait, then return False, which means that the workflow has not ended."""
    time.sleep(seconds)
    return False


def show(
    watch: Watch,
    *,
    once: bool = False,
    over: Callable[[float], bool] = pause,
    seen: Callable[[Snapshot], object] = lambda snapshot: None,
) -> Snapshot:
    """Show the progress until all runs are done or the workflow has ended; return the last snapshot.

    Args:
        once: whether to show the progress once and return.
        over: waits for at most the given number of seconds and returns whether the workflow has ended.
        seen: receives each snapshot.
    """
    output, line, ended = console(DISPLAY_WIDTH), "", once
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
    """A snapshot as one line of a log."""
    counts = snapshot.work.state.value_counts().reindex(SHOWN_STATES).dropna()
    states = ", ".join(f"{n:.0f} {state}" for state, n in counts.items())
    last = f"last: {snapshot.last}" if snapshot.last else ""
    return "; ".join(filter(None, (_percent(snapshot), states, _hours(snapshot), _end(snapshot), last)))


def rendered(snapshot: Snapshot) -> RenderableType:
    """A snapshot for the live display."""
    bar, facts = Table.grid(padding=(0, 1), expand=True), Table.grid(padding=(0, 2))
    bar.add_column(ratio=1)
    bar.add_row(ProgressBar(1.0, snapshot.part, finished_style="bar.complete"), _percent(snapshot))
    said = {"hours": _hours(snapshot), "end": _end(snapshot), "last": snapshot.last, "next": snapshot.next}
    for name, text in said.items():
        if text:
            facts.add_row(Text(name, style="dim"), Text(text))
    parts: list[RenderableType] = [Text(snapshot.title, style="bold"), bar, facts, _stages(snapshot.work)]
    if not snapshot.running.empty:
        parts.append(_running(snapshot))
    if not snapshot.failed.empty:
        heading = "failed" if snapshot.failed.log.any() else "stopped"
        lines = failures(snapshot.failed, snapshot.runs)
        parts += [Text(heading, style="dim"), *(Text(line, style="red") for line in lines)]
    return Group(*parts)


def _percent(snapshot: Snapshot) -> str:
    """The finished share of the plan in percent, rounded down so that an unfinished plan never shows 100 %."""
    return f"{int(100 * snapshot.part)} %"


def _stages(work: DataFrame) -> Table:
    """A line for each rule of the workflow."""
    rule = work.stage.map({name: stage.rule for name, stage in STAGES.items()})
    counts = crosstab(rule, work.state).reindex(index=rule.unique(), columns=SHOWN_STATES, fill_value=0)
    left = work.left.groupby(rule).sum().map(lambda hours: number(hours) if hours else "")
    return table(counts.replace(0, "-").assign(**{"hours left": left}).reset_index(names=""))


def _running(snapshot: Snapshot) -> Table:
    """A table of the runs in progress, ordered by their start.

    Runs that differ only in their seed share a line if their progress is the same.
    """
    groups = defaultdict[tuple[str, str], list[tuple[float, int | None]]](list)
    running = snapshot.running.sort_values("started")
    for id_, line, started in zip(running.index, running.line, running.started, strict=True):
        words, seed = described(snapshot.runs[id_], snapshot.runs)
        groups[words, line].append((started, seed))
    rows = []
    for (words, line), own in groups.items():
        hours, minutes = divmod(int(snapshot.time - own[0][0]) // 60, 60)
        rows.append((joined(words, seeds_text(seed for _, seed in own), line), f"{hours}:{minutes:02} h"))
    more = [(f"and {len(rows) - MOST_LINES} more", "")] if len(rows) > MOST_LINES else []
    return table(DataFrame([*rows[:MOST_LINES], *more], columns=["running", "for"]), words="running")


def failures(failed: DataFrame, runs: RunsById) -> Iterator[str]:
    """Each failed run with its reason and the path of its log."""
    for id_, reason, log in zip(failed.index[:MOST_LINES], failed.reason, failed.log, strict=False):
        words, seed = described(runs[id_], runs)
        name = joined(words, seeds_text([seed]))
        yield from (f"{name}: {reason}", f"  {log}") if log else (name,)
    if len(failed) > MOST_LINES:
        yield f"and {len(failed) - MOST_LINES} more"


def _hours(snapshot: Snapshot) -> str:
    """Hours spent and left."""
    work = snapshot.work
    left, unknown = work.left.sum(), work.hours.isna().sum()
    known = f"{number((work.hours * work.part).sum())} {snapshot.unit} spent, {number(left)} left"
    missing = f"the hours of {unknown} trainings are unknown (plan --measure)"
    return known if not unknown else f"{known}; {missing}" if left else missing


def _end(snapshot: Snapshot) -> str:
    """Say when all runs are expected to be done; empty if this is unknown."""
    if snapshot.complete or not snapshot.jobs:
        return "all runs are done" if snapshot.complete else "nothing is training now"
    if snapshot.work.hours.isna().any():
        return ""
    ready = datetime.fromtimestamp(snapshot.time + time_left(snapshot.work, snapshot.jobs) * HOUR)
    return f"finished about {ready:%a %F %H:%M}, {snapshot.jobs} at a time"
