"""ADD of addresses and repositories, from a server on this machine."""

from __future__ import annotations

import functools
import hashlib
import http.server
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import lodge
from lodge.build.failures import StepFailed
from tests.privileged.engine.building import building_engine

_GIT = {
    "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@b", "GIT_CONFIG_GLOBAL": "/dev/null", "PATH": os.environ["PATH"],
}  # fmt: skip


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        del format, args


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    root = tmp_path_factory.mktemp("site")
    (root / "file.txt").write_text("by http\n")
    os.utime(root / "file.txt", (1_000_000_000, 1_000_000_000))
    work = root / "work"
    work.mkdir()

    def git(*words: str, cwd: Path = work) -> str:
        done = subprocess.run(["git", *words], cwd=cwd, env=_GIT, check=True, capture_output=True)
        return done.stdout.decode().strip()

    git("init", "-q", "-b", "main")
    (work / "f").write_text("one\n")
    git("add", ".")
    git("commit", "-qm", "1")
    git("tag", "v1")
    (work / "f").write_text("two\n")
    git("commit", "-qam", "2")
    git("clone", "-q", "--bare", str(work), str(root / "r.git"))
    git("update-server-info", cwd=root / "r.git")
    handler = functools.partial(_Quiet, directory=str(root))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", root
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory, busybox_image: Path) -> Iterator[lodge.Engine]:
    with building_engine(tmp_path_factory.mktemp("fetch") / "data", busybox_image) as engine:
        yield engine


def test_a_file_with_its_mode_its_time_and_its_checksum(engine: lodge.Engine, site: tuple[str, Path]) -> None:
    url, root = site
    digest = hashlib.sha256((root / "file.txt").read_bytes()).hexdigest()
    built = engine.images.build(
        f"FROM busybox\nADD {url}/file.txt /d/\n"
        f"ADD --checksum=sha256:{digest} --chmod=755 {url}/file.txt /named\n"
    )
    shown = engine.run(built.id, ["stat", "-c", "%n %a %Y", "/d", "/d/file.txt", "/named"], network="none")
    assert [line for line in shown.text.splitlines() if not line.startswith("/d ")] == [
        "/d/file.txt 600 1000000000",
        "/named 755 1000000000",
    ]
    with pytest.raises(StepFailed, match="digest mismatch"):
        engine.images.build(f"FROM busybox\nADD --checksum=sha256:{'0' * 64} {url}/file.txt /\n")
    with pytest.raises(StepFailed, match="the server answered 404"):
        engine.images.build(f"FROM busybox\nADD {url}/missing /\n")


def test_repositories_by_branch_and_tag(engine: lodge.Engine, site: tuple[str, Path]) -> None:
    url, _ = site
    built = engine.images.build(
        f"FROM busybox\nADD {url}/r.git /main\nADD --keep-git-dir {url}/r.git#v1 /v1\n"
    )
    shown = engine.run(
        built.id, ["sh", "-c", "cat /main/f /v1/f; ls -a /main; ls -d /v1/.git"], network="none"
    )
    assert shown.text.split() == ["two", "one", ".", "..", "f", "/v1/.git"]
    with pytest.raises(StepFailed, match="git"):
        engine.images.build(f"FROM busybox\nADD {url}/r.git#no-such-branch /x\n")


@pytest.mark.parametrize("address", ["file:///etc/r.git", "git://--upload-pack=touch%20/tmp/evil/r.git"])
def test_no_address_leads_to_files_of_this_machine(engine: lodge.Engine, address: str) -> None:
    with pytest.raises(StepFailed):
        engine.images.build(f"FROM busybox\nADD {address} /x\n", context={"a": b""})
    assert not Path("/tmp/evil").exists()
