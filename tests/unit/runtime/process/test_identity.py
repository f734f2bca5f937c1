"""Rights are reduced to what can be granted, environments are what they say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodge.errors import InvalidArgument
from lodge.kernel import capabilities
from lodge.runtime.process.identity import Rights, parse_environment, reduce_rights
from lodge.spec.runtime import CapabilitySets

ALL = (1 << 64) - 1
names = st.lists(st.sampled_from(capabilities.NAMES), unique=True)


def test_no_capabilities_mean_none() -> None:
    assert reduce_rights(None, ALL) == Rights(0, 0, 0, 0, 0)


def test_unknown_and_ungranted_ones_are_left_out() -> None:
    sets = CapabilitySets(permitted=["CAP_CHOWN", "CAP_KILL", "CAP_OF_TOMORROW"], bounding=["CAP_KILL"])
    rights = reduce_rights(sets, capabilities.mask(["CAP_KILL"]))
    assert capabilities.names(rights.permitted) == ["CAP_KILL"]
    assert capabilities.names(rights.bounding) == ["CAP_KILL"]


@given(names, names, names, names, names, st.integers(0, ALL))
def test_the_kernels_rules_hold(
    effective: list[str],
    permitted: list[str],
    inheritable: list[str],
    bounding: list[str],
    ambient: list[str],
    granted: int,
) -> None:
    rights = reduce_rights(
        CapabilitySets(
            effective=effective,
            permitted=permitted,
            inheritable=inheritable,
            bounding=bounding,
            ambient=ambient,
        ),
        granted,
    )
    assert rights.effective & ~rights.permitted == 0
    assert rights.ambient & ~(rights.permitted & rights.inheritable) == 0
    for bits in (rights.permitted, rights.inheritable, rights.bounding):
        assert bits & ~granted == 0


def test_the_last_value_of_a_name_wins() -> None:
    assert parse_environment(["A=1", "B==x=", "A=2", "C="]) == {"A": "2", "B": "=x=", "C": ""}


@pytest.mark.parametrize("entry", ["HOME", "", "=x", "A=\0"])
def test_an_entry_without_a_value_reads_nothing_of_the_host(entry: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid environment variable"):
        parse_environment(["PATH=/bin", entry])
