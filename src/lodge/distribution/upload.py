"""One blob to a registry: found there, mounted from another repository, or sent; taken up where it broke off.

Small blobs go in one request (distribution-spec, "POST then PUT"), large ones as a stream that the registry
keeps what it got of ("Pushing a blob in chunks"): in one piece, or in chunks where the settings say so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol
from urllib.parse import quote, urljoin, urlsplit

from lodge.archive.source import Readable
from lodge.distribution.abort import Abort
from lodge.distribution.repository import Repository
from lodge.distribution.transport import Answer, Broken, pause
from lodge.errors import Corrupt
from lodge.spec.descriptor import Descriptor
from lodge.spec.digest import Digest

_PIECE = 256 << 10
_ONE_REQUEST = 4 << 20
_STREAM = {"Content-Type": "application/octet-stream"}
EXISTS = "Layer already exists"
MOUNTED = "Mounted from "
PUSHED = "Pushed"


class Origin(Protocol):
    """Where the bytes of blobs come from."""

    def open(self, digest: Digest, start: int, /) -> AbstractContextManager[Readable]:
        """Begin to read a blob in the middle."""


class Upload:
    """Sends one blob. `tell` hears of bytes done."""

    def __init__(
        self,
        repository: Repository,
        descriptor: Descriptor,
        origin: Origin,
        tell: Callable[[int, int], None],
        abort: Abort,
        *,
        attempts: int,
    ) -> None:
        self._repository = repository
        self._descriptor = descriptor
        self._origin = origin
        self._tell = tell
        self._abort = abort
        self._attempts = attempts
        self._chunk = repository.endpoint.entry.upload_chunk

    def run(self, source: str | None = None, *, likely: bool = True) -> str:
        """Bring the blob there and say how: EXISTS, MOUNTED with a repository's name, or PUSHED.

        `source` is a repository of the same registry that has it. `likely` says that it may be there already;
        a mount that is tried first spares a question otherwise. Raises what a refusal means, Broken.
        """
        if (likely or source is None) and self._is_there():
            return EXISTS
        location = self._mount(source) if source is not None else ""
        if source is not None and not location:
            return MOUNTED + source
        if not likely and source is not None and self._is_there():
            return EXISTS
        self._send(location or self._begin(""))
        return PUSHED

    def _is_there(self) -> bool:
        return self._repository.blob_size(self._descriptor.id) is not None

    def _mount(self, source: str) -> str:
        """Try to mount; gives "" when it is done, else the upload that the registry began instead."""
        query = f"?mount={quote(self._descriptor.digest, safe=':')}&from={quote(source, safe='/')}"
        return self._begin(query, self._repository.for_mount(source), done=True)

    def _begin(self, query: str, repository: Repository | None = None, *, done: bool = False) -> str:
        where = repository or self._repository
        path = f"/v2/{where.name}/blobs/uploads/{query}"
        expected = (202, 201) if done else (202,)
        with where.request("POST", path, {"Content-Length": "0"}, expected=expected) as answer:
            if answer.status == 201:
                return ""
            smallest = answer.headers.get("oci-chunk-min-length", "")
            if self._chunk and smallest.isdecimal():
                self._chunk = max(self._chunk, int(smallest))
            return _location(answer)

    def _send(self, location: str) -> None:
        size = self._descriptor.size
        if size <= _ONE_REQUEST and not self._chunk:
            self._small(location)
            return
        done = failures = 0
        while done < size:
            before = done
            try:
                end = min(size, done + self._chunk) if self._chunk else size
                location = self._patch(location, done, end)
                done = end
            except Broken:
                self._abort.check()
                location, done = self._status(location)
                failures = 1 if done > before else failures + 1
                if failures >= self._attempts:
                    raise
                pause(failures, self._abort)
        self._finish(location)

    def _small(self, location: str) -> None:
        """Send all of it with the request that ends the upload; such a request is worth repeating whole."""
        for attempt in range(1, self._attempts + 1):
            try:
                self._finish(location, lambda: self._body(0, self._descriptor.size), self._descriptor.size)
                return
            except Broken:
                if attempt == self._attempts:
                    raise
                pause(attempt, self._abort)
                location = self._begin("")

    def _patch(self, location: str, start: int, end: int) -> str:
        headers = {**_STREAM, "Content-Length": str(end - start)}
        if self._chunk or start:
            headers["Content-Range"] = f"{start}-{end - 1}"
        with self._repository.request(
            "PATCH",
            location,
            headers,
            body=lambda: self._body(start, end),
            expected=(202, 201, 204),
            attempts=1,
        ) as answer:
            return _location(answer)

    def _finish(
        self, location: str, body: Callable[[], Iterable[bytes]] | None = None, size: int = 0
    ) -> None:
        separator = "&" if urlsplit(location).query else "?"
        target = f"{location}{separator}digest={quote(self._descriptor.digest, safe=':')}"
        headers = {**_STREAM, "Content-Length": str(size)}
        with self._repository.request(
            "PUT", target, headers, body=body, expected=(201, 204), attempts=1
        ) as answer:
            said = answer.headers.get("docker-content-digest")
        if said and said != self._descriptor.digest:
            raise Corrupt(f"the registry stored {said} instead of {self._descriptor.digest}")

    def _status(self, location: str) -> tuple[str, int]:
        """Ask how much of an upload has arrived; one that is forgotten begins anew."""
        with self._repository.request("GET", location, expected=(204, 200, 404, 400)) as answer:
            if answer.status in (404, 400):
                return self._begin(""), 0
            _, _, last = answer.headers.get("range", "").rpartition("-")
            found = int(last) + 1 if last.isdecimal() else 0
            # "0-0" is what registries say of nothing as well as of one byte: one byte is sent twice never.
            return _location(answer, location), 0 if found <= 1 else min(found, self._descriptor.size)

    def _body(self, start: int, end: int) -> Iterator[bytes]:
        done = start
        with self._origin.open(self._descriptor.id, start) as source:
            while done < end and (piece := source.read(min(_PIECE, end - done))):
                self._abort.check()
                yield piece
                done += len(piece)
                self._tell(done, self._descriptor.size)


def _location(answer: Answer, otherwise: str = "") -> str:
    """Return where the upload goes on; the registry's word is taken as it is (distribution-spec)."""
    location = answer.headers.get("location") or otherwise
    if not location:
        raise Corrupt("the registry names no location for an upload")
    return urljoin(answer.url, location)
