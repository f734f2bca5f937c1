"""Archives in and out: save, load, import, export; nothing half-written stays."""

from pathlib import Path

import pytest

from tests.unit.cli.conftest import Lodge
from tests.unit.fake_engine import FakeEngine, Reply, refusal


def test_save_and_export_to_files_and_to_stdout(lodge: Lodge, engine: FakeEngine, tmp_path: Path) -> None:
    engine.on("GET", "/images/get", Reply(raw=b"archive"))
    engine.on("GET", "/containers/web/export", Reply(raw=b"tree"))
    assert lodge("save", "-o", str(tmp_path / "i.tar"), "a:1", "b").code == 0
    assert (tmp_path / "i.tar").read_bytes() == b"archive"
    assert lodge("export", "web").out == "tree"
    assert lodge("export", "-o", str(tmp_path / "e.tar"), "web").code == 0
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix == ".tar") == ["e.tar", "i.tar"]


def test_a_failed_save_leaves_nothing(lodge: Lodge, engine: FakeEngine, tmp_path: Path) -> None:
    engine.on("GET", "/images/get", refusal(404, "No such image: a"))
    place = tmp_path / "place"
    place.mkdir()
    assert lodge("save", "-o", str(place / "i.tar"), "a").code == 1
    torn = Reply(raw=b"part", headers={"Transfer-Encoding": "chunked"}, hijack=lambda _: None)
    engine.on("GET", "/images/get", torn)
    assert lodge("save", "-o", str(place / "i.tar"), "a").code == 1
    assert list(place.iterdir()) == []
    result = lodge("save", "-o", str(place / "no" / "i.tar"), "a")
    assert "does not exist" in result.err


def test_load(lodge: Lodge, engine: FakeEngine, tmp_path: Path) -> None:
    engine.on("POST", "/images/load", Reply(raw=b'{"stream":"Loaded image: a:1\\n"}\n'))
    (tmp_path / "i.tar").write_bytes(b"x" * 3_000_000)
    assert lodge("load", "-i", str(tmp_path / "i.tar")).out == "Loaded image: a:1\n"
    assert engine.requests[0].body == b"x" * 3_000_000
    assert engine.requests[0].query == {"quiet": "1"}
    assert (
        lodge("load", "-i", str(tmp_path / "none")).err
        == f"open {tmp_path}/none: no such file or directory\n"
    )


@pytest.mark.parametrize(
    ("words", "query", "body"),
    [
        (["{file}", "a:b"], {"fromSrc": "-", "repo": "a", "tag": "b"}, b"tree"),
        (
            ["-m", "note", "-c", "CMD x", "{file}"],
            {"fromSrc": "-", "message": "note", "changes": "CMD x"},
            b"tree",
        ),
        (["http://h/x.tar", "a"], {"fromSrc": "http://h/x.tar", "repo": "a"}, b""),
    ],
)
def test_import(
    lodge: Lodge, engine: FakeEngine, tmp_path: Path, words: list[str], query: dict[str, str], body: bytes
) -> None:
    (tmp_path / "fs.tar").write_bytes(b"tree")
    engine.on("POST", "/images/create", Reply(raw=b'{"status":"sha256:x"}\n'))
    result = lodge("import", *(word.format(file=tmp_path / "fs.tar") for word in words))
    assert result.out == "sha256:x\n"
    assert engine.requests[0].query == query
    assert engine.requests[0].body == body


def test_commit(lodge: Lodge, engine: FakeEngine) -> None:
    engine.on("POST", "/commit", Reply({"Id": "sha256:x"}, 201))
    assert (
        lodge("commit", "-a", "me", "-m", "m", "-c", "CMD x", "--no-pause", "web", "r:t").out == "sha256:x\n"
    )
    assert engine.requests[0].query == {
        "container": "web",
        "repo": "r",
        "tag": "t",
        "comment": "m",
        "author": "me",
        "changes": "CMD x",
        "pause": "0",
    }
