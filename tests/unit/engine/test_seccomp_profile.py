"""Docker's seccomp profiles: conditions, both spellings, nonsense."""

from __future__ import annotations

import json
import platform

import pytest

from lodge.engine.planning.seccomp_profile import read
from lodge.errors import InvalidArgument

NONE: frozenset[str] = frozenset()


def profile(*rules: dict[str, object], **members: object) -> str:
    return json.dumps({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": rules, **members})


def names(text: str, caps: frozenset[str] = NONE, kernel: tuple[int, int] = (6, 1)) -> list[str]:
    return [name for rule in read(text, caps, kernel).syscalls for name in rule.names]


@pytest.mark.parametrize(
    ("condition", "caps", "applies"),
    [
        ({"includes": {"caps": ["CAP_SYS_ADMIN"]}}, NONE, False),
        ({"includes": {"caps": ["CAP_SYS_ADMIN"]}}, frozenset({"CAP_SYS_ADMIN"}), True),
        ({"excludes": {"caps": ["CAP_SYS_ADMIN"]}}, frozenset({"CAP_SYS_ADMIN"}), False),
        ({"excludes": {"caps": ["CAP_SYS_ADMIN"]}}, NONE, True),
        ({"includes": {"arches": ["s390x", "mips"]}}, NONE, platform.machine() == "s390x"),
        ({"excludes": {"arches": ["mips"]}}, NONE, True),
        ({"includes": {"minKernel": "4.8"}}, NONE, True),
        ({"includes": {"minKernel": "99.1"}}, NONE, False),
        ({"excludes": {"minKernel": "4.8"}}, NONE, False),
        ({"includes": {}, "excludes": {}}, NONE, True),
    ],
)
def test_conditions(condition: dict[str, object], caps: frozenset[str], applies: bool) -> None:
    text = profile({"names": ["bpf"], "action": "SCMP_ACT_ALLOW", **condition})
    assert names(text, caps) == (["bpf"] if applies else [])


def test_arguments_and_errno_pass_through() -> None:
    rule = {
        "name": "clone",
        "action": "SCMP_ACT_ERRNO",
        "errnoRet": 38,
        "args": [{"index": 0, "value": 2114060288, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}],
    }
    (read_rule,) = read(profile(rule, defaultErrnoRet=1), NONE, (6, 1)).syscalls
    assert (read_rule.names, read_rule.errno_ret, read_rule.args[0].op) == (
        ["clone"],
        38,
        "SCMP_CMP_MASKED_EQ",
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        "{}",
        '{"defaultAction": 5}',
        profile({"names": ["a"], "name": "b", "action": "x"}),
        profile({"names": ["a"], "action": "x", "includes": {"minKernel": "six"}}),
        profile(architectures=["SCMP_ARCH_X86"], archMap=[{"architecture": "SCMP_ARCH_X86_64"}]),
    ],
)
def test_nonsense_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument):
        read(text, NONE, (6, 1))
