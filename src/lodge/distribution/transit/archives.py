"""Archives: `docker save`'s form and an OCI layout in a tar, as origins and goals.

They are taken apart into, or put together from, a layout in a temporary directory beside them. A `docker
save` archive has plain layers and no manifest; here its layers are compressed and it gets one.
"""

from __future__ import annotations

import os
import shutil
import tarfile
import tempfile
from typing import Any

import msgspec

from lodge.archive.compression import GZIP, compressor, detect, inflate
from lodge.archive.reader import TarReader
from lodge.archive.source import Readable
from lodge.distribution.repository import RemoteManifest
from lodge.distribution.transit.layout import LayoutGoal, LayoutOrigin, blob_path
from lodge.errors import Corrupt, InvalidArgument, NotFound, Unsupported
from lodge.spec.descriptor import OCI_CONFIG, OCI_LAYER_GZIP, OCI_MANIFEST, Descriptor
from lodge.spec.digest import Digest, hasher
from lodge.spec.image import CONFIG_CAP, Manifest
from lodge.spec.reference import Reference

_PIECE = 1 << 20
_REGULAR = (b"0", b"\0", b"7")


class ArchiveOrigin(LayoutOrigin):
    """See Origin: an archive of either form; which one is found by looking."""

    def __init__(self, path: str, name: str) -> None:
        self._temporary = tempfile.mkdtemp(prefix="lodge-archive-")
        try:
            with open(path, "rb", buffering=0) as file:
                files = _unpack(inflate(file)[1], self._temporary)
            if "index.json" in files:
                super().__init__(self._temporary, name)
            else:
                _layout_of_docker(self._temporary, files, name, path)
                super().__init__(self._temporary, "")
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """See Origin."""
        # SAFETY: a directory that mkdtemp made for this object alone.
        shutil.rmtree(self._temporary, ignore_errors=True)


def _unpack(readable: Readable, directory: str) -> dict[str, str]:
    """Put the regular files of an archive beside each other under numbers: no name becomes a path.

    Only a layout's own names (`blobs/<algorithm>/<digest>`, `index.json`) are kept, for they are checked.
    """
    files: dict[str, str] = {}
    links: dict[str, str] = {}
    reader = TarReader(readable)
    for member in reader:
        name = os.path.normpath(member.name.decode("utf-8", "surrogateescape"))
        if member.type in (b"1", b"2"):
            target = member.link.decode("utf-8", "surrogateescape")
            base = os.path.dirname(name) if member.type == b"2" else ""
            links[name] = os.path.normpath(os.path.join(base, target))
            continue
        if member.type not in _REGULAR:
            continue
        path = f"{directory}/{_place(name, len(files))}"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb", buffering=0) as file:
            file.writelines(reader.pieces())
        files[name] = path
    for name, target in links.items():
        if target in files:
            files[name] = files[target]
    return files


def _place(name: str, number: int) -> str:
    parts = name.split("/")
    if name in ("index.json", "oci-layout"):
        return name
    if len(parts) == 3 and parts[0] == "blobs":
        try:
            digest = Digest(f"{parts[1]}:{parts[2]}")
        except InvalidArgument:
            return f"member-{number}"
        return f"blobs/{digest.algorithm}/{digest.hex}"
    return f"member-{number}"


def _layout_of_docker(directory: str, files: dict[str, str], name: str, archive: str) -> None:
    """Make a layout of what `docker save` wrote (image-spec of Docker, v1.2)."""
    if "manifest.json" not in files:
        raise Corrupt(f"{archive} is neither an OCI layout nor a docker archive")
    try:
        with open(files["manifest.json"], "rb") as file:
            entries: list[dict[str, Any]] = msgspec.json.decode(file.read(CONFIG_CAP))
        entry = _choose(entries, name, archive)
        config, layers = _named(files, entry["Config"]), [_named(files, one) for one in entry["Layers"]]
    except (msgspec.DecodeError, KeyError, TypeError, RecursionError) as error:
        raise Corrupt(f"{archive}: the manifest of the archive is damaged: {error}") from None
    manifest = Manifest(
        schema_version=2,
        media_type=OCI_MANIFEST,
        config=_adopt(directory, config, OCI_CONFIG),
        layers=tuple(_compress(directory, layer) for layer in layers),
    )
    data = manifest.encode()
    top = RemoteManifest(Descriptor(media_type=OCI_MANIFEST, digest=Digest.of(data), size=len(data)), data)
    LayoutGoal(directory, "").finish(top)


