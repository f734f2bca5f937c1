"""The tar of a layer from a list of changes: for trees that don't keep their difference apart."""

from __future__ import annotations

import os
from collections.abc import Sequence

from lodge.archive import whiteouts
from lodge.archive.beneath import Beneath
from lodge.archive.header import REGULAR, Member
from lodge.archive.tree import TreeOptions, TreeWriter
from lodge.archive.writer import TarWriter, Write
from lodge.store.snapshots.contract import Change


def write_difference(tree: int, changed: Sequence[Change], write: Write, options: TreeOptions) -> None:
    """Write what is new or changed below the directory descriptor, and `.wh.` names for what is gone."""
    writer = TarWriter(write, precise=options.precise)
    members = TreeWriter(writer, options)
    with Beneath(tree) as beneath:
        for kind, shown in changed:
            path = os.fsencode(shown).lstrip(b"/")
            if kind == "D":
                head, slash, base = path.rpartition(b"/")
                writer.add(Member(head + slash + whiteouts.PREFIX + base, REGULAR, mode=0o600))
                continue
            parent, base = beneath.parent(path)
            opened = members.add(parent, base, path)
            if opened is not None:
                os.close(opened)
    writer.finish()
