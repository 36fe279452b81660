# A start from a checkout freezes the parameters and the code, and runs Snakemake again on the frozen copy with the same
# options. From then on nothing is read from the checkout, so edits cannot affect waiting jobs.
import os
import sys

sys.path.insert(0, workflow.basedir)

from dropnas.errors import DropnasError
from dropnas.pipeline.freeze import freeze


def parameter_file():
    """The file that --configfile names, by default params/smoke.yaml."""
    files = workflow.overwrite_configfiles
    if workflow.config_settings.config:
        raise DropnasError(
            "values cannot be set with --config",
            remedy="write them into a parameter file and name it with --configfile",
        )
    if len(files) > 1:
        raise DropnasError("one parameter file at a time", where=" ".join(map(str, files)))
    return Path(files[0] if files else Path(workflow.basedir) / "params" / "smoke.yaml")


def start_again():
    """Replace this process by Snakemake on the frozen copy; raises DropnasError if no copy can be made."""
    targets = workflow.dag_settings.targets if workflow.dag_settings else ()  # with --lint, nothing runs
    frozen = Path.cwd() / freeze(parameter_file(), Path.cwd(), sorted(targets))
    options = {
        "--snakefile": frozen / "source" / "Snakefile",
        "--configfile": frozen / "parameters.yaml",
        "--directory": Path.cwd(),
    }
    again = [*sys.argv[1:], *(str(word) for option in options.items() for word in option)]
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "snakemake", *again])


try:
    start_again()
except DropnasError as error:
    sys.exit(f"dropnas: {error}")
