"""How `make gpu` runs its parts, with parts made for the tests; no test measures speed."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from benchmarks._results import FAILED
from benchmarks._summary import COLUMNS, Outcome, summary
from benchmarks.gpu import PARTS, Part, run
from benchmarks.gpu_tests import counted, marked, outcomes_of
from benchmarks.micro import in_chunks
from benchmarks.ncu import of_launches

FOREVER = 1000.0  # seconds; a part that would take this long is ended
WRITE = """
import json, os, sys, time
from pathlib import Path
file = Path(sys.argv[sys.argv.index("--json") + 1])
found = dict(arguments=sys.argv[1:], before=sorted(each.name for each in file.parent.glob("*.json")))
write = lambda: file.write_text(json.dumps(found))
"""


def part(name: str, code: str = "write()", seconds: float = FOREVER, small: tuple[str, ...] = ()) -> Part:
    return Part(name, seconds, ("-c", WRITE + code), small)


def results(folder: Path) -> dict[str, Any]:
    return {file.stem: json.loads(file.read_text()) for file in sorted(folder.glob("*.json"))}


def test_the_parts_are_those_of_the_first_ten_minutes_in_their_order() -> None:
    assert [part.name for part in PARTS] == [
        *("machine", "tests", "micro", "one-seed", "seeds", "precisions", "retraining", "ncu", "numerics")
    ]
    assert [part.seconds for part in PARTS] == [10, 90, 60, 90, 60, 40, 90, 60, 40]


def test_each_part_is_written_before_the_next_one_begins(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, FOREVER, "cpu", [part("one"), part("two", small=("--tiny",)), part("three")]) == 0
    found = results(tmp_path)
    assert [of["before"] for of in found.values()] == [[], ["1-one.json"], ["1-one.json", "2-two.json"]]
    assert found["2-two"]["part"]["status"] == "done"
    assert found["2-two"]["arguments"] == ["--tiny", "--device", "cpu", "--json", str(tmp_path / "2-two.json")]
    printed = capsys.readouterr().out
    assert printed == (tmp_path / "summary.txt").read_text() and printed.splitlines()[-1] == "3 done"
    assert run(tmp_path, FOREVER, "cuda", [part("one"), part("two", small=("--tiny",))]) == 0
    assert "--tiny" not in results(tmp_path)["2-two"]["arguments"]


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("write(); raise ValueError('of no use')", "ValueError: of no use"),
        (
            "found['failed'] = 'RuntimeError: device-side assert'; write(); sys.exit(1)",
            "RuntimeError: device-side assert",
        ),
        ("found['a piece'] = dict(failed='it broke'); write(); sys.exit(1)", "a piece: it broke"),
        ("found['a piece'] = dict(failed='it broke'); write()", "a piece: it broke"),
        ("write(); os.kill(os.getpid(), 9)", "ended with status -9"),
        ("file.write_text('{')", "cannot be read as JSON"),
        ("pass", "it wrote no results"),
    ],
)
def test_a_part_that_fails_says_why_and_does_not_stop_the_rest(
    code: str, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, FOREVER, "cuda", [part("bad", code), part("good")]) == 1
    found = results(tmp_path)
    assert found["1-bad"]["part"]["status"] == "failed" and reason in found["1-bad"]["part"]["reason"]
    assert found["2-good"]["part"]["status"] == "done"
    printed = capsys.readouterr().out
    assert "FAILED" in printed and printed.splitlines()[-1] == "1 failed, 1 done"


STARTING = "import subprocess; job = subprocess.Popen(['sleep', '1000']); found['started'] = job.pid; write(); "


def is_gone(process: int) -> bool:
    """Whether a process ends within some time."""
    ends = time.monotonic() + 60
    while time.monotonic() < ends:
        try:
            if Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except FileNotFoundError:
            return True
    return False


def test_a_part_that_hangs_is_ended_with_what_it_started(tmp_path: Path) -> None:
    parts = [part("hanging", f"{STARTING}job.wait()", seconds=5), part("good", seconds=FOREVER)]
    assert run(tmp_path, FOREVER, "cuda", parts) == 1
    found = results(tmp_path)
    assert is_gone(found["1-hanging"]["started"])
    assert found["1-hanging"]["part"]["reason"] == "ran past 5 s" and found["1-hanging"]["before"] == []
    assert found["2-good"]["part"]["status"] == "done"


def test_a_part_that_ends_leaves_nothing_behind(tmp_path: Path) -> None:
    assert run(tmp_path, FOREVER, "cuda", [part("leaving", STARTING)]) == 0
    assert is_gone(results(tmp_path)["1-leaving"]["started"])


def test_time_that_runs_out_is_no_failure_and_names_what_was_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = [part("long", "write(); time.sleep(1000)"), part("never"), part("nor this")]
    (tmp_path / "2-never.json").write_text('{"from": "an earlier start"}')
    assert run(tmp_path, 5, "cuda", parts) == 0
    found = results(tmp_path)
    assert [of["part"]["status"] for of in found.values()] == ["cut short", "skipped", "skipped"]
    assert "arguments" in found["1-long"] and [*found["2-never"]] == ["part"]
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(",")[0] for line in lines if "SKIPPED: no time left" in line] == ["never", "nor this"]


def test_unused_time_of_a_part_goes_to_the_next(tmp_path: Path) -> None:
    """Two parts are planned for a second each, but have ten minutes in total: neither is ended after a second."""
    slow = part("slow", "time.sleep(1.5); write()", seconds=1)
    assert run(tmp_path, 600, "cuda", [slow, part("other", seconds=1)]) == 0


def test_no_line_of_the_table_is_too_long() -> None:
    found = {
        "hardware": "NVIDIA " + "H200 " * 30,
        "x" * 200: {"y" * 200: 1.0, "z " * 200: [1, 2]},
        "pace": {"images/s": {"median": 1234.5}, "milliseconds of a step": 1.0, "seconds to first step": 2.0},
        "profile": {"kernels": 7355, "milliseconds": 1.0, "largest": [{"kernel": "k" * 100, "percent": 66.0}] * 12},
        "file": {"passed": 1, "failures": 2, "skipped": 3, "reasons": {}, "failed": "test_a: why"},
    }
    outcomes = [Outcome("p" * 100, "failed", 3.0, "r" * 500, found), Outcome("q", "skipped", reason="no " * 99)]
    lines = summary(outcomes, "cuda", 1, 600).splitlines()
    assert max(map(len, lines)) <= COLUMNS
    text = " ".join(" ".join(lines).split())
    assert "1,234 images/s" in text and "7,355 kernels" in text and "1 passed, 2 failed, 3 skipped: test_a: why" in text


def test_tests_are_found_by_their_marker_and_counted(tmp_path: Path) -> None:
    mark = "@pytest.mark." + "gpu"  # split, because otherwise this file would be found, too
    (tmp_path / "test_b.py").write_text(
        f"import pytest\n{mark}\ndef test_good(): pass\n{mark}\ndef test_bad(): assert 1 == 2\ndef test_no(): 1 / 0\n"
    )
    (tmp_path / "test_a_fused.py").write_text(f"import pytest, nothing_of_that_name\n{mark}\ndef test(): pass\n")
    (tmp_path / "test_c.py").write_text("def test(): pass\n")
    assert [file.name for file in marked(tmp_path)] == ["test_b.py", "test_a_fused.py"]
    found = outcomes_of(tmp_path / "test_b.py", FOREVER)
    assert (found["passed"], found["failures"], found["skipped"]) == (1, 1, 0)
    assert found[FAILED].startswith("test_bad: ") and "1 == 2" in found[FAILED]
    assert "nothing_of_that_name" in str(outcomes_of(tmp_path / "test_a_fused.py", FOREVER))


def test_a_file_of_tests_that_hangs_is_ended(tmp_path: Path) -> None:
    mark, file = "@pytest.mark." + "gpu", tmp_path / "test_long.py"
    file.write_text("import time\ntime.sleep(1000)\n")
    assert outcomes_of(file, 1)[FAILED] == "ran past 1 s"
    file.write_text(f"import pytest\n{mark}\ndef test_a(): pass\n{mark}\ndef test_b(): raise KeyboardInterrupt\n")
    found = outcomes_of(file, FOREVER)
    assert found["passed"] == 1 and "status 2" in found[FAILED]  # because it is interrupted


def test_skipped_tests_are_no_failure(tmp_path: Path) -> None:
    (tmp_path / "report.xml").write_text(
        '<testsuites><testsuite><testcase name="a"><skipped message="needs a CUDA device"/></testcase></testsuite>'
        "</testsuites>"
    )
    found = counted(tmp_path / "report.xml")
    assert found["skipped"] == 1 and found["reasons"] == {"a": "needs a CUDA device"} and FAILED not in found


def test_a_product_in_chunks_is_the_product() -> None:
    torch = pytest.importorskip("torch")
    rows, columns = (torch.arange(count * 96.0).view(1, count, 96).sin() for count in (4, 3))
    torch.testing.assert_close(in_chunks(rows, columns), rows @ columns.transpose(1, 2))


def test_the_table_of_ncu_is_read() -> None:
    text = (
        '==PROF== Connected to process 1\n"ID","Kernel Name","Metric Name","Metric Unit","Metric Value","Rule Name"\n'
        '"0","back_to_dense","Duration","us","245.1",""\n"0","back_to_dense","","","","A rule"\n'
        '"1","back_to_dense","Duration","us","1,028.0",""\n'
    )
    assert of_launches(text) == {"launch 0": {"Duration": "245.1 us"}, "launch 1": {"Duration": "1,028.0 us"}}
    assert of_launches("==ERROR== ERR_NVGPUCTRPERM\n") == {}
