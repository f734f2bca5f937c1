"""HTTP/1.1 from the client's side: one request at a time on one stream, bodies both ways, upgrades.

Enough of RFC 9112 for a daemon's API: content-length, chunked and until-close bodies, interim 1xx answers,
and the switch of protocols with which Docker's attach takes the connection over.
"""

from __future__ import annotations

from lodge.client.failures import Unreachable
from lodge.errors import Internal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lodge.client.transport import ByteStream

RECEIVE_SIZE = 1 << 18
_MAX_HEAD = 1 << 16


class Response:
    """One answer: `status`, `headers` (lower-case names), and its body as a stream that is read once.

    After a switch of protocols `stream` is the caller's, and `pending` what came beyond the head.
    """

    __slots__ = ("_at", "_buffer", "_chunked", "_left", "done", "headers", "reusable", "status", "stream")

    def __init__(self, stream: ByteStream, status: int, headers: dict[str, str], received: bytes) -> None:
        self.stream = stream
        self.status = status
        self.headers = headers
        self.done = False
        self.reusable = headers.get("connection", "").lower() != "close"
        self._buffer = received
        self._at = 0  # what stands before it has been given out
        self._chunked = "chunked" in headers.get("transfer-encoding", "").lower()
        self._left = 0
        if self._chunked:
            return
        length = headers.get("content-length")
        if status in (204, 304) or length == "0":
            self.done = True
        elif length is not None:
            self._left = int(length)
        else:
            self._left = -1  # the body ends with the connection
            self.reusable = False

    @property
    def pending(self) -> bytes:
        """Bytes that were received and not read yet."""
        return self._buffer[self._at :]

    def read(self) -> bytes:
        """The next piece of the body as soon as some of it is there; empty at its end."""
        if self.done:
            return b""
        if self._chunked and self._left == 0 and not self._next_chunk():
            return b""
        if self._at == len(self._buffer):
            self._buffer, self._at = self.stream.recv(RECEIVE_SIZE), 0
            if not self._buffer:
                self.done = True
                if self._left >= 0:
                    raise Unreachable("the daemon closed the connection in the middle of an answer")
                return b""
        end = len(self._buffer) if self._left < 0 else self._at + self._left
        data = self._buffer[self._at : end]
        self._at += len(data)
        if self._left > 0:
            self._left -= len(data)
            if self._left == 0:
                if self._chunked:
                    self._line()
                else:
                    self.done = True
        return data

    def read_all(self) -> bytes:
        """The whole rest of the body."""
        parts = []
        while data := self.read():
            parts.append(data)
        return b"".join(parts)

    def lines(self) -> Iterator[bytes]:
        """The body line by line as the lines arrive, without their ends; empty lines are left out."""
        rest = b""
        while data := self.read():
            *whole, rest = (rest + data).split(b"\n")
            for line in whole:
                if line := line.strip():
                    yield line
        if rest := rest.strip():
            yield rest

    def _next_chunk(self) -> bool:
        size = self._line().partition(b";")[0].strip()
        try:
            self._left = int(size, 16)
        except ValueError:
            raise Internal(f"the daemon sent no chunk size: {size[:40]!r}") from None
        if self._left:
            return True
        while self._line():
            pass  # trailer fields
        self.done = True
        return False

    def _line(self) -> bytes:
        while (end := self._buffer.find(b"\n", self._at)) < 0:
            data = self.stream.recv(RECEIVE_SIZE)
            if not data:
                self.done = True
                raise Unreachable("the daemon closed the connection in the middle of an answer")
            self._buffer, self._at = self._buffer[self._at :] + data, 0
            if len(self._buffer) > _MAX_HEAD + RECEIVE_SIZE:
                raise Internal("the daemon sent a line without an end")
        line, self._at = self._buffer[self._at : end], end + 1
        return line.rstrip(b"\r")


def send_request(
    stream: ByteStream,
    method: str,
    target: str,
    *,
    headers: dict[str, str],
    body: bytes | Iterable[bytes] | None = None,
) -> None:
    """Write one request. A body of `bytes` gets a content-length, an iterable goes out in chunks."""
    lines = [f"{method} {target} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if isinstance(body, bytes):
        lines.append(f"Content-Length: {len(body)}")
    elif body is not None:
        lines.append("Transfer-Encoding: chunked")
    elif method == "POST":
        lines.append("Content-Length: 0")
    head = "\r\n".join((*lines, "", "")).encode("utf-8", "surrogateescape")
    if body is None or isinstance(body, bytes):
        stream.sendall(head + (body or b""))
        return
    stream.sendall(head)
    for part in body:
        if part:
            stream.sendall(b"%x\r\n%b\r\n" % (len(part), part))
    stream.sendall(b"0\r\n\r\n")


def read_response(stream: ByteStream, method: str, *, received: bytes = b"") -> Response:
    """Read the next final answer's head. `Unreachable` when the connection ends before it is complete."""
    while True:
        head, received = _read_head(stream, received)
        status_line, *fields = head.decode("iso-8859-1").split("\r\n")
        version, _, rest = status_line.partition(" ")
        code = rest[:3]
        if not version.startswith("HTTP/1.") or not code.isdigit():
            raise Internal(f"the daemon does not speak HTTP/1.1: {status_line[:80]!r}")
        status = int(code)
        if status >= 200 or status == 101:
            break
    headers: dict[str, str] = {}
    for field in fields:
        name, _, value = field.partition(":")
        headers[name.lower()] = value.strip()
    response = Response(stream, status, headers, received)
    if method == "HEAD":
        response.done = True
        response.reusable = True
    return response


def _read_head(stream: ByteStream, received: bytes) -> tuple[bytes, bytes]:
    while (end := received.find(b"\r\n\r\n")) < 0:
        data = stream.recv(RECEIVE_SIZE)
        if not data:
            raise Unreachable("the daemon closed the connection without an answer")
        received += data
        if len(received) > _MAX_HEAD + RECEIVE_SIZE:
            raise Internal("the daemon sent a head without an end")
    return received[:end], received[end + 4 :]
