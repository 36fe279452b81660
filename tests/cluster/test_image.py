"""The properties of the image: locked dependencies, CUDA for two GPU generations, a compiler, no project code, any uid.

The image is tested as its SIF, whose root is read-only. /tmp is a tmpfs and the user is `nobody`, because Apptainer
only knows uids of the host. (For an unknown uid: `buildah run --user 41235`, `docker run --user 41235`.)
"""

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.cluster.conftest import SIF
from tests.workflow.conftest import make_bench

UID = 65534  # nobody
COMPILED = """
import torch
f = torch.compile(lambda x: torch.relu(x) * 2 + 1)
x = torch.randn(100)
torch.testing.assert_close(f(x), torch.relu(x) * 2 + 1)
"""


@pytest.fixture(scope="module")
def image():
    if shutil.which("apptainer") is None:
        pytest.skip("no apptainer")
    if not SIF.is_file():
        pytest.skip("no containers/dropnas.sif; make sif makes it")
    if os.getuid() != 0:
        pytest.skip("root is needed to become another uid")
    return SIF


@pytest.fixture
def memory():
    """A folder of that user in a tmpfs; Apptainer's own holds only 64 MB, but the graph compiler needs more."""
    folder = Path(tempfile.mkdtemp(dir="/dev/shm", prefix="dropnas-image-"))
    os.chown(folder, UID, UID)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def inside(image, memory):
    """Return a function that runs a command in the image as another user, with /tmp on a tmpfs."""

    def run(*command, store=None, variables=()):
        places = ["--bind", str(store), "--pwd", str(store)] if store else ["--pwd", "/tmp"]
        given = [word for pair in variables for word in ("--env", pair)]
        become = ["setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups"]
        options = ["--userns", "--containall", "--cleanenv", "--no-home", "--workdir", str(memory), *places, *given]
        done = subprocess.run(
            [*become, "apptainer", "exec", *options, str(image), *command],
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            env={"PATH": os.environ["PATH"], "HOME": "/tmp", "APPTAINER_CACHEDIR": "/tmp"},
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def test_the_dependencies_agree(inside):
    assert "No broken requirements" in inside("python", "-m", "pip", "check")


def test_torch_is_built_for_cuda_and_two_generations_of_gpus(inside):
    message = inside(
        "python", "-c", "import json, torch; print(json.dumps([torch.version.cuda, torch.cuda.get_arch_list()]))"
    )
    cuda, architectures = json.loads(message)
    assert cuda and {"sm_80", "sm_90"} <= set(architectures)


def test_the_graph_compiler_finds_its_compiler(inside):
    inside("python", "-c", COMPILED)


def test_the_image_holds_no_project_code(inside):
    found = inside("python", "-c", "import importlib.util; print(importlib.util.find_spec('dropnas'))")
    assert found.strip() == "None"


def test_the_root_is_read_only(inside):
    said = inside("sh", "-c", "id -u; touch /opt/dropnas/x 2>&1 || true; touch /tmp/x && echo written; env")
    assert said.startswith(f"{UID}\n") and "Read-only file system" in said and "written" in said
    assert "NVIDIA_VISIBLE_DEVICES=all" in said and "NVIDIA_DRIVER_CAPABILITIES=compute,utility" in said
    assert "DROPNAS_IMAGE=dropnas:" in said


def test_its_labels_name_the_lock(image):
    labels = subprocess.run(["apptainer", "inspect", "--json", str(image)], capture_output=True, text=True, check=True)
    assert "org.opencontainers.image.version" in labels.stdout


def test_the_chain_runs_in_it_as_another_user(inside, project, tmp_path):
    shared = Path("/var/tmp") / f"dropnas-image-{tmp_path.name}"  # a folder that this user may enter
    shared.mkdir()
    try:
        bench = make_bench(shared, project)
        for path in [shared, *shared.rglob("*")]:
            os.chown(path, UID, UID)
        start = ["python", "-m", "dropnas", "run", str(bench.parameters), "--root", str(bench.store), "--cores", "2"]
        message = inside(*start, store=shared, variables=[f"PYTHONPATH={bench.checkout}"])
        assert "All tables" in message
        receipt = json.loads(next(bench.store.glob("runs/table/table1-*/run.json")).read_text())
        assert receipt["image"].startswith("dropnas:")
    finally:
        shutil.rmtree(shared)
