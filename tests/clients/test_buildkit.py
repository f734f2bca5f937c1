"""Builds by BuildKit's protocol: with buildx where it is installed, and with a small client of our own.

The small one speaks gRPC over upgraded connections just as buildx does: it opens a session, serves its files
and secrets on it, asks for a solve and reads the status.
"""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lodge.api.buildkit import messages as m
from lodge.api.buildkit.filesync import DIFF_COPY
from lodge.api.buildkit.transport import GRPCError, Line, Reception, Service, Status, serve
from lodge.wire.modes import to_go
from tests.clients.daemon import Lodged

DOCKERFILE = """\
FROM busybox AS maker
RUN --mount=type=secret,id=word cat /run/secrets/word > /made
FROM busybox
COPY --from=maker /made /made
COPY tree /tree
CMD ["cat", "/made", "/tree/file"]
"""


@pytest.fixture
def context(tmp_path: Path) -> Path:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "file").write_text("of the tree\n")
    (tmp_path / "Dockerfile").write_text(DOCKERFILE)
    return tmp_path


def _upgraded(path: str, door: str, headers: str = "") -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(path)
    sock.sendall(
        f"POST {door} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n{headers}\r\n".encode()
    )
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        answer += sock.recv(1)
    assert answer.startswith(b"HTTP/1.1 101 "), answer
    return sock


class SmallClient:
    """One session and one gRPC connection. `sent` counts the contents that were asked for."""

    def __init__(self, path: str, root: Path, secrets: dict[str, bytes]) -> None:
        self._path = path
        self._root = root
        self._secrets = secrets
        self.sent: list[str] = []
        self.id = uuid.uuid4().hex

    async def open(self) -> None:
        files = Service("moby.filesync.v1.FileSync")
        files.talking("DiffCopy", self._files, m.PACKET, m.PACKET)
        secrets = Service("moby.buildkit.secrets.v1.Secrets")
        secrets.unary("GetSecret", self._secret, m.SECRET_REQUEST, m.SECRET_RESPONSE)
        headers = (
            f"X-Docker-Expose-Session-Uuid: {self.id}\r\n"
            "X-Docker-Expose-Session-Sharedkey: small\r\n"
            f"X-Docker-Expose-Session-Grpc-Method: {DIFF_COPY}\r\n"
            "X-Docker-Expose-Session-Grpc-Method: /moby.buildkit.secrets.v1.Secrets/GetSecret\r\n"
        )
        loop = asyncio.get_running_loop()
        session = await loop.run_in_executor(None, _upgraded, self._path, "/session", headers)
        self._session = await serve(Reception([files, secrets]).protocol(), session, b"")
        calls = await loop.run_in_executor(None, _upgraded, self._path, "/grpc")
        self.line = Line(calls, b"")
        await self.line.open()

    def _listing(self) -> Iterator[tuple[str, os.stat_result]]:
        for path in sorted(self._root.rglob("*")):
            yield str(path.relative_to(self._root)), path.lstat()

    async def _files(self, stream: Any) -> None:
        entries = list(self._listing())
        for name, status in entries:
            size = status.st_size if stat.S_ISREG(status.st_mode) else 0
            await stream.send_message(
                {
                    "type": 0,
                    "stat": {
                        "path": name,
                        "mode": to_go(status.st_mode),
                        "size": size,
                        "modTime": status.st_mtime_ns,
                    },
                }
            )
        await stream.send_message({"type": 0})
        async for packet in stream:
            if packet["type"] == 3:
                await stream.send_message({"type": 3})
                return
            name = entries[packet["ID"]][0]
            self.sent.append(name)
            await stream.send_message(
                {"type": 2, "ID": packet["ID"], "data": (self._root / name).read_bytes()}
            )
            await stream.send_message({"type": 2, "ID": packet["ID"]})

    async def _secret(self, stream: Any) -> None:
        asked = (await stream.recv_message())["ID"]
        if asked not in self._secrets:
            raise GRPCError(Status.NOT_FOUND, f"secret {asked} not found")
        await stream.send_message({"data": self._secrets[asked]})

    async def solve(self, name: str) -> tuple[dict[str, str], list[dict[str, Any]]]:
        """Build; the exporter's answer, and everything that the status told."""
        ref = uuid.uuid4().hex
        told = asyncio.ensure_future(self._status(ref))
        request = {
            "Ref": ref,
            "Session": self.id,
            "Frontend": "dockerfile.v0",
            "FrontendAttrs": {},
            "Exporters": [{"Type": "moby", "Attrs": {"name": name}}],
        }
        path = "/moby.buildkit.v1.Control/Solve"
        try:
            answer = await self.line.call(path, m.SOLVE_REQUEST, m.SOLVE_RESPONSE, request, timeout=60)
        finally:
            updates = await told
        return answer["ExporterResponse"], updates

    async def _status(self, ref: str) -> list[dict[str, Any]]:
        from grpclib.client import UnaryStreamMethod

        calling: Any = UnaryStreamMethod
        method = calling(self.line, "/moby.buildkit.v1.Control/Status", m.STATUS_REQUEST, m.STATUS_RESPONSE)
        found: list[dict[str, Any]] = await method({"Ref": ref}, timeout=60)
        return found

    async def close(self) -> None:
        self.line.close()
        self._session.close()
        await asyncio.sleep(0)


