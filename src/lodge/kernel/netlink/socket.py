"""A netlink socket: several requests in one system call, each acknowledged; dumps; notifications.

A socket belongs to the namespace in which it was made and stays there, wherever its owner's threads go. One
caller at a time.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from collections.abc import Collection, Sequence
from types import TracebackType
from typing import Self

from lodge.kernel.netlink.wire import (
    NLM_F_ACK,
    NLM_F_DUMP,
    NLMSG_DONE,
    NLMSG_ERROR,
    Answer,
    Request,
    as_text,
    by_type,
    messages,
)

NETLINK_ROUTE = 0
NETLINK_NETFILTER = 12

_SOL_NETLINK = 270
_NETLINK_ADD_MEMBERSHIP = 1
_NETLINK_CAP_ACK = 10
_NETLINK_EXT_ACK = 11
_NETLINK_GET_STRICT_CHK = 12

_SO_ATTACH_FILTER = 26
_SO_SNDBUFFORCE = 32

_NLM_F_DUMP_INTR = 0x10
_NLM_F_CAPPED = 0x100
_NLM_F_ACK_TLVS = 0x200
_NLMSGERR_ATTR_MSG = 1

_ERROR = struct.Struct("=i")
_RECEIVE = 1 << 18
_PATIENCE = struct.pack("@qq", 30, 0)


class Refused(OSError):
    """The kernel's no to one request: errno, its own words where it gave some, and which request it was."""

    def __init__(self, code: int, words: str, position: int) -> None:
        super().__init__(code, f"{os.strerror(code)}: {words}" if words else os.strerror(code))
        self.position = position


class NetlinkSocket:
    """One conversation with the kernel, in the namespace of the thread that makes it."""

    def __init__(self, protocol: int = NETLINK_ROUTE, *, groups: Sequence[int] = ()) -> None:
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC
        self._socket = socket.socket(socket.AF_NETLINK, kind, protocol)
        try:
            self._socket.bind((0, 0))
            for option in (_NETLINK_CAP_ACK, _NETLINK_EXT_ACK):
                self._socket.setsockopt(_SOL_NETLINK, option, 1)
            if protocol == NETLINK_ROUTE:
                self._socket.setsockopt(_SOL_NETLINK, _NETLINK_GET_STRICT_CHK, 1)
            for group in groups:
                self._socket.setsockopt(_SOL_NETLINK, _NETLINK_ADD_MEMBERSHIP, group)
            if not groups:
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _PATIENCE)
        except OSError:
            self._socket.close()
            raise
        self._sequence = 1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def fileno(self) -> int:
        """The descriptor, for poll(2)."""
        return self._socket.fileno()

    def address(self) -> int:
        """The number by which the kernel knows this socket (`nl_pid`)."""
        port: int = self._socket.getsockname()[0]
        return port

    def close(self) -> None:
        """Close it; twice does no harm."""
        self._socket.close()

    def try_all(self, requests: Sequence[Request]) -> list[Refused | None]:
        """Send all in one system call; the kernel does one after the other, also after a refusal."""
        if not requests:
            return []
        first = self._sequence
        self._sequence += len(requests)
        last = self._sequence - 1
        self._socket.send(b"".join(r.pack(first + i, NLM_F_ACK) for i, r in enumerate(requests)))
        results: list[Refused | None] = [None] * len(requests)
        answered = 0
        while answered < len(requests):
            for answer in messages(self._socket.recv(_RECEIVE)):
                if answer.kind == NLMSG_ERROR and first <= answer.sequence <= last:
                    position = answer.sequence - first
                    results[position] = parse_refusal(answer, position)
                    answered += 1
        return results

    def do(self, *requests: Request, tolerate: Collection[int] = ()) -> None:
        """Do all of them; raises the first refusal whose errno is not tolerated, after all were tried."""
        for refused in self.try_all(requests):
            if refused is not None and refused.errno not in tolerate:
                raise refused

    def ask(self, request: Request) -> list[Answer]:
        """Every message that answers one request: one object, or all of them with NLM_F_DUMP.

        A dump that the kernel calls interrupted (objects changed meanwhile) is asked for again.
        """
        for _ in range(8):
            answers, interrupted = self._ask_once(request)
            if not interrupted:
                break
        return answers

    def _ask_once(self, request: Request) -> tuple[list[Answer], bool]:
        sequence = self._sequence
        self._sequence += 1
        dump = request.flags & NLM_F_DUMP == NLM_F_DUMP
        self._socket.send(request.pack(sequence, 0 if dump else NLM_F_ACK))
        answers: list[Answer] = []
        interrupted = False
        while True:
            for answer in messages(self._socket.recv(_RECEIVE)):
                if answer.sequence != sequence:
                    continue
                interrupted = interrupted or bool(answer.flags & _NLM_F_DUMP_INTR)
                if answer.kind == NLMSG_DONE:
                    return answers, interrupted
                if answer.kind == NLMSG_ERROR:
                    refused = parse_refusal(answer, 0)
                    if refused is not None:
                        raise refused
                    return answers, interrupted
                answers.append(answer)

    def transact(self, packed: bytes, last: int) -> None:
        """Send bytes that were packed ahead and read until the acknowledgement of sequence number `last`.

        For the batches of nf_tables: refusals come for single messages, the acknowledgement only for the
        one that asked for it. Raises the first refusal.
        """
        self._socket.send(packed)
        first: Refused | None = None
        while True:
            for answer in messages(self._socket.recv(_RECEIVE)):
                if answer.kind != NLMSG_ERROR:
                    continue
                refused = parse_refusal(answer, answer.sequence)
                first = first or refused
                if answer.sequence == last or answer.sequence == 0:
                    if first is not None:
                        raise first
                    return

    def grow(self, size: int) -> None:
        """Let one message be this long: SO_SNDBUFFORCE."""
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, size)

    def drop_notices_of(self, address: int) -> None:
        """Hear nothing of what another socket caused: a filter of bpf(4) on the header's `nlmsg_pid`."""
        swapped = int.from_bytes(address.to_bytes(4, "little"), "big")
        program = b"".join(
            struct.pack("=HBBI", *instruction)
            for instruction in (
                (0x20, 0, 0, 12),  # load the word at 12
                (0x15, 0, 1, swapped),  # when it is this one
                (0x06, 0, 0, 0),  # drop
                (0x06, 0, 0, 0xFFFFFFFF),  # else keep
            )
        )
        buffer = ctypes.create_string_buffer(program, len(program))
        filter_program = struct.pack("@HP", len(program) // 8, ctypes.addressof(buffer))
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, filter_program)

    def events(self) -> list[Answer]:
        """What a socket with groups has heard; blocks for the first. OSError ENOBUFS when some were lost."""
        return list(messages(self._socket.recv(_RECEIVE)))


def parse_refusal(answer: Answer, position: int) -> Refused | None:
    """What an NLMSG_ERROR says; None for an acknowledgement."""
    (code,) = _ERROR.unpack_from(answer.body)
    if code == 0:
        return None
    words = ""
    if answer.flags & _NLM_F_ACK_TLVS:
        # With NETLINK_CAP_ACK only the header of the request is repeated.
        offset = _ERROR.size + 16
        if not answer.flags & _NLM_F_CAPPED:
            (length,) = struct.unpack_from("=I", answer.body, _ERROR.size)
            offset = _ERROR.size + ((length + 3) & ~3)
        words = as_text(by_type(answer.body, offset).get(_NLMSGERR_ATTR_MSG, b""))
    return Refused(-code, words, position)
