"""Binds that want mounts to get through, and the host's mounts."""

from __future__ import annotations

import pytest

from lodge.engine.planning import propagation
from lodge.errors import InvalidArgument
from lodge.kernel.mount.table import parse_mountinfo

MOUNTS = parse_mountinfo(
    b"1 0 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n"
    b"2 1 0:5 / /tmp rw - tmpfs tmpfs rw\n"
    b"3 1 0:6 / /srv rw master:1 - tmpfs tmpfs rw\n"
    b"4 3 0:7 / /tmp/both rw - tmpfs tmpfs rw\n"
    b"5 4 0:8 / /tmp/both rw shared:9 - tmpfs tmpfs rw\n"
)


@pytest.mark.parametrize(
    ("source", "word"),
    [
        ("/", "rshared"),
        ("/tmpx", "shared"),
        ("/srv/x", "rslave"),
        ("/srv", "slave"),
        ("/tmp/both/x", "shared"),
    ],
)
def test_what_gets_through(source: str, word: str) -> None:
    propagation.check(source, word, MOUNTS)


@pytest.mark.parametrize(
    ("source", "word", "words"),
    [
        ("/tmp/lead", "rslave", "path /tmp/lead is mounted on /tmp but it is not a shared or slave mount"),
        ("/tmp", "rshared", "path /tmp is mounted on /tmp but it is not a shared mount"),
        ("/srv/x", "shared", "path /srv/x is mounted on /srv but it is not a shared mount"),
    ],
)
def test_what_does_not(source: str, word: str, words: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        propagation.check(source, word, MOUNTS)
    assert caught.value.message == words
