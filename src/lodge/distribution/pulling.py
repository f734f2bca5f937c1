"""A pull: from a name to a whole image in the store, with the progress that Docker's clients know.

The manifest says what is needed; what is not here comes through `transfers`, in parallel, and is unpacked on
the way; layers get their place from the base up; the name comes last, so that it never refers to half an
image. Blocks; one call is one pull.
"""

from __future__ import annotations

import queue
from collections.abc import Callable
from typing import TYPE_CHECKING, Self

from msgspec import Struct

from lodge.distribution import answers, transfers
from lodge.distribution.abort import Abort
from lodge.distribution.choice import check_manifest, check_top, choose, offers
from lodge.distribution.contract import Reception
from lodge.distribution.download import download
from lodge.distribution.registries import Places, Registries
from lodge.distribution.repository import RemoteManifest
from lodge.distribution.transfers import Inbox, Transfer, Transfers
from lodge.errors import Corrupt, NotFound
from lodge.spec.descriptor import Descriptor
from lodge.spec.digest import Digest
from lodge.spec.image import CONFIG_CAP, LAYERS_CAP, MANIFEST_CAP, ImageConfig, Manifest, chain_ids
from lodge.spec.platform import Platform, host
from lodge.spec.reference import Reference

if TYPE_CHECKING:
    from lodge.distribution.contract import Unpacked

_DENIED = "requested access to the resource is denied"
_PATIENCE = 0.25
"""Seconds after which a pull looks whether its client is still there."""

Tell = Callable[[str, str, int, int], None]
"""Called with a status, the id it is about ("" for none), bytes done, bytes in all (0 when unknown)."""


class Pulled(Struct, frozen=True, kw_only=True):
    """What a pull has brought. `fresh` is false when the name referred to it before."""

    target: Descriptor
    config_digest: Digest
    fresh: bool


