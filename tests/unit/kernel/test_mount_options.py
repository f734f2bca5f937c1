"""Option words: the runtime-spec's table, order, the recursive ones, and what is left for the file system."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodge.kernel import mount as m
from lodge.kernel.mount import options

# runtime-spec config.md, "Linux mount options": every word must mean something.
SPECIFIED = """
async atime bind defaults dev diratime dirsync exec iversion lazytime loud mand noatime nodev nodiratime
noexec noiversion
nolazytime nomand norelatime nostrictatime nosuid nosymfollow private ratime rbind rdev rdiratime
relatime remount rexec rnoatime rnodev rnodiratime rnoexec rnorelatime rnostrictatime rnosuid rnosymfollow ro
rprivate rrelatime rro rrw rshared rslave rstrictatime rsuid rsymfollow runbindable rw shared silent slave
strictatime suid symfollow sync tmpcopyup unbindable idmap ridmap
"""


@pytest.mark.parametrize("word", SPECIFIED.split())
def test_every_specified_word_is_known(word: str) -> None:
    assert m.parse_options([word]).data == ""


@pytest.mark.parametrize(
    ("words", "flags"),
    [
        (["ro", "nosuid", "nodev", "noexec"], m.MS_RDONLY | m.MS_NOSUID | m.MS_NODEV | m.MS_NOEXEC),
        (["ro", "rw"], 0),
        (["rw", "ro"], m.MS_RDONLY),
        (["rbind"], m.MS_BIND | m.MS_REC),
        (["bind", "ro"], m.MS_BIND | m.MS_RDONLY),
        (["relatime", "norelatime"], 0),
        (["sync", "dirsync"], m.MS_SYNCHRONOUS | m.MS_DIRSYNC),
        (["nosymfollow"], m.MS_NOSYMFOLLOW),
        (["defaults"], 0),
    ],
)
def test_flags(words: list[str], flags: int) -> None:
    assert m.parse_options(words).flags == flags


def test_what_was_asked_to_be_off_is_known() -> None:
    parsed = m.parse_options(["ro", "nodev", "rw", "suid"])
    assert parsed.cleared == m.MS_RDONLY | m.MS_NOSUID
    assert parsed.flags == m.MS_NODEV


def test_each_propagation_is_a_call_of_its_own() -> None:
    parsed = m.parse_options(["rslave", "shared"])
    assert parsed.propagation == (m.MS_SLAVE | m.MS_REC, m.MS_SHARED)
    assert parsed.flags == 0


@pytest.mark.parametrize(
    ("words", "attr_set", "attr_clr"),
    [
        (["rro"], m.MOUNT_ATTR_RDONLY, 0),
        (["rro", "rrw"], 0, m.MOUNT_ATTR_RDONLY),
        (["rnosuid", "rnodev"], m.MOUNT_ATTR_NOSUID | m.MOUNT_ATTR_NODEV, 0),
        (["rnoatime"], m.MOUNT_ATTR_NOATIME, m.MOUNT_ATTR__ATIME),
        (["rnoatime", "rstrictatime"], m.MOUNT_ATTR_STRICTATIME, m.MOUNT_ATTR__ATIME),
        (["rstrictatime", "rrelatime"], 0, m.MOUNT_ATTR__ATIME),
    ],
)
def test_recursive_words_become_attributes(words: list[str], attr_set: int, attr_clr: int) -> None:
    parsed = m.parse_options(words)
    assert (parsed.attr_set, parsed.attr_clr, parsed.flags) == (attr_set, attr_clr, 0)


def test_what_no_table_knows_is_for_the_file_system() -> None:
    parsed = m.parse_options(["mode=755", "nosuid", "size=64m", "x-systemd.automount", ""])
    assert parsed.data == "mode=755,size=64m"


def test_copy_up_and_idmap_are_set_apart() -> None:
    assert m.parse_options(["tmpcopyup"]).copy_up
    assert m.parse_options(["idmap", "ridmap"]).idmap == "ridmap"


KNOWN = [*options._FLAGS, *options._RECURSIVE, *options._RECURSIVE_ATIME]


@given(st.lists(st.sampled_from(KNOWN)))
def test_nothing_is_both_set_and_cleared(words: list[str]) -> None:
    parsed = m.parse_options(words)
    assert parsed.flags & parsed.cleared == 0
    # The kernel refuses an access time that is set without the whole field being cleared.
    assert parsed.attr_set & parsed.attr_clr & ~m.MOUNT_ATTR__ATIME == 0
    if parsed.attr_set & m.MOUNT_ATTR__ATIME:
        assert parsed.attr_clr & m.MOUNT_ATTR__ATIME == m.MOUNT_ATTR__ATIME


@given(st.lists(st.from_regex(r"[a-z]{3,8}=[a-z0-9]{1,5}", fullmatch=True)))
def test_data_keeps_its_order(words: list[str]) -> None:
    assert m.parse_options(words).data == ",".join(words)
