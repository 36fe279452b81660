"""If jobs run in a container image, checks that this node has a container runtime and that the image works."""

import os
from pathlib import Path

from dropnas.doctor.check import Check, Checks, Situation, check, run_program
from dropnas.machine.container import runtime

USUAL_IMAGE = "containers/dropnas.sif"
TORCH = "from importlib.metadata import version; print(version('torch'))"


def examine(situation: Situation) -> Checks:
    """Check that this node has Apptainer or SingularityCE, and that the image works."""
    if not situation.site.in_image:
        return
    program, works, said = runtime(), False, "neither apptainer nor singularity is on this node"
    hint = "load its module, or start this command in a job on a node that has it: Snakemake opens the image here"
    if program:
        works, said = run_program(program, "--version")
        hint = f"repair {program} on this node"
    yield check("container runtime", works, said.strip(), hint)
    if found := _image(situation.root, program if works else ""):
        yield found


def _image(root: Path, program: str) -> Check | None:
    """Check the image. Return None if the image is a file and this node has no working runtime to open it."""
    named = os.environ.get("DROPNAS_SIF", USUAL_IMAGE)
    if any(letter.isspace() for letter in named):
        hint = "rename it: Snakemake does not accept such an image"
        return check("image", False, f"{named!r} has a blank in its name", hint)
    if "://" in named:
        return check("image", True, f"{named} is fetched by {program or 'the runtime'}")
    if not (root / named).is_file():
        hint = "make image && make sif, or set DROPNAS_SIF to another image"
        return check("image", False, f"{root / named} does not exist", hint)
    if not program:
        return None
    works, said = run_program(program, "exec", "--cleanenv", str(root / named), "python", "-c", TORCH)
    opens, fault = f"{named} opens and has torch {said.strip()}", f"{named} does not open, or has no torch ({said})"
    return check("image", works, opens if works else fault, "try to open it by hand; make sif builds the image again")