class Puller:
    """Pulls into one reception. Safe in threads."""

    def __init__(self, registries: Registries, reception: Reception, shared: Transfers) -> None:
        self._registries = registries
        self._reception = reception
        self._transfers = shared

    def pull(
        self,
        reference: Reference,
        places: Places,
        tell: Tell,
        abort: Abort,
        *,
        platform: Platform | None = None,
        every_platform: bool = False,
        admit: Callable[[Descriptor], None] | None = None,
    ) -> Pulled:
        """Bring one image and name it: by its tag, and by its digest as the registry calls it.

        `admit` sees what the name leads to before anything else is asked for, and may raise.
        Raises NotFound in Docker's words, Corrupt for a registry that lies, Unavailable, Exhausted, Aborted.
        """
        wanted = reference.digest or reference.tag or ""
        try:
            top = self._top(reference, places, wanted)
        except answers.RegistryError as error:
            raise explained(error, reference) from error
        check_top(top.descriptor, reference.familiar())
        if admit is not None:
            admit(top.descriptor)
        tell(f"Pulling from {reference.path}", wanted, 0, 0)
        chosen = self._choose(top, places, platform, every=every_platform)
        config = Digest(chosen[0].manifest().config.digest)
        for manifest in chosen:
            self._bring(manifest, top, places, tell, abort, None if top.descriptor.is_index else platform)
        return self._name(reference, top.descriptor.plain(), config)

    def _top(self, reference: Reference, places: Places, wanted: str) -> RemoteManifest:
        """Return what the name means now. Where that is here already, only its digest is asked for.

        Registries count the manifests that somebody fetches, and not such questions.
        """
        known = self._reception.named(str(reference))
        if known is not None and self._reception.has_blob(known.id):
            told = places.resolve(wanted)
            if told is not None and told.digest == known.digest:
                return RemoteManifest(known.plain(), self._reception.read(known.id, MANIFEST_CAP))
        return places.manifest(wanted)

    def _name(self, reference: Reference, target: Descriptor, config: Digest) -> Pulled:
        by_digest = str(reference.with_digest(target.id))
        name = by_digest if reference.digest else str(reference)
        before = self._reception.named(name)
        self._reception.name({by_digest, name}, target)
        return Pulled(
            target=target, config_digest=config, fresh=before is None or before.digest != target.digest
        )

    def _choose(
        self, top: RemoteManifest, places: Places, platform: Platform | None, *, every: bool
    ) -> list[RemoteManifest]:
        """Return the manifests to take; indexes on the way to them are kept too."""

        def fetch(entry: Descriptor) -> RemoteManifest:
            found = places.manifest(entry.digest)
            if found.descriptor.media_type != entry.media_type or found.descriptor.size != entry.size:
                raise Corrupt(f"{entry.digest} is not what its index says: {found.descriptor.media_type}")
            if entry.is_index:
                self._reception.put(found.data, entry.id)
            return found

        if not top.descriptor.is_index:
            return [top]
        found = list(offers(top, fetch))
        best = choose(found, platform or host()) if not every else _first(found)
        chosen = [best, *(entry for entry in found if every and entry is not best)]
        return [fetch(entry) for entry in chosen]

    def _bring(
        self,
        remote: RemoteManifest,
        top: RemoteManifest,
        places: Places,
        tell: Tell,
        abort: Abort,
        platform: Platform | None,
    ) -> None:
        """Bring everything that one manifest names, itself, and what it was found in."""
        manifest = remote.manifest()
        check_manifest(manifest)
        config = self._config(manifest, places)
        if platform is not None and not platform.matches(config.platform):
            raise NotFound(
                f"image was found but its platform ({config.platform}) does not match the specified platform "
                f"({platform})"
            )
        blobs = (*(layer.id for layer in manifest.layers), remote.descriptor.id, top.descriptor.id)
        with (
            self._reception.together(blobs, chain_ids(config.rootfs.diff_ids)),
            _Layers(self._reception, self._transfers, manifest, config, tell, abort) as layers,
        ):
            layers.begin(places, self._registries.settings.max_attempts)
            layers.finish()
            for each in (remote, top):
                self._reception.put(each.data, each.descriptor.id)

    def _config(self, manifest: Manifest, places: Places) -> ImageConfig:
        wanted = manifest.config
        if wanted.size > CONFIG_CAP:
            raise Corrupt(f"the image configuration is larger than {CONFIG_CAP >> 20} MiB")
        if self._reception.has_blob(wanted.id):
            data = self._reception.read(wanted.id, CONFIG_CAP)
        else:
            pieces: list[bytes] = []
            with places.blob(wanted.id, wanted.size) as stream:
                while sum(map(len, pieces)) < wanted.size and (piece := stream.read(wanted.size)):
                    pieces.append(piece)
            data = b"".join(pieces)
            if len(data) != wanted.size:
                raise Corrupt(f"{wanted.digest}: {len(data)} bytes instead of {wanted.size}")
            self._reception.put(data, wanted.id)
        config = ImageConfig.decode(data)
        if len(config.rootfs.diff_ids) != len(manifest.layers) or len(manifest.layers) > LAYERS_CAP:
            raise Corrupt("layers from manifest don't match image configuration")
        return config


