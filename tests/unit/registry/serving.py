"""A registry in a thread, on a loopback port, and a client that says one request at a time."""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import json
import socket
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from lodge.http.limits import Limits
from lodge.http.server import Server
from lodge.registry.access.contract import Gate, Open
from lodge.registry.app import BANNER, App
from lodge.registry.directory import Directory
from lodge.registry.service import Library, Rules, Service

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


def digest_of(data: bytes, algorithm: str = "sha256") -> str:
    return f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"


@dataclass
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def codes(self) -> list[str]:
        return [error["code"] for error in json.loads(self.body)["errors"]]


class Served:
    """A registry that serves until `stop`."""

    def __init__(
        self,
        root: Path,
        *,
        gate: Gate | None = None,
        rules: Rules | None = None,
        library: Library | None = None,
        prepare: Callable[[Service], None] | None = None,
    ) -> None:
        self.directory = None if library is not None else Directory(str(root))
        self.loop = asyncio.new_event_loop()
        self.service = Service(
            library or self.directory,  # type: ignore[arg-type]
            gate or Open(),
            rules or Rules(),
            directory=self.directory,
        )
        self._prepare = prepare
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        assert self._ready.wait(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(self._start())
        self._ready.set()
        self.loop.run_forever()
        self.loop.run_until_complete(self.server.close(0.2))
        self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.close()

    async def _start(self) -> None:
        if self._prepare is not None:
            self._prepare(self.service)
        self.server = Server(App(self.service).handle, banner=BANNER, limits=Limits(body_buffer=1 << 20))
        sock = socket.socket()
        sock.bind(("127.0.0.1", 0))
        self.port = sock.getsockname()[1]
        await self.server.listen(sock)

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        assert not self._thread.is_alive()
        if self.service.upstream is not None:
            self.service.upstream.close()
        self.service.close()
        if self.directory is not None:
            self.directory.close()

    # What a client says

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | Iterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            client.request(method, path, body=body, headers=dict(headers or {}))
            answer = client.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            client.close()

    def begin(self, name: str, query: str = "") -> str:
        """Open an upload; gives its location."""
        answer = self.ask("POST", f"/v2/{name}/blobs/uploads/{query}")
        assert answer.status == 202, answer
        return answer.headers["Location"]

    def push_blob(self, name: str, data: bytes) -> str:
        digest = digest_of(data)
        answer = self.ask("PUT", f"{self.begin(name)}?digest={digest}", data)
        assert answer.status == 201, answer
        return digest

    def push_manifest(
        self, name: str, reference: str, manifest: Mapping[str, object], kind: str = MANIFEST
    ) -> str:
        data = json.dumps(manifest).encode()
        answer = self.ask("PUT", f"/v2/{name}/manifests/{reference}", data, {"Content-Type": kind})
        assert answer.status == 201, answer
        return answer.headers["Docker-Content-Digest"]

    def push_image(self, name: str, tag: str, *layers: bytes, **more: object) -> str:
        """An image of these layers; gives its digest."""
        config = self.push_blob(name, b'{"architecture":"amd64","os":"linux"}')
        for layer in layers:
            self.push_blob(name, layer)
        return self.push_manifest(name, tag, image_of(config, 37, *layers, **more))


def image_of(config: str, size: int, *layers: bytes, **more: object) -> dict[str, object]:
    return {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG, "digest": config, "size": size},
        "layers": [{"mediaType": LAYER, "digest": digest_of(layer), "size": len(layer)} for layer in layers],
        **more,
    }
