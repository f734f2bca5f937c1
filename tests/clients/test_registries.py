"""Images from and to Debian's docker-registry with the docker command: for users, and on bad lines."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.daemon import Lodged
from tests.images.layer import Layer
from tests.registries.debian import Line, debian_registry, line, program
from tests.registries.tokens import token_server

pytestmark = pytest.mark.skipif(program() is None, reason="docker-registry is not installed")
BIG = 24 << 20


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with debian_registry(tmp_path_factory.mktemp("registry")) as address:
        yield address


@pytest.fixture
def bad_line(registry: str) -> Iterator[Line]:
    with line(registry) as made:
        yield made


@pytest.fixture(scope="module")
def big(lodged: Lodged, registry: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An image with one large layer that does not compress, in the registry only."""
    layer = tmp_path_factory.mktemp("big") / "layer.tar"
    layer.write_bytes(Layer().file("noise", random.Random(1).randbytes(BIG)).bytes())
    name = f"{registry}/test/big"
    lodged.docker("import", str(layer), name)
    lodged.docker("push", name)
    lodged.docker("rmi", name)
    return "test/big"


def test_push_pull_run(lodged: Lodged, registry: str, name: str) -> None:
    image = f"{registry}/test/busybox:one"
    lodged.docker("tag", "busybox", image)
    pushed = lodged.out("push", image)
    assert f"The push refers to repository [{registry}/test/busybox]" in pushed
    digest = pushed.rpartition("digest: ")[2].partition(" ")[0]
    assert "Layer already exists" in lodged.out("push", image)
    lodged.docker("rmi", image)
    lodged.docker("rmi", "-f", f"{registry}/test/busybox@{digest}", check=False)
    pulled = lodged.out("pull", image)
    assert f"Digest: {digest}" in pulled
    assert f"Status: Downloaded newer image for {image}" in pulled
    assert f"Status: Image is up to date for {image}" in lodged.out("pull", image)
    assert lodged.out("pull", "-q", image) == image
    assert lodged.out("run", "--rm", "--name", name, "--network", "none", image, "echo", "hi") == "hi"
    lodged.docker("rmi", image)
    again = f"{registry}/test/busybox@{digest}"
    lodged.docker("pull", again)
    inspected = json.loads(lodged.out("image", "inspect", again))[0]
    assert inspected["RepoDigests"] == [again]
    lodged.docker("rmi", again)


def test_all_tags(lodged: Lodged, registry: str) -> None:
    for tag in ("a", "b"):
        lodged.docker("tag", "busybox", f"{registry}/test/tags:{tag}")
    lodged.docker("push", "-a", f"{registry}/test/tags")
    lodged.docker("rmi", f"{registry}/test/tags:a", f"{registry}/test/tags:b")
    pulled = lodged.out("pull", "-a", f"{registry}/test/tags")
    assert "a: Pulling from test/tags" in pulled
    assert "b: Pulling from test/tags" in pulled
    lodged.docker("rmi", f"{registry}/test/tags:a", f"{registry}/test/tags:b")


def test_run_pulls_what_is_missing(lodged: Lodged, registry: str, name: str) -> None:
    image = f"{registry}/test/missing:1"
    lodged.docker("tag", "busybox", image)
    lodged.docker("push", image)
    lodged.docker("rmi", image)
    assert lodged.out("run", "--rm", "--name", name, "--network", "none", image, "echo", "hi") == "hi"
    lodged.docker("rmi", image)


def test_what_docker_says_of_what_is_not_there(lodged: Lodged, registry: str) -> None:
    refused = lodged.docker("pull", f"{registry}/test/none:x", check=False)
    assert refused.returncode == 1
    text = f"manifest for {registry}/test/none:x not found: manifest unknown: manifest unknown"
    assert refused.stderr.decode().strip() == f"Error response from daemon: {text}"
    refused = lodged.docker("push", f"{registry}/test/none", check=False)
    text = f"An image does not exist locally with the tag: {registry}/test/none"
    assert refused.stderr.decode().strip() == text
    refused = lodged.docker("pull", "127.0.0.1:1/x", check=False)
    assert (
        b'Get "http://127.0.0.1:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused' in refused.stderr
    )


def test_manifest_and_distribution(lodged: Lodged, registry: str) -> None:
    image = f"{registry}/test/asked:1"
    lodged.docker("tag", "busybox", image)
    lodged.docker("push", image)
    answer = lodged.out("manifest", "inspect", "--insecure", image)
    assert json.loads(answer)["schemaVersion"] == 2
    lodged.docker("rmi", image)


def test_passwords(lodged: Lodged, tmp_path: Path) -> None:
    with debian_registry(tmp_path / "private", passwords=True) as address:
        image = f"{address}/private/busybox:1"
        lodged.docker("tag", "busybox", image)
        refused = lodged.docker("push", image, check=False)
        assert b"no basic auth credentials" in refused.stderr
        wrong = lodged.docker("login", "-u", "me", "--password-stdin", address, input="wrong", check=False)
        assert b"401 Unauthorized" in wrong.stderr
        done = lodged.out("login", "-u", "me", "--password-stdin", address, input="secret")
        assert "Login Succeeded" in done
        lodged.docker("push", image)
        lodged.docker("rmi", image)
        lodged.docker("pull", image)
        lodged.docker("rmi", image)
        lodged.docker("logout", address)
        refused = lodged.docker("pull", image, check=False)
        assert b"no basic auth credentials" in refused.stderr


