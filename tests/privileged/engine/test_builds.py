"""Building in process: the library, RUN's surroundings, hostile Dockerfiles, what is left afterwards."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

import lodge
from lodge.build.dockerfile.problems import DockerfileError
from lodge.build.failures import StepFailed
from lodge.errors import LodgeError, NotFound
from tests.privileged.engine.building import building_engine


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory, busybox_image: Path) -> Iterator[lodge.Engine]:
    with building_engine(tmp_path_factory.mktemp("build") / "data", busybox_image) as engine:
        yield engine


def run(engine: lodge.Engine, image: lodge.BuildResult, *words: str) -> str:
    return engine.run(image.id, list(words), network="none").text


def test_a_context_of_files_bytes_and_generators(engine: lodge.Engine, tmp_path: Path) -> None:
    text = "FROM busybox\nCOPY . /c\n"
    (tmp_path / "file").write_text("from the disk")
    (tmp_path / "x").write_text("x")
    files = {"a": b"bytes", "d/b": "text", "e": tmp_path / "file", ".dockerignore": "skip", "skip": "no"}
    built = engine.images.build(text, context=files, tags=["lib:1"])
    assert built.names == ("docker.io/library/lib:1",)
    shown = run(engine, built, "sh", "-c", "cd /c; find . -type f | sort; cat a d/b e")
    assert shown.split() == ["./.dockerignore", "./a", "./d/b", "./e", "bytestextfrom", "the", "disk"]

    def slowly() -> Iterator[tuple[str, bytes]]:
        yield "a", b"1"
        yield "b", b"2"

    async def later() -> AsyncIterator[tuple[str, bytes]]:
        yield "a", b"1"
        yield "b", b"2"

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name in ("a", "b"):
            member = tarfile.TarInfo(name)
            member.size = 1
            archive.addfile(member, io.BytesIO(b"1" if name == "a" else b"2"))
    for context in (slowly(), later(), buffer.getvalue()):
        built = engine.images.build(text, context=context)
        assert run(engine, built, "sh", "-c", "cat /c/a /c/b") == "12"
    assert run(engine, engine.images.build(text, context=tmp_path), "cat", "/c/x") == "x"


@pytest.mark.parametrize("name", ["../out", "/../../etc/x", "a/../../b", ".."])
def test_a_context_s_names_stay_inside(engine: lodge.Engine, name: str) -> None:
    with pytest.raises(LodgeError, match="is no name of a file"):
        engine.images.build("FROM busybox", context={name: b""})


def test_a_failure_has_its_log_and_its_place(engine: lodge.Engine) -> None:
    with pytest.raises(StepFailed) as caught:
        engine.images.build("FROM busybox\n\nRUN echo why; exit 9\n")
    failure = caught.value
    assert (failure.exit_code, failure.lines, failure.log) == (9, (3, 3), b"why\n")
    with pytest.raises(DockerfileError, match="line 2: unknown instruction"):
        engine.images.build("FROM busybox\nNOPE\n")
    with pytest.raises(StepFailed, match='"/missing": not found'):
        engine.images.build("FROM busybox\nCOPY missing /\n", context={"a": b""})


def test_what_a_program_of_run_sees(engine: lodge.Engine) -> None:
    seen: list[bytes] = []
    engine.images.build(
        "FROM busybox\nARG A=1\nENV E=2\nWORKDIR /w\nUSER 12:34\n"
        "RUN --network=none echo $(id -u) $(id -g) $(pwd) $A$E $(hostname) $(ls /sys/class/net)\n",
        watch=lambda event: seen.append(event.data) if type(event).__name__ == "Log" else None,
        no_cache=True,
    )
    assert b"".join(seen) == b"12 34 /w 12 buildkitsandbox lo\n"


def test_secrets_ulimits_and_hosts(engine: lodge.Engine) -> None:
    built = engine.images.build(
        "FROM busybox\nRUN --mount=type=secret,id=s,target=/k,mode=0440,uid=5 "
        "stat -c '%a %u' /k > /o; cat /k >> /o\n"
        "RUN grep -w special /etc/hosts >> /o\n",
        secrets={"s": b"!"},
        extra_hosts=["special:10.1.2.3"],
        network="none",
    )
    assert run(engine, built, "cat", "/o").split() == ["440", "5", "!10.1.2.3", "special"]


def test_deleted_files_are_gone_and_directories_can_change(engine: lodge.Engine) -> None:
    built = engine.images.build(
        "FROM busybox\nRUN mkdir /d && touch /d/a /d/b && chmod 700 /d\nRUN rm /d/a\nCOPY c /d/\n"
        "RUN rm -r /d && mkdir /d && touch /d/new\n",
        context={"c": b""},
        network="none",
    )
    assert run(engine, built, "ls", "/d") == "new\n"


def test_archives_are_unpacked_and_stay_inside(engine: lodge.Engine) -> None:
    def packed(*names: str) -> bytes:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
            for name in names:
                member = tarfile.TarInfo(name)
                member.size = 1
                archive.addfile(member, io.BytesIO(b"1"))
        return buffer.getvalue()

    text = "FROM busybox\nADD a.tgz /to/\nCOPY a.tgz /raw/\n"
    built = engine.images.build(text, context={"a.tgz": packed("x/y")})
    assert run(engine, built, "sh", "-c", "ls /to/x /raw") == "/raw:\na.tgz\n\n/to/x:\ny\n"
    kept = engine.images.build(
        "FROM busybox\nADD --unpack=false a.tgz /to/\n", context={"a.tgz": packed("x")}
    )
    assert run(engine, kept, "ls", "/to") == "a.tgz\n"
    with pytest.raises(StepFailed, match="outside of its root"):
        engine.images.build(text, context={"a.tgz": packed("../../evil")})


@pytest.mark.parametrize(
    "mount",
    [
        "type=bind,source=../../../../etc,target=/m",
        "type=bind,source=link,target=/m",
        "type=bind,source=/link/passwd,target=/m",
    ],
)
def test_no_mount_shows_files_of_the_host(engine: lodge.Engine, tmp_path: Path, mount: str) -> None:
    (tmp_path / "link").symlink_to("/etc")
    text = f"FROM busybox\nRUN --mount={mount} ls -a /m && ! grep -r daemon /m\n"
    with pytest.raises(StepFailed, match="not found"):
        engine.images.build(text, context=tmp_path, network="none")


def test_a_link_in_the_way_of_a_mount_leads_inside(engine: lodge.Engine, tmp_path: Path) -> None:
    built = engine.images.build(
        "FROM busybox\nRUN ln -s ../../../../../../../../tmp/outside /sneaky\n"
        "RUN --mount=type=cache,target=/sneaky/deep touch /sneaky/deep/x && ls /tmp/outside\n",
        network="none",
    )
    assert not Path("/tmp/outside").exists()
    assert run(engine, built, "sh", "-c", "ls /tmp/outside/deep 2>/dev/null | wc -l").strip() == "0"


def test_a_stage_s_links_lead_inside_it(engine: lodge.Engine) -> None:
    text = (
        "FROM busybox AS evil\nRUN mkdir -p /etc; echo its > /etc/passwd\n"
        "RUN ln -s / /r; ln -s /../../../etc/passwd /p\n"
    )
    for source in ("/p", "/r/../../../../etc/passwd"):
        whole = f"{text}FROM busybox\nCOPY --from=evil {source} /x\n"
        built = engine.images.build(whole, network="none")
        assert run(engine, built, "cat", "/x") == "its\n"


def test_a_program_can_not_reach_a_device_or_leave_one_in_the_context(engine: lodge.Engine) -> None:
    with pytest.raises(StepFailed, match="exit code: 1"):
        engine.images.build(
            "FROM busybox\nRUN mknod /m b 8 0 && dd if=/m of=/dev/null count=1\n", network="none"
        )


def test_epoch_and_destination(engine: lodge.Engine, tmp_path: Path) -> None:
    built = [
        engine.images.build(
            "FROM scratch\nCOPY a /b/\n", context={"a": b"1"}, epoch=5, no_cache=True,
            destination=str(tmp_path / str(number)),
        )
        for number in range(2)
    ]  # fmt: skip
    assert built[0].digest == built[1].digest
    assert (tmp_path / "1/b/a").read_bytes() == b"1"
    assert (tmp_path / "1/b/a").stat().st_mtime == 5


def test_a_missing_base_says_so(engine: lodge.Engine) -> None:
    with pytest.raises((NotFound, LodgeError)):
        engine.images.build("FROM localhost:1/nothing\n")


def test_nothing_is_left_after_good_and_bad_builds(engine: lodge.Engine) -> None:
    engine.images.build("FROM busybox\nRUN --mount=type=cache,target=/c echo > /c/1\n", no_cache=True)
    with pytest.raises(StepFailed):
        engine.images.build(
            "FROM busybox\nRUN --mount=type=bind,target=/c,rw false\n", context={"a": b""}, network="none"
        )
    parts = engine._engine.core.parts
    assert parts.store.snapshots.walk() == []
    assert os.listdir(os.path.join(parts.settings.exec_root, "containers")) == []
    assert os.listdir(os.path.join(parts.settings.data_root, "build", "scratch")) == []
    assert os.listdir(os.path.join(parts.settings.exec_root, "build")) == []
