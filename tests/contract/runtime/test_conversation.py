"""The talk between engine and monitor, from Launch to Exited, over every kind of dwelling."""

import os
import signal
import time

import pytest

from lodge.runtime.exit_record import read_exit_record, read_monitor_record
from lodge.runtime.messages import (
    Attach,
    Created,
    Detached,
    ExecExited,
    ExecStarted,
    Execute,
    Exited,
    Failed,
    Launch,
    Pause,
    Processes,
    Query,
    Resize,
    Resume,
    Signal,
    Start,
    Started,
    Stats,
    Update,
)
from lodge.spec.runtime import Pids, Process, Resources
from tests.contract.runtime.conftest import House
from tests.contract.runtime.talk import Client, alive, wait_until_gone


def log_of(order: dict) -> bytes:
    with open(order["log"].path, "rb") as file:
        return file.read()


def test_everything_may_be_said_at_once(house: House) -> None:
    order = house.order("echo out; echo err >&2; exit 7")
    talk = house.talk(order)
    client, theirs = Client.pair()
    attach = talk.post(Attach, (theirs.fileno(),))
    theirs.close()
    start = talk.post(Start)
    created, started = talk.fact(Created), talk.fact(Started)
    assert created.pid == started.pid
    assert not isinstance(talk.answer(attach), Failed)
    assert not isinstance(talk.answer(start), Failed)
    exited = talk.fact(Exited)
    assert (exited.code, exited.error, exited.oom_killed) == (7, "", False)
    assert exited.at_ns >= started.at_ns
    talk.ended()
    assert client.frames() == {1: b"out\n", 2: b"err\n"}
    assert b'"log":"out\\n","stream":"stdout"' in log_of(order)
    assert b'"log":"err\\n","stream":"stderr"' in log_of(order)
    record = read_exit_record(order["state_dir"])
    assert record is not None
    assert (record.code, record.at_ns) == (7, exited.at_ns)
    assert not os.path.exists(f"{order['state_dir']}/monitor.sock")


def test_program_that_is_missing(house: House) -> None:
    order = house.order(["no-such-program"])
    talk = house.talk(order)
    start = talk.post(Start)
    exited = talk.fact(Exited)
    # Some look for the program when they create, some when they start.
    answer = talk.answers.get(start) or talk.answers[0]
    assert isinstance(answer, Failed)
    assert (answer.kind, answer.exit_code) == ("StartFailed", 127)
    assert "not found in $PATH" in answer.message
    if house.kind != "crun":
        assert 'exec: "no-such-program": executable file not found in $PATH' in answer.message
    assert exited.code == 127
    assert exited.error == answer.message
    talk.ended()
    record = read_exit_record(order["state_dir"])
    assert record is not None
    assert record.error == answer.message


def test_create_that_fails(house: House) -> None:
    if house.kind == "plain":
        order = house.order("true", cwd="/nowhere")
    else:
        order = house.order("true")
        order["config"].mounts[0].source = "/nowhere"
        order["config"].mounts[0].type = "bind"
        order["config"].mounts[0].options = ["bind"]
    talk = house.talk(order)
    answer = talk.answer(0)
    assert isinstance(answer, Failed)
    assert talk.fact(Exited).error == answer.message
    talk.ended()
    record = read_exit_record(order["state_dir"])
    assert record is not None
    assert record.error


def test_requests_of_the_wrong_phase_change_nothing(house: House) -> None:
    order = house.order("cat", stdin=True, stdin_once=True)
    talk = house.talk(order)
    talk.fact(Created)
    second = talk.ask(Launch, **house.order("true"))
    assert isinstance(second, Failed)
    assert second.kind == "Conflict"
    assert talk.ask(Query).phase == "created"
    talk.done(Start)
    assert talk.ask(Start).kind == "Conflict"
    assert talk.ask(Resume).kind == "Conflict"
    assert talk.ask(Signal, number=9, exec_id="nope").kind == "NotFound"
    assert talk.ask(Resize, rows=1, columns=1).kind == "Conflict"
    assert talk.ask(Query).phase == "running"
    reader, writer = os.pipe()
    for stray in (talk.ask(Query, (writer,)), talk.ask(Attach), talk.ask(Attach, (writer, writer))):
        assert isinstance(stray, Failed)
        assert stray.kind == "InvalidArgument"
    os.close(writer)
    assert os.read(reader, 1) == b""
    os.close(reader)
    client = talk.attach(stdin=True)
    client.send(b"still here\n")
    client.half_close()
    assert client.frames() == {1: b"still here\n"}
    assert talk.fact(Exited).code == 0


