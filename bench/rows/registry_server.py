"""`lodge registry serve` beside docker-registry: large blobs there and back, many small requests."""

import hashlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.frame import Measured, Target, interleave, row
from bench.subjects import Subjects

HALF = Target(ratio=1 / 2, more_is_better=True)
LARGE = 256 << 20
SMALL = 2000
SECONDS = 2.0
CLIENTS = 2
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
PEER = "docker-registry"


class Server:
    """A registry on loopback with one small image in it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.small = self.push(os.urandom(SMALL))
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": self.small,
                "size": SMALL,
            },
            "layers": [],
        }
        client = self.client()
        client.request("PUT", "/v2/bench/manifests/t", json.dumps(manifest), {"Content-Type": MANIFEST})
        assert client.getresponse().status == 201

    def client(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def push(self, data: bytes, digest: str = "") -> str:
        """Push a blob as most clients do: POST, then PUT with all of it."""
        digest = digest or f"sha256:{hashlib.sha256(data).hexdigest()}"
        client = self.client()
        client.request("POST", "/v2/bench/blobs/uploads/")
        answer = client.getresponse()
        answer.read()
        where = answer.headers["Location"].removeprefix(f"http://127.0.0.1:{self.port}")
        client.request("PUT", f"{where}{'&' if '?' in where else '?'}digest={digest}", data)
        answer = client.getresponse()
        assert answer.status == 201, answer.read()
        client.close()
        return digest

    def pull(self, digest: str) -> int:
        """Read a blob and throw it away; its bytes."""
        client = self.client()
        client.request("GET", f"/v2/bench/blobs/{digest}")
        answer = client.getresponse()
        size, buffer = 0, bytearray(1 << 20)
        while count := answer.readinto(buffer):
            size += count
        client.close()
        return size

    def requests(self, path: str) -> float:
        """Requests a second of a few clients, each with one connection and one request at a time."""
        counts: list[int] = []
        end = time.perf_counter() + SECONDS
        threads = [threading.Thread(target=self._ask, args=(path, end, counts)) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sum(counts) / SECONDS

    def _ask(self, path: str, end: float, counts: list[int]) -> None:
        text = f"GET {path} HTTP/1.1\r\nHost: x\r\nAccept: {MANIFEST}\r\n\r\n".encode()
        count = 0
        with socket.create_connection(("127.0.0.1", self.port)) as client:
            while time.perf_counter() < end:
                client.sendall(text)
                head, _, body = client.recv(65536).partition(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 200"), head
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
                while len(body) < length:
                    body += client.recv(65536)
                count += 1
        counts.append(count)


@contextmanager
def _running(command: list[str], directory: Path, port: int) -> Iterator[Server]:
    with (directory.parent / f"{directory.name}.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        end = time.monotonic() + 15
        while socket.socket().connect_ex(("127.0.0.1", port)) and time.monotonic() < end:
            time.sleep(0.05)
        yield Server(port)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(15)
        shutil.rmtree(directory, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _lodge(scratch: Path) -> tuple[list[str], Path, int]:
    port, directory = _free_port(), scratch / "registry-lodge"
    command = [
        sys.executable,
        "-m",
        "lodge",
        "registry",
        "serve",
        "--addr",
        f"127.0.0.1:{port}",
        str(directory),
    ]
    return command, directory, port


def _docker(scratch: Path, program: str) -> tuple[list[str], Path, int]:
    port, directory = _free_port(), scratch / "registry-docker"
    settings = scratch / "registry-docker.yml"
    settings.write_text(
        "version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\n"
        f"storage: {{filesystem: {{rootdirectory: {directory}}}}}\nhttp: {{addr: '127.0.0.1:{port}'}}\n"
    )
    return [program, "serve", str(settings)], directory, port


def _measure(servers: dict[str, Server], rounds: int) -> list[Measured]:
    def each(make: Callable[[Server], Callable[[], float]]) -> dict[str, list[float]]:
        return interleave({name: make(server) for name, server in servers.items()}, rounds)

    data = os.urandom(1 << 20)

    def push(server: Server) -> Callable[[], float]:
        def once() -> float:
            blob = os.urandom(16) + data * (LARGE >> 20)
            digest = f"sha256:{hashlib.sha256(blob).hexdigest()}"
            started = time.perf_counter()
            server.push(blob, digest)
            return len(blob) / (time.perf_counter() - started) / 1e6

        return once

    def pull(server: Server) -> Callable[[], float]:
        digest = server.push(data * (LARGE >> 20))

        def once() -> float:
            started = time.perf_counter()
            return server.pull(digest) / (time.perf_counter() - started) / 1e6

        return once

    blobs = each(lambda server: lambda: server.requests(f"/v2/bench/blobs/{server.small}"))
    manifests = each(lambda server: lambda: server.requests("/v2/bench/manifests/t"))
    return [
        Measured("registry: push of a blob of 256 MiB", "MB/s", HALF, PEER, each(push)),
        Measured("registry: pull of a blob of 256 MiB", "MB/s", HALF, PEER, each(pull)),
        Measured("registry: small blobs, 2 clients", "requests/s", HALF, PEER, blobs),
        Measured("registry: manifests by tag, 2 clients", "requests/s", HALF, PEER, manifests),
    ]


@row("registry-server")
def registry_server(subjects: Subjects) -> list[Measured]:
    """Our registry and Debian's docker-registry, each over an empty directory."""
    rounds = max(2, subjects.rounds // 2)
    program = shutil.which("docker-registry")
    with _running(*_lodge(subjects.scratch)) as ours:
        if program is None:
            return _measure({"lodge": ours}, rounds)
        with _running(*_docker(subjects.scratch, program)) as theirs:
            return _measure({"lodge": ours, PEER: theirs}, rounds)
