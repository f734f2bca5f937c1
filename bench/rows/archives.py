"""Images in and out: load, save and remove of many small files and of a few large ones."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.engine_client import EngineClient
from bench.frame import Measured, Target, milliseconds, row
from bench.material import docker_archive, large_files_layer, small_files_layer
from bench.subjects import Subjects

THIRD = Target(ratio=1 / 3)
PATIENCE = 60.0
"""Seconds after which a removal counts as never finished."""


def _blocks(path: Path) -> Iterator[bytes]:
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            yield block


def _load(client: EngineClient, archive: Path, image: str) -> None:
    """Load it and create a container, so that an engine which puts off the unpacking does it too."""
    client.call("POST", "/images/load", _blocks(archive), quiet=1)
    client.remove(client.create(["/bin/true"], image=image))


def _remove(client: EngineClient, image: str, data: Path, size: int) -> float:
    """Milliseconds until the image is gone and the disk has most of its bytes back."""
    wanted = _free(data) + size * 8 // 10
    started = time.perf_counter()
    client.call("DELETE", f"/images/{image}", force=1)
    while _free(data) < wanted and time.perf_counter() - started < PATIENCE:
        time.sleep(0.005)
    return (time.perf_counter() - started) * 1000


def _free(path: Path) -> int:
    """Free bytes of the file system."""
    status = os.statvfs(path)
    return status.f_bfree * status.f_frsize


def _measure(subjects: Subjects, name: str, title: str, make_layer: Callable[[Path], None]) -> list[Measured]:
    layer, archive = subjects.scratch / f"{name}.layer.tar", subjects.scratch / f"{name}.tar"
    make_layer(layer)
    docker_archive(layer, name, archive)
    layer.unlink()
    list(_blocks(archive))  # into the page cache, for all alike
    clients = {engine.name: engine.client() for engine in subjects.engines().values()}
    loads: dict[str, list[float]] = {engine: [] for engine in clients}
    saves: dict[str, list[float]] = {engine: [] for engine in clients}
    removals: dict[str, list[float]] = {engine: [] for engine in clients}
    for number in range(max(2, subjects.rounds // 2)):
        for engine, client in clients.items():
            once = (
                milliseconds(_load, client, archive, name),
                milliseconds(client.drain, "GET", f"/images/{name}/get"),
                _remove(client, name, subjects.scratch, archive.stat().st_size),
            )
            os.sync()  # what one engine left unwritten is not paid by the other
            if number > 0:
                for kept, sample in zip((loads, saves, removals), once, strict=True):
                    kept[engine].append(sample)
    archive.unlink()
    return [
        Measured(f"load of {title}, and create of a container of it", "ms", THIRD, "docker", loads),
        Measured(f"save of {title}", "ms", THIRD, "docker", saves),
        Measured(f"remove of {title}, until the disk is free", "ms", THIRD, "docker", removals),
    ]


@row("small-files")
def small_files(subjects: Subjects) -> list[Measured]:
    """30,000 files of some kilobytes."""
    return _measure(subjects, "bench-small", "30,000 files (145 MB)", small_files_layer)


@row("large-files")
def large_files(subjects: Subjects) -> list[Measured]:
    """Eight files of 128 MiB."""
    return _measure(subjects, "bench-large", "1 GiB in 8 files", large_files_layer)