def test_exit_codes_and_signals(house: House) -> None:
    talk = house.started("sleep 60")
    pid = talk.ask(Query).pid
    assert alive(pid)
    talk.done(Signal, number=signal.SIGKILL)
    assert talk.fact(Exited).code == 137
    talk.ended()
    assert not alive(pid)


def test_all_processes_end_with_the_program(house: House) -> None:
    talk = house.started("sleep 60 & sleep 60 & echo ready; wait", log=None)
    deadline = time.monotonic() + 10
    while len(pids := talk.ask(Processes).pids) < (3 if house.isolated else 1):
        assert time.monotonic() < deadline
    talk.done(Signal, number=signal.SIGKILL)
    assert talk.fact(Exited).code == 137
    for pid in pids:
        wait_until_gone(pid)


def test_stdin_ends_with_the_client_when_once(house: House) -> None:
    talk = house.created("cat; echo end", stdin=True, stdin_once=True)
    client = talk.attach(stdin=True, received=b"read already, ")
    talk.done(Start)
    client.send(b"then sent\n")
    client.half_close()
    assert client.frames() == {1: b"read already, then sent\nend\n"}
    assert talk.fact(Exited).code == 0


def test_stdin_stays_open_for_the_next_client(house: House) -> None:
    talk = house.started("cat", stdin=True)
    first = talk.attach(stdin=True)
    first.send(b"one\n")
    assert b"one\n" in first.read_until(b"one\n")
    first.half_close()
    # As with Docker, the end of its input ends the session.
    assert first.read_all() == b""
    second = talk.attach(stdin=True)
    second.send(b"two\n")
    assert b"two\n" in second.read_until(b"two\n")
    talk.done(Signal, number=9)
    talk.fact(Exited)


def test_program_without_stdin_reads_an_end(house: House) -> None:
    talk = house.created("cat; echo end")
    client = talk.attach(stdin=True)
    talk.done(Start)
    assert client.frames() == {1: b"end\n"}
    talk.fact(Exited)


def test_large_input_and_output_pass_unharmed(house: House) -> None:
    talk = house.created("cat", stdin=True, stdin_once=True, log=None)
    client = talk.attach(stdin=True)
    talk.done(Start)
    data = os.urandom(3_000_000)
    pid = os.fork()
    if pid == 0:
        client.send(data)
        client.half_close()
        os._exit(0)
    frames = client.frames()
    os.waitpid(pid, 0)
    assert frames == {1: data}
    talk.fact(Exited)


def test_terminal(house: House) -> None:
    script = "stty size; read line; echo got $line; stty size; exit 4"
    talk = house.created(script, terminal=True, stdin=True, window=(33, 99))
    client = talk.attach(stdin=True, framed=False)
    talk.done(Start)
    assert b"33 99" in client.read_until(b"99")
    talk.done(Resize, rows=44, columns=111)
    client.send(b"hello\r")
    rest = client.read_all()
    assert b"got hello\r\n" in rest
    assert b"44 111" in rest
    assert talk.fact(Exited).code == 4


def test_detach_keys_leave_the_program_alone(house: House) -> None:
    talk = house.started("cat", terminal=True, stdin=True)
    client = talk.attach(stdin=True, framed=False, detach_keys=b"\x10\x11")
    client.send(b"before\r")
    client.read_until(b"before\r\nbefore\r\n")
    client.send(b"\x10")
    client.send(b"\x11after\r")
    assert client.read_all() == b""
    assert talk.fact(Detached).exec_id is None
    again = talk.attach(stdin=True, framed=False)
    again.send(b"again\r")
    assert b"after" not in again.read_until(b"again\r\nagain\r\n")
    talk.done(Signal, number=9)
    talk.fact(Exited)


