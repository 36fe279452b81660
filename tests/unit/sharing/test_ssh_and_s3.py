"""The same over ssh and S3, against servers on this host: an SFTP server and one that speaks S3.

Needs what the lock does not hold: `pip install dvc-ssh`, and `pip install dvc-s3 'moto[server]'`.
"""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dropnas.runs.verify import verify
from dropnas.sharing.pull import pull
from dropnas.sharing.push import push
from tests.unit.sharing.conftest import Site

SFTP = """
import asyncio, asyncssh

class Open(asyncssh.SSHServer):
    def begin_auth(self, username):
        return False

async def main():
    key = asyncssh.generate_private_key("ssh-ed25519")
    server = await asyncssh.listen("127.0.0.1", 0, server_factory=Open, server_host_keys=[key], sftp_factory=True)
    print(server.get_port(), flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""
S3 = """
import time
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
time.sleep(600)
"""
BUCKET = """
import sys, boto3
boto3.client("s3", endpoint_url=sys.argv[1], region_name="us-east-1").create_bucket(Bucket="runs")
"""
NEEDS = {"ssh": ("dvc_ssh",), "s3": ("dvc_s3", "moto")}
KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}


@pytest.fixture(params=["ssh", "s3"])
def settings(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """What DVC's configuration says of a remote on a running server."""
    lacking = [name for name in NEEDS[request.param] if importlib.util.find_spec(name) is None]
    if lacking:
        pytest.skip(f"{', '.join(lacking)} not installed, which the lock does not hold")
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    script = SFTP if request.param == "ssh" else S3
    server = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout
        port = server.stdout.readline().strip()
        if request.param == "ssh":
            yield f"url = ssh://user@127.0.0.1:{port}{tmp_path}/remote\n    allow_agent = false\n"
        else:
            endpoint = f"http://127.0.0.1:{port}"
            subprocess.run([sys.executable, "-c", BUCKET, endpoint], check=True, env={**os.environ, **KEYS})
            yield f"url = s3://runs/some/where\n    endpointurl = {endpoint}\n"
    finally:
        server.kill()
        server.wait()


def configure(site: Site, settings: str) -> None:
    core = "[core]\n    remote = shared\n    analytics = false\n    no_scm = true\n"
    (site.root / ".dvc" / "config").write_text(f"{core}['remote \"shared\"']\n    {settings}", encoding="utf-8")


def test_push_and_pull(here: Site, there: Site, settings: str) -> None:
    configure(here, settings)
    configure(there, settings)
    runs = len(here.plan.runs)
    assert push(here.root, None, "", print).sent == runs
    assert push(here.root, None, "", print).sent == 0
    assert pull(there.root, None, "", print).brought == runs
    assert verify(there.root).problems == []
    assert pull(there.root, None, "", print, heavy=True).problems == ()
    assert there.files() == here.files()
