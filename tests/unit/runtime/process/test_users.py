"""Docker's user strings, against a plain restatement of Docker's rules and against hostile files."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodge.errors import InvalidArgument, StartFailed
from lodge.runtime.process import users
from lodge.runtime.process.users import Account, Files, GroupEntry, PasswdEntry, resolve

FILES = Files(
    (
        PasswdEntry("root", 0, 0, "/root"),
        PasswdEntry("bob", 1000, 1001, "/home/bob"),
        PasswdEntry("1", 7, 7, "/trap"),
        PasswdEntry("homeless", 8, 8, ""),
    ),
    (
        GroupEntry("root", 0, ()),
        GroupEntry("bob", 1001, ()),
        GroupEntry("wheel", 10, ("bob", "root")),
        GroupEntry("2", 9, ("bob",)),
    ),
)


@pytest.mark.parametrize(
    ("user", "groups", "account"),
    [
        ("", (), Account(0, 0, (0, 10), "/root")),
        ("root", (), Account(0, 0, (0, 10), "/root")),
        ("bob", (), Account(1000, 1001, (1001, 10, 9), "/home/bob")),
        ("1000", (), Account(1000, 1001, (1001, 10, 9), "/home/bob")),
        ("bob:wheel", (), Account(1000, 10, (10,), "/home/bob")),
        ("bob:77", (), Account(1000, 77, (77,), "/home/bob")),
        ("4242", (), Account(4242, 0, (0,), "/")),
        ("4242:4243", (), Account(4242, 4243, (4243,), "/")),
        ("4242", ("wheel", "5"), Account(4242, 0, (0, 10, 5), "/")),
        ("bob:wheel", ("wheel",), Account(1000, 10, (10,), "/home/bob")),
        ("homeless", (), Account(8, 8, (8,), "/")),
        (":wheel", (), Account(0, 10, (10,), "/root")),
    ],
)
def test_dockers_rules(user: str, groups: tuple[str, ...], account: Account) -> None:
    assert resolve(user, groups, FILES) == account


def test_a_number_is_never_looked_up_as_a_name() -> None:
    assert resolve("1", (), FILES).uid == 1
    assert resolve("0:2", (), FILES).gid == 2


@pytest.mark.parametrize(
    ("user", "message"),
    [
        ("nobody", "unable to find user nobody: no matching entries in passwd file"),
        ("bob:nogroup", "unable to find group nogroup: no matching entries in group file"),
    ],
)
def test_unknown_names(user: str, message: str) -> None:
    with pytest.raises(StartFailed, match=message):
        resolve(user, (), FILES)


@pytest.mark.parametrize("user", ["-1", "2147483648", "0:-5", "0:99999999999"])
def test_numbers_out_of_range(user: str) -> None:
    with pytest.raises(InvalidArgument, match="must be in range"):
        resolve(user, (), FILES)


@given(st.integers(0, users.MAX_ID), st.integers(0, users.MAX_ID), st.data())
def test_numbers_are_what_they_are(uid: int, gid: int, data: st.DataObject) -> None:
    names = st.text("abc0123456789", min_size=1, max_size=4)
    entries = data.draw(
        st.lists(st.builds(PasswdEntry, names, st.integers(0, 99), st.integers(0, 99), names))
    )
    account = resolve(f"{uid}:{gid}", (), Files(tuple(entries)))
    assert (account.uid, account.gid, account.groups) == (uid, gid, (gid,))


@given(st.binary(max_size=400))
def test_any_bytes_can_be_parsed(text: bytes) -> None:
    for entry in users.parse_passwd(text):
        assert isinstance(entry.uid, int)
    for group in users.parse_group(text):
        assert isinstance(group.members, tuple)


@given(st.text("abc:0123456789\n,#", max_size=60), st.text("ab:01", max_size=8))
def test_every_answer_is_in_range(text: str, user: str) -> None:
    files = Files(tuple(users.parse_passwd(text.encode())), tuple(users.parse_group(text.encode())))
    try:
        account = resolve(user, (), files)
    except (StartFailed, InvalidArgument):
        return
    assert account.uid >= 0
    assert account.groups[0] == account.gid


def test_comments_and_short_lines_are_skipped() -> None:
    text = b"# a comment\n\nroot:x:0:0:root:/root:/bin/sh\nbroken\nx:y:notanumber:0\n"
    assert list(users.parse_passwd(text)) == [PasswdEntry("root", 0, 0, "/root")]


def test_only_the_first_mebibyte_is_read(tmp_path: Path) -> None:
    etc = tmp_path / "etc"
    etc.mkdir()
    filler = b"filler:x:5:5::/:\n" * (users.MAX_FILE // 17 + 100)
    (etc / "passwd").write_bytes(b"first:x:1:1::/first:\n" + filler + b"last:x:2:2::/last:\n")
    root = os.open(tmp_path, os.O_PATH)
    try:
        names = {entry.name for entry in users.read_files(root).passwd}
    finally:
        os.close(root)
    assert names == {"first", "filler"}


def test_odd_files_have_no_entries(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    os.mkfifo(tmp_path / "etc/passwd")
    (tmp_path / "etc/group").mkdir()
    root = os.open(tmp_path, os.O_PATH)
    try:
        assert users.read_files(root) == Files()
    finally:
        os.close(root)


def test_home_of_a_uid() -> None:
    assert users.home_of(1000, FILES) == "/home/bob"
    assert users.home_of(8, FILES) == "/"
    assert users.home_of(4711, FILES) == "/"
