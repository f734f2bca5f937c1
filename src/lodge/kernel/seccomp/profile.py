"""Docker's profile files (--security-opt seccomp=FILE): the OCI form with conditions, resolved.

A rule may say for which capabilities, architectures and kernels it holds (`includes`, `excludes`), and
archMap names an architecture's relatives. The old form with `name` and `architectures` is read too.
"""

from __future__ import annotations

import os

import msgspec
from msgspec import Struct

from lodge.errors import InvalidArgument
from lodge.kernel.seccomp.words import NATIVE
from lodge.kernel.syscalls import MACHINE
from lodge.spec.runtime import Seccomp, SeccompArgument, SeccompRule

# The kernel's machine as Docker's conditions spell it (Go's names).
GO_MACHINE = {"x86_64": "amd64", "aarch64": "arm64"}


class _Filter(Struct, rename="camel"):
    caps: list[str] = []
    arches: list[str] = []
    min_kernel: str = ""


class _Rule(Struct, rename="camel"):
    name: str = ""
    names: list[str] = []
    action: str = ""
    errno_ret: int | None = None
    args: list[SeccompArgument] | None = None
    includes: _Filter | None = None
    excludes: _Filter | None = None


class _Architecture(Struct, rename="camel"):
    architecture: str
    sub_architectures: list[str] | None = None


class _Profile(Struct, rename="camel"):
    default_action: str = ""
    default_errno_ret: int | None = None
    architectures: list[str] | None = None
    arch_map: list[_Architecture] | None = None
    flags: list[str] | None = None
    listener_path: str = ""
    listener_metadata: str = ""
    syscalls: list[_Rule] | None = None


_decoder = msgspec.json.Decoder(_Profile)


def parse_profile(text: bytes, capabilities: frozenset[str]) -> Seccomp | None:
    """The OCI profile that a file means for a container with this bounding set; None for "no filter".

    InvalidArgument when the text is no profile.
    """
    try:
        profile = _decoder.decode(text)
    except msgspec.MsgspecError as error:
        raise InvalidArgument(f"Decoding seccomp profile failed: {error}") from error
    if not profile.default_action and not profile.syscalls:
        return None
    if profile.architectures and profile.arch_map:
        raise InvalidArgument(
            "both 'architectures' and 'archMap' are specified in the seccomp profile, "
            "use either 'architectures' or 'archMap'"
        )
    return Seccomp(
        default_action=profile.default_action,
        default_errno_ret=profile.default_errno_ret,
        architectures=profile.architectures or _relatives(profile.arch_map or []),
        flags=profile.flags or [],
        listener_path=profile.listener_path,
        listener_metadata=profile.listener_metadata,
        syscalls=[_resolve(rule) for rule in profile.syscalls or [] if _holds(rule, capabilities)],
    )


def kernel_version() -> tuple[int, int]:
    """Major and minor number of the running kernel."""
    major, minor, *_ = os.uname().release.split("-")[0].split(".")
    return int(major), int(minor)


def _relatives(architectures: list[_Architecture]) -> list[str]:
    for entry in architectures:
        if entry.architecture == NATIVE.get(MACHINE):
            return [entry.architecture, *(entry.sub_architectures or [])]
    return []


def _resolve(rule: _Rule) -> SeccompRule:
    if rule.name and rule.names:
        raise InvalidArgument(
            "both 'name' and 'names' are specified in the seccomp profile, use either 'name' or 'names'"
        )
    return SeccompRule(
        names=rule.names or [rule.name],
        action=rule.action,
        errno_ret=rule.errno_ret,
        args=rule.args or [],
    )


def _holds(rule: _Rule, capabilities: frozenset[str]) -> bool:
    """Excluded when any condition is met, included only when all are."""
    machine = GO_MACHINE.get(MACHINE, MACHINE)
    if (no := rule.excludes) is not None and (
        machine in no.arches
        or not capabilities.isdisjoint(no.caps)
        or (no.min_kernel and kernel_version() >= _version(no.min_kernel))
    ):
        return False
    yes = rule.includes
    return yes is None or (
        (not yes.arches or machine in yes.arches)
        and capabilities.issuperset(yes.caps)
        and (not yes.min_kernel or kernel_version() >= _version(yes.min_kernel))
    )


def _version(text: str) -> tuple[int, int]:
    major, _, minor = text.partition(".")
    if not (major.isdigit() and minor.isdigit()):
        raise InvalidArgument(f"invalid kernel version {text!r} in the seccomp profile")
    return int(major), int(minor)
