"""A container of a user without rights: pasta joins it to the world."""

import contextlib
import os
import shutil
import socket
import stat
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lodge.errors import LodgeError
from lodge.kernel import namespaces as ns
from lodge.kernel.netlink import links, routes
from lodge.kernel.netlink.socket import NetlinkSocket
from lodge.network.contract import Port, Sandbox
from lodge.network.providers.pasta import PastaProvider
from tests.privileged.network.conftest import HOST, WORLD, Listener, Scene

NOBODY = 65534
CONTAINER = "c" * 64


@contextlib.contextmanager
def as_nobody(work: Callable[[], str]) -> Iterator[int]:
    """A process without rights that does this; gives a descriptor with its result."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        text = "died"
        try:
            tun_for_all()
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
            text = work()
        except BaseException as error:
            text = f"{type(error).__name__}: {error}"
        finally:
            os.write(write, text.encode())
            os._exit(0)
    os.close(write)
    try:
        yield read
    finally:
        os.close(read)
        os.waitpid(pid, 0)


def tun_for_all() -> None:
    """Let everybody open /dev/net/tun, as on ordinary hosts; seen by the caller and its children only."""
    ns.unshare(ns.CLONE_NEWNS)
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/dev/net"], check=True)
    os.mknod("/dev/net/tun", 0o600 | stat.S_IFCHR, os.makedev(10, 200))
    os.chmod("/dev/net/tun", 0o666)


def result(work: Callable[[], str]) -> str:
    with as_nobody(work) as read:
        return os.read(read, 4096).decode()


def enter(pid: int) -> None:
    """Join the user and network namespaces of a process."""
    fds = [ns.open_namespace(pid, name) for name in ("user", "network")]
    for fd in fds:
        ns.setns(fd)
        os.close(fd)


def furnish(directory: Path, pid: int, port: int) -> str:
    def work() -> str:
        wish = Sandbox(container=CONTAINER, ports=(Port(container_port=80, host_port=port),))
        try:
            ready = PastaProvider(str(directory)).furnish(wish, pid)
        except LodgeError as error:
            return str(error)
        return f"{ready.interfaces['']} {ready.ports[0].host_port}"

    return result(work)


@pytest.fixture
def directory() -> Iterator[Path]:
    if shutil.which("pasta") is None:
        pytest.skip("pasta is not installed")
    found = Path(tempfile.mkdtemp(prefix="lodge-pasta-"))
    os.chown(found, NOBODY, NOBODY)
    yield found
    shutil.rmtree(found)


@pytest.fixture
def holder(scene: Scene) -> Iterator[int]:
    """A process of nobody's in a user and a network namespace of its own; the host has a default route."""
    with NetlinkSocket() as sock:
        index = links.parse(sock.ask(links.get("eth0"))[0]).ifindex
        sock.do(routes.add_route(routes.default_route(4), index, gateway=socket.inet_aton(WORLD)))
    command = ["unshare", "-r", "-n", "sh", "-c", "echo && exec sleep 60"]
    process = subprocess.Popen(
        command, user=NOBODY, group=NOBODY, extra_groups=[], stdout=subprocess.PIPE, cwd="/"
    )
    assert process.stdout
    process.stdout.readline()
    yield process.pid
    process.kill()
    process.communicate()


def test_it_reaches_the_world_and_is_reached_by_its_port(scene: Scene, directory: Path, holder: int) -> None:
    assert furnish(directory, holder, 18080) == "eth0 18080"

    def serve() -> str:
        enter(holder)
        with socket.create_server(("", 80)) as server:
            server.settimeout(5)
            client, _ = server.accept()
            with client:
                return client.recv(100).decode()

    def call() -> str:
        enter(holder)
        with socket.create_connection((WORLD, 80), 3) as client:
            return client.recv(100).decode()

    try:
        with as_nobody(serve) as heard:
            send_until_heard(heard)
        with scene.in_world():
            world = Listener(WORLD, 80)
        with world, as_nobody(call) as said:
            assert world.client() == HOST
            assert os.read(said, 100) == b"hello"
    finally:
        assert result(lambda: str(PastaProvider(str(directory)).release(CONTAINER))) == "None"
    with Listener("0.0.0.0", 18080):
        assert list(directory.iterdir()) == []


def send_until_heard(heard: int) -> None:
    """The program takes a connection before anybody inside listens: try until somebody does."""
    os.set_blocking(heard, False)
    for _ in range(100):
        with socket.create_connection((HOST, 18080), 3) as client, contextlib.suppress(OSError):
            client.sendall(b"hello")
            client.settimeout(0.05)
            client.recv(1)
        with contextlib.suppress(BlockingIOError):
            assert os.read(heard, 100) == b"hello"
            return
    pytest.fail("nothing arrived")


def test_a_taken_port_and_a_missing_program_are_said_plainly(directory: Path, holder: int) -> None:
    with Listener("0.0.0.0", 18081):
        words = furnish(directory, holder, 18081)
    assert words == "failed to bind host port 0.0.0.0:18081/tcp: address already in use"
    with pytest.raises(LodgeError, match="was not found"):
        PastaProvider(str(directory), program="no-such-pasta").furnish(Sandbox(container=CONTAINER), holder)
