"""A porter that runs, and the engine's end of it: deaths of either, and what is left afterwards."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lodge.network.names.view import Attachment, Member, View
from lodge.network.porter import client as client_module
from lodge.network.porter import link as link_module
from lodge.network.porter import messages
from lodge.network.porter.client import Porter
from lodge.network.porter.messages import Target
from tests.unit.network.names import dns

WEB = Member(endpoint="e1", container="c1", names=("web",), ipv4="10.1.0.2/16")
DB = Member(endpoint="e2", container="c2", names=("db",), ipv4="10.1.0.3/16")
VIEW = View(networks=(Attachment(network="n", name="net"),))


class Sockets:
    """What hands make inside a sandbox and on the host."""

    def __init__(self) -> None:
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", 0))
        self.tcp = socket.create_server(("127.0.0.1", 0))
        self.port = socket.create_server(("127.0.0.1", 0))
        self.address = self.udp.getsockname()
        self.port_address = self.port.getsockname()

    def close(self) -> None:
        for sock in (self.udp, self.tcp, self.port):
            sock.close()


@pytest.fixture
def sockets() -> Iterator[Sockets]:
    sockets = Sockets()
    yield sockets
    sockets.close()


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[str]:
    yield str(tmp_path / "porter")
    for pid in porters(str(tmp_path)):
        os.kill(pid, signal.SIGKILL)


def porters(directory: str) -> list[int]:
    found = []
    for entry in os.listdir("/proc"):
        try:
            title = Path(f"/proc/{entry}/cmdline").read_bytes()
        except OSError:
            continue
        if title.startswith(b"lodge-porter\0") and directory.encode() in title:
            found.append(int(entry))
    return found


def wait_until_gone(directory: str) -> None:
    deadline = time.monotonic() + 10
    while porters(directory):
        assert time.monotonic() < deadline, "the porter is still there"
        time.sleep(0.01)


def ask(address: tuple[str, int], name: str) -> dns.Message:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(10)
        sock.connect(address)
        sock.send(dns.query(name))
        return dns.read(sock.recv(4096))


def memory(pid: int) -> int:
    """Kilobytes that are its own share (PSS)."""
    return int(Path(f"/proc/{pid}/smaps_rollup").read_text().split("Pss:")[1].split()[0])


def serve(porter: Porter, sockets: Sockets) -> None:
    porter.join("n", WEB)
    porter.join("n", DB)
    porter.open_sandbox("c1", VIEW, sockets.udp.fileno(), sockets.tcp.fileno())


def test_no_process_without_need(directory: str) -> None:
    porter = Porter(directory)
    assert porter.open().sandboxes == frozenset()
    porter.join("n", WEB)
    porter.leave("n", "e1")
    porter.free("c1")
    porter.close_sandbox("c1")
    porter.settle()
    assert not porter.alive
    porter.close()
    assert porters(directory) == []


def test_names_come_and_go(directory: str, sockets: Sockets) -> None:
    porter = Porter(directory)
    serve(porter, sockets)
    assert ask(sockets.address, "web").data == ["10.1.0.2"]
    assert ask(sockets.address, "db.net").data == ["10.1.0.3"]
    porter.leave("n", "e2")
    porter.settle()
    assert ask(sockets.address, "db").code == 2
    porter.close_sandbox("c1")
    porter.close()
    wait_until_gone(directory)


def test_it_outlives_the_engine_and_gives_everything_to_the_next(directory: str, sockets: Sockets) -> None:
    first = Porter(directory)
    serve(first, sockets)
    first.reserve("c1", "tcp/80", Target(protocol="tcp"), sockets.port.fileno())
    first.reserve("c9", "tcp/81", Target(protocol="tcp"), sockets.port.fileno())
    first.free("c9")
    assert ask(sockets.address, "web").data == ["10.1.0.2"]
    first.close()
    sockets.close()
    assert ask(sockets.address, "web").data == ["10.1.0.2"]

    second = Porter(directory)
    held = second.open()
    assert held.sandboxes == {"c1"}
    assert held.ports == {"c1": {"tcp/80"}}
    assert ask(sockets.address, "db").data == ["10.1.0.3"]
    second.join("n", WEB)
    second.open_sandbox("c1", VIEW)
    second.settle()
    assert ask(sockets.address, "web").data == ["10.1.0.2"]
    assert ask(sockets.address, "db").code == 2
    with socket.socket() as sock:
        sock.bind(sockets.port_address)
    second.close_sandbox("c1")
    second.close()
    wait_until_gone(directory)


def test_an_engine_that_dies_at_once_is_followed_by_one_that_finds_everything(
    directory: str, sockets: Sockets
) -> None:
    """The porter has not even begun to listen by then."""
    first = Porter(directory)
    serve(first, sockets)
    first.reserve("c1", "tcp/80", Target(protocol="tcp"), sockets.port.fileno())
    first.close()
    second = Porter(directory)
    held = second.open()
    assert held.sandboxes == {"c1"}
    assert held.ports == {"c1": {"tcp/80"}}
    assert len(porters(directory)) == 1
    second.settle()
    second.close()
    wait_until_gone(directory)


def test_a_killed_porter_is_replaced_with_the_same_sockets(directory: str, sockets: Sockets) -> None:
    porter = Porter(directory)
    serve(porter, sockets)
    assert ask(sockets.address, "web").data == ["10.1.0.2"]
    for _ in range(2):
        (pid,) = porters(directory)
        os.kill(pid, signal.SIGKILL)
        assert ask(sockets.address, "web").data == ["10.1.0.2"]
        assert porters(directory) != [pid]
    porter.join("n", Member(endpoint="e3", container="c3", names=("new",), ipv4="10.1.0.4"))
    assert ask(sockets.address, "new").data == ["10.1.0.4"]
    porter.close_sandbox("c1")
    porter.close()


def test_one_that_died_with_the_engine_leaves_nothing(directory: str, sockets: Sockets) -> None:
    first = Porter(directory)
    serve(first, sockets)
    ask(sockets.address, "web")
    first._watch = lambda link: None  # type: ignore[method-assign]
    first.close()
    for pid in porters(directory):
        os.kill(pid, signal.SIGKILL)
    second = Porter(directory)
    assert second.open().sandboxes == frozenset()
    second.join("n", WEB)
    second.open_sandbox("c1", VIEW, sockets.udp.fileno(), sockets.tcp.fileno())
    assert ask(sockets.address, "web").data == ["10.1.0.2"]
    second.close_sandbox("c1")
    second.close()


def test_a_freed_port_can_be_bound_at_once(directory: str, sockets: Sockets) -> None:
    porter = Porter(directory)
    porter.reserve("c1", "a", Target(protocol="tcp"), sockets.port.fileno())
    sockets.port.close()
    with socket.socket() as sock, pytest.raises(OSError, match="in use"):
        sock.bind(sockets.port_address)
    porter.free("c1", ["b"])
    porter.free("c1", ["a"])
    with socket.socket() as sock:
        sock.bind(sockets.port_address)
    porter.close()
    wait_until_gone(directory)


def test_a_port_is_forwarded_and_led_elsewhere(directory: str, sockets: Sockets) -> None:
    porter = Porter(directory)
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        for key, server in (("a", one), ("a", other)):
            fd = sockets.port.fileno() if server is one else -1
            porter.reserve(
                "c1", key, Target(protocol="tcp", address="127.0.0.1", port=server.getsockname()[1]), fd
            )
            porter.settle()
            with socket.create_connection(sockets.port_address, timeout=10) as client:
                server.settimeout(10)
                inside, _ = server.accept()
                with inside:
                    inside.sendall(b"here")
                    assert client.recv(10) == b"here"
        porter.reserve("c1", "a", Target(protocol="tcp"))
        porter.settle()
    porter.free("c1")
    porter.close()


def test_another_version_is_replaced_and_carries_its_connections_on(
    directory: str, sockets: Sockets, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Porter(directory)
    serve(first, sockets)
    with socket.create_server(("127.0.0.1", 0)) as server:
        target = Target(protocol="tcp", address="127.0.0.1", port=server.getsockname()[1])
        first.reserve("c1", "a", target, sockets.port.fileno())
        client = socket.create_connection(sockets.port_address, timeout=10)
        server.settimeout(10)
        inside, _ = server.accept()
        first.close()
        (old,) = porters(directory)
        monkeypatch.setattr(client_module, "PROTOCOL", messages.PROTOCOL + 1)
        second = Porter(directory)
        assert second.open().sandboxes == {"c1"}
        second.join("n", WEB)
        second.open_sandbox("c1", VIEW)
        second.reserve("c1", "a", target)
        assert ask(sockets.address, "web").data == ["10.1.0.2"]
        inside.sendall(b"still")
        assert client.recv(10) == b"still"
        assert old in porters(directory)
        client.close()
        inside.close()
        deadline = time.monotonic() + 10
        while old in porters(directory) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert len(porters(directory)) == 1
        with socket.create_connection(sockets.port_address, timeout=10):
            server.accept()[0].close()
    second.free("c1")
    second.close_sandbox("c1")
    second.close()


def test_a_porter_that_hangs_is_replaced(
    directory: str, sockets: Sockets, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_module, "PATIENCE", 1)
    first = Porter(directory)
    serve(first, sockets)
    ask(sockets.address, "web")
    (pid,) = porters(directory)
    os.kill(pid, signal.SIGSTOP)
    first.settle()
    assert ask(sockets.address, "web").data == ["10.1.0.2"]
    assert porters(directory) != [pid]
    first.close()
    (pid,) = porters(directory)
    os.kill(pid, signal.SIGSTOP)
    second = Porter(directory)
    assert second.open().sandboxes == frozenset()
    assert porters(directory) == []
    serve(second, sockets)
    assert ask(sockets.address, "web").data == ["10.1.0.2"]
    second.close_sandbox("c1")
    second.close()


def test_a_thousand_connections_cost_little_and_leave_nothing(directory: str, sockets: Sockets) -> None:
    porter = Porter(directory)
    with socket.create_server(("127.0.0.1", 0), backlog=1100) as server:
        server.settimeout(10)
        target = Target(protocol="tcp", address="127.0.0.1", port=server.getsockname()[1])
        porter.reserve("c1", "a", target, sockets.port.fileno())
        porter.settle()
        (pid,) = porters(directory)
        before, files = memory(pid), len(os.listdir(f"/proc/{pid}/fd"))
        pairs = []
        for _ in range(1000):
            client = socket.create_connection(sockets.port_address, timeout=10)
            pairs.append((client, server.accept()[0]))
        assert memory(pid) - before < 5 << 10
        for pair in pairs:
            for sock in pair:
                sock.close()
        deadline = time.monotonic() + 10
        while len(os.listdir(f"/proc/{pid}/fd")) > files and time.monotonic() < deadline:
            time.sleep(0.02)
        assert len(os.listdir(f"/proc/{pid}/fd")) == files
    porter.free("c1")
    porter.close()


def test_a_porter_that_can_not_start_is_said(directory: str, sockets: Sockets) -> None:
    from lodge.errors import Unavailable

    porter = Porter(directory, interpreter="/nonexistent/python")
    with pytest.raises(Unavailable, match="can't be started"):
        porter.open_sandbox("c1", VIEW, sockets.udp.fileno(), sockets.tcp.fileno())
    porter.close()


def test_it_holds_no_file_of_others(directory: str, sockets: Sockets) -> None:
    with open("/dev/zero", "rb") as strange:
        os.set_inheritable(strange.fileno(), True)
        porter = Porter(directory)
        serve(porter, sockets)
        ask(sockets.address, "web")
        (pid,) = porters(directory)
        names = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
    assert "/dev/zero" not in names
    porter.close_sandbox("c1")
    porter.close()


# Packages outside of lodge that the porter loads. Each is paid for by every machine with a network.
BUDGET = {
    "abc", "array", "ast", "atexit", "codecs", "collections", "contextlib", "copyreg", "ctypes",
    "dataclasses", "datetime", "decimal", "dis", "enum", "errno", "fcntl", "functools", "gc",
    "genericpath", "heapq", "importlib", "inspect", "io", "itertools", "keyword", "linecache", "math",
    "msgspec", "numbers", "opcode", "operator", "os", "platform", "posixpath", "re", "reprlib", "resource",
    "select", "selectors", "signal", "socket", "stat", "struct", "textwrap", "time", "token", "tokenize",
    "types", "typing", "typing_extensions", "uuid", "warnings", "weakref",
}  # fmt: skip


def test_import_budget() -> None:
    program = "import sys; sys.path[:0] = {path!r}; import lodge.network.porter.main; print(*sys.modules)"
    text = program.format(path=[entry for entry in sys.path if entry])
    command = [sys.executable, "-I", "-S", "-X", "utf8", "-c", text]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    bare = [*command[:-1], "import sys; print(*sys.modules)"]
    given = subprocess.run(bare, capture_output=True, text=True, check=True).stdout.split()
    packages = {name.partition(".")[0] for name in set(loaded) - set(given)}
    assert not {name for name in packages if not name.startswith("_")} - BUDGET - {"lodge"}
    rooms = {name.split(".")[1] for name in loaded if name.startswith("lodge.")}
    assert rooms == {"kernel", "network"}


def test_it_is_small(directory: str, sockets: Sockets) -> None:
    porter = Porter(directory)
    serve(porter, sockets)
    ask(sockets.address, "web")
    (pid,) = porters(directory)
    kilobytes = memory(pid)
    porter.close_sandbox("c1")
    porter.close()
    assert kilobytes < 14 << 10
