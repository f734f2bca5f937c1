"""Debian's docker-registry on loopback: plain, with passwords, with TLS; and a line to it that breaks.

`apt-get install docker-registry openssl` is all it takes; without them the tests that need it are skipped.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PASSWORD = "secret"
# bcrypt of the password, made once by `htpasswd -Bbn me secret`.
_HTPASSWD = "me:{hash}\n"


def program() -> str | None:
    return shutil.which("docker-registry")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def debian_registry(
    root: Path, *, passwords: bool = False, tls: bool = False, realm: str = ""
) -> Iterator[str]:
    """Start one with its blobs below `root`; gives its address. With `tls` the authority is `root`/ca.crt.

    With `realm` it wants tokens of that URL, signed by the key of `root`/token.crt; see `tokens`.
    """
    command = program()
    assert command is not None
    root.mkdir(parents=True, exist_ok=True)
    port = free_port()
    lines = [
        "version: 0.1",
        "log: {level: error, accesslog: {disabled: true}}",
        f"storage: {{filesystem: {{rootdirectory: {root}/blobs}}, delete: {{enabled: true}}}}",
        f"http: {{addr: '127.0.0.1:{port}'"
        + (f", tls: {{certificate: {root}/server.crt, key: {root}/server.key}}}}" if tls else "}"),
    ]
    if passwords:
        (root / "htpasswd").write_text(_HTPASSWD.format(hash=_HASH))
        lines.append(f"auth: {{htpasswd: {{realm: test, path: {root}/htpasswd}}}}")
    if realm:
        lines.append(
            f"auth: {{token: {{realm: '{realm}', service: test, issuer: test, "
            f"rootcertbundle: {root}/token.crt}}}}"
        )
    if tls:
        _certificates(root)
    (root / "config.yml").write_text("\n".join(lines) + "\n")
    with open(root / "log", "ab") as log:
        process = subprocess.Popen([command, "serve", root / "config.yml"], stdout=log, stderr=log)
    try:
        for _ in range(400):
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.02)
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


_HASH = "$2y$05$hL80ZhTn.5vUPSuZ3KepF.5n2Ml.heBv2dis/XNDuMPQNXCM.tipW"


def _certificates(root: Path) -> None:
    """A private authority, and a certificate for 127.0.0.1 by it."""

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=root, check=True, capture_output=True)

    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
            "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=test authority")  # fmt: skip
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=127.0.0.1")  # fmt: skip
    (root / "names").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
    openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial",
            "-days", "30", "-extfile", "names", "-out", "server.crt")  # fmt: skip


class Line:
    """A way to a registry that can be slow, and that breaks after so many bytes, again and again."""

    def __init__(self, target: str) -> None:
        self._target = (target.partition(":")[0], int(target.partition(":")[2]))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.breaks: list[int] = []
        """After how many bytes towards the client the next connections break."""
        self.pace = 0.0
        """Bytes a second of each connection; 0 for all there are."""
        self.carried = 0
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()
        for each in self._open:
            with suppress(OSError):
                each.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(self._target)
            self._open += [client, server]
            left = self.breaks.pop(0) if self.breaks else -1
            threading.Thread(target=self._up, args=(client, server), daemon=True).start()
            threading.Thread(target=self._down, args=(server, client, left), daemon=True).start()

    def _up(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := client.recv(65536):
                server.sendall(data)
            server.shutdown(socket.SHUT_WR)

    def _down(self, server: socket.socket, client: socket.socket, left: int) -> None:
        with suppress(OSError):
            while data := server.recv(16384):
                if 0 <= left <= len(data):
                    client.sendall(data[:left])
                    break
                left -= len(data) if left >= 0 else 0
                client.sendall(data)
                self.carried += len(data)
                if self.pace:
                    time.sleep(len(data) / self.pace)
        for each in (server, client):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


@contextmanager
def line(target: str) -> Iterator[Line]:
    """A line to a registry, for the length of a block."""
    made = Line(target)
    try:
        yield made
    finally:
        made.close()
