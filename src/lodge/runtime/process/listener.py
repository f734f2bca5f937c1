"""Handing a seccomp listener to the agent that the config names.

Source: config-linux.md, The Container Process State. The agent (its unix socket is `listenerPath`) gets the
state as JSON and the files by SCM_RIGHTS, in the order that `fds` names.
"""

from __future__ import annotations

import os
import socket

from lodge.errors import InvalidArgument, StartFailed
from lodge.kernel import sockets
from lodge.kernel.process import pidfd_getfd, pidfd_open
from lodge.runtime.process.handshake import Channel, Listening
from lodge.spec.runtime import Linux, State, Text, encode


class ContainerProcessState(Text, omit_defaults=False):
    """What the agent learns."""

    oci_version: str
    fds: list[str]
    pid: int
    metadata: str
    state: State


def check_listener(linux: Linux) -> None:
    """InvalidArgument when a filter wants a listener and nobody is to get it."""
    profile = linux.seccomp
    if profile is None:
        return
    notifies = any(rule.action == "SCMP_ACT_NOTIFY" for rule in profile.syscalls)
    if notifies and not profile.listener_path:
        raise InvalidArgument("seccomp: SCMP_ACT_NOTIFY needs a listenerPath")


def hand_over(linux: Linux, state: State, pid: int, number: int, channel: Channel) -> None:
    """Fetch the child's descriptor `number`, send it and a pidfd to the agent, let the child go on."""
    profile = linux.seccomp
    assert profile is not None
    pidfd = pidfd_open(pid)
    listener = -1
    try:
        listener = pidfd_getfd(pidfd, number)
        message = ContainerProcessState(
            oci_version=state.oci_version,
            fds=["seccompFd", "pidFd"],
            pid=pid,
            metadata=profile.listener_metadata,
            state=state,
        )
        _send(profile.listener_path, encode(message), [listener, pidfd])
    finally:
        os.close(pidfd)
        if listener >= 0:
            os.close(listener)
    channel.send(Listening())


def _send(path: str, text: bytes, fds: list[int]) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        try:
            sock.connect(path)
            sockets.send(sock, text, fds)
        except OSError as error:
            raise StartFailed(f"seccomp listenerPath {path}: {error.strerror}") from None
