"""The bytes of an answer's head: status line, headers, and which answers have no body."""

from __future__ import annotations

import time

_REASONS = {
    100: b"Continue", 101: b"UPGRADED", 200: b"OK", 201: b"Created", 202: b"Accepted",
    204: b"No Content", 206: b"Partial Content",
    304: b"Not Modified", 400: b"Bad Request", 401: b"Unauthorized", 403: b"Forbidden", 404: b"Not Found",
    405: b"Method Not Allowed", 406: b"Not Acceptable", 408: b"Request Timeout", 409: b"Conflict",
    411: b"Length Required", 413: b"Request Entity Too Large", 415: b"Unsupported Media Type",
    416: b"Range Not Satisfiable", 417: b"Expectation Failed", 426: b"Upgrade Required",
    429: b"Too Many Requests", 431: b"Request Header Fields Too Large",
    500: b"Internal Server Error", 501: b"Not Implemented", 502: b"Bad Gateway",
    503: b"Service Unavailable", 504: b"Gateway Timeout", 505: b"HTTP Version Not Supported",
    507: b"Insufficient Storage",
}  # fmt: skip

Headers = tuple[tuple[str, str], ...]

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

_LINES = {code: b"HTTP/1.1 %d %b\r\n" % (code, reason) for code, reason in _REASONS.items()}


def has_body(status: int, method: str) -> bool:
    """RFC 9110, section 6.4.1: which answers carry content."""
    return method != "HEAD" and status >= 200 and status not in (204, 304)


def status_line(status: int) -> bytes:
    """The first line of an answer."""
    return _LINES.get(status) or b"HTTP/1.1 %d Status\r\n" % status


def header_lines(headers: Headers) -> bytes:
    """Further headers as lines. A line break in a value (it would forge headers) becomes a space."""
    if not headers:
        return b""
    lines = [f"{name}: {value}".replace("\r", " ").replace("\n", " ") for name, value in headers]
    return "\r\n".join([*lines, ""]).encode("latin-1", "replace")


class Clock:
    """The Date header, made once a second."""

    __slots__ = ("_line", "_second")

    def __init__(self) -> None:
        self._second = 0
        self._line = b""

    def line(self) -> bytes:
        """`Date: ...` with its line end (RFC 9110, section 5.6.7)."""
        second = int(time.time())
        if second != self._second:
            self._second = second
            text = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(second))
            self._line = f"Date: {text}\r\n".encode("ascii")
        return self._line
