"""Filters are right: each program runs in a BPF machine, and says what its profile says."""

import errno

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lodge.errors import InvalidArgument
from lodge.kernel import seccomp
from lodge.kernel.seccomp import words
from lodge.kernel.syscalls import MACHINE
from lodge.spec.runtime import Seccomp, SeccompArgument, SeccompRule
from tests.unit.kernel.seccomp.machine import ALLOW, ERRNO, I386, KILL_THREAD, X32_BIT, answer

pytestmark = pytest.mark.skipif(MACHINE != "x86_64", reason="the numbers below are those of x86_64")

READ, MKDIR, SOCKET, GETPID, CLONE, NEWEST = 0, 83, 41, 39, 56, 100_000


def refuse_but(*rules: SeccompRule, **fields: object) -> Seccomp:
    return Seccomp(default_action="SCMP_ACT_ERRNO", syscalls=list(rules), **fields)  # type: ignore[arg-type]


def allow(*names: str, args: list[SeccompArgument] | None = None) -> SeccompRule:
    return SeccompRule(names=list(names), action="SCMP_ACT_ALLOW", args=args or [])


def test_an_allow_list() -> None:
    program = seccomp.compile(refuse_but(allow("read", "socket")))
    assert answer(program, READ) == ALLOW
    assert answer(program, SOCKET, [2]) == ALLOW
    assert answer(program, GETPID) == ERRNO | errno.EPERM


def test_a_deny_list() -> None:
    rule = SeccompRule(names=["mkdir"], action="SCMP_ACT_ERRNO", errno_ret=errno.EROFS)
    program = seccomp.compile(Seccomp(default_action="SCMP_ACT_ALLOW", syscalls=[rule]))
    assert answer(program, MKDIR) == ERRNO | errno.EROFS
    assert answer(program, READ) == ALLOW
    assert answer(program, NEWEST) == ALLOW


@pytest.mark.parametrize("name", sorted(words.ACTIONS))
def test_every_action(name: str) -> None:
    if name == "SCMP_ACT_ALLOW":
        return
    rule = SeccompRule(names=["mkdir"], action=name, errno_ret=77)
    program = seccomp.compile(Seccomp(default_action="SCMP_ACT_ALLOW", syscalls=[rule]))
    expected = words.ACTIONS[name] | (77 if name in ("SCMP_ACT_ERRNO", "SCMP_ACT_TRACE") else 0)
    assert answer(program, MKDIR) == expected


HOLDS = {
    "SCMP_CMP_NE": lambda value, datum, _: value != datum,
    "SCMP_CMP_LT": lambda value, datum, _: value < datum,
    "SCMP_CMP_LE": lambda value, datum, _: value <= datum,
    "SCMP_CMP_EQ": lambda value, datum, _: value == datum,
    "SCMP_CMP_GE": lambda value, datum, _: value >= datum,
    "SCMP_CMP_GT": lambda value, datum, _: value > datum,
    "SCMP_CMP_MASKED_EQ": lambda value, mask, datum: value & mask == datum & mask,
}
WORD = st.one_of(
    st.integers(0, 4), st.integers(0, (1 << 64) - 1), st.sampled_from([1 << 31, 1 << 32, 1 << 63])
)


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(sorted(HOLDS)), st.integers(0, 5), WORD, WORD, WORD)
def test_comparisons_are_of_64_bits(op: str, index: int, datum: int, second: int, value: int) -> None:
    if op == "SCMP_CMP_MASKED_EQ":
        second &= datum  # libseccomp takes a datum outside its mask for one inside
    argument = SeccompArgument(index=index, value=datum, op=op, value_two=second)
    program = seccomp.compile(refuse_but(allow("socket", args=[argument])))
    args = [0] * 6
    args[index] = value
    assert (answer(program, SOCKET, args) == ALLOW) == HOLDS[op](value, datum, second)