class _Layers:
    """The layers of one image on their way."""

    def __init__(
        self,
        reception: Reception,
        shared: Transfers,
        manifest: Manifest,
        config: ImageConfig,
        tell: Tell,
        abort: Abort,
    ) -> None:
        self._reception = reception
        self._transfers = shared
        self._layers = manifest.layers
        self._diff_ids = [Digest(diff_id) for diff_id in config.rootfs.diff_ids]
        self._chains = chain_ids(config.rootfs.diff_ids)
        self._tell = tell
        self._abort = abort
        self._inbox: Inbox = queue.SimpleQueue()
        self._coming: dict[int, Transfer] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for transfer in self._coming.values():
            self._transfers.release(transfer, self._inbox)

    def begin(self, places: Places, attempts: int) -> None:
        """Ask for everything that is missing."""
        missing: list[int] = []
        for position, layer in enumerate(self._layers):
            if not (self._reception.has_blob(layer.id) and self._reception.has_layer(self._chains[position])):
                missing.append(position)
        # Nothing is said of the layers of an image that is here, as in Docker.
        for position, layer in enumerate(self._layers if missing else ()):
            status = "Pulling fs layer" if position in missing else "Already exists"
            self._tell(status, layer.id.short, 0, 0)
        seen: set[Digest] = set()
        for position in missing:
            layer = self._layers[position]
            if layer.id in seen:
                continue
            seen.add(layer.id)
            unpack = not self._reception.has_layer(self._chains[position])
            work = self._work(layer, places, attempts, unpack=unpack)
            self._coming[position] = self._transfers.want(layer.id, self._inbox, work)
        self._missing = missing

    def _work(self, layer: Descriptor, places: Places, attempts: int, *, unpack: bool) -> transfers.Work:
        reception = self._reception

        def work(transfer: Transfer) -> Unpacked | None:
            if not reception.has_blob(layer.id):
                # It may outlive the pull that began it.
                own = places.bound(transfer.abort)
                return download(own, layer, reception, transfer, unpack=unpack, attempts=attempts)
            transfer.tell(transfers.DOWNLOADED)
            transfer.tell(transfers.EXTRACTING, layer.size, layer.size)
            return reception.unpack(layer) if unpack else None

        return work

    def finish(self) -> None:
        """Wait for all; place each as soon as those below it are there."""
        for position in self._missing:
            transfer = self._coming.get(position)
            if transfer is not None:
                self._await(transfer)
            self._place(position, transfer)
            self._tell("Pull complete", self._layers[position].id.short, 0, 0)

    def _await(self, transfer: Transfer) -> None:
        while not transfer.done.is_set():
            self._abort.check()
            try:
                news = self._inbox.get(timeout=_PATIENCE)
            except queue.Empty:
                continue
            if news.status:
                self._tell(news.status, news.transfer.digest.short, news.current, news.total)
            failed = next((each for each in self._coming.values() if each.error is not None), None)
            if failed is not None:
                transfer = failed
                break
        if transfer.error is not None:
            raise transfer.error

    def _place(self, position: int, transfer: Transfer | None) -> None:
        chain, layer = self._chains[position], self._layers[position]
        if self._reception.has_layer(chain):
            return
        parent = self._chains[position - 1] if position else None
        self._tell(transfers.EXTRACTING, layer.id.short, layer.size, layer.size)
        unpacked = None
        if transfer is not None:
            with transfer.lock:
                if transfer.unpacked is not None:
                    transfer.unpacked.place(chain, parent, self._diff_ids[position])
                    unpacked, transfer.unpacked = transfer.unpacked, None
        if unpacked is None and not self._reception.has_layer(chain):
            # The same blob twice in one image, or a transfer that began for somebody who had the layer.
            unpacked = self._reception.unpack(layer)
            try:
                unpacked.place(chain, parent, self._diff_ids[position])
            finally:
                unpacked.discard()
        elif unpacked is not None:
            unpacked.discard()


def explained(error: answers.RegistryError, reference: Reference) -> Exception:
    """Say what a refusal means for a pull, in Docker's words."""
    refusal = error.refusal
    name = reference.familiar_name
    if refusal.status == 401 or refusal.code == "DENIED" or (refusal.status == 403 and not refusal.code):
        return NotFound(
            f"pull access denied for {name}, repository does not exist or may require 'docker login': "
            f"denied: {(refusal.code == 'DENIED' and refusal.message) or _DENIED}"
        )
    if refusal.code == "NAME_UNKNOWN":
        return NotFound(f"repository {name} not found: {refusal}")
    if refusal.code == "MANIFEST_UNKNOWN" or refusal.status == 404:
        cause = refusal if refusal.code else "manifest unknown: manifest unknown"
        return NotFound(f"manifest for {reference.familiar()} not found: {cause}")
    return error


def _first(found: list[Descriptor]) -> Descriptor:
    if not found:
        raise NotFound("no matching manifest in the manifest list entries: it holds no image")
    return host().choose((entry.platform, entry) for entry in found) or found[0]
