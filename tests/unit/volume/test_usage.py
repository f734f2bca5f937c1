"""Sizes of trees."""

import os
from pathlib import Path

from lodge.volume.usage import tree_size


def test_every_file_counts_once(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 100)
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "b").write_bytes(b"x" * 10)
    os.link(tmp_path / "a", tmp_path / "inner" / "again")
    assert tree_size(str(tmp_path)) == 110


def test_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "big").write_bytes(b"x" * 1000)
    (tmp_path / "volume").mkdir()
    (tmp_path / "volume" / "link").symlink_to("../outside")
    (tmp_path / "volume" / "dangling").symlink_to("nowhere")
    assert tree_size(str(tmp_path / "volume")) < 100