def test_replay_is_seamless(house: House) -> None:
    script = (
        "i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done; printf unfinished; read x; echo ,end"
    )
    talk = house.created(script, stdin=True, stdin_once=True)
    talk.done(Start)
    time.sleep(0.05)
    early = talk.attach(replay=True)
    time.sleep(0.3)
    late = talk.attach(replay=True, stdin=True)
    late.send(b"\n")
    expected = b"".join(b"line %d\n" % number for number in range(3000)) + b"unfinished,end\n"
    assert early.frames() == {1: expected}
    assert late.frames() == {1: expected}
    talk.fact(Exited)


def test_replay_alone_ends(house: House) -> None:
    talk = house.started("echo x; echo y >&2; sleep 60")
    time.sleep(0.3)
    assert talk.attach(replay=True, live=False).frames() == {1: b"x\n", 2: b"y\n"}
    assert talk.attach(replay=True, live=False, stdout=False).frames() == {2: b"y\n"}
    talk.done(Signal, number=9)
    talk.fact(Exited)


def test_exec_has_streams_and_a_code(house: House) -> None:
    talk = house.started("sleep 60")
    client, answer = talk.execute("e1", ["sh", "-c", "read x; echo $x; echo err >&2; exit 5"], stdin=True)
    assert talk.fact(ExecStarted).pid == answer.pid
    client.send(b"in\n")
    assert client.frames() == {1: b"in\n", 2: b"err\n"}
    assert talk.fact(ExecExited, exec_id="e1").code == 5
    again = talk.ask(Execute, exec_id="e1", process=Process(cwd="/", args=["true"]))
    assert again.kind == "Conflict"
    report = talk.ask(Query)
    assert [(each.exec_id, each.code) for each in report.execs] == [("e1", 5)]
    talk.done(Signal, number=9)
    talk.fact(Exited)


def test_exec_stdin_ends_with_the_client(house: House) -> None:
    talk = house.started("sleep 60")
    client, _ = talk.execute("e", ["cat"], stdin=True)
    client.send(b"x")
    client.half_close()
    assert client.frames() == {1: b"x"}
    assert talk.fact(ExecExited).code == 0
    talk.done(Signal, number=9)
    talk.fact(Exited)


def test_exec_that_can_not_start_says_so_in_its_stream(house: House) -> None:
    talk = house.started("sleep 60")
    client, answer = talk.execute("e", ["no-such-program"])
    assert isinstance(answer, Failed)
    assert (answer.kind, answer.exit_code) == ("StartFailed", 127)
    expected = answer.message
    if house.kind != "crun":
        assert expected == (
            "OCI runtime exec failed: exec failed: unable to start container process: "
            'exec: "no-such-program": executable file not found in $PATH'
        )
    assert client.frames() == {1: expected.encode() + b"\r\n"}
    assert talk.fact(ExecExited).code == 127
    talk.done(Signal, number=9)
    talk.fact(Exited)


def test_many_execs_at_once(house: House) -> None:
    talk = house.started("sleep 60")
    count = 5 if house.kind in ("crun", "runc") else 20
    clients = {
        n: talk.execute(str(n), ["sh", "-c", f"sleep 0.1; echo {n}; exit {n}"])[0] for n in range(count)
    }
    for number, client in clients.items():
        assert client.frames() == {1: b"%d\n" % number}
        assert talk.fact(ExecExited, exec_id=str(number)).code == number
    talk.done(Signal, number=9)
    talk.fact(Exited)


def test_exec_terminal_detach_and_resize(house: House) -> None:
    talk = house.started("sleep 60")
    fields = {"terminal": True, "stdin": True, "framed": False, "detach_keys": b"xy", "window": (20, 30)}
    client, _ = talk.execute("t", ["sh", "-c", "stty size; read a; stty size; cat"], **fields)
    client.read_until(b"20 30")
    talk.done(Resize, exec_id="t", rows=21, columns=31)
    client.send(b"\r")
    client.read_until(b"21 31")
    client.send(b"xy")
    client.read_all()
    assert talk.fact(Detached).exec_id == "t"
    assert talk.ask(Query).execs[0].pid > 0
    talk.done(Signal, exec_id="t", number=9)
    assert talk.fact(ExecExited).code == 137
    talk.done(Signal, number=9)
    talk.fact(Exited)


