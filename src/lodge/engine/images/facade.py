"""Images for whoever calls the engine; fulfils `lodge.api.backend.Images`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from lodge.engine.filters import before, check_keys, flag, prunable
from lodge.engine.images import contents, listing, removal, transfer
from lodge.engine.images.admission import forget_signatures
from lodge.engine.images.catalog import Found
from lodge.engine.images.distribution import Distribution
from lodge.engine.models import HistoryEntry, Image, ImageDeletion, Progress, Pruned
from lodge.engine.parts import Parts
from lodge.errors import Conflict, InvalidArgument
from lodge.spec.descriptor import Descriptor
from lodge.spec.platform import Platform
from lodge.spec.reference import Reference

if TYPE_CHECKING:
    from lodge.engine.pipes import Inflow, Outflow

Filters = dict[str, list[str]]
Many = list


class Images:
    """All images of an engine, by name, digest or id. NotFound "No such image: x:latest"."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._catalog = parts.images
        self.distribution = Distribution(parts.settings, parts.store)

    async def list(self, *, all: bool, filters: Filters, shared_size: bool, digests: bool) -> Many[Image]:
        """Those that the filters choose, the newest first. Intermediate images don't exist here."""
        del all, digests
        chosen = listing.select(self._catalog.all(), filters, self._catalog.find)
        users = self._users()
        for found in chosen:
            found.image.containers = users.get(found.image.id, 0)
            found.image.shared_size = self._shared_size(found) if shared_size else -1
        return [found.image for found in chosen]

    def _users(self) -> dict[str, int]:
        users: dict[str, int] = {}
        for resident in self._parts.census:
            image = resident.container.image_id
            users[image] = users.get(image, 0) + 1
        return users

    def _shared_size(self, found: Found) -> int:
        """Bytes of layers that other images have too."""
        others = {
            chain for other in self._catalog.all() if other is not found for chain in other.resolved.chain_ids
        }
        sizes = self._parts.store.images.layer_sizes(found.resolved)
        return sum(
            size for chain, size in zip(found.resolved.chain_ids, sizes, strict=True) if chain in others
        )

    async def get(self, name: str, platform: str | None = None) -> Image:
        """One image."""
        return self._catalog.find(name, platform).image

    async def history(self, name: str, platform: str | None = None) -> Many[HistoryEntry]:
        """The steps of its making."""
        found = self._catalog.find(name, platform)
        return listing.history(found, self._parts.store.images.layer_sizes(found.resolved))

    async def tag(self, name: str, reference: str) -> None:
        """Give it a further name; what had the name before loses it."""
        found = self._catalog.find(name)
        wanted = Reference.parse(reference)
        if wanted.digest:
            raise InvalidArgument("refusing to create a tag with a digest reference")
        await self._parts.bridge.call(self._parts.store.references.assign, str(wanted), found.target)
        self._parts.events.publish("image", "tag", found.image.id, {"name": wanted.familiar()})

    async def remove(self, name: str, *, force: bool, prune: bool) -> Many[ImageDeletion]:
        """Untag it, and delete it when this was the last name; Conflict when something needs it."""
        del prune
        found = self._catalog.find(name)
        containers = [resident.container for resident in self._parts.census]
        plan = removal.plan(found, name, containers, force=force)
        lines = removal.report(found, plan)
        kept = self._chains_of_others(found)
        lines = [line for line in lines if line.deleted not in kept]
        await self._parts.bridge.call(self._do, found, plan)
        for gone in plan.names:
            shown = Reference.parse_name(gone).familiar()
            self._parts.events.publish("image", "untag", found.image.id, {"name": shown})
        if plan.delete:
            self._catalog.parentage.forget(found.image.id)
            self._parts.events.publish("image", "delete", found.image.id, {"name": found.image.id})
        return lines

    def _chains_of_others(self, found: Found) -> set[str]:
        kept = {
            str(chain)
            for other in self._catalog.all()
            if other.image.id != found.image.id
            for chain in other.resolved.chain_ids
        }
        for resident in self._parts.census:
            if resident.container.image_id == found.image.id:
                kept.update(map(str, found.resolved.chain_ids))
        return kept

    def _do(self, found: Found, plan: removal.Removal) -> None:
        references = self._parts.store.references
        for name in plan.names:
            references.remove(name)
        if plan.delete:
            for name in found.names:
                references.remove(name)
            self._collect()

    def _collect(self) -> int:
        freed = self._parts.store.collect()
        forget_signatures(self._parts.store, self._parts.settings.data_root)
        self._catalog.forget()
        return freed.size

    async def prune(self, filters: Filters) -> Pruned:
        """Remove images that no container uses: the dangling ones, or with dangling=false all of them."""
        check_keys(filters, ("dangling", "label", "label!", "until"))
        only_dangling = flag(filters, "dangling", True)
        until = before(filters)
        used = {resident.container.image_id for resident in self._parts.census}
        pruned = Pruned(deleted=[], image_deletions=[])
        for found in self._catalog.all():
            if found.image.id in used or (only_dangling and not listing.dangling(found)):
                continue
            if until is not None and found.image.created_at > until:
                continue
            if not prunable(listing.labels_of(found), filters):
                continue
            try:
                lines = await self.remove(found.image.id, force=True, prune=True)
            except Conflict:
                continue
            pruned.image_deletions += lines
            pruned.reclaimed += found.image.size
        self._parts.events.publish("image", "prune", "", {"reclaimed": str(pruned.reclaimed)})
        return pruned

    async def load(self, source: Inflow, *, quiet: bool) -> AsyncIterator[Progress]:
        """Take in an archive."""
        return transfer.load(self._parts, source, quiet=quiet)

    async def save(self, names: Many[str], platform: str | None) -> Outflow:
        """The named images as one archive."""
        return await transfer.save(self._parts, names, platform)

    async def manifest(self, name: str) -> tuple[Descriptor, bytes]:
        """What a name refers to, and its bytes."""
        target = self._catalog.find(name).target
        return await self._parts.bridge.call(contents.manifest, self._parts.store, target)

    async def open_blob(self, digest: str) -> int:
        """A descriptor of a blob; the caller closes it."""
        return contents.open_blob(self._parts.store, digest)

    async def import_(
        self,
        source: Inflow | str,
        *,
        reference: str | None,
        message: str,
        changes: Many[str],
        platform: str | None,
    ) -> AsyncIterator[Progress]:
        """Make an image of a plain tar: a stream, or a file of the web."""
        return transfer.import_(
            self._parts, source, reference=reference, message=message, changes=changes, platform=platform
        )

    async def pull(
        self, reference: str, *, platform: str | None, auth: dict[str, str] | None
    ) -> AsyncIterator[Progress]:
        """Bring an image from its registry; without tag and digest all tags. `platform` "all" keeps all."""
        from lodge.engine.images import pulling

        wanted = Reference.parse_name(reference)
        return pulling.pull(self._parts, self.distribution, wanted, platform=platform, auth=auth)

    async def push(
        self, reference: str, *, platform: str | None, auth: dict[str, str] | None, compression: str = ""
    ) -> AsyncIterator[Progress]:
        """Bring an image to its registry; without a tag all tags. `compression` is as in "zstd:19"."""
        from lodge.engine.images import pushing

        wanted = Reference.parse_name(reference)
        return pushing.push(
            self._parts, self.distribution, wanted, platform=platform, auth=auth, compression=compression
        )

    async def login(self, auth: dict[str, str]) -> str:
        """Check credentials at their registry; gives the identity token that it offers instead, or ""."""
        from lodge.distribution.credentials import NOBODY, Credentials
        from lodge.distribution.login import login

        credentials = Credentials.of_auth_config(auth) or NOBODY
        server = auth.get("serveraddress", "")
        return await self._parts.bridge.call(login, self.distribution.registries(), server, credentials)

    async def inspect_remote(
        self, reference: str, *, auth: dict[str, str] | None
    ) -> tuple[Descriptor, Many[Platform]]:
        """What the registry has under a name: its descriptor and the platforms of its images."""
        from lodge.distribution.credentials import Credentials
        from lodge.distribution.inspecting import inspect

        wanted = Reference.parse(reference)
        places = self.distribution.registries().repository(wanted, Credentials.of_auth_config(auth))
        found = await self._parts.bridge.call(inspect, wanted, places)
        return found.remote.descriptor, found.platforms

    async def bootstrap(self, name: str, *, suite: str | None, mirror: str | None) -> AsyncIterator[Progress]:
        """Make a base image on this machine."""
        return transfer.bootstrap(self._parts, name, suite=suite, mirror=mirror)
