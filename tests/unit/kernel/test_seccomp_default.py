"""Docker's default profile: what it allows, refuses and makes depend on capabilities."""

import errno

import pytest

from lodge.kernel import seccomp
from lodge.kernel.capabilities import NAMES
from lodge.kernel.namespaces import CLONE_NEWNS, CLONE_NEWUSER
from lodge.kernel.seccomp_default import default_profile
from lodge.kernel.syscalls import MACHINE
from tests.unit.kernel.seccomp.machine import ALLOW, ERRNO, I386, answer

pytestmark = pytest.mark.skipif(MACHINE != "x86_64", reason="the numbers below are those of x86_64")

EPERM = ERRNO | errno.EPERM
SOCKET, CLONE, CLONE3, MOUNT, PERSONALITY, PTRACE, KEYCTL, IO_URING, REBOOT, BPF, SYSLOG, CHROOT = (
    41, 56, 435, 165, 135, 101, 250, 425, 169, 321, 103, 161,
)  # fmt: skip


@pytest.fixture(scope="module")
def plain() -> bytes:
    return seccomp.compile(default_profile(frozenset()))


@pytest.fixture(scope="module")
def admin() -> bytes:
    return seccomp.compile(default_profile(frozenset({"CAP_SYS_ADMIN"})))


@pytest.mark.parametrize("number", [0, 1, 59, 57, 231, 39, 257, PTRACE, 158, 322, 449])
def test_everyday_calls_are_allowed(plain: bytes, number: int) -> None:
    assert answer(plain, number) == ALLOW


@pytest.mark.parametrize(
    "number", [MOUNT, KEYCTL, IO_URING, REBOOT, BPF, SYSLOG, CHROOT, 272, 308, 155, 246, 313, 227, 248]
)
def test_dangerous_calls_are_refused(plain: bytes, number: int) -> None:
    assert answer(plain, number) == EPERM


def test_sockets_of_all_families_but_two(plain: bytes) -> None:
    refused = {family for family in range(64) if answer(plain, SOCKET, [family]) != ALLOW}
    assert refused == {38, 40}


def test_clone_without_new_namespaces(plain: bytes, admin: bytes) -> None:
    assert answer(plain, CLONE, [17]) == ALLOW
    for flag in (CLONE_NEWUSER, CLONE_NEWNS):
        assert answer(plain, CLONE, [17 | flag]) == EPERM
        assert answer(admin, CLONE, [17 | flag]) == ALLOW
    assert answer(plain, CLONE3) == ERRNO | errno.ENOSYS
    assert answer(admin, CLONE3) == ALLOW


def test_personalities(plain: bytes) -> None:
    allowed = [0, 8, 0x20000, 0x20008, 0xFFFFFFFF]
    assert all(answer(plain, PERSONALITY, [value]) == ALLOW for value in allowed)
    assert answer(plain, PERSONALITY, [0x0040000]) == EPERM


@pytest.mark.parametrize(
    ("capability", "number"),
    [
        ("CAP_SYS_ADMIN", MOUNT),
        ("CAP_SYS_BOOT", REBOOT),
        ("CAP_SYS_CHROOT", CHROOT),
        ("CAP_BPF", BPF),
        ("CAP_SYSLOG", SYSLOG),
        ("CAP_SYS_MODULE", 313),
        ("CAP_SYS_TIME", 227),
        ("CAP_DAC_READ_SEARCH", 304),
        ("CAP_PERFMON", 298),
        ("CAP_SYS_NICE", 237),
        ("CAP_SYS_RAWIO", 172),
        ("CAP_SYS_PTRACE", 312),
        ("CAP_SYS_PACCT", 163),
        ("CAP_SYS_TTY_CONFIG", 153),
    ],
)
def test_a_capability_opens_its_calls(plain: bytes, capability: str, number: int) -> None:
    assert answer(plain, number) == EPERM
    assert answer(seccomp.compile(default_profile(frozenset({capability}))), number) == ALLOW


def test_the_32_bit_relatives_are_filtered_too(plain: bytes) -> None:
    assert answer(plain, 3, arch=I386) == ALLOW  # read
    assert answer(plain, 102, arch=I386) == ALLOW  # socketcall
    assert answer(plain, 21, arch=I386) == EPERM  # mount


def test_even_with_all_capabilities_keys_stay_closed() -> None:
    program = seccomp.compile(default_profile(frozenset(NAMES)))
    assert answer(program, KEYCTL) == EPERM
    assert answer(program, IO_URING) == EPERM
