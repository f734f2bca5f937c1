"""A token server on loopback, as Docker's registry wants it: passwords in, signed tokens out (JWT, RS256)."""

from __future__ import annotations

import base64
import json
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit


class TokenServer:
    """`realm` is its address. Who says the right password gets what is asked for, anybody else nothing."""

    def __init__(self, root: Path, name: str, password: str) -> None:
        self.root = root
        self.expected = "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()
        self.scopes: list[str] = []
        self.realm = ""
        root.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=tokens",
             "-keyout", root / "token.key", "-out", root / "token.crt"],
            check=True, capture_output=True,
        )  # fmt: skip

    def token(self, scopes: list[str]) -> str:
        """Sign a token for scopes such as repository:a/b:pull,push."""
        lines = (self.root / "token.crt").read_text().splitlines()
        certificate = "".join(line for line in lines if "CERTIFICATE" not in line)
        now = int(time.time())
        access = [
            {"type": kind, "name": name, "actions": actions.split(",")}
            for kind, name, actions in (scope.split(":") for scope in scopes)
        ]
        header = {"typ": "JWT", "alg": "RS256", "x5c": [certificate]}
        claims = {"iss": "test", "aud": "test", "sub": "me", "jti": "1", "iat": now, "nbf": now - 10,
                  "exp": now + 300, "access": access}  # fmt: skip
        signed = f"{_packed(json.dumps(header).encode())}.{_packed(json.dumps(claims).encode())}"
        signature = subprocess.run(
            ["openssl", "dgst", "-sha256", "-sign", self.root / "token.key"],
            input=signed.encode(), capture_output=True, check=True,
        ).stdout  # fmt: skip
        return f"{signed}.{_packed(signature)}"


class _Handler(BaseHTTPRequestHandler):
    tokens: TokenServer

    def do_GET(self) -> None:
        scopes = parse_qs(urlsplit(self.path).query).get("scope", [])
        good = self.headers.get("Authorization") == self.tokens.expected
        self.tokens.scopes += scopes
        body = {"token": self.tokens.token(scopes if good else []), "expires_in": 300}
        refused = "Authorization" in self.headers and not good
        data = json.dumps({"details": "incorrect username or password"} if refused else body).encode()
        self.send_response(401 if refused else 200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None: ...


def _packed(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@contextmanager
def token_server(root: Path, name: str, password: str) -> Iterator[TokenServer]:
    """A server for the length of a block; its key and certificate lie below `root`."""
    tokens = TokenServer(root, name, password)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"tokens": tokens}))
    server.daemon_threads = True
    tokens.realm = f"http://127.0.0.1:{server.server_address[1]}/token"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield tokens
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