def _build(lodged: Lodged, context: Path, name: str, secrets: dict[str, bytes]) -> tuple[Any, Any, list[str]]:
    async def run() -> tuple[Any, Any, list[str]]:
        client = SmallClient(lodged.socket, context, secrets)
        await client.open()
        try:
            return *await client.solve(name), client.sent
        finally:
            await client.close()

    return asyncio.run(run())


def test_a_build_with_files_and_secrets_of_the_client(lodged: Lodged, context: Path) -> None:
    answer, told, sent = _build(lodged, context, "small:1", {"word": b"whispered\n"})
    assert answer["containerimage.digest"].startswith("sha256:")
    assert sorted(set(sent)) == ["Dockerfile", "tree/file"]
    assert lodged.out("run", "--rm", "--network", "none", "small:1") == "whispered\nof the tree"
    vertices = [vertex for update in told for vertex in update["vertexes"]]
    finished = [vertex["name"] for vertex in vertices if vertex["completed"]]
    assert any("RUN --mount=type=secret" in name for name in finished)

    # The same again: nothing is sent, and nothing is made.
    _, told, sent = _build(lodged, context, "small:2", {"word": b"whispered\n"})
    assert sent == []
    cached = [vertex for update in told for vertex in update["vertexes"] if vertex["cached"]]
    assert len(cached) >= 3
    lodged.docker("image", "rm", "-f", "small:1", "small:2")


def test_a_step_that_fails_says_where(lodged: Lodged, context: Path) -> None:
    (context / "Dockerfile").write_text("FROM busybox\nRUN echo before; exit 7\n")
    with pytest.raises(GRPCError) as caught:
        _build(lodged, context, "small:3", {})
    assert "did not complete successfully: exit code: 7" in str(caught.value.message)


def _buildx(lodged: Lodged) -> bool:
    done = lodged.docker("buildx", "version", check=False)
    return done.returncode == 0


def test_docker_buildx(lodged: Lodged, context: Path, tmp_path: Path) -> None:
    if not _buildx(lodged):
        pytest.skip("the docker command here has no buildx")
    # Another step than the other test's: a secret's value is no part of what a cached step is known by.
    (context / "Dockerfile").write_text(DOCKERFILE.replace("> /made", "> /made; true"))
    word = tmp_path.parent / f"word-{uuid.uuid4().hex}"
    word.write_text("said\n")
    lodged.docker("buildx", "build", "-t", "bx:1", "--secret", f"id=word,src={word}", str(context))
    assert lodged.out("run", "--rm", "--network", "none", "bx:1") == "said\nof the tree"
    place = word.with_suffix(".out")
    secret, output = f"id=word,src={word}", f"type=local,dest={place}"
    lodged.docker("buildx", "build", "-o", output, "--secret", secret, str(context))
    assert (place / "made").read_text() == "said\n"
    bad = "FROM busybox\nRUN false\n"
    failed = lodged.docker("buildx", "build", "--progress", "plain", "-", input=bad, check=False)
    assert failed.returncode == 1
    assert b">>> RUN false" in failed.stderr
    lodged.docker("image", "rm", "-f", "bx:1")
    word.unlink()


def test_a_request_that_is_no_upgrade_is_refused(lodged: Lodged) -> None:
    command = ["curl", "-s", "--unix-socket", lodged.socket, "-XPOST", "http://x/session"]
    answer = subprocess.run(command, capture_output=True, check=True).stdout
    assert b"no upgrade proto in request" in answer
