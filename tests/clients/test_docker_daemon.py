"""The daemon's life as clients see it: killed and started, reloaded, over TLS, by systemd's sockets."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.clients.daemon import Lodged


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_containers_outlive_it(own_lodged: Lodged, number: int) -> None:
    docker = own_lodged
    program = "i=0; while :; do i=$((i+1)); echo $i; sleep 0.05; done"
    docker.docker("run", "-d", "--name", "on", "--network", "none", "busybox", "sh", "-c", program)
    docker.docker(
        "run", "-d", "--name", "ends", "--network", "none", "busybox", "sh", "-c", "sleep 0.6; exit 9"
    )
    time.sleep(0.2)
    docker.stop(number)
    time.sleep(0.8)
    docker.start()
    assert docker.out("inspect", "-f", "{{.State.Status}}", "on") == "running"
    assert docker.out("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "ends") == "exited 9"
    lines = docker.out("logs", "on").split()
    assert lines == [str(number) for number in range(1, len(lines) + 1)]
    assert len(lines) > 15
    assert docker.out("exec", "on", "echo", "again") == "again"
    docker.docker("rm", "-f", "on", "ends")


def test_an_attached_client_does_not_notice(own_lodged: Lodged) -> None:
    """Its streams go on without the daemon: they are the monitor's."""
    own_lodged.docker("run", "-d", "--name", "at", "--network", "none", "busybox", "sleep", "100")
    process = subprocess.Popen(
        ["docker", "exec", "-i", "at", "sh", "-c", "echo 1; read x; echo got $x"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=own_lodged.environment,
    )  # fmt: skip
    assert process.stdin
    assert process.stdout
    assert process.stdout.readline() == b"1\n"
    own_lodged.stop(signal.SIGKILL)
    process.stdin.write(b"this\n")
    process.stdin.close()
    assert process.stdout.readline() == b"got this\n"
    process.wait(20)
    process.stdout.close()
    own_lodged.start()
    assert own_lodged.out("inspect", "-f", "{{.State.Running}}", "at") == "true"


def test_reload(own_lodged: Lodged, tmp_path: Path) -> None:
    own_lodged.stop()
    file = tmp_path / "daemon.json"
    file.write_text('{"labels": ["a=1"], "default-shm-size": "1m"}')
    own_lodged.start("--config-file", str(file))
    assert own_lodged.out("info", "-f", "{{json .Labels}}") == '["a=1"]'
    file.write_text('{"labels": ["a=2"], "debug": true, "default-shm-size": "2m"}')
    assert own_lodged.process
    own_lodged.process.send_signal(signal.SIGHUP)
    end = time.monotonic() + 5
    while own_lodged.out("info", "-f", "{{json .Labels}}") != '["a=2"]':
        assert time.monotonic() < end
        time.sleep(0.02)
    shown = own_lodged.out("run", "--rm", "--network", "none", "busybox", "df", "-k", "/dev/shm")
    assert " 2048 " in shown
    file.write_text('{"labls": []}')
    own_lodged.process.send_signal(signal.SIGHUP)
    time.sleep(0.2)
    assert own_lodged.out("info", "-f", "{{json .Labels}}") == '["a=2"]'
    log = own_lodged.log.read_text()
    assert "configuration was not reloaded" in log
    assert "don't match any configuration option: labls" in log


def test_a_second_daemon_on_the_same_root_is_refused(own_lodged: Lodged) -> None:
    twin = Lodged(own_lodged.root)
    twin.socket = str(own_lodged.root / "twin.sock")
    twin.log = own_lodged.root / "twin.log"
    with pytest.raises(AssertionError, match="in use by process"):
        twin.start()
    assert own_lodged.answers()


def test_a_daemon_is_not_reachable_for_everybody(own_lodged: Lodged) -> None:
    found = os.stat(own_lodged.socket)
    assert found.st_mode & 0o777 == 0o660
    command = ["curl", "-sS", "--unix-socket", own_lodged.socket, "http://d/_ping"]
    done = subprocess.run(command, user=65534, group=65534, extra_groups=[], capture_output=True, check=False)
    assert done.returncode == 7  # failed to connect


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority, a server's and a client's certificate, and a stranger's that nobody signed."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl command here")
    folder = tmp_path_factory.mktemp("tls")

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl("req", "-x509", *curve, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=ca", "-days", "2")
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    for name in ("server", "client"):
        openssl("req", *curve, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        openssl(
            "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
            "-out", f"{name}.pem", "-days", "2", "-extfile", "names",
        )  # fmt: skip
    openssl(
        "req", "-x509", *curve, "-keyout", "alien.key", "-out", "alien.pem", "-subj", "/CN=x", "-days", "2"
    )
    return folder


def ask_without_certificate(context: ssl.SSLContext, port: int) -> bytes:
    try:
        with (
            socket.create_connection(("127.0.0.1", port), 5) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as nobody,
        ):
            nobody.sendall(b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n")
            return nobody.recv(100)
    except (ssl.SSLError, ConnectionError):
        return b""


def test_mutual_tls(own_lodged: Lodged, certificates: Path) -> None:
    port = free_port()
    own_lodged.stop()
    own_lodged.start(
        "-H", f"tcp://127.0.0.1:{port}", "--tlsverify", "--tlscacert", str(certificates / "ca.pem"),
        "--tlscert", str(certificates / "server.pem"), "--tlskey", str(certificates / "server.key"),
    )  # fmt: skip

    def docker(name: str, *words: str, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        tls = (
            "--tlsverify", "--tlscacert", str(certificates / "ca.pem"),
            "--tlscert", str(certificates / f"{name}.pem"), "--tlskey", str(certificates / f"{name}.key"),
        )  # fmt: skip
        command = ["docker", "-H", f"tcp://127.0.0.1:{port}", *tls, *words]
        return subprocess.run(command, input=data, capture_output=True, timeout=30, check=False)

    assert docker("client", "version").returncode == 0
    # streams go through a relay here, since only the daemon can speak TLS
    run = ("run", "--rm", "-i", "--network", "none", "busybox")
    data = os.urandom(1 << 20)
    assert docker("client", *run, "cat", data=data).stdout == data
    assert docker("client", *run, "sh", "-c", "exit 6").returncode == 6
    archive = docker("client", "save", "busybox").stdout
    assert docker("client", "load", data=archive).returncode == 0
    assert docker("alien", "version").returncode == 1
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(str(certificates / "ca.pem"))
    assert ask_without_certificate(context, port) == b""


def test_plain_tcp_beyond_loopback_is_refused(own_lodged: Lodged) -> None:
    own_lodged.stop()
    with pytest.raises(AssertionError, match="it would give root on this machine to the network"):
        own_lodged.start("-H", "tcp://0.0.0.0:2375")
    own_lodged.start()


def test_loopback_is_not_for_web_pages(own_lodged: Lodged) -> None:
    port = free_port()
    own_lodged.stop()
    own_lodged.start("-H", f"tcp://127.0.0.1:{port}")

    def ask(*headers: str) -> str:
        url = f"http://127.0.0.1:{port}/_ping"
        words = [word for header in headers for word in ("-H", header)]
        return subprocess.run(["curl", "-sS", *words, url], capture_output=True, text=True, check=True).stdout

    assert ask() == "OK"
    for header in ("Origin: http://evil.example", "Host: evil.example", "Sec-Fetch-Site: cross-site"):
        assert "requests of web pages are refused" in ask(header)
    command = ["docker", "-H", f"tcp://127.0.0.1:{port}", "version"]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_sockets_of_systemd(own_lodged: Lodged) -> None:
    activate = shutil.which("systemd-socket-activate")
    if activate is None:
        pytest.skip("there is no systemd-socket-activate here")
    own_lodged.stop()
    process = subprocess.Popen(
        [
            activate, "-l", own_lodged.socket, sys.executable, "-m", "lodge.daemon.main", "--config-file",
            "/dev/null", "--data-root", str(own_lodged.root / "data"), "--exec-root",
            str(own_lodged.root / "exec"),
        ],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        end = time.monotonic() + 10
        while not own_lodged.answers():
            assert time.monotonic() < end
            time.sleep(0.05)
        assert own_lodged.out("version", "-f", "{{.Server.Version}}")
    finally:
        process.terminate()
        process.wait(20)
        own_lodged.start()


def test_metrics(own_lodged: Lodged) -> None:
    port = free_port()
    own_lodged.stop()
    own_lodged.start("--metrics-addr", f"127.0.0.1:{port}")
    with socket.create_connection(("127.0.0.1", port), 5) as client:
        client.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        text = b"".join(iter(lambda: client.recv(65536), b"")).decode()
    assert 'engine_daemon_container_states_containers{state="running"} 0' in text
    assert "text/plain; version=0.0.4" in text


def test_many_subscribers_and_one_who_never_reads(own_lodged: Lodged) -> None:
    """Nobody loses an event because somebody else sleeps."""
    clients: list[socket.socket] = []
    for _ in range(200):
        client = socket.socket(socket.AF_UNIX)
        client.connect(own_lodged.socket)
        client.sendall(b"GET /events HTTP/1.1\r\nHost: d\r\n\r\n")
        client.settimeout(20)
        clients.append(client)
    sleeper = clients.pop()
    for _ in range(5):
        own_lodged.docker("run", "--rm", "--network", "none", "busybox", "true")
    counts: list[int] = []

    def count(client: socket.socket) -> None:
        seen = b""
        while seen.count(b'"Action":"destroy"') < 5:
            seen += client.recv(65536)
        counts.append(seen.count(b'"Action":"start"'))

    threads = [threading.Thread(target=count, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert counts == [5] * 199
    for client in (*clients, sleeper):
        client.close()
    assert own_lodged.answers()
