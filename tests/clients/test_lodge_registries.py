"""The `lodge` command and other clients of one registry: what one pushes the others read."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.daemon import Lodged
from tests.clients.lodge_command import lodge, out
from tests.registries.debian import debian_registry, program

pytestmark = pytest.mark.skipif(program() is None, reason="docker-registry is not installed")


@pytest.fixture(scope="module")
def private(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A registry that wants a password."""
    with debian_registry(tmp_path_factory.mktemp("private"), passwords=True) as address:
        yield address


@pytest.fixture
def open_registry(tmp_path: Path) -> Iterator[str]:
    with debian_registry(tmp_path / "open") as address:
        yield address


def test_login_push_pull_run_logout(lodged: Lodged, private: str, name: str) -> None:
    image = f"{private}/team/busybox:1"
    assert "Login Succeeded" in out(
        lodged, "login", "-u", "me", "--password-stdin", private, input="secret\n"
    )
    lodge(lodged, "tag", "busybox", image)
    pushed = out(lodged, "push", image)
    assert "1: digest: sha256:" in pushed
    lodge(lodged, "rmi", image)
    ran = lodge(lodged, "run", "--rm", "--name", name, "--network", "none", image, "echo", "hi")
    assert ran.stdout == b"hi\n"
    assert b"Unable to find image" in ran.stderr
    lodge(lodged, "rmi", image)
    assert out(lodged, "pull", "-q", image) == image
    lodge(lodged, "rmi", image)
    lodge(lodged, "logout", private)
    refused = lodge(lodged, "pull", image, check=False)
    assert b"no basic auth credentials" in refused.stderr
    wrong = lodge(lodged, "login", "-u", "me", "-p", "wrong", private, check=False)
    assert wrong.returncode == 1
    assert b"401 Unauthorized" in wrong.stderr


def test_compression_is_a_wish(lodged: Lodged, open_registry: str) -> None:
    image = f"{open_registry}/zstd/busybox:1"
    lodge(lodged, "tag", "busybox", image)
    lodge(lodged, "push", "--compression", "zstd:7", image)
    lodge(lodged, "rmi", image)
    assert "Downloaded newer image" in out(lodged, "pull", image)
    lodge(lodged, "rmi", image)
    refused = lodge(lodged, "push", "--compression", "xz", "busybox", check=False)
    assert b"unknown compression" in refused.stderr


@pytest.mark.skipif(shutil.which("skopeo") is None, reason="skopeo is not installed")
def test_skopeo_reads_and_writes_the_same(lodged: Lodged, open_registry: str) -> None:
    image = f"{open_registry}/shared/busybox"
    lodge(lodged, "tag", "busybox", f"{image}:ours")
    pushed = out(lodged, "push", f"{image}:ours")
    digest = pushed.rpartition("digest: ")[2].partition(" ")[0]

    def skopeo(*words: str) -> bytes:
        return subprocess.run(["skopeo", *words], check=True, capture_output=True).stdout

    found = json.loads(skopeo("inspect", "--tls-verify=false", f"docker://{image}:ours"))
    assert found["Digest"] == digest
    skopeo("copy", "--src-tls-verify=false", "--dest-tls-verify=false", f"docker://{image}:ours",
           f"docker://{image}:theirs")  # fmt: skip
    pulled = out(lodged, "pull", f"{image}:theirs")
    assert f"Digest: {digest}" in pulled
    lodge(lodged, "rmi", f"{image}:ours", f"{image}:theirs")
