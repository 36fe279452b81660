"""What pyproject.toml cannot say: an installed package has the workflow, which lies beside it in a checkout."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

SHIPPED = ("Snakefile", "workflow", "profiles", "params")  # dropnas/pipeline/shipped.py finds them


class BuildWithWorkflow(build_py):
    """Copies the workflow into the package that is built; not into a checkout that is installed to be edited."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        for name in SHIPPED:
            source, target = Path(__file__).with_name(name), Path(self.build_lib, "dropnas", "shipped", name)
            if source.is_dir():
                shutil.copytree(source, target, dirs_exist_ok=True)
            else:
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)


setup(cmdclass={"build_py": BuildWithWorkflow})
