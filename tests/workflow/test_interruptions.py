"""Edits, failures and kills during a run: no finished work is lost, and the results are bit for bit the same."""

import os
import signal

import pytest


def same(part: dict[str, str], whole: dict[str, str]) -> bool:
    """Whether the second contains every file of the first, with the same bytes."""
    return bool(part) and part.items() <= whole.items()


def test_an_edit_during_a_run_disturbs_no_waiting_job(built):
    assert built.runs() and built.before_edit.read_text() == ""  # all were published after the checkout was broken


@pytest.mark.trial
def test_a_killed_head_is_followed_by_the_same_command_while_its_jobs_go_on(fresh, built):
    process = fresh.begin("table1")
    fresh.wait_until(lambda: list(fresh.store.glob("scratch/*/staged")), "a run at work")
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    fresh.run("table1")
    assert same(fresh.contents(), built.contents())
    assert not list(fresh.store.glob("scratch/*/staged"))
    assert set(fresh.counted("published").values()) == set(fresh.counted("computed").values()) == {1}


@pytest.mark.trial
def test_a_kill_at_any_moment_loses_nothing_with_snakemakes_records_or_without(fresh, built):
    before = fresh.runs()
    for stage in ("search", "retrain"):
        process = fresh.begin("table1")
        fresh.wait_until(lambda stage=stage: fresh.finished(stage), f"a finished {stage}")
        fresh.kill_all()
        process.wait()
        assert before.items() <= fresh.runs().items()
        assert same(fresh.contents(), built.contents())
        before = fresh.runs()
    fresh.remove(".snakemake")
    fresh.run("table1")
    assert before.items() <= fresh.runs().items()
    assert same(fresh.contents(), built.contents())
    assert set(fresh.counted("published").values()) == {1}


def test_a_failing_run_takes_no_finished_one_with_it(fresh, built):
    """One job at a time gives the same bits as several."""
    searches = built.finished("search/digits-")
    failing = next(name for name in searches if "seed1" in name)
    obstacle = fresh.store / "scratch" / failing.rpartition("-")[2]
    obstacle.parent.mkdir()
    obstacle.write_text("a file where the run's scratch folder should be\n")
    failed = fresh.call(fresh.command("--cores", "1", "table1", "--until", "search"))
    assert failed.returncode != 0
    snakemake = next(fresh.store.glob("logs/micro/snakemake-*.log")).read_text()
    assert "last lines of attempt 1 in logs/micro/search/" in snakemake
    said = failed.stderr.strip().splitlines()  # the last lines give the reason and how to continue
    assert obstacle.name in said[-3] and "logs/micro/search/" in said[-2]
    assert "To continue: python -m dropnas" in said[-1]
    finished = fresh.runs()
    assert fresh.finished("search/digits-") == searches - {failing}
    obstacle.unlink()
    fresh.run("--cores", "1", "table1", "--until", "search")
    assert finished.items() <= fresh.runs().items()
    assert same(fresh.contents(), built.contents())


def test_a_damaged_result_is_not_used(bench):
    bench.remove("runs/derive", "runs/retrain", "runs/select", "runs/table/table1-*")
    with next(bench.store.glob("runs/search/digits-*seed0*/alphas.json")).open("a") as file:
        file.write(" ")
    failed = bench.call(bench.command("table1"))
    assert failed.returncode != 0
    assert "alphas.json" in failed.stderr
    assert not bench.finished("retrain/")
