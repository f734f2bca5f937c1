"""Contexts and targets drawn from bad ideas, against one promise: nothing outside of the layer is touched.

And whatever is copied comes from inside the context.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from lodge.build.files.place import Copier, Layer
from lodge.build.files.select import Selection
from lodge.errors import LodgeError
from lodge.store.merged import Merged

_PARTS = st.sampled_from(["a", "b", "..", ".", "", "canary", "*", "link", "**"])
_PATHS = st.lists(_PARTS, min_size=1, max_size=5).map("/".join)
_TARGETS = st.sampled_from(
    ["..", "../..", "/", "/canary", "a", "../canary", ".", "b/../..", "/proc/self/root"]
)
_SECRET = "outside"


@settings(max_examples=150, deadline=None)
@given(
    files=st.lists(st.tuples(_PATHS, st.booleans(), _TARGETS), max_size=8),
    links=st.lists(st.tuples(_PATHS, _TARGETS), max_size=5),
    source=_PATHS,
    target=_PATHS,
    parents=st.booleans(),
)
def test_no_copy_leaves_its_trees(
    files: list[tuple[str, bool, str]],
    links: list[tuple[str, str]],
    source: str,
    target: str,
    parents: bool,
) -> None:
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        canary = work / "canary"
        canary.write_text(_SECRET)
        context, base, top = work / "context", work / "base", work / "top"
        for root in (context, base, top):
            root.mkdir()
        for path, is_link, to in files:
            _make(context, path, to if is_link else None)
        for path, to in links:
            _make(base, path, to)
        before = sorted(os.listdir(work))
        _copy(context, base, top, source, target, parents=parents)
        assert sorted(os.listdir(work)) == before
        assert canary.read_text() == _SECRET
        assert not any(
            path.read_text() == _SECRET for path in top.rglob("*") if path.is_file() and not path.is_symlink()
        )


def _make(root: Path, path: str, link: str | None) -> None:
    parts = [part for part in path.split("/") if part not in ("", ".", "..")]
    if not parts:
        return
    place = root.joinpath(*parts)
    try:
        here = root
        for part in parts[:-1]:
            here = here / part
            if here.is_symlink():
                return
            here.mkdir(exist_ok=True)
        if link is None:
            place.write_text("inside")
        else:
            place.symlink_to(link)
    except OSError:
        return


def _copy(context: Path, base: Path, top: Path, source: str, target: str, *, parents: bool) -> None:
    fd = os.open(top, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with Merged([str(context)]) as view, Merged([str(base)]) as below, Layer(fd, below) as layer:
            selection = Selection(view, parents=parents)
            copier = Copier(view, layer, ids=None, mode=None)
            for root in selection.roots((source,)):
                copier.copy(root, selection, "/" + target, into=True)
    except (LodgeError, OSError):
        return
    finally:
        os.close(fd)
