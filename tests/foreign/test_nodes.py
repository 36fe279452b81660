"""Other nodes and schedulers: SingularityCE instead of Apptainer, nodes without `scontrol`, cancelling preemption."""

import os
import sys
from pathlib import Path

import pytest

from dropnas.machine import container, slurm
from tests.foreign.conftest import PROJECT, Foreign

MICRO = PROJECT / "tests" / "workflow" / "micro.yaml"
# Stub of SingularityCE, as Snakemake calls it: `singularity exec --home HOME --cleanenv IMAGE sh -c COMMAND`, an empty
# environment except for SINGULARITYENV_*. It ignores APPTAINERENV_*.
SINGULARITY = """
[ "$1" = --version ] && { echo singularity-ce version 4.1.2; exit; }
given=() name=
for name in "${!SINGULARITYENV_@}"; do given+=("${name#SINGULARITYENV_}=${!name}"); done
printf '%s\\n' "${given[@]}" >>"$NOTES"
exec env -i PATH="$IMAGE_PATH" HOME="$PWD" "${given[@]}" "${@: -3}"
"""


def test_a_job_finds_the_project_under_singularity(machine: Foreign) -> None:
    """Without Apptainer; the job also gets the number of SLURM's attempt."""
    machine.bare().stub("singularity", SINGULARITY)
    notes, image = machine.folder / "notes", machine.folder / "image.sif"
    image.touch()
    inside = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    machine.environment |= {"NOTES": str(notes), "DROPNAS_SIF": str(image), "IMAGE_PATH": inside}
    attempt = {"SLURM_JOB_ID": "7", "SLURM_RESTART_COUNT": "2"}
    options = ("--apptainer-args=--cleanenv", "--sdm", "apptainer")
    done = machine.dropnas("run", str(MICRO), "--cores", "1", "architectures", *options, **attempt)
    assert done.returncode == 0, done.stdout + done.stderr
    given = dict(line.partition("=")[::2] for line in notes.read_text().splitlines())
    assert given.items() >= attempt.items()
    assert given["PYTHONPATH"].startswith(str(machine.folder / "plans"))


@pytest.mark.parametrize(
    ("installed", "prefix"),
    [(["apptainer", "singularity"], "APPTAINERENV"), (["singularity"], "SINGULARITYENV"), ([], "APPTAINERENV")],
)
def test_each_runtime_is_given_its_own_variables(
    machine: Foreign, monkeypatch: pytest.MonkeyPatch, installed: list[str], prefix: str
) -> None:
    for name in installed:
        machine.stub(name, "")
    monkeypatch.setattr(os, "environ", {"PATH": str(machine.programs)})
    container.pass_on({"SLURM_RESTART_COUNT": "1"})
    assert os.environ.keys() == {"PATH", f"{prefix}_SLURM_RESTART_COUNT"}
    assert container.runtime() == (installed[0] if installed else "")


@pytest.fixture
def node(machine: Foreign, monkeypatch: pytest.MonkeyPatch) -> Foreign:
    """A node of a cluster in this process: a job, and SLURM's programs as stubs that record their arguments."""
    for name, value in {"PATH": machine.bare().programs, "SLURM_JOB_ID": 7, "NOTES": machine.folder / "notes"}.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setattr(slurm, "USUAL_PATH", "")
    return machine


def notes(machine: Foreign) -> list[str]:
    """The recorded arguments of SLURM's stubs."""
    file = machine.folder / "notes"
    return file.read_text().splitlines() if file.exists() else []


def scontrol(state: str) -> str:
    return f'[ "$1" = show ] && echo "JobId=7 JobState={state}" || echo "$@" >>"$NOTES"'


@pytest.mark.parametrize(("state", "asked"), [("RUNNING", ["requeue 7"]), ("COMPLETING", []), ("PREEMPTED", [])])
def test_a_stopped_job_comes_back_unless_it_is_being_ended(node: Foreign, state: str, asked: list[str]) -> None:
    node.stub("scontrol", scontrol(state))
    stopped = node.folder / "7"
    slurm.come_back(stopped)  # no training of the job was stopped
    assert notes(node) == []
    stopped.touch()
    slurm.come_back(stopped)
    assert notes(node) == asked and not stopped.exists()


def test_a_node_without_scontrol_says_so(node: Foreign, capsys: pytest.CaptureFixture[str]) -> None:
    stopped = node.folder / "7"
    stopped.touch()
    slurm.come_back(stopped)
    said = capsys.readouterr().err
    assert said.startswith("job 7: no scontrol on this node") and "--retries" in said and said.count("\n") == 1


def test_scontrol_is_found_where_path_does_not_lead(node: Foreign, monkeypatch: pytest.MonkeyPatch) -> None:
    (node.folder / "opt").mkdir()
    node.stub("scontrol", scontrol("RUNNING")).rename(node.folder / "opt" / "scontrol")
    monkeypatch.setattr(slurm, "USUAL_PATH", str(node.folder / "opt"))
    (node.folder / "7").touch()
    slurm.come_back(node.folder / "7")
    assert notes(node) == ["requeue 7"]


# PreemptMode=CANCEL ended three jobs of this user, one of them of another store; a fourth job runs.
SQUEUE = """
case "$*" in
    *--states=PREEMPTED*) printf '%s\\n' "11 {store}" "12 {store} of mine" "13 {store}" ;;
    *) echo "14 {store}" ;;
esac
"""


def test_jobs_that_slurm_cancelled_for_others_are_requeued(node: Foreign) -> None:
    store = node.folder / "the store"
    node.stub("squeue", SQUEUE.format(store=store))
    node.stub("scontrol", scontrol(""))
    assert slurm.requeue_preempted(store) == ["11", "13"]
    assert notes(node) == ["requeue 11", "requeue 13"]


def test_only_a_start_that_submits_to_slurm_looks_for_them(node: Foreign) -> None:
    node.stub("squeue", SQUEUE.format(store=node.folder))
    node.stub("scontrol", scontrol(""))
    asked: list[list[str]] = []  # calls of SLURM so far

    def submits() -> bool:
        asked.append(notes(node))
        if len(asked) == 3:
            (node.programs / "squeue").unlink()  # ends the loop
            return False
        return len(asked) == 2

    slurm.keep_requeueing(node.folder, submits, interval=0.0)
    assert asked == [[], [], ["requeue 11", "requeue 13"]]


def test_slurm_that_does_not_answer_is_no_error(node: Foreign) -> None:
    node.stub("squeue", "echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2; exit 1")
    node.stub("scontrol", "exit 1")
    assert slurm.requeue_preempted(node.folder) == []


def test_only_trainings_are_jobs_of_a_cluster(machine: Foreign) -> None:
    """Everything else runs with the workflow; a rule that inherits from another one does not inherit `localrule`."""
    frozen = machine.folder / machine.dropnas("freeze", str(MICRO)).stdout.strip()
    with (frozen / "source" / "Snakefile").open("a") as file:
        file.write(
            "print('submitted:', *(one.name for one in workflow.rules if one.name not in workflow._localrules))\n"
        )
    command = ("--snakefile", str(frozen / "source" / "Snakefile"), "--directory", ".", "--list-rules")
    done = machine.run(sys.executable, "-m", "snakemake", *command)
    said = next((line for line in done.stdout.splitlines() if line.startswith("submitted:")), done.stderr)
    assert sorted(said.split()[1:]) == ["clusters", "retrain", "search", "transfer"]
