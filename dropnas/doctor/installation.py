"""Checks what is needed besides torch: Snakemake, the report page's libraries, git, and a folder for caches."""

import importlib.util
import os
import re
import shutil
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from dropnas.doctor.check import Check, Checks, Situation, check, run_program
from dropnas.machine import caches
from dropnas.pipeline.shipped import shipped

PAGE_PACKAGES = ("jinja2", "itables")


def examine(situation: Situation) -> Checks:
    """Check Snakemake, the report page's libraries, git, and the folder for caches."""
    fault = _snakemake_fault(["snakemake"] + ["snakemake-executor-plugin-slurm"] * (situation.site.executor == "slurm"))
    hint = "make setup, or pip install 'dropnas[workflow]'"
    yield check("Snakemake", not fault, fault or version("snakemake"), hint)
    absent = next((f"{name} is not installed" for name in PAGE_PACKAGES if importlib.util.find_spec(name) is None), "")
    hint = "make setup, or pip install 'dropnas[report]'"
    yield check("report page", not absent, absent or "can be made", hint, stops=False)
    yield _git()
    yield _cache()


def _snakemake_fault(packages: list[str]) -> str:
    """Return what is wrong with the first of these packages that is missing or too old; empty if all are usable."""
    try:
        asked = requires("dropnas") or []
    except PackageNotFoundError:  # the project is not installed
        asked = []
    for package in packages:
        try:
            found = version(package)
        except PackageNotFoundError:
            return f"{package} is not installed"
        oldest = next((match[1] for line in asked if (match := re.match(rf"{package}>=([\d.]+)", line))), "0")
        if _numbers(found) < _numbers(oldest):
            return f"{package} {found} is too old: {oldest} or newer is needed"
    return ""


def _numbers(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", text)[:3]]


def _git() -> Check:
    folder, none = shipped(), "so runs record no commit"
    works, said = run_program("git", "-C", str(folder), "rev-parse", "HEAD")
    if not (folder / ".git").exists():
        found, hint = f"this is not a checkout, {none}", "use a git clone of the project"
    elif not shutil.which("git"):
        found, hint = f"is not installed, {none}", "install it"
    elif "dubious ownership" in said or "safe.directory" in said:
        found = f"the checkout belongs to another user, {none}"
        hint = f"git config --global --add safe.directory {folder}"
    else:
        found, hint = f"reports no commit ({said})", f"try git -C {folder} status"
        if works:
            return check("git", True, f"commit {said[:10]}")
    return check("git", False, found, hint, stops=False)


def _cache() -> Check:
    folder, home = caches.usual(), os.path.expanduser("~/.cache")
    if not caches.is_writable(folder):
        return check("caches", False, f"{folder} cannot be written", "set XDG_CACHE_HOME to a writable folder")
    found, usable = f"are in {folder}", caches.is_writable(Path(home))
    because = "" if usable else f", because {home} cannot be written"
    return check("caches", usable, found + because, "set HOME to a writable folder", stops=False)
