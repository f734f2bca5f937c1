"""A registry that does as a test says: it serves, asks for credentials, lies, stalls and breaks off.

It keeps all requests with their headers, so that a test can see what was sent to whom.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from lodge.spec.descriptor import OCI_MANIFEST


def sha(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Asked:
    """One request."""

    def __init__(self, method: str, target: str, headers: dict[str, str], body: bytes) -> None:
        self.method = method
        self.target = target
        self.path = urlsplit(target).path
        self.query = dict(parse_qs(urlsplit(target).query))
        self.headers = headers
        self.body = body


class Told:
    """An answer; of a longer body only `cut` bytes are sent before the connection is closed."""

    def __init__(
        self,
        status: int = 200,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
        *,
        cut: int | None = None,
        length: int | None = None,
    ) -> None:
        self.status = status
        self.body = body
        self.headers = headers or {}
        self.cut = cut
        self.length = length


BREAK_OFF = Told(0)
"""No answer at all: the connection is closed."""


def refusal(status: int, code: str, message: str = "", **headers: str) -> Told:
    body = json.dumps({"errors": [{"code": code, "message": message}]}).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Told(status, body, {"Content-Type": "application/json", **named})


class Scripted:
    """The registry. `rules` are asked first: the first that returns an answer has answered."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[tuple[str, str], tuple[str, bytes]] = {}
        self.uploads: dict[str, bytes] = {}
        self.asked: list[Asked] = []
        self.rules: list[Callable[[Asked], Told | None]] = []
        self.ranges = True
        self.cuts: list[int] = []
        """Each blob answer is broken off after so many bytes, while there are any."""
        self._count = 0
        self.address = ""

    # ---- filling it

    def add(self, name: str, reference: str, data: bytes, media_type: str = OCI_MANIFEST) -> str:
        self.manifests[name, reference] = (media_type, data)
        self.manifests[name, sha(data)] = (media_type, data)
        return sha(data)

    def blob(self, data: bytes) -> str:
        self.blobs[sha(data)] = data
        return sha(data)

    def of(self, method: str, part: str) -> list[Asked]:
        """The requests of a method whose path has that part."""
        return [one for one in self.asked if one.method == method and part in one.path]

    # ---- answering

    def answer(self, asked: Asked) -> Told:
        self.asked.append(asked)
        for rule in self.rules:
            if (told := rule(asked)) is not None:
                return told
        if asked.path == "/v2/":
            return Told(200, b"{}")
        match = re.fullmatch(r"/v2/(.+)/(manifests|blobs/uploads|blobs|tags|referrers)/(.*)", asked.path)
        if match is None:
            return refusal(404, "NAME_UNKNOWN")
        name, kind, rest = match.groups()
        serve = {"manifests": self._manifest, "blobs": self._blob, "blobs/uploads": self._upload,
                 "tags": self._tags, "referrers": self._referrers}[kind]  # fmt: skip
        return serve(asked, name, rest)

    def _manifest(self, asked: Asked, name: str, reference: str) -> Told:
        if asked.method == "PUT":
            self.add(name, reference, asked.body, asked.headers.get("content-type", ""))
            return Told(201, headers={"Docker-Content-Digest": sha(asked.body)})
        found = self.manifests.get((name, reference))
        if found is None:
            return refusal(404, "MANIFEST_UNKNOWN", "manifest unknown")
        return Told(200, found[1], {"Content-Type": found[0], "Docker-Content-Digest": sha(found[1])})

    def _blob(self, asked: Asked, name: str, digest: str) -> Told:
        del name
        data = self.blobs.get(digest)
        if data is None:
            return refusal(404, "BLOB_UNKNOWN", "blob unknown to registry")
        cut = self.cuts.pop(0) if self.cuts and asked.method == "GET" else None
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", asked.headers.get("range", ""))
        if wanted and self.ranges:
            start, end = int(wanted[1]), int(wanted[2] or len(data) - 1) + 1
            headers = {"Content-Range": f"bytes {start}-{end - 1}/{len(data)}", "Accept-Ranges": "bytes"}
            return Told(206, data[start:end], headers, cut=cut)
        return Told(200, data, {"Accept-Ranges": "bytes"} if self.ranges else {}, cut=cut)

    def _upload(self, asked: Asked, name: str, session: str) -> Told:
        if asked.method == "POST":
            mounted = asked.query.get("mount", [""])[0]
            if mounted in self.blobs:
                return Told(201, headers={"Location": f"/v2/{name}/blobs/{mounted}"})
            self._count += 1
            self.uploads[str(self._count)] = b""
            return Told(202, headers={"Location": f"/v2/{name}/blobs/uploads/{self._count}?_state=x"})
        if session not in self.uploads:
            return refusal(404, "BLOB_UPLOAD_UNKNOWN")
        location = f"/v2/{name}/blobs/uploads/{session}?_state=y"
        if asked.method in ("PATCH", "PUT"):
            self.uploads[session] += asked.body
        kept = self.uploads[session]
        if asked.method == "PUT":
            digest = asked.query["digest"][0]
            if sha(kept) != digest:
                return refusal(400, "DIGEST_INVALID")
            self.blobs[digest] = kept
            return Told(201, headers={"Docker-Content-Digest": digest})
        status = 204 if asked.method == "GET" else 202
        return Told(status, headers={"Location": location, "Range": f"0-{max(0, len(kept) - 1)}"})

    def _tags(self, asked: Asked, name: str, rest: str) -> Told:
        del rest
        tags = sorted(reference for own, reference in self.manifests if own == name and ":" not in reference)
        if not tags:
            return refusal(404, "NAME_UNKNOWN", "repository name not known to registry")
        last = asked.query.get("last", [""])[0]
        page = [tag for tag in tags if tag > last][:2]
        headers = {}
        if page and page[-1] != tags[-1]:
            headers["Link"] = f'</v2/{name}/tags/list?last={page[-1]}&n=2>; rel="next"'
        return Told(200, json.dumps({"name": name, "tags": page}).encode(), headers)

    def _referrers(self, asked: Asked, name: str, rest: str) -> Told:
        del asked, name, rest
        return refusal(404, "UNSUPPORTED")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    registry: Scripted

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else b""
        headers = {key.lower(): value for key, value in self.headers.items()}
        asked = Asked(self.command, self.path, headers, body)
        if len(body) < length:
            self.registry.asked.append(asked)
            self.close_connection = True
            return
        told = self.registry.answer(asked)
        if told is BREAK_OFF:
            self.close_connection = True
            return
        self.send_response(told.status)
        for name, value in told.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(told.body) if told.length is None else told.length))
        self.end_headers()
        if self.command == "HEAD":
            return
        try:
            self.wfile.write(told.body if told.cut is None else told.body[: told.cut])
        except OSError:
            self.close_connection = True
        if told.cut is not None and told.cut < len(told.body):
            self.close_connection = True

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None: ...


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away, or speaks TLS, is nothing to report."""


@contextmanager
def scripted() -> Iterator[Scripted]:
    """A registry on a free port of loopback, for the length of a block."""
    registry = Scripted()
    handler = type("Handler", (_Handler,), {"registry": registry})
    server = _Server(("127.0.0.1", 0), handler)
    registry.address = f"127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield registry
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def wants_basic(name: str, password: str) -> Callable[[Asked], Told | None]:
    """A rule: Basic credentials, or 401."""
    expected = "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()

    def rule(asked: Asked) -> Told | None:
        if asked.headers.get("authorization") == expected:
            return None
        return refusal(401, "UNAUTHORIZED", "authentication required",
                       WWW_Authenticate='Basic realm="x"')  # fmt: skip

    return rule


def wants_token(realm: str, token: str = "t0ken") -> Callable[[Asked], Told | None]:
    """A rule: this bearer token, or 401 with the way to `realm`."""

    def rule(asked: Asked) -> Told | None:
        if asked.path == "/token" or asked.headers.get("authorization") == f"Bearer {token}":
            return None
        challenge = f'Bearer realm="{realm}",service="scripted"'
        return refusal(401, "UNAUTHORIZED", "authentication required", WWW_Authenticate=challenge)

    return rule


def sells_tokens(token: str = "t0ken", **more: Any) -> Callable[[Asked], Told | None]:
    """A rule: /token gives this token to everybody."""

    def rule(asked: Asked) -> Told | None:
        if asked.path != "/token":
            return None
        return Told(200, json.dumps({"token": token, **more}).encode())

    return rule