def test_conditions_of_one_rule_must_all_hold() -> None:
    both = [
        SeccompArgument(index=0, value=2, op="SCMP_CMP_EQ"),
        SeccompArgument(index=1, value=1, op="SCMP_CMP_EQ"),
    ]
    program = seccomp.compile(refuse_but(allow("socket", args=both)))
    assert [answer(program, SOCKET, pair) == ALLOW for pair in ([2, 1], [2, 2], [1, 1])] == [
        True,
        False,
        False,
    ]


def test_conditions_on_one_argument_are_alternatives() -> None:
    either = [SeccompArgument(index=0, value=value, op="SCMP_CMP_EQ") for value in (2, 10)]
    program = seccomp.compile(refuse_but(allow("socket", args=either)))
    assert [answer(program, SOCKET, [family]) == ALLOW for family in (2, 10, 3)] == [True, True, False]


def test_calls_that_nobody_knows_are_skipped() -> None:
    program = seccomp.compile(refuse_but(allow("read", "no_such_call")))
    assert answer(program, READ) == ALLOW


def test_calls_newer_than_the_rules_get_enosys() -> None:
    program = seccomp.compile(refuse_but(allow("read", "mkdir"), default_errno_ret=errno.EPERM))
    assert answer(program, MKDIR - 1) == ERRNO | errno.EPERM
    assert answer(program, MKDIR + 1) == ERRNO | errno.ENOSYS
    assert answer(program, NEWEST) == ERRNO | errno.ENOSYS


def test_other_architectures_are_killed_unless_listed() -> None:
    alone = seccomp.compile(refuse_but(allow("read", "close_range")))
    assert answer(alone, 3, arch=I386) == KILL_THREAD
    assert answer(alone, READ | X32_BIT) == KILL_THREAD
    family = ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]
    together = seccomp.compile(refuse_but(allow("read", "close_range"), architectures=family))
    assert answer(together, 3, arch=I386) == ALLOW  # read is 3 there
    assert answer(together, READ | X32_BIT) == ALLOW
    assert answer(together, READ) == ALLOW
    assert answer(together, 437, arch=I386) == ERRNO | errno.ENOSYS
    assert answer(together, 437 | X32_BIT) == ERRNO | errno.ENOSYS
    assert answer(together, 4, arch=I386) == ERRNO | errno.EPERM
    assert seccomp.compile(refuse_but(allow("read", "close_range")), family) == together


def test_a_permissive_default_needs_no_enosys() -> None:
    program = seccomp.compile(Seccomp(default_action="SCMP_ACT_LOG", syscalls=[allow("read")]))
    assert answer(program, NEWEST) == words.ACTIONS["SCMP_ACT_LOG"]


@pytest.mark.parametrize(
    "profile",
    [
        Seccomp(default_action="SCMP_ACT_NOPE"),
        Seccomp(default_action="SCMP_ACT_NOTIFY"),
        refuse_but(SeccompRule(names=["write"], action="SCMP_ACT_NOTIFY")),
        refuse_but(SeccompRule(names=["read"], action="ALLOW")),
        refuse_but(allow("read", args=[SeccompArgument(index=6, value=0, op="SCMP_CMP_EQ")])),
        refuse_but(allow("read", args=[SeccompArgument(index=0, value=0, op="EQ")])),
        refuse_but(architectures=["SCMP_ARCH_VAX"]),
    ],
)
def test_malformed_profiles_are_refused(profile: Seccomp) -> None:
    with pytest.raises(InvalidArgument):
        seccomp.compile(profile)


def test_flags() -> None:
    flags = ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"]
    assert seccomp.flag_bits(refuse_but(flags=flags)) == 0b110
    assert seccomp.flag_bits(refuse_but(SeccompRule(names=["mkdir"], action="SCMP_ACT_NOTIFY"))) == 0b1000
    with pytest.raises(InvalidArgument):
        seccomp.flag_bits(refuse_but(flags=["SECCOMP_FILTER_FLAG_NOPE"]))
