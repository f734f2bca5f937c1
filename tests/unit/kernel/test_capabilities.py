"""Capability names and masks, and what the process says of itself."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodge.kernel import capabilities


@given(st.sets(st.sampled_from(capabilities.NAMES)))
def test_a_mask_and_its_names_are_the_same(names: set[str]) -> None:
    bits = capabilities.mask(names)
    assert set(capabilities.names(bits)) == names
    assert bits.bit_count() == len(names)


def test_numbers_are_the_kernels() -> None:
    assert capabilities.mask(["CAP_CHOWN"]) == 1
    assert capabilities.NUMBERS["CAP_SYS_ADMIN"] == 21
    assert capabilities.NUMBERS["CAP_CHECKPOINT_RESTORE"] == 40


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ValueError, match="CAP_NOPE"):
        capabilities.mask(["CAP_CHOWN", "CAP_NOPE"])


def test_current_agrees_with_proc() -> None:
    status = dict(
        line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":\t" in line
    )
    sets = capabilities.current()
    assert sets.effective == int(status["CapEff"], 16)
    assert sets.permitted == int(status["CapPrm"], 16)
    assert sets.inheritable == int(status["CapInh"], 16)
    assert sets.bounding == int(status["CapBnd"], 16)
    assert sets.ambient == int(status["CapAmb"], 16)


def test_the_kernels_last_capability_is_known() -> None:
    assert capabilities.known()[0] == "CAP_CHOWN"
    assert len(capabilities.known()) <= capabilities.last_cap() + 1
