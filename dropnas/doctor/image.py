"""Checks the image, if jobs run in one: its runtime on this node, that it exists and opens, and that it has torch."""

import os
from pathlib import Path

from dropnas.doctor.check import Checks, Situation, failed, passed
from dropnas.doctor.program import ask
from dropnas.machine.container import runtime

USUAL = "containers/dropnas.sif"
TORCH = "from importlib.metadata import version; print(version('torch'))"


def examine(situation: Situation) -> Checks:
    """Check for Apptainer or SingularityCE on this node, and the image."""
    if not situation.site.in_image:
        return
    program = runtime()
    if not program:
        hint = "load its module, or start this command in a job on a node that has it: Snakemake opens the image here"
        yield failed("container runtime", "neither apptainer nor singularity is on this node", hint)
    else:
        works, said = ask(program, "--version")
        check = passed if works else failed
        yield check("container runtime", said.strip(), *([] if works else [f"repair {program} on this node"]))
        program = program if works else ""
    yield from _image(situation, program)


def _image(situation: Situation, program: str) -> Checks:
    named = os.environ.get("DROPNAS_SIF", USUAL)
    remote = "://" in named
    path = Path(named) if remote else situation.root / named
    if any(letter.isspace() for letter in named):
        yield failed(
            "image", f"{named!r} has a blank in its name", "rename it: Snakemake does not accept such an image"
        )
    elif remote:
        yield passed("image", f"{named} is fetched by {program or 'the runtime'}")
    elif not path.is_file():
        yield failed("image", f"{path} does not exist", "make image && make sif, or set DROPNAS_SIF to another image")
    elif program:
        works, said = ask(program, "exec", "--cleanenv", str(path), "python", "-c", TORCH)
        if works:
            yield passed("image", f"{named} opens and has torch {said.strip()}")
        else:
            hint = "try to open it by hand; make sif builds the image again"
            yield failed("image", f"{named} does not open, or has no torch ({said})", hint)
