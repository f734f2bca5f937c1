"""`import lodge` as a script uses it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

import lodge
from lodge.errors import NotFound, StartFailed, TimedOut
from tests.privileged.engine.conftest import Stage
from tests.registries.scripted import scripted


@pytest.fixture
def engine(stage: Stage) -> Iterator[lodge.Engine]:
    settings = msgspec.structs.replace(stage.settings, measure=True)
    with lodge.Engine(settings=settings) as opened:
        yield opened
        for container in opened.containers(all=True):
            container.remove(force=True)


def test_run_tells_everything(engine: lodge.Engine) -> None:
    result = engine.run(
        "busybox", "cat; echo $A >&2; exit 3", stdin="input", env={"A": "b"}, memory="64m", cpus=0.5
    )
    assert (result.exit_code, result.stdout, result.stderr) == (3, b"input", b"b\n")
    assert 0 < result.duration < 30
    assert 0 < result.resources.cpu_seconds < 10
    assert 0 < result.resources.peak_memory < 64 << 20
    assert engine.containers(all=True) == []


def test_a_program_that_takes_too_long_is_ended(engine: lodge.Engine) -> None:
    with pytest.raises(lodge.RunTimedOut) as caught:
        engine.run("busybox", ["sh", "-c", "echo so far; sleep 100"], timeout=1)
    assert caught.value.result.stdout == b"so far\n"
    assert engine.containers(all=True) == []


def test_failures_leave_nothing(engine: lodge.Engine) -> None:
    with pytest.raises(StartFailed):
        engine.run("busybox", ["nosuch"])
    with pytest.raises(NotFound) as caught:
        engine.run("nosuchimage", ["true"])
    assert caught.value.hint
    assert engine.containers(all=True) == []


def test_images_from_and_to_a_registry(engine: lodge.Engine) -> None:
    with scripted() as registry:
        name = f"{registry.address}/team/busybox:1"
        engine.images.tag("busybox", name)
        engine.images.push(name, compression="zstd:3")
        engine.images.remove(name)
        told: list[str] = []
        pulled = engine.images.pull(name, progress=lambda step: told.append(step.status))
        assert name in pulled.tags
        assert told[0] == "Pulling from team/busybox"
        engine.images.remove(name)
        # Also when a container wants it.
        assert engine.run(name, ["echo", "hi"]).stdout == b"hi\n"
        with pytest.raises(NotFound, match="not found: manifest unknown"):
            engine.images.pull(f"{registry.address}/team/none")


def test_a_container_that_stays(engine: lodge.Engine, tmp_path: Path) -> None:
    service = engine.start("busybox", "echo started; sleep 1000", name="service")
    assert service.status == "running"
    assert service.exec(["id", "-u"], user="5").text == "5\n"
    assert service.exec("cat; exit 4", stdin=b"x").exit_code == 4
    service.write_file("/tmp/f", "data", mode=0o600)
    assert service.read_file("/tmp/f") == b"data"
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "leaf").write_text("green")
    service.copy_in(str(tmp_path / "tree"), "/tmp")
    assert service.exec(["cat", "/tmp/tree/leaf"]).text == "green"
    (tmp_path / "out").mkdir()
    service.copy_out("/tmp/tree", str(tmp_path / "out"))
    assert (tmp_path / "out" / "tree" / "leaf").read_text() == "green"
    assert service.logs() == b"started\n"
    assert service.stats().current["pids_stats"]["current"] >= 1
    with pytest.raises(TimedOut):
        service.wait(timeout=0.2)
    assert engine.container("service").id == service.id
    service.stop(0)
    service.stop(0)
    assert (service.status, service.exit_code, service.wait()) == ("exited", 137, 137)
    service.remove()
    assert engine.containers(all=True) == []


def test_on_an_event_loop(stage: Stage) -> None:
    async def scene() -> list[str]:
        async with lodge.AsyncEngine(settings=stage.settings) as engine:
            results = await asyncio.gather(*(engine.run("busybox", ["echo", str(n)]) for n in range(5)))
            return [result.text for result in results]

    assert asyncio.run(scene()) == [f"{n}\n" for n in range(5)]


def test_an_engine_that_is_not_open_says_so() -> None:
    with pytest.raises(RuntimeError, match="the engine is not open"):
        lodge.Engine("/nonexistent").run("busybox")