def test_tokens(lodged: Lodged, tmp_path: Path) -> None:
    root = tmp_path / "tokens"
    with token_server(root, "me", "secret") as tokens, debian_registry(root, realm=tokens.realm) as address:
        image = f"{address}/team/busybox:1"
        lodged.docker("tag", "busybox", image)
        refused = lodged.docker("push", image, check=False)
        assert b"denied: requested access to the resource is denied" in refused.stderr
        wrong = lodged.docker("login", "-u", "me", "--password-stdin", address, input="wrong", check=False)
        assert b"incorrect username or password" in wrong.stderr
        lodged.docker("login", "-u", "me", "--password-stdin", address, input="secret")
        lodged.docker("push", image)
        assert "repository:team/busybox:pull,push" in tokens.scopes
        other = f"{address}/other/busybox:1"
        lodged.docker("tag", "busybox", other)
        assert "Mounted from team/busybox" in lodged.out("push", other)
        lodged.docker("rmi", image, other)
        assert "Downloaded newer image" in lodged.out("pull", image)
        lodged.docker("rmi", image)
        lodged.docker("logout", address)
        refused = lodged.docker("pull", image, check=False)
        assert b"pull access denied for" in refused.stderr


def test_a_private_authority(roots: Path, lodged: Lodged, tmp_path: Path) -> None:
    with debian_registry(tmp_path / "tls", tls=True) as address:
        image = f"{address}/tls/busybox:1"
        settings = tmp_path / "daemon.json"
        settings.write_text(json.dumps({"registries": {address: {"ca": str(tmp_path / "tls" / "ca.crt")}}}))
        own = Lodged(roots / f"tls-{os.getpid()}")
        own.start("--config-file", str(settings))
        try:
            archive = lodged.docker("save", "busybox").stdout
            own.docker("load", input=archive)
            own.docker("tag", "busybox", image)
            own.docker("push", image)
            own.docker("rmi", image)
            own.docker("pull", image)
            # Another authority: the certificate is not good enough.
            own.stop()
            settings.write_text(json.dumps({"registries": {address: {"ca": _other_authority(tmp_path)}}}))
            own.start("--config-file", str(settings))
            refused = own.docker("pull", image, check=False)
            assert b"x509: certificate signed by unknown authority" in refused.stderr
        finally:
            own.remove()


def _other_authority(where: Path) -> str:
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-keyout", where / "o.key", "-out", where / "o.crt", "-subj", "/CN=other", "-days", "9"],
        check=True, capture_output=True,
    )  # fmt: skip
    return str(where / "o.crt")


def test_a_line_that_breaks(lodged: Lodged, bad_line: Line, big: str) -> None:
    bad_line.breaks = [-1, 5 << 20, 6 << 20, 1 << 20]
    image = f"{bad_line.address}/{big}"
    assert "Downloaded newer image" in lodged.out("pull", image)
    # What was there was not sent again: little more than the image went over the line.
    assert bad_line.carried < BIG * 1.1
    lodged.docker("rmi", image)


def test_a_killed_daemon_goes_on_where_it_was(own_lodged: Lodged, bad_line: Line, big: str) -> None:
    image = f"{bad_line.address}/{big}"
    bad_line.pace = 20e6
    pulling = subprocess.Popen(
        [*_docker(own_lodged), "pull", image], env=own_lodged.environment, stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    _until(lambda: bad_line.carried > BIG // 2)
    own_lodged.stop(signal.SIGKILL)
    pulling.wait(10)
    bad_line.pace = 0
    before = bad_line.carried
    own_lodged.start()
    own_lodged.docker("pull", image)
    assert bad_line.carried - before < BIG * 0.6


def test_a_client_that_goes_ends_its_pull(lodged: Lodged, bad_line: Line, big: str) -> None:
    image = f"{bad_line.address}/{big}"
    bad_line.pace = 2e6
    pulling = subprocess.Popen(
        [*_docker(lodged), "pull", image], env=lodged.environment, stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    _until(lambda: bad_line.carried > 1 << 20)
    pulling.terminate()
    pulling.wait(10)
    time.sleep(0.5)
    still = bad_line.carried
    time.sleep(0.5)
    assert bad_line.carried == still
    bad_line.pace = 0
    lodged.docker("pull", image)
    lodged.docker("rmi", image)


def test_two_clients_share_a_pull(lodged: Lodged, bad_line: Line, big: str) -> None:
    image = f"{bad_line.address}/{big}"
    bad_line.pace = 40e6
    threads = [threading.Thread(target=lodged.docker, args=("pull", "-q", image)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert bad_line.carried < BIG * 1.2
    lodged.docker("rmi", image)


def test_a_mirror_of_docker_hub(roots: Path, lodged: Lodged, registry: str, name: str) -> None:
    lodged.docker("tag", "busybox", f"{registry}/library/mirrored:1")
    lodged.docker("push", f"{registry}/library/mirrored:1")
    own = Lodged(roots / f"mirror-{os.getpid()}")
    own.start("--registry-mirror", f"http://{registry}")
    try:
        assert "Status: Downloaded newer image for mirrored:1" in own.out("pull", "mirrored:1")
        assert own.out("image", "ls", "-q", "mirrored:1")
    finally:
        own.remove()


def _docker(lodged: Lodged) -> list[str]:
    from tests.clients.daemon import docker_command

    del lodged
    return [str(docker_command())]


def _until(true: object) -> None:
    end = time.monotonic() + 20
    while not true():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.01)
