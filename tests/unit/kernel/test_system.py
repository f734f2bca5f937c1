"""Facts of the machine: parsers, and that the real files can be read."""

import os

from hypothesis import given
from hypothesis import strategies as st

from lodge.kernel import system


def test_os_release_quoting() -> None:
    text = '# comment\nNAME="A \\"B\\" \\$C"\nID=debian\nV=\'x y\'\nEMPTY=\n\nbroken\n'
    assert system.parse_os_release(text) == {
        "NAME": 'A "B" $C',
        "ID": "debian",
        "V": "x y",
        "EMPTY": "",
    }


@given(
    st.text(
        st.characters(codec="utf-8", exclude_characters="\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"),
        max_size=20,
    )
)
def test_a_quoted_value_is_read_back(value: str) -> None:
    quoted = "".join(f"\\{c}" if c in '"$`\\' else c for c in value)
    assert system.parse_os_release(f'X="{quoted}"') == {"X": value}


def test_meminfo_is_in_bytes() -> None:
    text = "MemTotal:  16 kB\nHugePages_Total:  3\nbroken\n"
    assert system.parse_meminfo(text) == {"MemTotal": 16384, "HugePages_Total": 3}


def test_the_real_machine() -> None:
    assert system.memory_total() == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert 0 < system.memory_available() <= system.memory_total()
    assert 1 <= system.cpu_count() <= (os.cpu_count() or 1)
    assert len(system.boot_id()) == 36
    assert system.os_name()
    assert system.kernel_version() == os.uname().release
    assert system.cpu_total_time() > 0
