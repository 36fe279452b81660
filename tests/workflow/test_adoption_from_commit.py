"""Adoption without the frozen start: the old code comes from the run's commit, if the checkout was clean."""

import subprocess

from tests.workflow.test_adoption import DROPOUT, adopt, edit, manifests

IDENTITY = ("-c", "user.name=Trial", "-c", "user.email=trial@example.org")


def commit(bench):
    (bench.checkout / ".gitignore").write_text("__pycache__/\n")
    for command in (["init", "-q"], ["add", "-A"], [*IDENTITY, "commit", "-q", "-m", "A state"]):
        subprocess.run(["git", *command], cwd=bench.checkout, check=True)


def test_the_old_code_comes_from_the_commit(fresh):
    """A search from a commit can be adopted after all frozen starts are removed."""
    commit(fresh)
    fresh.run("figure4", "--until", "search")
    before = manifests(fresh)
    fresh.remove("plans")
    edit(fresh, DROPOUT, "rate ** (1 / size)", "pow(rate, 1 / size)")
    done = adopt(fresh)
    assert done.returncode == 0, done.stderr
    adopted = [one["run"] for one in manifests(fresh).values() if "adopted" in one["run"]]
    searches = [name for name in before if name.startswith("search/")]
    assert searches and len([run for run in adopted if run["stage"] == "search"]) == len(searches)
    assert all(run["adopted"]["trial"].startswith("equal bytes") for run in adopted if run["stage"] == "search")


def test_a_checkout_that_differed_from_its_commit_is_no_proof(fresh):
    commit(fresh)
    edit(fresh, DROPOUT, "KINDS = 2", "KINDS = 3 - 1")
    fresh.run("figure4", "--until", "search")
    fresh.remove("plans")
    edit(fresh, DROPOUT, "KINDS = 3 - 1", "KINDS = 1 + 1")
    done = adopt(fresh)
    assert done.returncode == 1 and "its old code is neither in a frozen start nor in a commit" in done.stderr
