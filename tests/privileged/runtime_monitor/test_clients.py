"""Attached clients that are slow, many, or gone: the program is delayed by the slow only, harmed by none."""

import os
import signal
import time

from lodge.runtime.exit_record import read_monitor_record
from lodge.runtime.messages import Attach, Exited, LogSpec, Query, Signal, Start
from tests.contract.runtime.conftest import House
from tests.contract.runtime.talk import PATIENCE, Client, split

ENDLESS = "yes 0123456789abcdef0123456789abcdef"


def rss(pid: int) -> int:
    """Kilobytes of memory that only this process has."""
    with open(f"/proc/{pid}/smaps_rollup") as file:
        return sum(int(line.split()[1]) for line in file if line.startswith("Private_Dirty"))


def monitor_of(order: dict) -> int:
    record = read_monitor_record(order["state_dir"])
    assert record is not None
    return record.monitor.pid


def progress(path: str) -> int:
    return os.stat(path).st_size


def test_slow_client_delays_the_program_in_bounded_memory(house: House) -> None:
    order = house.order(ENDLESS)
    order["log"] = LogSpec(path=order["log"].path, max_size=1 << 30, max_files=1)
    talk = house.talk(order)
    client = talk.attach(framed=False)
    talk.done(Start)
    path = order["log"].path
    deadline = time.monotonic() + PATIENCE
    before = -1
    while (size := progress(path)) != before or size == 0:
        assert time.monotonic() < deadline, "the program is not held back"
        before = size
        time.sleep(0.3)
    assert rss(monitor_of(order)) < 8 << 10
    # It goes on when the client reads on.
    got = 0
    while got < 4 << 20:
        got += len(client.socket.recv(1 << 20))
    time.sleep(0.2)
    assert progress(path) > before
    talk.done(Signal, number=signal.SIGKILL)
    # The end is told although the client does not read.
    assert talk.fact(Exited).code == 137
    client.read_all()


def test_vanished_client_is_dropped_at_once(house: House) -> None:
    order = house.order(ENDLESS)
    order["log"] = LogSpec(path=order["log"].path, max_size=1 << 20, max_files=2)
    talk = house.talk(order)
    stuck = talk.attach(framed=False)
    talk.done(Start)
    deadline = time.monotonic() + PATIENCE
    state = (0, 0)
    path = order["log"].path
    while (now := (os.stat(path).st_ino, progress(path))) != state:
        assert time.monotonic() < deadline
        state = now
        time.sleep(0.3)
    stuck.close()
    while (os.stat(path).st_ino, progress(path)) == state:
        assert time.monotonic() < deadline, "the program is still held back"
        time.sleep(0.01)
    assert talk.ask(Query).attached == 0
    talk.done(Signal, number=signal.SIGKILL)
    talk.fact(Exited)


def test_many_vanishing_clients(house: House) -> None:
    order = house.order("while true; do echo tick; sleep 0.01; done", stdin=True)
    talk = house.talk(order)
    talk.done(Start)
    for number in range(200):
        client = talk.attach(stdin=number % 2 == 0)
        client.send(b"x" * 1000)
        client.close()
    deadline = time.monotonic() + PATIENCE
    while talk.ask(Query).attached:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert len(os.listdir(f"/proc/{monitor_of(order)}/fd")) < 20
    talk.done(Signal, number=signal.SIGKILL)
    talk.fact(Exited)


def test_clients_that_never_read_their_end_do_not_keep_the_exit_back(house: House) -> None:
    order = house.order("head -c 500000 /dev/zero; exit 4")
    talk = house.talk(order)
    client = talk.attach()
    talk.done(Start)
    assert talk.fact(Exited).code == 4
    talk.ended()
    # The monitor stays for the client alone, and gives it everything.
    assert sum(map(len, split(client.read_all()).values())) == 500_000


def test_ten_clients_get_the_same(house: House) -> None:
    talk = house.created("head -c 2000000 /dev/zero | tr '\\0' a", log=None)
    clients = [talk.attach(framed=False) for _ in range(10)]
    talk.done(Start)
    for client in clients:
        # One after the other: each holds back the rest meanwhile, none loses anything.
        pid = os.fork()
        if pid == 0:
            length = len(client.read_all())
            os._exit(0 if length == 2_000_000 else 1)
        client.pid = pid  # type: ignore[attr-defined]
    for client in clients:
        assert os.waitpid(client.pid, 0)[1] == 0  # type: ignore[attr-defined]
    assert talk.fact(Exited).code == 0


def test_input_that_nobody_reads_is_bounded(house: House) -> None:
    order = house.order("sleep 60", stdin=True)
    talk = house.talk(order)
    client = talk.attach(stdin=True)
    talk.done(Start)
    client.socket.setblocking(False)
    sent = 0
    try:
        while sent < 64 << 20:
            sent += client.socket.send(b"x" * 65536)
            time.sleep(0.0005)
    except BlockingIOError:
        pass
    assert sent < 8 << 20
    client.close()
    time.sleep(0.2)
    # A client that vanished with unread input does not make the monitor spin.
    pid = monitor_of(order)
    before = _cpu(pid)
    time.sleep(0.5)
    assert _cpu(pid) - before <= 10
    talk.done(Signal, number=signal.SIGKILL)
    talk.fact(Exited)


def _cpu(pid: int) -> int:
    with open(f"/proc/{pid}/stat", "rb") as file:
        fields = file.read().rpartition(b")")[2].split()
    return int(fields[11]) + int(fields[12])


def test_client_that_only_half_closed_still_gets_output(house: House) -> None:
    talk = house.created("sleep 0.3; echo late")
    client, theirs = Client.pair()
    client.half_close()
    talk.done(Attach, (theirs.fileno(),))
    theirs.close()
    talk.done(Start)
    assert client.frames() == {1: b"late\n"}
    talk.fact(Exited)
