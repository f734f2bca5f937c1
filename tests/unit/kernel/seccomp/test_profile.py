"""Docker's profile files: conditions on capabilities, machine and kernel."""

import json

import pytest

from lodge.errors import InvalidArgument
from lodge.kernel.seccomp import profile as p
from lodge.kernel.syscalls import MACHINE

HERE = p.GO_MACHINE.get(MACHINE, MACHINE)


def names(rules: list[dict[str, object]], *capabilities: str) -> list[str]:
    text = json.dumps({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": rules}).encode()
    parsed = p.parse_profile(text, frozenset(capabilities))
    assert parsed is not None
    return [name for rule in parsed.syscalls for name in rule.names]


def rule(name: str, **conditions: object) -> dict[str, object]:
    return {"names": [name], "action": "SCMP_ACT_ALLOW", **conditions}


def test_capabilities_include_and_exclude() -> None:
    rules = [
        rule("mount", includes={"caps": ["CAP_SYS_ADMIN"]}),
        rule("clone", excludes={"caps": ["CAP_SYS_ADMIN", "CAP_X"]}),
        rule("both", includes={"caps": ["CAP_A", "CAP_B"]}),
    ]
    assert names(rules) == ["clone"]
    assert names(rules, "CAP_SYS_ADMIN") == ["mount"]
    assert names(rules, "CAP_A") == ["clone"]
    assert names(rules, "CAP_A", "CAP_B") == ["clone", "both"]
    assert names(rules, "CAP_X") == []


def test_machines_and_kernels() -> None:
    rules = [
        rule("here", includes={"arches": [HERE]}),
        rule("elsewhere", includes={"arches": ["vax"]}),
        rule("not_here", excludes={"arches": [HERE]}),
        rule("old", includes={"minKernel": "3.2"}),
        rule("future", includes={"minKernel": "99.0"}),
        rule("never", excludes={"minKernel": "3.2"}),
    ]
    assert names(rules) == ["here", "old"]


def test_the_old_form() -> None:
    profile = {
        "defaultAction": "SCMP_ACT_ERRNO",
        "architectures": ["SCMP_ARCH_X86"],
        "syscalls": [{"name": "read", "action": "SCMP_ACT_ALLOW", "args": None}],
    }
    parsed = p.parse_profile(json.dumps(profile).encode(), frozenset())
    assert parsed is not None
    assert parsed.architectures == ["SCMP_ARCH_X86"]
    assert parsed.syscalls[0].names == ["read"]


def test_the_machines_relatives() -> None:
    maps = [
        {"architecture": "SCMP_ARCH_MIPS", "subArchitectures": ["SCMP_ARCH_MIPSEL"]},
        {"architecture": p.NATIVE.get(MACHINE, ""), "subArchitectures": ["SCMP_ARCH_X86"]},
    ]
    parsed = p.parse_profile(
        json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "archMap": maps}).encode(), frozenset()
    )
    assert parsed is not None
    assert parsed.architectures == [p.NATIVE[MACHINE], "SCMP_ARCH_X86"]


def test_an_empty_profile_filters_nothing() -> None:
    assert p.parse_profile(b"{}", frozenset()) is None


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b'{"defaultAction": 1}',
        b'{"defaultAction":"A","architectures":["x"],"archMap":[{"architecture":"y"}]}',
        b'{"defaultAction":"A","syscalls":[{"name":"a","names":["b"],"action":"A"}]}',
        b'{"defaultAction":"A","syscalls":[{"name":"a","action":"A","includes":{"minKernel":"new"}}]}',
    ],
)
def test_what_is_no_profile_is_refused(text: bytes) -> None:
    with pytest.raises(InvalidArgument):
        p.parse_profile(text, frozenset())
