"""TCP and TLS connections, with certificates that openssl makes for the test."""

import os
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lodge.client.address import TlsFiles, parse
from lodge.client.attach import Attachment
from lodge.client.failures import Unreachable
from lodge.client.http1 import Response
from lodge.client.transport import open_stream
from lodge.errors import InvalidArgument

NEEDS_OPENSSL = pytest.mark.skipif(not shutil.which("openssl"), reason="there is no openssl here")


@contextmanager
def serving(serve: Callable[[socket.socket], None], context: ssl.SSLContext | None = None) -> Iterator[int]:
    """One connection on a port of this machine, served by `serve`."""
    server = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        connection, _ = server.accept()
        with connection:
            try:
                if context is None:
                    serve(connection)
                else:
                    with context.wrap_socket(connection, server_side=True) as secure:
                        serve(secure)
            except OSError:
                pass  # the client did not like us

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield server.getsockname()[1]
    finally:
        thread.join(10)
        server.close()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    return folder


def server_context(folder: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


def shout(connection: socket.socket) -> None:
    """Repeat everything in capitals, until the end of what comes; a TLS peer ends without a close notice."""
    data = b""
    while b"." not in data:
        data += connection.recv(100)
    connection.sendall(data.upper())


def test_plain_tcp() -> None:
    with serving(shout) as port:
        stream = open_stream(parse(f"tcp://127.0.0.1:{port}"))
        stream.sendall(b"hello.")
        assert stream.recv(100) == b"HELLO."
        stream.close()


def test_nobody_listens_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(Unreachable, match="Is the daemon running"):
        open_stream(parse(f"tcp://127.0.0.1:{port}"))


@NEEDS_OPENSSL
def test_tls_verifies_the_daemon(certificates: Path) -> None:
    files = TlsFiles(str(certificates / "cert.pem"), None, None, verify=True)
    with serving(shout, server_context(certificates)) as port:
        stream = open_stream(parse(f"tcp://127.0.0.1:{port}", files))
        stream.sendall(b"hello.")
        assert stream.recv(100) == b"HELLO."
        stream.close()
    strangers = TlsFiles(None, None, None, verify=True)
    with serving(shout, server_context(certificates)) as port, pytest.raises(Unreachable) as caught:
        open_stream(parse(f"tcp://127.0.0.1:{port}", strangers))
    assert "certificate verify failed" in (caught.value.hint or "")


@NEEDS_OPENSSL
def test_an_attached_stream_over_tls(certificates: Path) -> None:
    files = TlsFiles(None, None, None, verify=False)
    size = 400_000

    def send_much(connection: socket.socket) -> None:
        shout(connection)
        connection.sendall(b"x" * size)

    typed, typing = os.pipe()
    shown, showing = os.pipe()
    os.write(typing, b"hello.")
    os.close(typing)
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(_all(shown)))
    reader.start()
    with serving(send_much, server_context(certificates)) as port:
        stream = open_stream(parse(f"tcp://127.0.0.1:{port}", files))
        attachment = Attachment(
            Response(stream, 101, {}, b""), stdin=typed, stdout=showing, stderr=showing, multiplexed=False
        )
        assert attachment.run() is False
        attachment.close()
    os.close(showing)
    reader.join(10)
    os.close(shown)
    os.close(typed)
    assert received == [b"HELLO." + b"x" * size]


def _all(descriptor: int) -> bytes:
    data = b""
    while piece := os.read(descriptor, 1 << 16):
        data += piece
    return data


@NEEDS_OPENSSL
def test_broken_certificates_are_told(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nonsense")
    files = TlsFiles(str(tmp_path / "ca.pem"), None, None, verify=True)
    with serving(lambda _: None) as port, pytest.raises(InvalidArgument, match="cannot use the TLS files"):
        open_stream(parse(f"tcp://127.0.0.1:{port}", files))


def test_ssh_runs_the_remote_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ssh").write_text('#!/bin/sh\necho "$*"\ncat\n')
    (tmp_path / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    stream = open_stream(parse("ssh://me@host"))
    seen = b""
    while not seen.endswith(b"\n"):
        seen += stream.recv(100)
    assert seen == b"-o ConnectTimeout=30 -T -- me@host lodge system dial-stdio\n"
    stream.sendall(b"both ways")
    assert stream.recv(100) == b"both ways"
    stream.close()
