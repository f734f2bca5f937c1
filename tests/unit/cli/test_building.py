"""What `lodge build` sends and shows."""

from __future__ import annotations

import base64
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from lodge.cli.building import options
from lodge.cli.building.context import ContextPacker, ignored
from lodge.cli.building.display import Live, Plain
from lodge.cli.command import Failure


def packed(packer: ContextPacker) -> dict[str, bytes | str]:
    found: dict[str, bytes | str] = {}
    with tarfile.open(fileobj=io.BytesIO(b"".join(packer.pieces()))) as archive:
        for member in archive:
            assert (member.uid, member.gid) == (0, 0)
            file = archive.extractfile(member) if member.isreg() else None
            found[member.name] = file.read() if file else member.linkname
    return found


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("Dockerfile", "a.txt", "d/b.txt", "d/e/c.txt", "node/x"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "link").symlink_to("a.txt")
    return tmp_path


def test_a_context_is_what_is_not_ignored(tree: Path) -> None:
    (tree / ".dockerignore").write_text("node\nd\n!d/e\nDockerfile\n")
    patterns = ignored(str(tree), str(tree / "Dockerfile"))
    found = packed(ContextPacker(str(tree), patterns, kept=frozenset(("Dockerfile",))))
    assert found == {
        ".dockerignore": b"node\nd\n!d/e\nDockerfile\n", "Dockerfile": b"Dockerfile", "a.txt": b"a.txt",
        "d/e": "", "d/e/c.txt": b"d/e/c.txt", "link": "a.txt",
    }  # fmt: skip


def test_a_dockerfile_s_own_list_counts_first(tree: Path) -> None:
    (tree / ".dockerignore").write_text("a.txt\n")
    (tree / "Dockerfile.dockerignore").write_text("d\n")
    assert ignored(str(tree), str(tree / "Dockerfile")) == ["d"]


def test_files_can_be_added(tree: Path) -> None:
    found = packed(ContextPacker(str(tree), ["**"], added={".dockerfile": b"FROM x"}))
    assert found == {".dockerfile": b"FROM x"}


def test_a_missing_context_is_told() -> None:
    with pytest.raises(Failure, match="unable to prepare context"):
        ContextPacker("/nowhere/at/all", [])


@pytest.mark.parametrize(
    ("text", "kind", "destination", "name"),
    [
        ("-", "tar", "-", ""),
        ("out", "local", "out", ""),
        ("type=oci,dest=x.tar", "oci", "x.tar", ""),
        ("type=image,name=a:b", "image", "", "a:b"),
    ],
)
def test_outputs(text: str, kind: str, destination: str, name: str) -> None:
    wish = options.output(text)
    assert (wish.kind, wish.destination, wish.name) == (kind, destination, name)


@pytest.mark.parametrize("text", ["type=what", "type=tar", "type=local,to=x"])
def test_outputs_that_are_none(text: str) -> None:
    with pytest.raises(Failure):
        options.output(text)


def test_secrets_come_from_files_and_variables(tmp_path: Path) -> None:
    (tmp_path / "s").write_bytes(b"\0file")
    header = options.secrets([f"id=a,src={tmp_path / 's'}", "id=b,env=V", "id=W"], {"V": "1", "W": "2"})
    found = json.loads(base64.b64decode(header["X-Lodge-Build-Secrets"]))
    assert {name: base64.b64decode(value) for name, value in found.items()} == {
        "a": b"\0file", "b": b"1", "W": b"2",
    }  # fmt: skip
    assert options.secrets([], {}) == {}
    with pytest.raises(Failure, match="is not set"):
        options.secrets(["id=a,env=NOPE"], {})


def test_arguments_without_a_value_come_from_the_environment() -> None:
    assert options.pairs(["A=1", "B", "C", "D="], {"B": "2"}) == {"A": "1", "B": "2", "D": ""}


def step(name: str) -> dict[str, Any]:
    return {"id": name, "name": name, "internal": False}


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


EVENTS = [
    {"type": "Planned", "steps": [{}, {}], "instructions": []},
    {"type": "Started", "at": 0, "step": step("FROM x")},
    {"type": "Cached", "at": 0, "step": "FROM x"},
    {"type": "Finished", "at": 0, "step": "FROM x", "error": ""},
    {"type": "Started", "at": 10**9, "step": step("RUN y")},
    {"type": "Log", "at": 15 * 10**8, "step": "RUN y", "stream": 1, "data": _b64(b"one\ntw")},
    {"type": "Log", "at": 16 * 10**8, "step": "RUN y", "stream": 1, "data": _b64(b"o\n")},
    {"type": "Finished", "at": 3 * 10**9, "step": "RUN y", "error": "exit code: 1"},
]  # fmt: skip


def test_the_plain_display() -> None:
    output = io.StringIO()
    display = Plain(output)
    for event in EVENTS:
        display.show(event)
    display.finish()
    assert output.getvalue() == (
        "#1 FROM x\n#1 CACHED\n\n#2 RUN y\n#2 0.500 one\n#2 0.600 two\n#2 ERROR: exit code: 1\n\n"
    )


def test_the_live_display_draws_over_itself() -> None:
    output = io.StringIO()
    display = Live(output)
    for event in EVENTS:
        display.show(event)
    display.finish()
    drawn = output.getvalue()
    assert "(2/3) FINISHED" in drawn
    assert "=> CACHED FROM x" in drawn
    assert "=> ERROR RUN y" in drawn
    assert "\x1b[" in drawn
