"""The two ways to start: bad input gives one clear line and leaves nothing behind."""

import pytest


@pytest.fixture
def bad(fresh):
    fresh.configure(retrain={"epochz": 2})
    return fresh


def starts(bench):
    yield bench.call(bench.command())
    yield bench.plain("--configfile", str(bench.parameters))


def test_a_wrong_key_is_one_line(bad):
    for done in starts(bad):
        assert done.returncode != 0
        assert "Traceback" not in done.stderr
        lines = [line for line in done.stderr.splitlines() if "epochz" in line]
        assert len(lines) == 1 and "epochs" in lines[0] and str(bad.parameters) in lines[0]
    assert not list((bad.store / "plans").glob("*"))


def test_values_on_the_command_line_are_refused(fresh):
    done = fresh.plain("--config", "seeds=3")
    assert done.returncode != 0
    assert "Traceback" not in done.stderr and "--configfile" in done.stderr


def test_one_parameter_file_at_a_time(fresh):
    done = fresh.plain("--configfile", str(fresh.parameters), str(fresh.parameters))
    assert done.returncode != 0
    assert "one parameter file" in done.stderr


def test_every_table_of_the_plan_is_a_target(fresh):
    done = fresh.plain("--list-target-rules", "--configfile", str(fresh.parameters))
    assert {"table1", "table3", "paper"} <= set(done.stdout.split())
