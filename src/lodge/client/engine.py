"""`EngineClient`: calls of the Engine API, with connections that are kept and used again.

One object per thread. Paths are given without a version: a daemon serves them as its newest version.
Refusals arrive as `lodge.client.failures` kinds.
"""

from __future__ import annotations

import select

from lodge.client.failures import Unreachable, refusal
from lodge.client.http1 import read_response, send_request
from lodge.client.lean_json import dumps, loads
from lodge.client.transport import open_stream

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping
    from typing import Any

    from lodge.client.address import Address
    from lodge.client.http1 import Response
    from lodge.client.transport import ByteStream

    Query = Mapping[str, "str | int | bool | list[str] | None"]

_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


def quote(text: str) -> str:
    """Percent-encode everything that is not unreserved (RFC 3986, 2.3); slashes too."""
    raw = text.encode("utf-8", "surrogateescape")
    return "".join(chr(byte) if byte in _PLAIN else f"%{byte:02X}" for byte in raw)


def target(path: str, query: Query | None = None) -> str:
    """`path` with the query's fields that are set: True is 1, None and False are left out, lists repeat."""
    fields = []
    for name, value in (query or {}).items():
        if value is None or value is False:
            continue
        values = value if isinstance(value, list) else ["1" if value is True else str(value)]
        fields += [f"{name}={quote(item)}" for item in values]
    return f"{path}?{'&'.join(fields)}" if fields else path


class EngineClient:
    """The API of the daemon at `address`; `headers` are sent with every request."""

    def __init__(self, address: Address, *, headers: Mapping[str, str] | None = None) -> None:
        self.address = address
        self._idle: list[ByteStream] = []
        self._headers = {"Host": "lodge", "User-Agent": "lodge-client", **(headers or {})}

    def connect(self) -> None:
        """Open a connection for the first request; `Unreachable` when nobody answers."""
        self._idle.append(open_stream(self.address))

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        json: object = None,
        auth: str | None = None,
    ) -> Any:
        """One request whose answer is one JSON value (None for an empty one)."""
        response = self.open(method, path, query=query, json=json, auth=auth)
        body = response.read_all()
        self.release(response)
        return loads(body) if body.strip() else None

    def open(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        json: object = None,
        body: bytes | Iterable[bytes] | None = None,
        content_type: str = "application/x-tar",
        auth: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """One request whose answer's body the caller reads, and then gives back with `release`."""
        headers = {**self._headers, **(headers or {})}
        if json is not None:
            body, content_type = dumps(json).encode(), "application/json"
        if body is not None:
            headers["Content-Type"] = content_type
        if auth is not None:
            headers["X-Registry-Auth"] = auth
        response = self._exchange(method, target(path, query), headers, body)
        if response.status >= 400:
            failure = refusal(response.status, response.read_all())
            self.release(response)
            raise failure
        return response

    def stream_json(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: bytes | Iterable[bytes] | None = None,
        auth: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Generator[Any, None, None]:
        """One request whose answer is a stream of JSON values, one a line."""
        response = self.open(method, path, query=query, body=body, auth=auth, headers=headers)
        try:
            for line in response.lines():
                yield loads(line)
        finally:
            self.release(response)

    def hijack(self, path: str, *, query: Query | None = None, json: object = None) -> Response:
        """POST and take the connection over: the answer's `stream` then carries the attached streams."""
        headers = {**self._headers, "Connection": "Upgrade", "Upgrade": "tcp"}
        body = None
        if json is not None:
            body, headers["Content-Type"] = dumps(json).encode(), "application/json"
        response = self._exchange("POST", target(path, query), headers, body)
        if response.status >= 400:
            failure = refusal(response.status, response.read_all())
            self.release(response)
            raise failure
        return response

    def release(self, response: Response) -> None:
        """Keep the connection for the next request if its answer was read to the end, or close it."""
        if response.done and response.reusable and not response.pending:
            self._idle.append(response.stream)
        else:
            response.stream.close()

    def close(self) -> None:
        """Close the kept connections."""
        while self._idle:
            self._idle.pop().close()

    def _exchange(
        self, method: str, goal: str, headers: dict[str, str], body: bytes | Iterable[bytes] | None
    ) -> Response:
        stream = self._take_idle()
        if stream is None:
            stream = open_stream(self.address)
        try:
            try:
                send_request(stream, method, goal, headers=headers, body=body)
            except (BrokenPipeError, ConnectionResetError):
                pass  # refused while the body was on its way: the answer says why
            return read_response(stream, method)
        except OSError as error:
            stream.close()
            raise Unreachable(f"the connection to {self.address.text} broke: {error}") from error
        except BaseException:
            stream.close()
            raise

    def _take_idle(self) -> ByteStream | None:
        while self._idle:
            stream = self._idle.pop()
            poll = select.poll()
            poll.register(stream.fileno(), select.POLLIN)
            if not poll.poll(0):
                return stream
            stream.close()  # an idle connection that has something to say has only its end to say
        return None
