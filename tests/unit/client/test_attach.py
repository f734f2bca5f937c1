"""The pump between a terminal's descriptors and an attached stream."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodge.client.attach import Attachment, DetachScanner, parse_detach_keys
from lodge.client.http1 import Response
from lodge.errors import InvalidArgument
from lodge.wire.frames import STDERR, STDOUT, encode


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("ctrl-p,ctrl-q", b"\x10\x11"),
        ("ctrl-A", b"\x01"),
        ("a,b", b"ab"),
        ("ctrl-@,ctrl-[,ctrl-\\,ctrl-],ctrl-^,ctrl-_", b"\x00\x1b\x1c\x1d\x1e\x1f"),
        ("", b""),
    ],
)
def test_detach_keys_are_read(text: str, keys: bytes) -> None:
    assert parse_detach_keys(text) == keys


@pytest.mark.parametrize("text", ["ctrl-", "ctrl-1", "abc", "a,,b", "ä"])
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match="Unknown character"):
        parse_detach_keys(text)


@given(st.lists(st.binary(max_size=5), max_size=10))
def test_input_without_the_sequence_passes_unchanged_but_for_a_held_beginning(pieces: list[bytes]) -> None:
    keys = b"\x10\x11"
    typed = b"".join(pieces)
    scanner = DetachScanner(keys)
    passed = b""
    detached = False
    for piece in pieces:
        found, detached = scanner.feed(piece)
        passed += found
        if detached:
            break
    if keys in typed:
        assert detached
        assert passed == typed[: typed.index(keys)]
    else:
        assert not detached
        assert passed == (typed[:-1] if typed.endswith(b"\x10") else typed)


@contextmanager
def attached(stdin: bytes | None, *, multiplexed: bool = True, keys: bytes = b"") -> Iterator[tuple]:
    """(attachment, the daemon's end, a function that gives stdout and stderr after the end)."""
    ours, theirs = socket.socketpair()
    out_reader, out = os.pipe()
    err_reader, err = os.pipe()
    source = None
    if stdin is not None:
        source, typing = os.pipe()
        threading.Thread(target=_type, args=(typing, stdin), daemon=True).start()

    def outputs() -> tuple[bytes, bytes]:
        os.close(out)
        os.close(err)
        return _all(out_reader), _all(err_reader)

    attachment = Attachment(
        Response(ours, 101, {}, b""),
        stdin=source,
        stdout=out,
        stderr=err,
        multiplexed=multiplexed,
        detach_keys=keys,
    )
    try:
        yield attachment, theirs, outputs
    finally:
        attachment.close()
        theirs.close()
        for descriptor in (out_reader, err_reader, source):
            if descriptor is not None:
                os.close(descriptor)


def _type(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(descriptor, view) :]
    except BrokenPipeError:
        pass  # nobody wants the rest
    os.close(descriptor)


def _all(descriptor: int) -> bytes:
    data = b""
    while piece := os.read(descriptor, 1 << 16):
        data += piece
    return data


def test_frames_go_to_their_descriptors() -> None:
    with attached(None) as (attachment, daemon, outputs):
        daemon.sendall(encode(STDOUT, b"out") + encode(STDERR, b"err") + encode(STDOUT, b"!"))
        daemon.close()
        assert attachment.run() is False
        assert outputs() == (b"out!", b"err")


def test_a_terminal_stream_is_raw() -> None:
    with attached(None, multiplexed=False) as (attachment, daemon, outputs):
        daemon.sendall(b"\x01\0\0not a frame")
        daemon.close()
        attachment.run()
        assert outputs()[0] == b"\x01\0\0not a frame"


def test_the_end_of_input_is_passed_on_and_output_still_comes() -> None:
    def echo(daemon: socket.socket) -> None:
        data = b""
        while piece := daemon.recv(100):
            data += piece
        daemon.sendall(encode(STDOUT, data.upper()))
        daemon.shutdown(socket.SHUT_RDWR)

    with attached(b"hello") as (attachment, daemon, outputs):
        thread = threading.Thread(target=echo, args=(daemon,))
        thread.start()
        assert attachment.run() is False
        thread.join()
        assert outputs()[0] == b"HELLO"


def test_much_both_ways_locks_nobody() -> None:
    """A program that writes all it reads, byte for byte, while its reader is slow: no side waits for ever."""
    size = 3_000_000

    def echo(daemon: socket.socket) -> None:
        while piece := daemon.recv(1 << 16):
            daemon.sendall(piece)
        daemon.shutdown(socket.SHUT_RDWR)

    with attached(os.urandom(size), multiplexed=False) as (attachment, daemon, _):
        reader, writer = os.pipe()
        attachment._outputs = (writer, writer, writer, writer)
        received: list[bytes] = []
        collect = threading.Thread(target=lambda: received.append(_all(reader)))
        threads = [threading.Thread(target=echo, args=(daemon,)), collect]
        for thread in threads:
            thread.start()
        attachment.run()
        os.close(writer)
        for thread in threads:
            thread.join(20)
        os.close(reader)
        assert len(received[0]) == size


def test_the_detach_sequence_ends_the_session() -> None:
    with attached(b"ab\x10\x11cd", multiplexed=False, keys=b"\x10\x11") as (attachment, daemon, _):
        assert attachment.run() is True
        assert daemon.recv(100) == b"ab"


def test_a_program_that_closes_its_input_does_not_end_the_output() -> None:
    with attached(b"x" * 1_000_000) as (attachment, daemon, outputs):
        daemon.shutdown(socket.SHUT_RD)

        def finish() -> None:
            daemon.sendall(encode(STDOUT, b"done"))
            daemon.shutdown(socket.SHUT_WR)

        thread = threading.Timer(0.05, finish)
        thread.start()
        assert attachment.run() is False
        thread.join()
        assert outputs()[0] == b"done"


def test_another_descriptor_can_be_watched() -> None:
    with attached(None) as (attachment, daemon, _):
        reader, writer = os.pipe()
        seen: list[bytes] = []

        def happened() -> None:
            seen.append(os.read(reader, 10))
            daemon.shutdown(socket.SHUT_RDWR)

        os.write(writer, b"!")
        assert attachment.run({reader: happened}) is False
        assert seen == [b"!"]
        os.close(reader)
        os.close(writer)
