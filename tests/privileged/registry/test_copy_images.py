"""`lodge image copy` and its kin with a registry that wants a password, under TLS of a private CA."""

from __future__ import annotations

import base64
import json
import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.privileged.registry.program import Program
from tests.privileged.registry.test_serve_a_directory import Authority
from tests.unit.distribution.transit.test_copying import Layout


class Shop:
    """The registry, its authority, and a user of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        authority = Authority(path)
        self.ca = str(authority.ca)
        made = subprocess.run(
            [sys.executable, "-m", "lodge", "registry", "password", "joe"],
            input=b"secret\n", capture_output=True, check=True, timeout=30,
        )  # fmt: skip
        (path / "users").write_bytes(made.stdout)
        options = ("--tls-cert", str(authority.certificate), "--tls-key", str(authority.key))
        self.program = Program(
            path / "r",
            *options,
            "--htpasswd",
            str(path / "users"),
            tls=ssl.create_default_context(cafile=self.ca),
        )
        self.program.start()
        auth = base64.b64encode(b"joe:secret").decode()
        (path / "config.json").write_text(json.dumps({"auths": {self.program.host: {"auth": auth}}}))

    def image(self, *words: str, config: bool = True) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "DOCKER_CONFIG": str(self.path if config else self.path / "none")}
        environment.pop("DOCKER_HOST", None)
        return subprocess.run(
            [sys.executable, "-m", "lodge", *words],
            capture_output=True, text=True, timeout=60, check=False, env=environment,
        )  # fmt: skip


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    made = Shop(tmp_path)
    try:
        yield made
    finally:
        made.program.end()


def test_there_and_back(shop: Shop, tmp_path: Path) -> None:
    source = Layout(tmp_path / "source")
    source.multi("v1")
    host, ca = shop.program.host, f"--ca={shop.ca}"
    first, second = f"docker://{host}/team/app:1", f"{host}/other:2"
    pushed = shop.image("image", "copy", "--all", "-q", ca, f"oci:{source.root}:v1", first)
    assert pushed.returncode == 0, pushed.stderr
    moved = shop.image("image", "copy", "--all", ca, first, second)
    assert moved.returncode == 0, moved.stderr
    assert pushed.stdout.strip() in moved.stdout
    archive = f"oci-archive:{tmp_path}/a.tar:x"
    assert shop.image("image", "copy", "--platform", "linux/arm64", ca, second, archive).returncode == 0
    explored = shop.image("image", "explore", "--format", "json", archive)
    assert [one["Path"] for one in json.loads(explored.stdout)["Layers"][0]["Changes"]] == ["/file"]
    differences = shop.image("image", "diff", ca, "--platform", "linux/amd64", first, archive)
    assert differences.stdout.splitlines()[0].endswith("/file  (content)")
    raw = shop.image("manifest", "inspect", "--raw", ca, first)
    assert len(json.loads(raw.stdout)["manifests"]) == 2
    config = shop.image("manifest", "inspect", "--config", "--platform", "linux/arm64", ca, first)
    assert json.loads(config.stdout)["architecture"] == "arm64"


def test_without_the_password_or_the_authority(shop: Shop) -> None:
    name = f"{shop.program.host}/team/app:1"
    stranger = shop.image("manifest", "inspect", f"--ca={shop.ca}", name, config=False)
    assert stranger.returncode == 1
    assert "no basic auth credentials" in stranger.stderr
    assert "secret" not in stranger.stderr
    unknown = shop.image("manifest", "inspect", f"--ca={shop.ca}", name)
    assert "not found" in unknown.stderr