def test_detached_exec(house: House) -> None:
    talk = house.started("sleep 60")
    answer = talk.done(
        Execute, exec_id="d", process=Process(cwd="/", args=["/bin/sh", "-c", "echo x; exit 3"])
    )
    assert answer.pid > 0
    assert talk.fact(ExecExited, exec_id="d").code == 3
    talk.done(Signal, number=9)
    talk.fact(Exited)


def test_execs_end_with_the_container(house: House) -> None:
    order = house.order("sleep 60")
    talk = house.talk(order)
    talk.done(Start)
    client, answer = talk.execute("e", ["sleep", "60"])
    talk.done(Signal, number=9)
    assert talk.fact(Exited).code == 137
    assert client.read_all() == b""
    wait_until_gone(answer.pid)
    record = read_exit_record(order["state_dir"])
    assert record is not None
    assert record.execs == {"e": 137}


def test_pause_and_resume(house: House) -> None:
    talk = house.started("while true; do echo tick; sleep 0.02; done", log=None)
    client = talk.attach(framed=False)
    client.read_until(b"tick")
    talk.done(Pause)
    assert talk.ask(Query).phase == "paused"
    assert talk.ask(Pause).kind == "Conflict"
    assert talk.ask(Execute, exec_id="p", process=Process(cwd="/", args=["true"])).kind == "Conflict"
    time.sleep(0.1)
    client.socket.setblocking(False)
    try:
        while client.socket.recv(65536):
            pass
    except BlockingIOError:
        pass
    time.sleep(0.15)
    with pytest.raises(BlockingIOError):
        client.socket.recv(1)
    talk.done(Resume)
    client.socket.settimeout(10)
    client.read_until(b"tick")
    talk.done(Pause)
    talk.done(Resume)
    talk.done(Signal, number=9)
    assert talk.fact(Exited).code == 137


def test_update_stats_and_processes(house: House) -> None:
    talk = house.started("sleep 60")
    talk.done(Update, resources=Resources(pids=Pids(limit=100)))
    figures = talk.done(Stats)
    assert b"pids" in bytes(figures.stats)
    assert talk.ask(Query).pid in talk.done(Processes).pids
    talk.done(Signal, number=9)
    talk.fact(Exited)


def test_several_engines_hear_the_facts(house: House) -> None:
    order = house.order("sleep 60")
    first = house.talk(order)
    first.done(Start)
    second = house.connect(order)
    assert second.ask(Query).phase == "running"
    second.execute("e", ["true"])
    for talk in (first, second):
        assert talk.fact(ExecExited, exec_id="e").code == 0
    first.close()
    second.done(Signal, number=9)
    assert second.fact(Exited).code == 137
    second.ended()


def test_container_goes_on_without_an_engine(house: House) -> None:
    order = house.order("read x; echo $x; exit 6", stdin=True, stdin_once=True)
    talk = house.talk(order)
    client = talk.attach(stdin=True)
    talk.done(Start)
    talk.fact(Started)
    talk.close()
    again = house.connect(order)
    report = again.ask(Query)
    assert (report.phase, report.id, report.attached) == ("running", order["id"], 1)
    again.close()
    client.send(b"goes on\n")
    assert client.frames() == {1: b"goes on\n"}
    deadline = time.monotonic() + 10
    while (record := read_exit_record(order["state_dir"])) is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert record.code == 6


def test_monitor_is_in_the_record(house: House) -> None:
    order = house.order("sleep 60")
    talk = house.talk(order)
    talk.done(Start)
    record = read_monitor_record(order["state_dir"])
    assert record is not None
    assert record.id == order["id"]
    assert record.monitor.alive
    assert record.init is not None
    assert record.init.alive
    assert record.init.pid == talk.ask(Query).pid
    talk.done(Signal, number=9)
    talk.fact(Exited)
    talk.ended()
    wait_until_gone(record.monitor.pid)


def test_state_directory_serves_again(house: House) -> None:
    order = house.order("exit 1")
    first = house.talk(order)
    first.done(Start)
    assert first.fact(Exited).code == 1
    second = house.talk(order)
    second.done(Start)
    assert second.fact(Exited).code == 1
    assert second.fact(Started).at_ns > 0
