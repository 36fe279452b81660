"""Push and pull over ssh and S3, with an SFTP server and an S3 server on this host.

Needs `pip install 'dropnas[ssh,s3]' 'moto[server]'`.
"""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dropnas.errors import DropnasError
from dropnas.runs.verify import verify
from dropnas.sharing.pull import pull
from dropnas.sharing.push import push
from tests.unit.sharing.conftest import Site, set_remote

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
    """The DVC configuration of a remote on a running server."""
    lacking = [name for name in NEEDS[request.param] if importlib.util.find_spec(name) is None]
    if lacking:
        pytest.skip(f"{', '.join(lacking)} not installed")
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    script = SFTP if request.param == "ssh" else S3
    server = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout
        port = server.stdout.readline().strip()
        if request.param == "ssh":
            yield f"ssh://user@127.0.0.1:{port}{tmp_path}/remote\n    allow_agent = false\n"
        else:
            endpoint = f"http://127.0.0.1:{port}"
            subprocess.run([sys.executable, "-c", BUCKET, endpoint], check=True, env={**os.environ, **KEYS})
            yield f"s3://runs/some/where\n    endpointurl = {endpoint}\n"
    finally:
        server.kill()
        server.wait()


def test_push_and_pull(here: Site, there: Site, settings: str) -> None:
    set_remote(here, settings)
    set_remote(there, settings)
    runs = len(here.plan.runs)
    assert push(here.root, None, "", print).sent == runs
    assert push(here.root, None, "", print).sent == 0
    assert pull(there.root, None, "", print).new == runs
    assert verify(there.root).problems == []
    assert pull(there.root, None, "", print, heavy=True).problems == ()
    assert there.files() == here.files()
    assert {file.stat().st_mode & 0o077 for file in there.root.glob("runs/*/*/*")} == {0o044}


@pytest.mark.parametrize("settings", ["ssh"], indirect=True)
def test_over_ssh_a_missing_folder_is_made_but_none_above_it(here: Site, settings: str, tmp_path: Path) -> None:
    set_remote(here, settings.replace("/remote", "/none/remote"))
    with pytest.raises(DropnasError, match="cannot be created"):
        push(here.root, None, "", print)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("settings", ["s3"], indirect=True)
def test_a_missing_bucket_is_not_made(here: Site, settings: str) -> None:
    set_remote(here, settings.replace("s3://runs", "s3://nowhere"))
    with pytest.raises(DropnasError, match="s3://nowhere/some/where: the remote has no runs"):
        pull(here.root, None, "", print)
    for _ in range(2):
        with pytest.raises(DropnasError, match="s3://nowhere/some/where: cannot be written"):
            push(here.root, None, "", print)


@pytest.mark.parametrize("host", ["127.0.0.1:1", "no-such-host.invalid"])
@pytest.mark.parametrize("kind", ["ssh", "s3"])
def test_a_server_that_does_not_answer(here: Site, kind: str, host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip(NEEDS[kind][0])
    for name, value in {**KEYS, "AWS_MAX_ATTEMPTS": "1"}.items():
        monkeypatch.setenv(name, value)
    url = f"ssh://{host}/remote" if kind == "ssh" else f"s3://runs\n    endpointurl = http://{host}"
    set_remote(here, url)
    for verb in (push, pull):
        with pytest.raises(DropnasError, match=f"{kind}://.*cannot be listed") as caught:
            verb(here.root, None, "", print)
        assert "\n" not in str(caught.value)
