"""Images in and out: load, save, import, bootstrap, with their progress.

The store works in a thread; what it says of its progress comes back through the bridge.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING

from lodge.engine.images.catalog import Found
from lodge.engine.models import Progress
from lodge.engine.parts import Parts
from lodge.engine.pipes import Outflow, pipe_out, send_file
from lodge.errors import InvalidArgument, NotFound
from lodge.spec.platform import Platform
from lodge.spec.reference import Reference

if TYPE_CHECKING:
    from lodge.engine.pipes import Inflow

Tell = Callable[[Progress], None]
_HOST = "host"


async def load(parts: Parts, source: Inflow, *, quiet: bool) -> AsyncIterator[Progress]:
    """Take in an archive; the last lines say what came."""
    loaded: list[str] = []

    def work(tell: Tell) -> None:
        def progress(id: str, current: int, total: int) -> None:
            if not quiet:
                tell(Progress(status="Loading layer", id=id, current=current, total=total))

        for image in parts.store.archives.load(source, progress):
            if image.config_digest is not None:
                loaded.append(str(image.config_digest))
            names = [Reference.parse_name(name).familiar() for name in image.names]
            lines = [f"Loaded image: {name}\n" for name in names] or [
                f"Loaded image ID: {image.config_digest}\n"
            ]
            for line in lines:
                tell(Progress(stream=line))

    async for line in parts.bridge.iterate(work):
        yield line
    for each in loaded:
        parts.events.publish("image", "load", each, {"name": each})


async def save(parts: Parts, names: list[str], platform: str | None) -> Outflow:
    """The named images as one archive; NotFound before anything is written."""
    wanted: list[tuple[Found, list[str]]] = []
    for name in names:
        found = parts.images.find(name)
        try:
            canonical = str(Reference.parse(name))
        except InvalidArgument:
            canonical = ""
        wanted.append((found, [canonical] if canonical in found.names else []))
    chosen = Platform.parse(platform) if platform else None

    def work(fd: int) -> None:
        with os.fdopen(fd, "wb", buffering=1 << 20) as out:

            def send(blob: int, size: int) -> None:
                out.flush()
                send_file(fd, blob, size)

            parts.store.archives.save([(f.target, n) for f, n in wanted], out.write, chosen, send)

    for found, _ in wanted:
        parts.events.publish("image", "save", found.image.id, {"name": found.image.id})
    return pipe_out(parts.bridge, work)


async def bootstrap(
    parts: Parts, name: str, *, suite: str | None, mirror: str | None
) -> AsyncIterator[Progress]:
    """Make a base image on this machine: debian:SUITE, ubuntu:SUITE, busybox, host."""
    wanted = f"{name}:{suite}" if suite and ":" not in name else name

    def work(tell: Tell) -> None:
        if Reference.parse(wanted).familiar_name == _HOST:
            with parts.store.lease():
                parts.store.references.assign(str(Reference.parse(_HOST)), parts.store.host_image())
            tell(Progress(status="host shows this machine's own files, read-only, to its containers"))
            return
        from lodge.distribution.bootstrap import bootstrap as make

        def report(status: str, current: int = 0, total: int | None = None) -> None:
            tell(Progress(status=status, current=current, total=total or 0))

        with parts.store.lease():
            cache = Path(parts.settings.data_root) / "cache" / "bootstrap"
            made = make(wanted, store=parts.store, cache_dir=cache, progress=report, mirror=mirror)
            target = parts.store.references.get(made.reference)
            parts.store.images.unpack(parts.store.images.resolve(target))

    async for line in parts.bridge.iterate(work):
        yield line
    try:
        found = parts.images.find(wanted)
    except NotFound:
        return
    parts.events.publish("image", "tag", found.image.id, {"name": wanted})


async def import_(
    parts: Parts,
    source: Inflow | str,
    *,
    reference: str | None,
    message: str,
    changes: list[str],
    platform: str | None,
) -> AsyncIterator[Progress]:
    """Make an image of a plain tar, or of one that a URL leads to; the last line is its id."""
    from lodge.engine.images.changes import apply

    name = Reference.parse(reference) if reference else None
    if name is not None and name.digest:
        raise InvalidArgument("cannot import digest reference")
    chosen = Platform.parse(platform) if platform else None
    config = apply(None, changes)

    def take(archive: Inflow, tell: Tell) -> None:
        made = parts.store.archives.import_tar(
            archive, config=config, message=message, platform=chosen, name=str(name) if name else None
        )
        tell(Progress(status=parts.images.find(str(made.digest)).image.id))

    def work(tell: Tell) -> None:
        if not isinstance(source, str):
            take(source, tell)
            return
        from lodge.distribution.web import open_url

        with open_url(source) as archive:
            tell(Progress(status=f"Downloading from {source}"))
            take(archive, tell)

    async for line in parts.bridge.iterate(work):
        yield line
        if line.status.startswith("sha256:"):
            parts.events.publish("image", "import", line.status, {"name": line.status})
            if name is not None:
                parts.events.publish("image", "tag", line.status, {"name": name.familiar()})
