"""The head of a request: bytes up to the empty line, read by httptools, judged here.

Only heads are given to the C parser, never bodies: the exact end of a request must be known to the byte,
because what follows may be the standard input of a program (see `handover`).
"""

from __future__ import annotations

from typing import Any

import httptools

from lodge.errors import InvalidArgument, Unsupported

CHUNKED = -1
"""The `length` of a body whose end is found by chunked transfer coding."""


class Head:
    """Method, target and headers of one request.

    `path` is percent-decoded, `query` is not. Header names are lower case; a repeated header is joined by a
    comma. `length` is the body's bytes, or CHUNKED.
    """

    __slots__ = ("headers", "keep_alive", "length", "method", "path", "query", "upgrade", "version")

    def __init__(
        self,
        method: str,
        path: str,
        query: str,
        headers: dict[str, str],
        *,
        version: str = "1.1",
        keep_alive: bool = True,
        upgrade: bool = False,
    ) -> None:
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.version = version
        self.keep_alive = keep_alive
        self.upgrade = upgrade
        self.length = _body_length(headers)


class _Collector:
    """What httptools calls while it parses one head."""

    __slots__ = ("headers", "url")

    def __init__(self) -> None:
        self.url = b""
        self.headers: list[tuple[bytes, bytes]] = []

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))


def parse(data: bytes) -> Head:
    """Read one head, `data` being everything up to and with the empty line.

    Raises InvalidArgument for what is no HTTP/1 request, Unsupported for an unknown transfer coding.
    """
    collector = _Collector()
    parser: Any = httptools.HttpRequestParser(collector)
    upgrade = False
    try:
        parser.feed_data(data)
    except httptools.HttpParserUpgrade:
        upgrade = True
    except httptools.HttpParserError as error:
        raise InvalidArgument(f"malformed HTTP request: {error}") from None
    headers: dict[str, str] = {}
    for raw_name, raw_value in collector.headers:
        name = raw_name.decode("latin-1").lower()
        value = raw_value.decode("latin-1")
        known = headers.get(name)
        headers[name] = value if known is None else f"{known}, {value}"
    path, query = _split_target(collector.url)
    return Head(
        parser.get_method().decode("ascii"),
        path,
        query,
        headers,
        version=parser.get_http_version(),
        keep_alive=_keeps_alive(parser.get_http_version(), headers),
        upgrade=upgrade or "upgrade" in headers,
    )


def _keeps_alive(version: str, headers: dict[str, str]) -> bool:
    """Whether the connection goes on after the answer (RFC 9112, section 9.3)."""
    options = headers.get("connection", "").lower()
    return "keep-alive" in options if version == "1.0" else "close" not in options


def _split_target(target: bytes) -> tuple[str, str]:
    """Path (decoded) and query of a request target; the absolute form loses its scheme and host."""
    if not target.startswith(b"/") and b"://" in target:
        target = b"/" + target.split(b"://", 1)[1].partition(b"/")[2]
    raw_path, _, query = target.partition(b"?")
    raw_path = raw_path.partition(b"#")[0]
    return percent_decode(raw_path.decode("latin-1")), query.partition(b"#")[0].decode("latin-1")


_BYTES = {a + b: int(a + b, 16) for a in "0123456789abcdefABCDEF" for b in "0123456789abcdefABCDEF"}


def percent_decode(text: str) -> str:
    """Undo percent-encoding; a bad escape, or bytes that are not UTF-8, are InvalidArgument."""
    if "%" not in text and text.isascii():
        return text
    first, *escaped = text.split("%")
    try:
        out = bytearray(first, "latin-1")
        for piece in escaped:
            out.append(_BYTES[piece[:2]])
            out += piece[2:].encode("latin-1")
        return out.decode("utf-8")
    except (KeyError, UnicodeError):
        raise InvalidArgument(f"invalid URL escape in {text!r}") from None


def _body_length(headers: dict[str, str]) -> int:
    coding = headers.get("transfer-encoding")
    if coding is not None:
        if coding.strip().lower() != "chunked":
            raise Unsupported(f"unsupported transfer encoding: {coding!r}")
        if "content-length" in headers:
            raise InvalidArgument("both Content-Length and Transfer-Encoding are given")
        return CHUNKED
    length = headers.get("content-length")
    if length is None:
        return 0
    if not length.isascii() or not length.isdigit() or len(length) > 18:
        raise InvalidArgument(f"invalid Content-Length: {length!r}")
    return int(length)
