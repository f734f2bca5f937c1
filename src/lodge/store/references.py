"""Names of images: the index of the OCI image layout, replaced atomically.

A name is a canonical reference ("docker.io/library/busybox:latest", also "repo@sha256:..." for what a
registry calls it) or the bare digest of an image that has no name. In `index.json` a name is an annotation;
an image without a name is an entry without one, so that other tools read the layout. The index is in memory
meanwhile.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterable

import msgspec

from lodge.errors import Corrupt, InvalidArgument, NotFound
from lodge.spec.descriptor import OCI_INDEX, Descriptor
from lodge.spec.image import Index
from lodge.spec.reference import Reference
from lodge.store.durability import replace_file
from lodge.store.leases import Leases
from lodge.store.space import disk_full_is_exhausted

NAME = "org.opencontainers.image.ref.name"
CONTAINERD_NAME = "io.containerd.image.name"
_LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'
_BALLAST = 256 << 10
_CAP = 256 << 20


class References:
    """The names of one store. All methods are atomic and safe in threads."""

    def __init__(self, directory: str, leases: Leases) -> None:
        self._index = os.path.join(directory, "index.json")
        self._ballast = os.path.join(directory, "ballast")
        self._leases = leases
        self._lock = threading.Lock()
        layout = os.path.join(directory, "oci-layout")
        if not os.path.exists(layout):
            replace_file(layout, _LAYOUT)
        self._names = self._load()
        self._fill_ballast()

    def get(self, name: str) -> Descriptor:
        """Return what a name refers to. Raises NotFound."""
        found = self._names.get(name)
        if found is None:
            raise NotFound(f"no such image: {name}")
        return found

    def list(self) -> dict[str, Descriptor]:
        """Return all names and what they refer to, at this moment."""
        return dict(self._names)

    def set(self, name: str, descriptor: Descriptor) -> None:
        """Let a name refer to an image; what it referred to before is replaced. Idempotent.

        Raises InvalidArgument when the name is neither a canonical reference nor the digest itself.
        """
        _check(name, descriptor)
        with self._leases.lock, self._lock:
            self._leases.touch(descriptor.digest)
            if self._names.get(name) != descriptor:
                self._replace({**self._names, name: descriptor})

    def assign(self, name: str | Iterable[str], descriptor: Descriptor) -> None:
        """Let a name, or several, refer to an image as `docker tag` does: no image is lost by it.

        What a name referred to keeps its digest as a name when it has no other; the image that gets the
        name needs its bare digest no more. Idempotent; all names change at once.
        """
        wanted = [name] if isinstance(name, str) else list(name)
        for each in wanted:
            _check(each, descriptor)
        with self._leases.lock, self._lock:
            self._leases.touch(descriptor.digest)
            names = dict(self._names)
            for each in wanted:
                old = names.get(each)
                names[each] = descriptor
                if each != descriptor.digest:
                    names.pop(descriptor.digest, None)
                if old is not None and all(other.digest != old.digest for other in names.values()):
                    names[old.digest] = old
            if names != self._names:
                self._replace(names)

    def remove(self, name: str) -> None:
        """Forget a name. Idempotent. Works without a byte free on the disk."""
        with self._lock:
            if name in self._names:
                names = dict(self._names)
                del names[name]
                self._replace(names, ballast=True)

    def _replace(self, names: dict[str, Descriptor], *, ballast: bool = False) -> None:
        manifests = tuple(_entry(name, descriptor) for name, descriptor in sorted(names.items()))
        data = Index(schema_version=2, media_type=OCI_INDEX, manifests=manifests).encode()
        with disk_full_is_exhausted("the names of images can't be written"):
            try:
                replace_file(self._index, data)
            except OSError as error:
                if not ballast or error.errno not in (errno.ENOSPC, errno.EDQUOT):
                    raise
                # The space that was put by for this moment.
                os.unlink(self._ballast)
                replace_file(self._index, data)
        self._names = names
        if ballast:
            self._fill_ballast()

    def _fill_ballast(self) -> None:
        if os.path.exists(self._ballast):
            return
        temporary = self._ballast + ".new"
        try:
            with open(temporary, "wb") as file:
                file.write(bytes(_BALLAST))
            os.rename(temporary, self._ballast)
        except OSError as error:
            try:
                os.unlink(temporary)
            except FileNotFoundError:
                pass
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise

    def _load(self) -> dict[str, Descriptor]:
        try:
            with open(self._index, "rb") as file:
                data = file.read(_CAP)
        except FileNotFoundError:
            return {}
        try:
            index = msgspec.json.decode(data, type=Index)
        except (msgspec.DecodeError, InvalidArgument) as error:
            raise Corrupt(
                f"the index of the image store is damaged: {error}",
                hint=f"move {self._index} away and load again",
            ) from error
        return dict(_named(entry) for entry in index.manifests)


def _check(name: str, descriptor: Descriptor) -> None:
    if name == descriptor.digest:
        return
    if str(Reference.parse_name(name)) != name or name.count(":") + name.count("@") == 0:
        raise InvalidArgument(f"{name!r} is not a canonical image name")


def _entry(name: str, descriptor: Descriptor) -> Descriptor:
    if name == descriptor.digest:
        return descriptor
    annotations = {**(descriptor.annotations or {}), NAME: name}
    return msgspec.structs.replace(descriptor, annotations=annotations)


def _named(entry: Descriptor) -> tuple[str, Descriptor]:
    annotations = dict(entry.annotations or {})
    name = annotations.pop(NAME, entry.digest)
    return name, msgspec.structs.replace(entry, annotations=annotations or None)
