"""Images that lodged keeps, read and written through its socket: an origin and a goal like any other."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from lodge.archive.source import Readable
from lodge.archive.verified import VerifiedReader
from lodge.client.address import Address
from lodge.client.engine import EngineClient, quote
from lodge.client.http1 import Response
from lodge.distribution.repository import RemoteManifest
from lodge.distribution.transit.archives import ArchiveGoal
from lodge.distribution.transit.layout import read_manifest
from lodge.errors import Corrupt, LodgeError
from lodge.spec.descriptor import Descriptor
from lodge.spec.digest import Digest
from lodge.spec.image import MANIFEST_CAP

_PIECE = 1 << 20


class EngineOrigin:
    """See `transit.contract.Origin`. Each request has its own connection: blobs are read in parallel."""

    def __init__(self, address: Address, name: str) -> None:
        self._address = address
        self._name = quote(name)

    def top(self) -> RemoteManifest:
        """See Origin."""
        with self._get(f"/lodge/images/{self._name}/manifest") as response:
            headers = {name.lower(): value for name, value in response.headers.items()}
            data = _whole(response)
        media_type, digest = headers.get("content-type", ""), headers.get("docker-content-digest", "")
        descriptor = Descriptor(media_type=media_type, digest=digest, size=len(data))
        return read_manifest(data, descriptor)

    def manifest(self, descriptor: Descriptor, /) -> RemoteManifest:
        """See Origin."""
        with self._get(self._blob(descriptor.id)) as response:
            return read_manifest(_whole(response), descriptor)

    def open(self, descriptor: Descriptor, start: int = 0, /) -> AbstractContextManager[Readable]:
        """See Origin."""
        return self._open(descriptor, start)

    @contextmanager
    def _open(self, descriptor: Descriptor, start: int) -> Iterator[Readable]:
        with self._get(self._blob(descriptor.id)) as response:
            body = _Body(response)
            left = start
            while left and (piece := body.read(min(left, _PIECE))):
                left -= len(piece)
            yield body if start else VerifiedReader(body, descriptor.id, descriptor.size)

    def _blob(self, digest: Digest) -> str:
        return f"/lodge/content/{digest}"

    @contextmanager
    def _get(self, path: str) -> Iterator[Response]:
        engine = EngineClient(self._address)
        try:
            yield engine.open("GET", path)
        finally:
            engine.close()

    def close(self) -> None:
        """See Origin."""


class _Body:
    """An answer's body in pieces of at most the size that is asked for."""

    def __init__(self, response: Response) -> None:
        self._response = response
        self._rest = b""

    def read(self, size: int, /) -> bytes:
        data = self._rest or self._response.read()
        self._rest = data[size:]
        return data[:size]


def _whole(response: Response) -> bytes:
    body = _Body(response)
    data = b""
    while piece := body.read(_PIECE):
        data += piece
        if len(data) > MANIFEST_CAP:
            raise Corrupt("a manifest larger than 4 MiB")
    return data


class EngineGoal(ArchiveGoal):
    """See `transit.contract.Goal`: an archive that lodged loads when it is complete."""

    def __init__(self, address: Address, name: str, folder: str) -> None:
        self._address = address
        self._archive = f"{folder}/lodge-load-{os.getpid()}.tar"
        super().__init__(self._archive, name, docker=True)

    def finish(self, top: RemoteManifest, /) -> None:
        """See Goal."""
        super().finish(top)
        engine = EngineClient(self._address)
        try:
            with open(self._archive, "rb") as file:
                pieces = iter(lambda: file.read(_PIECE), b"")
                for line in engine.stream_json("POST", "/images/load", query={"quiet": True}, body=pieces):
                    if "error" in line:
                        raise LodgeError(line["error"])
        finally:
            engine.close()
            os.unlink(self._archive)
