"""`lodge registry serve` with other people's clients: skopeo, and the docker command through lodged."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.daemon import Lodged
from tests.privileged.registry.program import Program

skopeo = shutil.which("skopeo")
needs_skopeo = pytest.mark.skipif(skopeo is None, reason="there is no skopeo here")


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Program]:
    program = Program(tmp_path / "registry", "--gc-grace", "0s")
    program.start()
    try:
        yield program
    finally:
        program.end()


def run_skopeo(*words: str) -> str:
    done = subprocess.run(
        [str(skopeo), "--insecure-policy", *words], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@needs_skopeo
def test_skopeo_pushes_inspects_copies_and_deletes(
    registry: Program, busybox_image: Path, tmp_path: Path
) -> None:
    first = f"docker://{registry.host}/team/busybox:1"
    second = f"docker://{registry.host}/other/place:2"
    run_skopeo("copy", "--dest-tls-verify=false", "--format=oci", f"docker-archive:{busybox_image}", first)
    said = json.loads(run_skopeo("inspect", "--tls-verify=false", first))
    assert said["RepoTags"] == ["1"]
    run_skopeo("copy", "--src-tls-verify=false", "--dest-tls-verify=false", first, second)
    run_skopeo("copy", "--src-tls-verify=false", second, f"oci:{tmp_path}/layout:x")
    run_skopeo("delete", "--tls-verify=false", first)
    assert registry.ask("GET", "/v2/team/busybox/manifests/1")[0] == 404
    # every repository is an image layout of its own
    layout = f"oci:{registry.root}/repositories/other/place/_:2"
    assert json.loads(run_skopeo("inspect", layout))["Digest"] == said["Digest"]


def test_docker_pushes_pulls_and_runs_through_lodged(registry: Program, lodged: Lodged) -> None:
    first, second = f"{registry.host}/team/busybox:run", f"{registry.host}/other:run"
    lodged.docker("tag", "busybox:latest", first)
    try:
        assert "run: digest: sha256:" in lodged.out("push", first)
        lodged.docker("tag", first, second)
        assert "Mounted from team/busybox" in lodged.out("push", second)
        lodged.docker("rmi", first, second)
        assert "Digest: sha256:" in lodged.out("pull", first)
        assert lodged.out("run", "--rm", "--network", "none", first, "echo", "hello") == "hello"
    finally:
        lodged.docker("rmi", "-f", first, second, check=False)
