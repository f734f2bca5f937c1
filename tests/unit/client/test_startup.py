"""Starting a daemon where none answers."""

import os
import socket
import sys
import time
from pathlib import Path

import pytest

from lodge.client import startup
from lodge.client.address import Address
from lodge.client.failures import Unreachable

LISTENER = """#!{python}
import os, socket, sys
server = socket.socket(socket.AF_UNIX)
server.bind({path!r})
server.listen()
print("ready", flush=True)
open({note!r}, "w").write(f"{{os.getpid()}} {{os.getsid(0)}}")
server.accept()
server.accept()
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Address:
    """A default address, and an interpreter beside which the script `lodged` of the test is found."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "python"))
    path = tmp_path / "run" / "lodge.sock"
    return Address(f"unix://{path}", "unix", path=str(path), default=True)


def install(place: Address, text: str) -> None:
    script = Path(sys.executable).parent / "lodged"
    script.write_text(text)
    script.chmod(0o755)


def test_a_daemon_is_started_in_a_session_of_its_own(place: Address, tmp_path: Path) -> None:
    note = tmp_path / "note"
    install(
        place, LISTENER.format(python=os.path.realpath("/proc/self/exe"), path=place.path, note=str(note))
    )
    startup.start_daemon(place)
    while not note.exists() or not note.read_text():
        time.sleep(0.01)
    process, session = map(int, note.read_text().split())
    assert session == process
    with socket.socket(socket.AF_UNIX) as second:
        second.connect(place.path)
    assert os.waitpid(process, 0)[1] == 0
    assert "ready" in (tmp_path / "run" / "lodged.log").read_text()


def test_a_daemon_that_ends_at_once_is_reported_with_its_words(place: Address) -> None:
    install(place, "#!/bin/sh\necho no such luck >&2\nexit 1\n")
    with pytest.raises(Unreachable, match="could not be started") as caught:
        startup.start_daemon(place)
    assert "no such luck" in (caught.value.hint or "")


@pytest.mark.parametrize(("wish", "allowed"), [("1", True), ("0", False), ("no", False), ("", False)])
def test_starting_can_be_forbidden(
    place: Address, monkeypatch: pytest.MonkeyPatch, wish: str, allowed: bool
) -> None:
    monkeypatch.setenv("LODGE_AUTOSTART", wish)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert startup.may_start(place) is allowed


def test_only_root_starts_one_and_only_at_the_default(
    place: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LODGE_AUTOSTART", raising=False)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert not startup.may_start(place)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert not startup.may_start(Address("unix:///x", "unix", path="/x"))
