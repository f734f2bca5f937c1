"""Device rules: what they come to, how version 1 is told, and the program for version 2."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodge.kernel.cgroups import bpf, devices
from lodge.spec.runtime import DeviceRule
from tests.unit.kernel.cgroups.machine import allows


def rule(
    allow: bool, kind: str = "a", major: int | None = None, minor: int | None = None, access: str = "rwm"
) -> DeviceRule:
    return DeviceRule(allow=allow, type=kind, major=major, minor=minor, access=access)


DENY_ALL = rule(False)
NULL = rule(True, "c", 1, 3)


def test_no_rules_allow_nothing() -> None:
    assert devices.reduce_rules([]) == devices.DevicePolicy(False, {})


def test_later_rules_win() -> None:
    policy = devices.reduce_rules([DENY_ALL, NULL, rule(False, "c", 1, 3, "w")])
    assert policy == devices.DevicePolicy(False, {("c", 1, 3): "rm"})
    policy = devices.reduce_rules([NULL, rule(True), rule(False, "b", 8, None)])
    assert policy == devices.DevicePolicy(True, {("b", 8, None): "rwm"})


def test_negative_numbers_mean_any() -> None:
    policy = devices.reduce_rules([rule(True, "c", -1, -1, "m"), rule(True, "a", 7, None, "r")])
    assert policy.exceptions == {("c", None, None): "m", ("b", 7, None): "r", ("c", 7, None): "r"}


def test_no_access_means_all() -> None:
    assert devices.reduce_rules([rule(True, "c", 1, 3, "")]).exceptions == {("c", 1, 3): "rwm"}


@pytest.mark.parametrize("bad", [rule(True, "x"), rule(True, "c", 1, 1, "rx"), rule(True, "p", 1, 1)])
def test_malformed_rules_are_refused(bad: DeviceRule) -> None:
    with pytest.raises(ValueError, match="malformed"):
        devices.reduce_rules([bad])


def test_a_fresh_group_is_set_whole() -> None:
    policy = devices.reduce_rules([DENY_ALL, NULL, rule(True, "c", 136, None, "rw")])
    assert devices.v1_writes(policy) == [
        ("devices.deny", ["a"]),
        ("devices.allow", ["c 1:3 rwm", "c 136:* rw"]),
    ]


def test_a_group_in_use_loses_no_device_that_it_keeps() -> None:
    policy = devices.reduce_rules([DENY_ALL, NULL, rule(True, "c", 5, 0, "r")])
    writes = devices.v1_transition("c 1:3 rwm\nc 5:0 rw\nb 8:0 r\n", policy)
    assert writes == [("devices.allow", ["c 5:0 r"]), ("devices.deny", ["b 8:0 r", "c 5:0 w"])]
    assert devices.v1_transition("c 1:3 rwm\nc 5:0 r\n", policy) == []
    assert devices.v1_transition("a *:* rwm\n", policy) == devices.v1_writes(policy)


RULES = st.lists(
    st.builds(
        DeviceRule,
        allow=st.booleans(),
        type=st.sampled_from("abc"),
        major=st.sampled_from([None, 1, 8]),
        minor=st.sampled_from([None, 0, 3]),
        access=st.sampled_from(["r", "w", "m", "rw", "rm", "wm", "rwm"]),
    ),
    max_size=6,
)


def decide(policy: devices.DevicePolicy, kind: str, major: int, minor: int, access: str) -> bool:
    """The kernel's rule for version 1: match_exception and match_exception_partial."""
    matching = [
        letters
        for (k, ma, mi), letters in policy.exceptions.items()
        if k == kind and ma in (None, major) and mi in (None, minor)
    ]
    if policy.allow:
        return not any(set(letters) & set(access) for letters in matching)
    return any(set(access) <= set(letters) for letters in matching)


@given(
    RULES,
    st.sampled_from("bc"),
    st.sampled_from([1, 8, 5]),
    st.sampled_from([0, 3, 9]),
    st.sampled_from(["r", "w", "m", "rw"]),
)
def test_the_program_of_version_2_decides_as_version_1_does(
    rules: list[DeviceRule], kind: str, major: int, minor: int, access: str
) -> None:
    policy = devices.reduce_rules(rules)
    program = bpf.assemble(policy)
    assert allows(program, kind, major, minor, access) == decide(policy, kind, major, minor, access)


@given(RULES, RULES)
def test_a_transition_ends_at_the_policy(before: list[DeviceRule], after: list[DeviceRule]) -> None:
    old, new = devices.reduce_rules(before), devices.reduce_rules(after)
    if old.allow or new.allow:
        return
    lines = {key: set(access) for key, access in old.exceptions.items()}
    listed = "".join(f"{devices._line(key, access)}\n" for key, access in old.exceptions.items())
    for file, texts in devices.v1_transition(listed, new):
        for text in texts:
            numbers, access = text.rsplit(" ", 1)
            kind, pair = numbers.split(" ")
            major, minor = (None if n == "*" else int(n) for n in pair.split(":"))
            if file == "devices.allow":
                lines.setdefault((kind, major, minor), set()).update(access)
            else:
                lines[kind, major, minor] -= set(access)
    assert {key: access for key, access in lines.items() if access} == {
        key: set(access) for key, access in new.exceptions.items()
    }
