"""Loading: a filter works in a process that may load one, and only there."""

import errno
import os
import socket
from collections.abc import Callable

import pytest

from lodge.kernel import process, seccomp
from lodge.kernel.seccomp_default import default_profile
from lodge.kernel.syscalls import MACHINE, SYS_UNSHARE, syscall
from lodge.spec.runtime import Seccomp, SeccompRule


def in_fork(action: Callable[[], object]) -> str:
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            text = f"{action()}"
        except BaseException as error:
            text = f"{type(error).__name__}: {error}"
        os.write(write, text.encode())
        os._exit(0)
    os.close(write)
    with open(read, "rb") as file:
        text = file.read().decode()
    os.waitpid(pid, 0)
    return text


def outcome(action: Callable[[], object]) -> str:
    try:
        action()
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return "ok"


def test_the_default_profile_lets_a_program_live() -> None:
    program = seccomp.compile(default_profile(frozenset()))

    def live() -> list[str]:
        process.set_no_new_privs()
        assert seccomp.load(program) is None
        pid = os.fork()
        if pid == 0:
            os._exit(3)
        return [
            str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])),
            outcome(lambda: socket.socket().close()),
            outcome(lambda: socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET).close()),
            outcome(lambda: socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM).close()),
            outcome(lambda: syscall(SYS_UNSHARE, 0x10000000)),
            outcome(lambda: syscall(100_000)),
        ]

    assert in_fork(live) == "['3', 'ok', 'EPERM', 'EPERM', 'EPERM', 'ENOSYS']"


def test_a_listener_is_returned() -> None:
    profile = Seccomp(
        default_action="SCMP_ACT_ALLOW",
        syscalls=[SeccompRule(names=["mkdir", "mkdirat"], action="SCMP_ACT_NOTIFY")],
    )
    program = seccomp.compile(profile)

    def load() -> str:
        process.set_no_new_privs()
        fd = seccomp.load(program, seccomp.flag_bits(profile))
        assert fd is not None
        return os.readlink(f"/proc/self/fd/{fd}")

    assert "seccomp notify" in in_fork(load)


def test_a_broken_program_is_refused() -> None:
    def load() -> None:
        process.set_no_new_privs()
        seccomp.load(b"\xff" * 8)

    assert "Invalid argument" in in_fork(load)


@pytest.mark.skipif(MACHINE != "x86_64", reason="clone's flags are its first argument here")
def test_new_namespaces_need_a_capability() -> None:
    program = seccomp.compile(default_profile(frozenset({"CAP_SYS_ADMIN"})))

    def clone() -> str:
        process.set_no_new_privs()
        seccomp.load(program)
        # No filter in the way: what remains is the kernel's own opinion of no flags at all.
        return outcome(lambda: syscall(SYS_UNSHARE, 0))

    assert in_fork(clone) == "ok"
