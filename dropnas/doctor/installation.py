"""Checks what is installed besides torch: Snakemake, the libraries of the page, git, and the folder for caches."""

import importlib.util
import os
import re
import shutil
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from dropnas.doctor.check import Check, Checks, Situation, failed, passed, warning
from dropnas.doctor.program import ask
from dropnas.machine import caches
from dropnas.pipeline.shipped import shipped

PAGE = ("jinja2", "itables")


def examine(situation: Situation) -> Checks:
    """Check each of them."""
    yield _snakemake(situation)
    yield _page()
    yield _git()
    yield _cache()


def _snakemake(situation: Situation) -> Check:
    hint = "make setup, or pip install 'dropnas[workflow]'"
    needed = ["snakemake"] + ["snakemake-executor-plugin-slurm"] * (situation.site.executor == "slurm")
    for package in needed:
        try:
            found = version(package)
        except PackageNotFoundError:
            return failed("Snakemake", f"{package} is not installed", hint)
        if _numbers(found) < (oldest := _oldest(package)):
            wanted = ".".join(map(str, oldest))
            return failed("Snakemake", f"{package} {found} is too old: {wanted} or newer is needed", hint)
    return passed("Snakemake", version("snakemake"))


def _oldest(package: str) -> tuple[int, ...]:
    """The oldest accepted version, as this project declares it; empty if the project is not installed."""
    try:
        asked = requires("dropnas") or []
    except PackageNotFoundError:
        return ()
    found = next((found for line in asked if (found := re.match(rf"{package}>=([\d.]+)", line))), None)
    return _numbers(found[1]) if found else ()


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", text)[:3])


def _page() -> Check:
    absent = [name for name in PAGE if importlib.util.find_spec(name) is None]
    if absent:
        return warning("report page", f"{absent[0]} is not installed", "make setup, or pip install 'dropnas[report]'")
    return passed("report page", "can be made")


def _git() -> Check:
    folder = shipped()
    if not (folder / ".git").exists():
        return warning("git", "this is not a checkout, so runs record no commit", "use a git clone of the project")
    if not shutil.which("git"):
        return warning("git", "is not installed, so runs record no commit", "install it")
    works, said = ask("git", "-C", str(folder), "rev-parse", "HEAD")
    if works:
        return passed("git", f"commit {said[:10]}")
    if "dubious ownership" in said or "safe.directory" in said:
        hint = f"git config --global --add safe.directory {folder}"
        return warning("git", "the checkout belongs to another user, so runs record no commit", hint)
    return warning("git", f"reports no commit ({said})", f"try git -C {folder} status")


def _cache() -> Check:
    folder, home = caches.usual(), os.path.expanduser("~/.cache")
    if not caches.is_writable(folder):
        return failed("caches", f"{folder} cannot be written", "set XDG_CACHE_HOME to a writable folder")
    if not caches.is_writable(Path(home)):
        return warning("caches", f"are in {folder}, because {home} cannot be written", "set HOME to a writable folder")
    return passed("caches", f"are in {folder}")
