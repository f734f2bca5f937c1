"""Seccomp profiles as users write them (Docker's JSON), read into the runtime config's form.

Docker's form adds conditions to each rule: `includes` and `excludes` by capability, architecture and minimal
kernel version, and a map of an architecture's sub-architectures. A profile in the OCI form is one without
conditions, so it reads the same.
"""

from __future__ import annotations

import platform

import msgspec
from msgspec import Struct

from lodge.errors import InvalidArgument
from lodge.spec.runtime import Seccomp, SeccompArgument, SeccompRule

_ARCHITECTURES = {
    "x86_64": ("SCMP_ARCH_X86_64", "amd64"),
    "aarch64": ("SCMP_ARCH_AARCH64", "arm64"),
    "riscv64": ("SCMP_ARCH_RISCV64", "riscv64"),
    "ppc64le": ("SCMP_ARCH_PPC64LE", "ppc64le"),
    "s390x": ("SCMP_ARCH_S390X", "s390x"),
}


class _Condition(Struct):
    caps: list[str] | None = None
    arches: list[str] | None = None
    minKernel: str | None = None  # noqa: N815 - the profile's own name


class _Rule(Struct, kw_only=True):
    action: str
    name: str = ""
    names: list[str] | None = None
    errnoRet: int | None = None  # noqa: N815
    args: list[SeccompArgument] | None = None
    includes: _Condition | None = None
    excludes: _Condition | None = None


class _ArchitectureMap(Struct, rename="camel"):
    architecture: str
    sub_architectures: list[str] | None = None


class _Profile(Struct, rename="camel", kw_only=True):
    default_action: str
    default_errno_ret: int | None = None
    architectures: list[str] | None = None
    arch_map: list[_ArchitectureMap] | None = None
    flags: list[str] | None = None
    listener_path: str = ""
    listener_metadata: str = ""
    syscalls: list[_Rule] | None = None


def read(text: str, capabilities: frozenset[str], kernel: tuple[int, int]) -> Seccomp:
    """The filter that this profile means for a program with these capabilities; InvalidArgument."""
    try:
        profile = msgspec.json.decode(text, type=_Profile)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidArgument(f"Decoding seccomp profile failed: {error}") from error
    if profile.architectures and profile.arch_map:
        raise InvalidArgument("both 'architectures' and 'archMap' are specified in the seccomp profile")
    rules = [_plain(rule) for rule in profile.syscalls or () if _applies(rule, capabilities, kernel)]
    return Seccomp(
        default_action=profile.default_action,
        default_errno_ret=profile.default_errno_ret,
        architectures=_architectures(profile),
        flags=profile.flags or [],
        listener_path=profile.listener_path,
        listener_metadata=profile.listener_metadata,
        syscalls=rules,
    )


def _architectures(profile: _Profile) -> list[str]:
    if profile.architectures:
        return profile.architectures
    own, _ = _ARCHITECTURES.get(platform.machine(), ("", ""))
    for entry in profile.arch_map or ():
        if entry.architecture == own:
            return [own, *(entry.sub_architectures or ())]
    return []


def _plain(rule: _Rule) -> SeccompRule:
    if rule.name and rule.names:
        raise InvalidArgument("use either 'name' or 'names' in a rule of the seccomp profile, not both")
    names = rule.names or ([rule.name] if rule.name else [])
    return SeccompRule(names=names, action=rule.action, errno_ret=rule.errnoRet, args=rule.args or [])


def _applies(rule: _Rule, capabilities: frozenset[str], kernel: tuple[int, int]) -> bool:
    _, own = _ARCHITECTURES.get(platform.machine(), ("", ""))
    if (out := rule.excludes) is not None:
        if out.arches and own in out.arches:
            return False
        if out.caps and any(cap in capabilities for cap in out.caps):
            return False
        if out.minKernel and kernel >= _version(out.minKernel):
            return False
    if (when := rule.includes) is not None:
        if when.arches and own not in when.arches:
            return False
        if when.caps and not all(cap in capabilities for cap in when.caps):
            return False
        if when.minKernel and kernel < _version(when.minKernel):
            return False
    return True


def _version(text: str) -> tuple[int, int]:
    major, _, minor = text.partition(".")
    try:
        return int(major), int(minor or 0)
    except ValueError:
        raise InvalidArgument(f"invalid minKernel {text!r} in the seccomp profile") from None
