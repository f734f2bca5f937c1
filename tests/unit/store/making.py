"""Image archives for tests: docker-archives of every age, and OCI layouts."""

from __future__ import annotations

import hashlib
import io
import json
import os
import stat
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from lodge.spec.descriptor import OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST
from lodge.spec.platform import host
from tests.unit.archive.making import entry, tar

BASE = tar(
    entry("etc", kind="dir", mode=0o755),
    entry("etc/a", b"a"),
    entry("etc/b", b"bb"),
    entry("opt", kind="dir", mode=0o711, mtime=1_000_000),
    entry("opt/tool", b"#!", mode=0o755),
    entry("link", "etc/a", "link"),
)
TOP = tar(
    entry("etc/.wh.a"), entry("etc/c", b"ccc"), entry("opt/more", b"more"), entry("hard", "opt/tool", "hard")
)


def may_unpack(where: Path) -> bool:
    """Whether this user may make device nodes 0/0 (root, or anybody since Linux 4.14 on most systems)."""
    try:
        os.mknod(where / "probe-whiteout", stat.S_IFCHR, os.makedev(0, 0))
    except OSError:
        return False
    (where / "probe-whiteout").unlink()
    return True


def sha(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def config(layers: Sequence[bytes], **fields: object) -> bytes:
    """An image configuration for plain layers."""
    platform = host()
    return json.dumps(
        {
            "architecture": platform.architecture,
            "os": platform.os,
            "config": {"Cmd": ["sh"], "Env": ["A=b"]},
            "rootfs": {"type": "layers", "diff_ids": [sha(layer) for layer in layers]},
            "history": [
                {"created": "2020-01-01T00:00:00Z", "created_by": f"step {n}"} for n in range(len(layers))
            ],
            **fields,
        }
    ).encode()


def docker_archive(
    layers: Sequence[bytes],
    tags: Sequence[str] | None,
    *,
    packed: Sequence[bytes] | None = None,
    documents: Mapping[str, bytes] | None = None,
    first: bool = False,
    **fields: object,
) -> bytes:
    """What `docker save` wrote before version 25; `packed` are the layers as they lie in the archive."""
    raw = config(layers, **fields)
    name = hashlib.sha256(raw).hexdigest() + ".json"
    paths = [f"{hashlib.sha256(layer).hexdigest()}/layer.tar" for layer in layers]
    manifest = json.dumps([{"Config": name, "RepoTags": tags, "Layers": paths}]).encode()
    docs = [entry(name, raw), entry("manifest.json", manifest)]
    docs += [entry(path, data) for path, data in (documents or {}).items()]
    blobs = [entry(path, data) for path, data in zip(paths, packed or layers, strict=True)]
    return tar(*(docs + blobs if first else blobs + docs))


def descriptor(media_type: str, data: bytes, **fields: object) -> dict[str, object]:
    return {"mediaType": media_type, "digest": sha(data), "size": len(data), **fields}


def oci_manifest(layers: Sequence[bytes], **fields: object) -> tuple[bytes, dict[str, bytes]]:
    """A manifest, and all blobs by digest, itself among them."""
    raw = config(layers, **fields)
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": descriptor(OCI_CONFIG, raw),
            "layers": [descriptor(OCI_LAYER, layer) for layer in layers],
        }
    ).encode()
    return manifest, {sha(data): data for data in (manifest, raw, *layers)}


def oci_archive(index: bytes, blobs: Mapping[str, bytes], **documents: bytes) -> bytes:
    """The tar of an OCI layout."""
    members = [entry("oci-layout", b'{"imageLayoutVersion":"1.0.0"}'), entry("index.json", index)]
    members += [entry(f"blobs/{digest.replace(':', '/')}", data) for digest, data in blobs.items()]
    members += [entry(path, data) for path, data in documents.items()]
    return tar(*members)


def index(*entries: Mapping[str, object]) -> bytes:
    return json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": list(entries)}).encode()


def members(data: bytes) -> dict[str, bytes]:
    """The regular members of an archive."""
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return {
            info.name: file.read()
            for info in archive
            if (file := archive.extractfile(info)) is not None and info.isreg()
        }
