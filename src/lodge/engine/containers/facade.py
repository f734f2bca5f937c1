"""Containers for whoever calls the engine: finds the one that is meant, passes on to who does it.

Fulfils `lodge.api.backend.Containers`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any

from lodge.engine.containers import changing, figures, files, listing, logs, pruning, streaming, waiting
from lodge.engine.containers.committing import Committer
from lodge.engine.containers.creation import Creator
from lodge.engine.containers.removal import Remover
from lodge.engine.containers.starting import Starter
from lodge.engine.containers.stopping import Stopper
from lodge.engine.models import (
    AttachQuery,
    Change,
    Container,
    ExitResult,
    LogQuery,
    NetworkChange,
    PathStat,
    ProcessTable,
    Pruned,
    Stats,
)
from lodge.engine.networks.attaching import Attachments
from lodge.engine.parts import Parts
from lodge.spec.container import RestartPolicy, Wish

if TYPE_CHECKING:
    from lodge.engine.containers.streaming import Handover
    from lodge.engine.pipes import Inflow, Outflow

Filters = dict[str, list[str]]
Many = list


class Containers:
    """All containers of an engine, by name or id. NotFound "No such container: x" from every method."""

    def __init__(
        self,
        parts: Parts,
        creator: Creator,
        starter: Starter,
        stopper: Stopper,
        remover: Remover,
        committer: Committer,
        attachments: Attachments,
    ) -> None:
        self._parts = parts
        self._find = parts.census.find
        self._creator = creator
        self._starter = starter
        self._stopper = stopper
        self._remover = remover
        self._committer = committer
        self._attachments = attachments

    async def create(self, name: str | None, wish: Wish, platform: str | None) -> tuple[Container, list[str]]:
        """Make one; see `creation`."""
        resident, warnings = await self._creator.create(name, wish, platform)
        return resident.container, warnings

    async def get(self, name: str) -> Container:
        """What is wanted and known of one."""
        return self._find(name).container

    async def list(self, *, all: bool, limit: int, filters: Filters) -> Many[Container]:
        """Those that are wanted, the newest first; see `listing`."""
        return listing.select(self._parts.census, self._parts.images, all=all, limit=limit, filters=filters)

    async def sizes(self, name: str) -> tuple[int, int]:
        """Bytes written by the container, and bytes of its whole root file system."""
        resident = self._find(name)
        written, _ = await self._parts.bridge.call(self._parts.store.snapshots.usage, resident.id)
        return written, written + self._parts.images.size_of(resident.container.image_id)

    async def start(self, name: str) -> None:
        """Start it; see `starting`."""
        await self._starter.start(self._find(name))

    async def stop(self, name: str, *, signal: str | None, timeout: int | None) -> None:
        """Ask it to end, then make it."""
        await self._stopper.stop(self._find(name), signal_name=signal, timeout=timeout)

    async def restart(self, name: str, *, signal: str | None, timeout: int | None) -> None:
        """Stop and start it."""
        await self._stopper.restart(self._find(name), signal_name=signal, timeout=timeout)

    async def kill(self, name: str, signal: str) -> None:
        """Send a signal."""
        await self._stopper.kill(self._find(name), signal)

    async def pause(self, name: str) -> None:
        """Freeze it."""
        await self._stopper.pause(self._find(name))

    async def unpause(self, name: str) -> None:
        """Let it run on."""
        await self._stopper.unpause(self._find(name))

    async def wait(self, name: str, condition: str) -> Awaitable[ExitResult]:
        """Begin to wait; await what is returned."""
        return waiting.begin(self._find(name), condition)

    async def remove(self, name: str, *, force: bool, volumes: bool, link: bool) -> None:
        """Remove it with its files."""
        if link:
            await changing.remove_link(self._parts, name)
            return
        await self._remover.remove(self._find(name), force=force, volumes=volumes)

    async def rename(self, name: str, new_name: str) -> None:
        """Give it another name."""
        await changing.rename(self._parts, self._attachments, self._find(name), new_name)

    async def update(
        self,
        name: str,
        limits: dict[str, Any],
        restart: RestartPolicy | None,
        network: NetworkChange | None = None,
    ) -> Many[str]:
        """Change limits, restart policy and network; gives warnings."""
        resident = self._find(name)
        return await changing.update(self._parts, self._attachments, resident, limits, restart, network)

    async def top(self, name: str, arguments: str) -> ProcessTable:
        """Its processes."""
        return await figures.top(self._parts, self._find(name), arguments)

    async def changes(self, name: str) -> Many[Change]:
        """What differs from its image."""
        return await files.changes(self._parts, self._find(name))

    async def stats(self, name: str, *, stream: bool, one_shot: bool) -> AsyncIterator[Stats]:
        """Figures, each second or once."""
        return figures.stats(self._parts, self._find(name), stream=stream, one_shot=one_shot)

    async def logs(self, name: str, query: LogQuery) -> AsyncIterator[bytes]:
        """Its log as bytes that go out as they are."""
        return await logs.read(self._parts, self._find(name), query)

    async def attach(self, name: str, query: AttachQuery, *, framed: bool) -> Callable[[Handover], None]:
        """Check, then hand a client's connection over by the returned call."""
        return streaming.attach(self._parts, self._find(name), query, framed=framed)

    async def resize(self, name: str, rows: int, columns: int) -> None:
        """Set the terminal's size."""
        await streaming.resize(self._parts, self._find(name), rows, columns)

    async def export(self, name: str) -> Outflow:
        """Its whole file system as a tar."""
        return await files.export(self._parts, self._find(name))

    async def stat_path(self, name: str, path: str) -> PathStat:
        """What is at a path in it."""
        return await files.stat_path(self._parts, self._find(name), path)

    async def get_archive(self, name: str, path: str) -> tuple[PathStat, Outflow]:
        """A file or directory of it as a tar."""
        return await files.get_archive(self._parts, self._find(name), path)

    async def put_archive(
        self, name: str, path: str, source: Inflow, *, no_overwrite_dir_non_dir: bool, copy_uid_gid: bool
    ) -> None:
        """Unpack a tar into a directory of it."""
        await files.put_archive(
            self._parts,
            self._find(name),
            path,
            source,
            no_overwrite_dir_non_dir=no_overwrite_dir_non_dir,
            copy_uid_gid=copy_uid_gid,
        )

    async def commit(
        self,
        name: str,
        *,
        reference: str | None,
        comment: str,
        author: str,
        pause: bool,
        changes: Many[str],
        config: dict[str, Any] | None,
    ) -> str:
        """Make an image of it; gives the image's id."""
        return await self._committer.commit(
            self._find(name),
            reference=reference,
            comment=comment,
            author=author,
            pause=pause,
            changes=changes,
            config=config,
        )

    async def prune(self, filters: Filters) -> Pruned:
        """Remove those that don't run."""
        return await pruning.prune(self._parts, self._remover, filters)
