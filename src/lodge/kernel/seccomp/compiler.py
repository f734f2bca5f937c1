"""From an OCI profile to a BPF program, by libseccomp through ctypes.

The library (Debian's libseccomp2, in every base system) is looked for at the first compilation. Nothing is
loaded into the kernel here; the result is bytes for `loader`.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterator, Sequence
from functools import cache

from lodge.errors import InvalidArgument, Unavailable
from lodge.kernel.seccomp import enosys, words
from lodge.kernel.syscalls import MACHINE
from lodge.spec.runtime import Seccomp, SeccompArgument, SeccompRule

_CTL_OPTIMIZE = 8
_BINARY_TREE = 2
# Fewer rules are walked as fast, and libseccomp before 2.5.5 makes nonsense of a tree without rules.
_TREE_FROM = 32
_MAX_INSTRUCTIONS = 4096
_UNKNOWN = -1
_NATIVE_ARCHITECTURE = 0


class _Compare(ctypes.Structure):
    """struct scmp_arg_cmp."""

    _fields_ = (
        ("arg", ctypes.c_uint),
        ("op", ctypes.c_int),
        ("datum_a", ctypes.c_uint64),
        ("datum_b", ctypes.c_uint64),
    )


class _Version(ctypes.Structure):
    """struct scmp_version."""

    _fields_ = (("major", ctypes.c_uint), ("minor", ctypes.c_uint), ("micro", ctypes.c_uint))


@cache
def _library() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL("libseccomp.so.2")
    except OSError as error:
        raise Unavailable(
            f"system call filters need libseccomp: {error}",
            hint="install libseccomp2, or run with --security-opt seccomp=unconfined",
        ) from error
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_init.argtypes = [ctypes.c_uint32]
    library.seccomp_release.argtypes = [ctypes.c_void_p]
    library.seccomp_release.restype = None
    library.seccomp_arch_add.argtypes = [ctypes.c_void_p, ctypes.c_uint32]
    library.seccomp_arch_resolve_name.restype = ctypes.c_uint32
    library.seccomp_attr_set.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_uint32]
    library.seccomp_syscall_resolve_name_arch.argtypes = [ctypes.c_uint32, ctypes.c_char_p]
    library.seccomp_rule_add_array.argtypes = [
        ctypes.c_void_p,
        ctypes.c_uint32,
        ctypes.c_int,
        ctypes.c_uint,
        ctypes.c_void_p,
    ]
    library.seccomp_export_bpf.argtypes = [ctypes.c_void_p, ctypes.c_int]
    library.seccomp_version.restype = ctypes.POINTER(_Version)
    return library


@cache
def library_version() -> str:
    """The version of libseccomp, "2.5.4"; Unavailable when it is not installed."""
    version = _library().seccomp_version().contents
    return f"{version.major}.{version.minor}.{version.micro}"


def compile(profile: Seccomp, arches: Sequence[str] = ()) -> bytes:  # noqa: A001 - the room's word for it
    """The program for a profile, for the native architecture and `arches` or else the profile's own.

    System calls that libseccomp does not know are skipped and get ENOSYS if they are newer than all it knows.
    InvalidArgument for a malformed profile, Unavailable without libseccomp. Takes milliseconds: see `cache`.
    """
    _check(profile)
    library = _library()
    default = words.action(profile.default_action, profile.default_errno_ret)
    context = library.seccomp_init(default)
    if not context:
        raise InvalidArgument(f"seccomp does not take {profile.default_action!r} as the default action")
    names = _architectures(arches or profile.architectures)
    try:
        for name in names:
            _add_architecture(context, name)
        if len(profile.syscalls) + sum(len(rule.names) for rule in profile.syscalls) > _TREE_FROM:
            # Refused by libseccomp before 2.5, which then makes a slower program of the same meaning.
            library.seccomp_attr_set(context, _CTL_OPTIMIZE, _BINARY_TREE)
        for rule in profile.syscalls:
            _add_rule(context, rule, default)
        program = _export(context)
    finally:
        library.seccomp_release(context)
    if profile.default_action not in words.PERMISSIVE and profile.default_errno_ret != errno.ENOSYS:
        program = enosys.prologue(_last_numbers(profile, names)) + program
    if len(program) // 8 > _MAX_INSTRUCTIONS:
        raise InvalidArgument("the seccomp profile makes a program longer than the kernel takes")
    return program


def _check(profile: Seccomp) -> None:
    """What can't work: a listener learns of itself by write(2), so that call can't wait for the listener."""
    if profile.default_action == "SCMP_ACT_NOTIFY":
        raise InvalidArgument("SCMP_ACT_NOTIFY cannot be used as default action")
    for rule in profile.syscalls:
        if rule.action == "SCMP_ACT_NOTIFY" and "write" in rule.names:
            raise InvalidArgument("SCMP_ACT_NOTIFY cannot be used for the write syscall")


def _architectures(names: Sequence[str]) -> list[str]:
    """The architectures without doubles, the native one in any case."""
    native = words.NATIVE.get(MACHINE)
    wanted = ([native] if native else []) + list(names)
    for name in wanted:
        if name not in words.ARCHITECTURES:
            raise InvalidArgument(f"unknown seccomp architecture {name!r}")
    return list(dict.fromkeys(wanted))


def _add_architecture(context: int, name: str) -> None:
    token = _library().seccomp_arch_resolve_name(words.ARCHITECTURES[name][0].encode())
    if not token:
        raise InvalidArgument(f"libseccomp does not know the architecture {name!r}")
    result = _library().seccomp_arch_add(context, token)
    if result not in (0, -errno.EEXIST):
        raise InvalidArgument(f"seccomp architecture {name!r}: {os.strerror(-result)}")


def _add_rule(context: int, rule: SeccompRule, default: int) -> None:
    action = words.action(rule.action, rule.errno_ret)
    if action == default:
        return  # libseccomp refuses what says nothing
    for name in rule.names:
        number = _library().seccomp_syscall_resolve_name_arch(_NATIVE_ARCHITECTURE, name.encode())
        if number == _UNKNOWN:
            continue
        for conditions in _conditions(rule.args):
            array = (_Compare * len(conditions))(*conditions)
            result = _library().seccomp_rule_add_array(context, action, number, len(conditions), array)
            if result not in (0, -errno.EEXIST):
                raise InvalidArgument(f"seccomp rule for {name!r}: {os.strerror(-result)}")


def _conditions(arguments: Sequence[SeccompArgument]) -> Iterator[list[_Compare]]:
    """Comparisons that must all hold are one rule; several of one argument are a rule each, as with runc."""
    compares = []
    for argument in arguments:
        if argument.op not in words.OPERATORS or not 0 <= argument.index <= 5:
            raise InvalidArgument(f"malformed seccomp argument {argument.op!r} of index {argument.index}")
        op = words.OPERATORS[argument.op]
        compares.append(_Compare(argument.index, op, argument.value, argument.value_two))
    if len({argument.index for argument in arguments}) == len(arguments):
        yield compares
    else:
        yield from ([compare] for compare in compares)


def _export(context: int) -> bytes:
    fd = os.memfd_create("seccomp", os.MFD_CLOEXEC)
    try:
        result = _library().seccomp_export_bpf(context, fd)
        if result != 0:
            raise OSError(-result, f"libseccomp could not make a program: {os.strerror(-result)}")
        size = os.lseek(fd, 0, os.SEEK_END)
        return os.pread(fd, size, 0)
    finally:
        os.close(fd)


def _last_numbers(profile: Seccomp, names: Sequence[str]) -> dict[int, int]:
    """The highest number that a rule names, for each architecture."""
    library = _library()
    calls = [call.encode() for rule in profile.syscalls for call in rule.names]
    last = {}
    for name in names:
        spelling, audit = words.ARCHITECTURES[name]
        token = library.seccomp_arch_resolve_name(spelling.encode())
        highest = max((library.seccomp_syscall_resolve_name_arch(token, call) for call in calls), default=0)
        if highest > 0:
            last[enosys.key(audit, name == "SCMP_ARCH_X32")] = highest
    return last
