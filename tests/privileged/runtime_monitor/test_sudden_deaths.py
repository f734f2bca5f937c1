"""Anybody may be killed at any moment: engine, zygote, monitor, init. What is left is right."""

import os
import signal
import time

import pytest

from lodge.kernel.cgroups import detect
from lodge.runtime.exit_record import MonitorRecord, read_exit_record, read_monitor_record
from lodge.runtime.launcher import Launcher
from lodge.runtime.messages import ExecExited, Exited, Query, Signal, Start, Started
from tests.contract.runtime.conftest import House
from tests.contract.runtime.talk import PATIENCE, Talk, alive, wait_until_gone


def record_of(order: dict) -> MonitorRecord:
    record = read_monitor_record(order["state_dir"])
    assert record is not None
    return record


def clear(order: dict) -> None:
    """What an engine does for a container whose monitor was killed."""
    group = detect().group(record_of(order).cgroups_path)
    if group.exists():
        group.kill()
        group.remove()


@pytest.mark.parametrize("phase", ["created", "running", "paused"])
def test_killed_monitor_ends_its_container(house: House, phase: str) -> None:
    order = house.order("sleep 60 & sleep 60")
    talk = house.talk(order)
    talk.answer(0)
    if phase != "created":
        talk.done(Start)
        talk.execute("e", ["sleep", "60"])
    record = record_of(order)
    assert record.init is not None
    if phase == "paused":
        group = detect().group(record.cgroups_path)
        group.freeze()
    os.kill(record.monitor.pid, signal.SIGKILL)
    talk.ended()
    if phase == "paused":
        group.thaw()
    wait_until_gone(record.init.pid)
    assert read_exit_record(order["state_dir"]) is None
    clear(order)
    assert not detect().group(record.cgroups_path).exists()


def test_killed_init_is_an_ordinary_end(house: House) -> None:
    order = house.order("sleep 60")
    talk = house.talk(order)
    talk.done(Start)
    client, _ = talk.execute("e", ["sleep", "60"])
    init = record_of(order).init
    assert init is not None
    os.kill(init.pid, signal.SIGKILL)
    assert talk.fact(Exited).code == 137
    assert talk.fact(ExecExited).code == 137
    assert client.read_all() == b""
    talk.ended()
    assert not detect().group(record_of(order).cgroups_path).exists()


def test_init_killed_before_its_start(house: House) -> None:
    order = house.order("sleep 60")
    talk = house.talk(order)
    pid = talk.answer(0).pid
    os.kill(pid, signal.SIGKILL)
    assert talk.fact(Exited).code == 137
    talk.ended()
    assert not detect().group(record_of(order).cgroups_path).exists()


@pytest.mark.parametrize("moment", [0.0, 0.002, 0.005, 0.01, 0.02, 0.05])
def test_engine_that_dies_while_it_launches(house: House, moment: float) -> None:
    order = house.order("exit 3")
    talk = house.talk(order)
    talk.post(Start)
    time.sleep(moment)
    talk.close()
    deadline = time.monotonic() + PATIENCE
    while (record := read_exit_record(order["state_dir"])) is None:
        assert time.monotonic() < deadline, "the container was lost"
        time.sleep(0.01)
    assert record.code == 3
    assert not detect().group(record_of(order).cgroups_path).exists()


def test_killed_zygote_is_replaced_and_monitors_go_on(house: House) -> None:
    own = Launcher(str(house.directory / "exec"), str(house.directory / "engine"))
    own.open()
    shared, house.launcher = house.launcher, own
    try:
        order = house.order("read x; exit 5", stdin=True, stdin_once=True)
        talk = house.talk(order)
        client = talk.attach(stdin=True)
        talk.done(Start)
        os.kill(own._pid, signal.SIGKILL)
        deadline = time.monotonic() + PATIENCE
        while own.alive:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        second = house.talk(house.order("exit 6"))
        second.done(Start)
        assert second.fact(Exited).code == 6
        assert talk.ask(Query).phase == "running"
        client.send(b"\n")
        assert talk.fact(Exited).code == 5
    finally:
        house.launcher = shared
        own.close()


def test_closed_launcher_leaves_monitors_alone(house: House) -> None:
    own = Launcher(str(house.directory / "exec"), str(house.directory / "engine"))
    own.open()
    zygote = own._pid
    shared, house.launcher = house.launcher, own
    order = house.order("sleep 60")
    talk = house.talk(order)
    talk.done(Start)
    house.launcher = shared
    own.close()
    own.close()
    assert not alive(zygote)
    talk.close()
    again = house.connect(order)
    assert again.ask(Query).phase == "running"
    again.done(Signal, number=9)
    assert again.fact(Exited).code == 137


def test_pid_of_another_is_not_taken_for_the_monitor(house: House) -> None:
    order = house.order("true")
    talk = house.talk(order)
    talk.done(Start)
    talk.fact(Exited)
    talk.ended()
    record = record_of(order)
    wait_until_gone(record.monitor.pid)
    assert not record.monitor.alive


def test_fifty_at_once(house: House) -> None:
    talks: list[Talk] = []
    for number in range(50):
        talk = house.talk(house.order(f"exit {number}", log=None))
        talk.post(Start)
        talks.append(talk)
    for number, talk in enumerate(talks):
        assert talk.fact(Exited).code == number
    for talk in talks:
        assert talk.fact(Started).pid > 0
