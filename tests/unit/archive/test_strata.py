import gzip
import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodge.archive.strata import Entry, Layer, Stack, Step, differences, read_layer
from lodge.errors import Corrupt


def archive(*names: str, **files: bytes) -> bytes:
    """A layer's tar: directories by their names with a slash, files as `path=bytes` with __ for a slash."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name in names:
            member = tarfile.TarInfo(name.rstrip("/"))
            member.type = tarfile.DIRTYPE if name.endswith("/") else tarfile.REGTYPE
            tar.addfile(member)
        for name, data in files.items():
            member = tarfile.TarInfo(name.replace("__", "/"))
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return out.getvalue()


def layer(*names: str, **files: bytes) -> Layer:
    return read_layer(io.BytesIO(archive(*names, **files)))


def test_a_layer_is_read_compressed_or_not() -> None:
    plain = archive("etc/", "./etc/.wh.gone", "var/.wh..wh..opq", etc__passwd=b"root")
    for data in (plain, gzip.compress(plain)):
        found = read_layer(io.BytesIO(data))
        assert set(found.entries) == {"etc", "etc/passwd"}
        assert found.entries["etc/passwd"].size == found.size == 4
        assert (found.deleted, found.emptied) == ({"etc/gone"}, {"var"})


def test_names_that_lead_elsewhere_stay_inside() -> None:
    found = read_layer(io.BytesIO(archive("../../etc/shadow", "/abs")))
    assert set(found.entries) == {"etc/shadow", "abs"}


def test_what_layers_do_to_each_other() -> None:
    stack = Stack([
        layer("etc/", "doc/", etc__passwd=b"root", bin=b"12345678", doc__a=b"aa", doc__b=b"bbb"),
        layer("etc/.wh.passwd", bin=b"1234", app=b"x"),
        layer("doc/.wh..wh..opq", doc__c=b"c"),
    ])  # fmt: skip
    assert stack.steps[1] == [
        Step("app", "added", 1, "file"),
        Step("bin", "modified", 4, "file"),
        Step("etc/passwd", "deleted", 4, "file"),
    ]  # fmt: skip
    assert [(s.path, s.change) for s in stack.steps[2]] == [
        ("doc/a", "deleted"), ("doc/b", "deleted"), ("doc/c", "added"),
    ]  # fmt: skip
    assert set(stack.tree) == {"etc", "doc", "bin", "app", "doc/c"}
    assert (stack.size, stack.seen) == (23, 6)
    assert [(w.path, w.size) for w in stack.waste()] == [
        ("bin", 8),
        ("etc/passwd", 4),
        ("doc/b", 3),
        ("doc/a", 2),
    ]
    assert stack.size - sum(w.size for w in stack.waste()) == stack.seen


def test_a_directory_that_goes_takes_all_below_it() -> None:
    stack = Stack([layer("a/", "a/b/", a__b__c=b"x"), layer(".wh.a"), layer("a/")])
    assert {s.path for s in stack.steps[1]} == {"a", "a/b", "a/b/c"}
    assert set(stack.tree) == {"a"}
    replaced = Stack([layer("a/", a__b=b"x"), layer(a=b"now a file")])
    assert set(replaced.tree) == {"a"}


def test_differences_say_what_differs() -> None:
    first = {
        "a": Entry("file", 1, 0o644, digest="1"),
        "b": Entry("file", 2),
        "c": Entry("dir"),
        "l": Entry("link", link="x"),
    }
    second = {
        "a": Entry("file", 3, 0o755, digest="2"),
        "c": Entry("dir"),
        "d": Entry("file", 4),
        "l": Entry("link", link="y"),
    }
    assert [(d.path, d.change, d.before, d.after, d.what) for d in differences(first, second)] == [
        ("a", "modified", 1, 3, "content, mode"), ("b", "deleted", 2, 0, ""), ("d", "added", 0, 4, ""),
        ("l", "modified", 0, 0, "target"),
    ]  # fmt: skip
    assert differences(first, first) == []


@pytest.mark.parametrize(
    "data", [b"not a tar" * 100, archive(x=b"y" * 2000)[:700], gzip.compress(archive())[:-9]]
)
def test_what_is_no_layer_is_corrupt(data: bytes) -> None:
    with pytest.raises(Corrupt):
        read_layer(io.BytesIO(data))


@given(
    st.lists(
        st.dictionaries(st.sampled_from(["a", "b__c", "b__d", "e"]), st.binary(max_size=9), max_size=4),
        max_size=5,
    )
)
def test_seen_and_wasted_are_all_there_is(contents: list[dict[str, bytes]]) -> None:
    stack = Stack([layer(**files) for files in contents])
    assert stack.size == stack.seen + sum(one.size for one in stack.waste())
    assert 0 <= stack.efficiency <= 1
