"""mountinfo: every field, the octal escapes, and the real file."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodge.kernel.mount import Mount, mountinfo, parse_mountinfo

LINE = rb"36 35 98:0 /mnt1 /mnt\0402 rw,noatime master:1 propagate_from:2 - ext3 /dev/root rw,errors=continue"


def test_every_field() -> None:
    assert parse_mountinfo(LINE + b"\n") == [
        Mount(
            36,
            35,
            98,
            0,
            "/mnt1",
            "/mnt 2",
            ("rw", "noatime"),
            ("master:1", "propagate_from:2"),
            "ext3",
            "/dev/root",
            ("rw", "errors=continue"),
        )
    ]


def test_an_empty_source_and_no_optional_fields() -> None:
    (mount,) = parse_mountinfo(b"1 0 0:5 / / rw - tmpfs  rw")
    assert mount.optional == ()
    assert (mount.source, mount.super_options) == ("", ("rw",))


@pytest.mark.parametrize("line", [b"nonsense", b"1 2 0:1 / /", b"1 2 0:1 / / rw master:1 ext4 x rw"])
def test_what_is_no_mountinfo_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError, match="mountinfo"):
        parse_mountinfo(line)


NAMES = st.binary(min_size=1, max_size=30).filter(lambda name: b"\0" not in name)


@given(NAMES)
def test_any_name_survives_the_kernels_escapes(name: bytes) -> None:
    escaped = b"".join(b"\\%03o" % byte if byte in b" \t\n\\#" else bytes([byte]) for byte in name)
    (mount,) = parse_mountinfo(b"1 0 0:5 / /" + escaped + b" rw - tmpfs none rw")
    assert os.fsencode(mount.mount_point) == b"/" + name


def test_the_real_file_has_a_root() -> None:
    assert any(mount.mount_point == "/" for mount in mountinfo())
    assert [mount.id for mount in mountinfo(os.getpid())] == [mount.id for mount in mountinfo()]
