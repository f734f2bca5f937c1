"""A registry on loopback for rows that pull and push: Debian's docker-registry, and images to put in it."""

import contextlib
import gzip
import hashlib
import http.client
import io
import json
import random
import shutil
import socket
import subprocess
import tarfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.material import TIME

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


class Registry:
    """A running registry; `address` is what image names begin with."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.address = f"127.0.0.1:{port}"

    def publish(self, name: str, layers: Sequence[bytes]) -> None:
        """Put an image of these plain tars there, gzipped as most images are, as `name:latest`."""
        described = [self._layer(name, layer) for layer in layers]
        config = {
            "architecture": "amd64",
            "os": "linux",
            "created": "2023-11-14T22:13:20Z",
            "config": {"Cmd": ["/bin/true"]},
            "rootfs": {"type": "layers", "diff_ids": [_digest(layer) for layer in layers]},
            "history": [{"created": "2023-11-14T22:13:20Z", "created_by": "bench"} for _ in layers],
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self._blob(name, CONFIG, json.dumps(config).encode()),
            "layers": described,
        }
        self._request("PUT", f"/v2/{name}/manifests/latest", json.dumps(manifest).encode(), MANIFEST)

    def _layer(self, name: str, layer: bytes) -> dict[str, object]:
        return self._blob(name, LAYER, gzip.compress(layer, 1, mtime=0))

    def _blob(self, name: str, media_type: str, data: bytes) -> dict[str, object]:
        location = self._request("POST", f"/v2/{name}/blobs/uploads/", b"")["location"]
        target = location[location.index("/v2/") :]
        self._request("PUT", f"{target}&digest={_digest(data)}", data, "application/octet-stream")
        return {"mediaType": media_type, "digest": _digest(data), "size": len(data)}

    def _request(self, method: str, target: str, body: bytes, kind: str = "") -> dict[str, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request(method, target, body, {"Content-Type": kind} if kind else {})
        answer = connection.getresponse()
        answer.read()
        connection.close()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {target}: {answer.status}")
        return {key.lower(): value for key, value in answer.getheaders()}


@contextlib.contextmanager
def registry(root: Path) -> Iterator[Registry]:
    """Start a registry that keeps its blobs below `root`."""
    program = shutil.which("docker-registry")
    if program is None:
        raise RuntimeError("docker-registry is not installed (apt-get install docker-registry)")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    root.mkdir(parents=True, exist_ok=True)
    settings = root / "config.yml"
    settings.write_text(
        f"version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n"
        f"storage: {{filesystem: {{rootdirectory: {root}}}, delete: {{enabled: true}}}}\n"
        f"http: {{addr: '127.0.0.1:{port}'}}\n"
    )
    process = subprocess.Popen(
        [program, "serve", settings], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _await(port)
        yield Registry(port)
    finally:
        process.terminate()
        process.wait(10)


def _await(port: int) -> None:
    for _ in range(200):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise RuntimeError("docker-registry did not start")


def small_files(layer: int, files: int, total: int) -> bytes:
    """A tar of many small files below a directory of its own, about half of it compressible."""
    chance = random.Random(layer)
    noise = chance.randbytes(1 << 20)
    mean = total // files
    members = {}
    for number in range(files):
        size = chance.randrange(1, 2 * (mean - 600))
        start = chance.randrange(len(noise) - size)
        name = f"data-{layer}/{number // 100:03}/file-{number:05}.txt"
        members[name] = noise[start : start + size // 2] + b"\n" * (size - size // 2)
    return _tar(members)


def large_files(layer: int, files: int, total: int) -> bytes:
    """A tar of a few large files, half of it compressible."""
    chance = random.Random(layer)
    members = {}
    for number in range(files):
        block = chance.randbytes(512 << 10) + b"\n" * (512 << 10)
        members[f"data-{layer}/large-{number}.bin"] = block * (total // files >> 20)
    return _tar(members)


def _tar(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode, member.mtime = len(content), 0o644, TIME
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def _digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()
