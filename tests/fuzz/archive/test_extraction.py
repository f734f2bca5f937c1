"""Whole archives, drawn at random from bad ideas, against one promise: nothing outside of the root changes.

Names, kinds, links and attributes are combined as an attacker would. Whatever becomes of them (an
error is as good as a result), the surroundings stay as they were, no descriptor is left open, and what was
extracted can be archived, extracted again and removed.
"""

from __future__ import annotations

import io
import os
import stat
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lodge.archive.extract import Options, extract
from lodge.archive.removal import empty_directory
from lodge.archive.tree import write_tree
from lodge.archive.whiteouts import OverlayWhiteouts
from lodge.errors import LodgeError
from tests.unit.archive.making import KINDS

PARTS = ("a", "b", "c", "..", ".", "", "canary", ".wh.a", ".wh..wh..opq", ".wh..wh.plnk", ".wh.", "OUT")
_paths = st.lists(st.sampled_from(PARTS), min_size=1, max_size=5).map("/".join)
_kinds = st.sampled_from([name for name in KINDS if name not in ("char", "block")])
_modes = st.sampled_from([0, 0o644, 0o755, 0o4755, 0o1777, 0o500])


@st.composite
def _members(draw: st.DrawFn) -> list[tuple[str, str, str, int, bytes]]:
    return [
        (draw(_paths), draw(_kinds), draw(_paths), draw(_modes), draw(st.binary(max_size=20)))
        for _ in range(draw(st.integers(1, 12)))
    ]


def _archive(members: list[tuple[str, str, str, int, bytes]], outside: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, kind, link, mode, data in members:
            info = tarfile.TarInfo(name.replace("OUT", outside))
            info.type = KINDS[kind]
            info.linkname = link.replace("OUT", outside) if kind in ("link", "hard") else ""
            info.mode, info.uid, info.gid, info.mtime = mode, os.geteuid(), os.getegid(), 77
            info.size = len(data) if kind == "file" else 0
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def _state(where: Path) -> dict[str, tuple[int, int, int, str]]:
    found: dict[str, tuple[int, int, int, str]] = {}
    for path in [where, *where.rglob("*")]:
        status = path.lstat()
        text = path.read_text() if stat.S_ISREG(status.st_mode) else ""
        found[str(path)] = (status.st_mode, status.st_nlink, status.st_mtime_ns, text)
    return found


@contextmanager
def _surroundings() -> Iterator[tuple[Path, Path, Path]]:
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        outside, root, again = base / "outside", base / "deep/root", base / "deep/again"
        for path in (outside / "a/b", root, again):
            path.mkdir(parents=True)
        for path in (outside / "canary", outside / "a/canary", base / "canary", base / "deep/canary"):
            path.write_text("alive")
        yield outside, root, again
        for path in (root, again):
            _empty(path)


def _empty(where: Path) -> None:
    fd = os.open(where, os.O_RDONLY)
    try:
        empty_directory(fd)
    finally:
        os.close(fd)
    assert os.listdir(where) == []


def _extract(data: bytes, root: Path, options: Options) -> bool:
    fd = os.open(root, os.O_RDONLY)
    try:
        extract(io.BytesIO(data), fd, options)
    except (LodgeError, OSError):
        return False
    finally:
        os.close(fd)
    return True


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(members=_members(), layer=st.booleans(), keep_kinds=st.booleans())
def test_nothing_outside_of_the_root_changes(
    members: list[tuple[str, str, str, int, bytes]], layer: bool, keep_kinds: bool
) -> None:
    with _surroundings() as (outside, root, again):
        before, canaries = _state(outside), [(root.parent / "canary"), (root.parents[1] / "canary")]
        descriptors = len(os.listdir("/proc/self/fd"))
        options = Options(layer=layer, keep_kinds=keep_kinds)
        if layer:
            options.whiteouts = OverlayWhiteouts(user=True)
        done = _extract(_archive(members, str(outside)), root, options)
        root.chmod(0o700)
        assert _state(outside) == before
        assert [path.read_text() for path in canaries] == ["alive", "alive"]
        assert sorted(os.listdir(root.parents[1])) == ["canary", "deep", "outside"]
        assert sorted(os.listdir(root.parent)) == ["again", "canary", "root"]
        assert len(os.listdir("/proc/self/fd")) == descriptors
        if done and not layer and os.geteuid() == 0:
            out: list[bytes] = []
            fd = os.open(root, os.O_RDONLY)
            write_tree(fd, out.append)
            os.close(fd)
            assert _extract(b"".join(out), again, Options())
            shape = [{str(p.relative_to(r)): p.lstat().st_mode for p in r.rglob("*")} for r in (root, again)]
            assert shape[0] == shape[1]
