"""A program's streams on the host: the keeper's ends and the porter's."""

from __future__ import annotations

import os
import socket

from lodge.runtime.contract import StdioRequest, Streams
from lodge.runtime.vm.channel import Pipe


def open_streams(stdio: StdioRequest, ours: Streams) -> tuple[Pipe, list[int]]:
    """Fill in our ends; which pipes the porter gets, and its ends in the order of their bits.

    The terminal itself is in the machine: here a socket takes its place.
    """
    if stdio.inherit is not None:
        return Pipe(0), []
    if stdio.terminal:
        mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        ours.terminal = mine.detach()
        return Pipe.TERMINAL, [theirs.detach()]
    pipes, fds = Pipe.STDOUT | Pipe.STDERR, []
    if stdio.stdin:
        stdin, ours.stdin = os.pipe2(os.O_CLOEXEC)
        pipes |= Pipe.STDIN
        fds.append(stdin)
    ours.stdout, stdout = os.pipe2(os.O_CLOEXEC)
    ours.stderr, stderr = os.pipe2(os.O_CLOEXEC)
    return pipes, [*fds, stdout, stderr]
