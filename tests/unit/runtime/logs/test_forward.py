"""Output sent on to log services: what arrives there, and what happens when nobody is there."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from lodge.errors import InvalidArgument, Unavailable, Unsupported
from lodge.runtime.logs import journald, syslog
from lodge.runtime.logs.forward import WAITING, Forwarder, Place
from lodge.runtime.logs.services import open_forwarder
from lodge.runtime.logs.sink import LogSink
from lodge.runtime.messages import Forward, LogSpec
from lodge.spec.streams import STDERR, STDOUT

AT = 1_700_000_000_123_456_789


def wish(**options: str) -> Forward:
    return Forward(
        driver="syslog",
        options={name.replace("_", "-"): value for name, value in options.items()},
        tag="box",
        container_id="c" * 64,
        container_name="/box",
        image_name="busybox",
        attributes={"com.example.team": "a"},
    )


@pytest.fixture
def service(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "log"))
        listening.settimeout(5)
        yield listening


def nothing(message: str, dropped: int) -> None:
    raise AssertionError(f"{message} {dropped}")


def test_lines_arrive_at_a_local_syslog(service: socket.socket) -> None:
    sink = LogSink(
        LogSpec(driver="none", forward=wish(syslog_address=f"unixgram://{service.getsockname()}")), nothing
    )
    sink.write(STDOUT, b"one\ntwo\nhalf")
    sink.write(STDERR, b"bad\n")
    sink.close()
    got = [service.recv(4096) for _ in range(4)]
    assert [m.rpartition(b": ")[2] for m in got] == [b"one\n", b"two\n", b"bad\n", b"half\n"]
    # daemon is 3; standard output informs (6), standard error is an error (3).
    assert [m.partition(b">")[0] for m in got] == [b"<30", b"<30", b"<27", b"<30"]


@pytest.mark.parametrize(
    ("form", "pattern"),
    [
        ("", r"<30>\w{3} [ \d]\d \d\d:\d\d:\d\d box\[\d+\]: line\n"),
        ("rfc3164", r"<30>\w{3} [ \d]\d \d\d:\d\d:\d\d \S+ box\[\d+\]: line\n"),
        ("rfc5424", r"<30>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d) \S+ box \d+ box - line\n"),
        (
            "rfc5424micro",
            r"<30>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.123456(Z|[+-]\d\d:\d\d) \S+ box \d+ box - line\n",
        ),
    ],
)
def test_the_forms_of_syslog(form: str, pattern: str) -> None:
    made = syslog.Formatter(wish(syslog_format=form)).message(STDOUT, b"line", AT, False)
    assert re.fullmatch(pattern, made.decode())


def test_places_of_syslog() -> None:
    assert syslog.address(wish(syslog_address="udp://127.0.0.1")) == Place(
        socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 514)
    )
    assert syslog.address(wish(syslog_address="tcp://[::1]:1514")) == Place(
        socket.AF_INET6, socket.SOCK_STREAM, ("::1", 1514)
    )


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"syslog-format": "x"}, InvalidArgument),
        ({"syslog-facility": "local8"}, InvalidArgument),
        ({"syslog-address": "http://x"}, InvalidArgument),
        ({"syslog-address": "unix://relative"}, InvalidArgument),
        ({"syslog-address": "tcp://x:y"}, InvalidArgument),
        ({"syslog-address": "tcp+tls://x:1"}, Unsupported),
    ],
)
def test_options_of_syslog_that_make_no_sense(options: dict[str, str], kind: type[Exception]) -> None:
    with pytest.raises(kind):
        syslog.check(options)


def test_the_journal_gets_fields() -> None:
    made = journald.Formatter(wish()).message(STDERR, b"line", AT, True)
    fields = dict(entry.split(b"=", 1) for entry in made.splitlines())
    assert fields[b"MESSAGE"] == b"line"
    assert fields[b"PRIORITY"] == b"3"
    assert fields[b"CONTAINER_ID"] == b"c" * 12
    assert fields[b"COM_EXAMPLE_TEAM"] == b"a"
    assert fields[b"CONTAINER_PARTIAL_MESSAGE"] == b"true"
    assert journald.field("A", b"x\ny") == b"A\n\x03\0\0\0\0\0\0\0x\ny\n"


def test_a_service_that_is_not_there_fails_the_start(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"initialize logging driver: dial unix://.*: no such file"):
        open_forwarder(wish(syslog_address=f"unix://{tmp_path}/none"), nothing)


def test_a_service_that_goes_away_and_comes_back(tmp_path: Path) -> None:
    told: list[str] = []
    place = str(tmp_path / "log")
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listening.bind(place)
    forwarder = Forwarder(
        syslog.Formatter(wish()),
        Place(socket.AF_UNIX, socket.SOCK_DGRAM, place),
        lambda message, _dropped: told.append(message),
    )
    listening.close()
    Path(place).unlink()
    forwarder.send(STDOUT, b"meanwhile\n", AT)
    assert len(told) == 1
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as again:
        again.bind(place)
        forwarder.send(STDOUT, b"after\n", AT)
        assert [again.recv(4096).rpartition(b": ")[2] for _ in range(2)] == [b"meanwhile\n", b"after\n"]
    forwarder.close()


def test_a_service_that_does_not_read_costs_a_bounded_queue(service: socket.socket) -> None:
    told: list[int] = []
    forwarder = Forwarder(
        syslog.Formatter(wish()),
        Place(socket.AF_UNIX, socket.SOCK_DGRAM, service.getsockname()),
        lambda _message, dropped: told.append(dropped),
    )
    for _ in range(2000):
        forwarder.send(STDOUT, b"x" * 1000 + b"\n", AT)
    assert forwarder.dropped > 2_000_000 - WAITING - 500_000
    assert told
    forwarder.close()