def _choose(entries: list[dict[str, Any]], name: str, archive: str) -> dict[str, Any]:
    if not name and len(entries) == 1:
        return entries[0]
    wanted = Reference.parse(name).familiar() if name else ""
    for entry in entries:
        if wanted in (entry.get("RepoTags") or ()):
            return entry
    there = sorted(tag for entry in entries for tag in entry.get("RepoTags") or ())
    raise NotFound(f"no image {name!r} in {archive}", hint=f"there are {', '.join(there[:20])}")


def _named(files: dict[str, str], name: str) -> str:
    path = files.get(os.path.normpath(name))
    if path is None:
        raise Corrupt(f"the archive lacks {name!r}")
    return path


def _adopt(directory: str, path: str, media_type: str) -> Descriptor:
    """A file as a blob of the layout."""
    with open(path, "rb") as file:
        data = file.read(CONFIG_CAP)
    digest = Digest.of(data)
    target = blob_path(directory, digest)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with open(target, "wb") as file:
        file.write(data)
    return Descriptor(media_type=media_type, digest=digest, size=len(data))


def _compress(directory: str, path: str) -> Descriptor:
    """A layer as a gzip blob of the layout; one that is compressed already stays as it is."""
    running, size = hasher(), 0
    temporary = f"{path}.packed"
    with open(path, "rb", buffering=0) as file, open(temporary, "wb", buffering=0) as out:
        first = file.read(8)
        if detect(first) not in ("none", GZIP):
            raise Unsupported(
                "a layer of the archive is compressed in a form that docker archives don't have"
            )
        packer = compressor(GZIP if detect(first) == "none" else "none")
        piece = first
        while piece:
            ready = packer.compress(piece)
            piece = file.read(_PIECE)
            if not piece:
                ready += packer.flush()
            out.write(ready)
            running.update(ready)
            size += len(ready)
    digest = Digest.finish(running)
    os.makedirs(f"{directory}/blobs/sha256", exist_ok=True)
    os.rename(temporary, blob_path(directory, digest))
    return Descriptor(media_type=OCI_LAYER_GZIP, digest=digest, size=size)


class ArchiveGoal(LayoutGoal):
    """See Goal: an archive file that appears when it is complete."""

    def __init__(self, path: str, name: str, *, docker: bool) -> None:
        folder = os.path.dirname(path) or "."
        if os.path.exists(path):
            raise InvalidArgument(f"{path} exists already", hint="archives are not added to; remove it first")
        self._path = path
        self._docker = docker
        self._reference = name
        self._temporary = tempfile.mkdtemp(prefix=".lodge-archive-", dir=folder)
        self._layout = f"{self._temporary}/layout"
        super().__init__(self._layout, name)

    def finish(self, top: RemoteManifest, /) -> None:
        """See Goal."""
        if self._docker and top.descriptor.is_index:
            raise Unsupported(
                "a docker archive holds one platform", hint="leave --all out, or use oci-archive:"
            )
        super().finish(top)
        made = f"{self._temporary}/archive"
        with tarfile.open(made, "w", format=tarfile.PAX_FORMAT) as tar:
            if self._docker:
                self._write_docker(tar, top.manifest())
            else:
                for name in ("oci-layout", "index.json", "blobs"):
                    tar.add(f"{self._layout}/{name}", name, filter=_anonymous)
        os.rename(made, self._path)

    def _write_docker(self, tar: tarfile.TarFile, manifest: Manifest) -> None:
        layers = []
        for layer in manifest.layers:
            plain = f"{self._temporary}/layer"
            with open(blob_path(self._layout, layer.id), "rb", buffering=0) as file:
                digest = _inflate_to(file, plain)
            layers.append(f"blobs/sha256/{digest.hex}")
            if layers[-1] not in layers[:-1]:
                tar.add(plain, layers[-1], filter=_anonymous)
        config = f"blobs/{manifest.config.id.algorithm}/{manifest.config.id.hex}"
        tar.add(f"{self._layout}/{config}", config, filter=_anonymous)
        tags = [Reference.parse(self._reference).familiar()] if self._reference else None
        described = f"{self._temporary}/manifest.json"
        with open(described, "wb") as file:
            file.write(msgspec.json.encode([{"Config": config, "RepoTags": tags, "Layers": layers}]))
        tar.add(described, "manifest.json", filter=_anonymous)

    def close(self) -> None:
        """See Goal."""
        # SAFETY: a directory that mkdtemp made for this object alone.
        shutil.rmtree(self._temporary, ignore_errors=True)


def _inflate_to(readable: Readable, path: str) -> Digest:
    plain, running = inflate(readable)[1], hasher()
    with open(path, "wb", buffering=0) as file:
        while piece := plain.read(_PIECE):
            file.write(piece)
            running.update(piece)
    return Digest.finish(running)


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Nothing of this machine or moment goes into an archive."""
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    member.mode = 0o755 if member.isdir() else 0o644
    return member
