"""Which images there are, and which one a name means: reference, digest, id, or the beginning of an id.

The truth is the store's references; what is made of them here is kept until they change. Used by the loop's
thread only: reading an image is a few small files once.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from lodge.engine.bridge import Bridge
from lodge.engine.images.parentage import Parentage
from lodge.engine.models import Image
from lodge.errors import Corrupt, InvalidArgument, LodgeError, NotFound
from lodge.spec.descriptor import Descriptor
from lodge.spec.digest import Digest
from lodge.spec.image import CONFIG_CAP, ImageConfig
from lodge.spec.platform import Platform, host
from lodge.spec.reference import Reference

if TYPE_CHECKING:
    from lodge.store.images import ResolvedImage
    from lodge.store.store import Store

_HEX = re.compile(r"[0-9a-f]{1,64}")


class Found(Struct):
    """An image with what is needed to run it. `names` are all canonical references to it."""

    image: Image
    config: ImageConfig
    chain_id: Digest | None
    resolved: ResolvedImage
    target: Descriptor
    names: list[str]


class Catalog:
    """All images of one store."""

    def __init__(self, store: Store, bridge: Bridge, parentage: Parentage) -> None:
        self._store = store
        self.parentage = parentage
        self._bridge = bridge
        self._seen: dict[str, Descriptor] = {}
        self._by_id: dict[str, Found] = {}
        self._by_name: dict[str, Found] = {}
        self._by_target: dict[str, Found] = {}
        self._unpacked: set[str] = set()

    def all(self) -> list[Found]:
        """Every image once."""
        self._refresh()
        return list(self._by_id.values())

    def find(self, name: str, platform: str | None = None) -> Found:
        """The image that a name means; NotFound "No such image: x:latest".

        With a platform the image of that platform is chosen of an index; NotFound when there is none such.
        """
        self._refresh()
        found = self._lookup(name)
        if found is None:
            raise NotFound(f"No such image: {_shown(name)}")
        if platform is None:
            return found
        return self._of_platform(found, Platform.parse(platform))

    def adopt(self, target: str, parent: str) -> Found:
        """The image that was just made, by its manifest's digest, of the image `parent`."""
        found = self.find(target)
        self.parentage.note(found.image.id, parent)
        found.image.parent = self.parentage.of(found.image.id)
        return found

    def _lookup(self, name: str) -> Found | None:
        bare = name.removeprefix("sha256:")
        if len(bare) == 64 and _HEX.fullmatch(bare):
            return self._by_id.get(f"sha256:{bare}") or self._by_target.get(f"sha256:{bare}")
        try:
            reference = Reference.parse(name)
        except InvalidArgument:
            reference = None
        if reference is not None:
            if reference.digest:
                reference = reference.with_digest(Digest(reference.digest))
            if (found := self._by_name.get(str(reference))) is not None:
                return found
        if _HEX.fullmatch(bare):
            return self._by_beginning(bare)
        if reference is None and not _HEX.fullmatch(bare):
            Reference.parse(name)
        return None

    def _by_beginning(self, beginning: str) -> Found | None:
        fits = [each for each in self._by_id if each.startswith(f"sha256:{beginning}")]
        if len(fits) > 1:
            raise InvalidArgument(f"image ID prefix {beginning} is ambiguous: it fits {len(fits)} images")
        return self._by_id[fits[0]] if fits else None

    def _of_platform(self, found: Found, platform: Platform) -> Found:
        try:
            resolved = self._store.images.resolve(found.target, platform)
        except NotFound:
            own = found.config.platform
            shown = Reference.parse(found.names[0]).familiar() if found.names else found.image.id
            raise NotFound(
                f"image with reference {shown} was found but its platform ({own}) does not match the"
                f" specified platform ({platform})"
            ) from None
        if resolved.config_digest == found.image.id:
            return found
        return self._make(resolved, found.target, found.names)

    def size_of(self, id: str) -> int:
        """Bytes of an image's files; 0 when it was removed meanwhile."""
        self._refresh()
        found = self._by_id.get(id)
        return found.image.size if found else 0

    def platform_warning(self, found: Found, platform: str | None) -> str:
        """What to tell somebody who runs an image of another platform without asking for it."""
        own = found.config.platform
        if platform is not None or host().matches(own):
            return ""
        return (
            f"The requested image's platform ({own}) does not match the detected host platform ({host()}) "
            "and no specific platform was requested"
        )

    async def unpack(self, found: Found) -> None:
        """Make sure that the layers are there; for an image that was unpacked before this costs nothing."""
        if found.chain_id is None or found.chain_id in self._unpacked:
            return
        await self._bridge.call(self._store.images.unpack, found.resolved)
        self._unpacked.add(found.chain_id)

    def forget(self) -> None:
        """Look at everything anew: layers were removed."""
        self._seen = {}
        self._unpacked.clear()

    # ---- the index

    def _refresh(self) -> None:
        names = self._store.references.list()
        if names == self._seen and self._seen:
            return
        self._seen = names
        by_target: dict[str, list[str]] = {}
        targets: dict[str, Descriptor] = {}
        for name, target in names.items():
            by_target.setdefault(target.digest, []).append(name)
            targets[target.digest] = target
        known = {found.target.digest: found for found in self._by_id.values()}
        self._by_id, self._by_name, self._by_target = {}, {}, {}
        for digest, its_names in by_target.items():
            self._add(targets[digest], sorted(its_names), known.get(digest))

    def _add(self, target: Descriptor, names: list[str], known: Found | None) -> None:
        try:
            found = known or self._make(self._store.images.resolve(target), target, names)
        except (NotFound, Corrupt):
            # No platform of it is here; its name stays in the store, and a load or pull brings the rest.
            return
        same = self._by_id.get(found.image.id)
        if same is not None:
            # Two manifests with one config: one image with all names, as Docker sees it.
            same.names = sorted({*same.names, *names})
            _name(same)
            found = same
        else:
            found.names = names
            _name(found)
            self._by_id[found.image.id] = found
        self._by_target[target.digest] = found
        for name in names:
            self._by_name[name] = found

    def _make(self, resolved: ResolvedImage, target: Descriptor, names: list[str]) -> Found:
        config = resolved.config
        whole = msgspec.json.decode(self._store.content.read(resolved.config_digest, CONFIG_CAP))
        image = Image(
            id=str(resolved.config_digest),
            target=target.digest,
            created_at=moment(config.created),
            size=sum(self._store.images.layer_sizes(resolved)),
            architecture=config.architecture,
            variant=config.variant,
            os=config.os or "linux",
            author=config.author,
            comment=config.history[-1].comment if config.history else "",
            config=whole,
            diff_ids=list(config.rootfs.diff_ids),
            parent=self.parentage.of(str(resolved.config_digest)),
        )
        found = Found(
            image=image,
            config=config,
            chain_id=resolved.chain_id,
            resolved=resolved,
            target=target,
            names=names,
        )
        _name(found)
        return found


def _name(found: Found) -> None:
    """Write the names into the image as people see them."""
    tags: list[str] = []
    digests: list[str] = []
    for name in found.names:
        if name.startswith("sha256:"):
            continue
        reference = Reference.parse_name(name)
        (digests if reference.digest else tags).append(reference.familiar())
    found.image.tags, found.image.digests = sorted(tags), sorted(digests)


def _shown(name: str) -> str:
    try:
        return Reference.parse(name).familiar()
    except LodgeError:
        return name


def moment(text: str | None) -> int:
    """Nanoseconds of an RFC 3339 time; 0 when there is none or it can't be read."""
    if not text:
        return 0
    try:
        # At most six digits are read; images rarely have more that mean anything.
        trimmed = re.sub(r"(\.\d{6})\d+", r"\1", text)
        return max(0, round(datetime.fromisoformat(trimmed).timestamp() * 10**6) * 1000)
    except ValueError:
        return 0
