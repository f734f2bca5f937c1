"""Where lodged listens, and where it refuses to."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
from pathlib import Path

import pytest

from lodge.daemon import listeners, systemd
from lodge.daemon.config import Config
from lodge.daemon.hosts import Host, check, parse
from lodge.errors import Conflict, InvalidArgument


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("unix://", Host("unix", "/run/x.sock")),
        ("unix:///a/b", Host("unix", "/a/b")),
        ("/a/b", Host("unix", "/a/b")),
        ("fd://", Host("fd", "")),
        ("fd://3", Host("fd", "3")),
        ("tcp://", Host("tcp", "127.0.0.1", 2375)),
        ("tcp://1.2.3.4:5", Host("tcp", "1.2.3.4", 5)),
        ("tcp://[::1]:5", Host("tcp", "::1", 5)),
        ("1.2.3.4:5", Host("tcp", "1.2.3.4", 5)),
    ],
)
def test_spellings(text: str, host: Host) -> None:
    assert parse(text, default_socket="/run/x.sock", tls=False) == host


@pytest.mark.parametrize("text", ["udp://x", "tcp://a:b", "tcp://a:99999", "unix://relative", "tcp://a/b"])
def test_no_addresses(text: str) -> None:
    with pytest.raises(InvalidArgument):
        parse(text, default_socket="/x", tls=False)


def test_tcp_only_with_mutual_tls_or_on_loopback() -> None:
    check(Host("tcp", "127.0.0.1", 1), mutual=False, tls=False)
    check(Host("tcp", "0.0.0.0", 1), mutual=True, tls=True)
    for address in ("0.0.0.0", "10.0.0.1", "example.org", "::"):
        with pytest.raises(InvalidArgument, match="without TLS"):
            check(Host("tcp", address, 1), mutual=False, tls=False)
    with pytest.raises(InvalidArgument, match="--tls alone"):
        check(Host("tcp", "127.0.0.1", 1), mutual=False, tls=True)


def test_unix_socket_belongs_to_its_group(tmp_path: Path) -> None:
    path = str(tmp_path / "a.sock")
    group = str(os.getgid())
    with listeners.unix(path, group) as sock:
        sock.listen()
        found = os.stat(path)
        assert stat.S_IMODE(found.st_mode) == 0o660
        assert found.st_gid == os.getgid()
        with pytest.raises(Conflict, match="another daemon"):
            listeners.unix(path, group)
    listeners.unix(path, group).close()  # what a dead daemon left is replaced
    again = listeners.unix(path, group)
    (file,) = listeners.socket_files(Host("unix", path))
    again.close()
    file._replace(inode=0).remove()
    assert os.path.exists(path)
    file.remove()
    file.remove()
    assert not os.path.exists(path)
    (tmp_path / "file").write_text("")
    with pytest.raises(Conflict, match="no socket"):
        listeners.unix(str(tmp_path / "file"), group)
    with pytest.raises(InvalidArgument, match="group nobodyhere not found"):
        listeners.group_id("nobodyhere")


def test_sockets_of_systemd(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidArgument, match="socket activation"):
        listeners.inherited("")
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
    monkeypatch.setenv("LISTEN_FDS", "0")
    with pytest.raises(InvalidArgument, match="fd://x"):
        listeners.inherited("x")


def test_no_socket_stays_when_one_fails(tmp_path: Path) -> None:
    good = tmp_path / "a.sock"
    config = Config(hosts=[f"unix://{good}", "unix:///dev/null"], group=str(os.getgid()))
    with pytest.raises(Conflict):
        listeners.open_all(config)
    with pytest.raises(OSError, match="refused"), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(good))


def test_tls_needs_its_files(tmp_path: Path) -> None:
    assert listeners.tls_context(Config()) is None
    with pytest.raises(InvalidArgument, match="needs --tlscacert"):
        listeners.tls_context(Config(tlsverify=True))
    nothing = str(tmp_path / "x")
    with pytest.raises(InvalidArgument, match="could not load TLS files"):
        listeners.tls_context(Config(tlsverify=True, tlscacert=nothing, tlscert=nothing, tlskey=nothing))


def test_pid_file(tmp_path: Path) -> None:
    path = tmp_path / "d" / "pid"
    with systemd.PidFile(str(path)):
        assert path.read_text() == str(os.getpid())
    assert not path.exists()
    path.write_text("1")
    with pytest.raises(Conflict, match="process with PID 1 is still running"), systemd.PidFile(str(path)):
        pass
    path.write_text("garbage")
    with systemd.PidFile(str(path)):
        pass


def test_a_pid_that_was_killed_and_waits_to_be_reaped_is_free(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    with subprocess.Popen(["true"]) as child:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        path.write_text(str(child.pid))
        with systemd.PidFile(str(path)):
            assert path.read_text() == str(os.getpid())


def test_notify(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    systemd.notify("READY=1")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "n"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "n"))
        systemd.notify("READY=1")
        assert sock.recv(100) == b"READY=1"
