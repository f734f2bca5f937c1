"""Images in a scripted registry, good ones and others."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from typing import Any

import zstandard

from lodge.spec.descriptor import (
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER,
    OCI_LAYER_GZIP,
    OCI_LAYER_ZSTD,
    OCI_MANIFEST,
)
from lodge.spec.platform import host
from tests.images.layer import Layer
from tests.registries.scripted import Scripted, sha


def layer(name: str, content: bytes = b"x") -> bytes:
    return Layer().directory("d").file(f"d/{name}", content).bytes()


def descriptor(media_type: str, data: bytes, **fields: Any) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": sha(data), "size": len(data), **fields}


def pack(layer: bytes, media_type: str) -> bytes:
    if media_type == OCI_LAYER_GZIP:
        return gzip.compress(layer, 1, mtime=0)
    return zstandard.compress(layer) if media_type == OCI_LAYER_ZSTD else layer


class Image:
    """An image whose parts can be changed before it is put into a registry."""

    def __init__(
        self, layers: Sequence[bytes], media_type: str = OCI_LAYER_GZIP, architecture: str = ""
    ) -> None:
        self.blobs = [pack(each, media_type) for each in layers]
        self.platform = {"os": "linux", "architecture": architecture or host().architecture}
        self.config: dict[str, Any] = {
            **self.platform,
            "config": {"Cmd": ["sh"]},
            "rootfs": {"type": "layers", "diff_ids": [sha(each) for each in layers]},
        }
        self.manifest: dict[str, Any] = {"schemaVersion": 2, "mediaType": OCI_MANIFEST}
        self.layers = [descriptor(media_type, blob) for blob in self.blobs]

    def publish(self, registry: Scripted, name: str, tag: str) -> dict[str, Any]:
        """Put it there; gives the descriptor of its manifest."""
        raw = json.dumps(self.config).encode()
        for blob in (raw, *self.blobs):
            registry.blob(blob)
        whole = {"config": descriptor(OCI_CONFIG, raw), "layers": self.layers, **self.manifest}
        data = json.dumps(whole).encode()
        registry.add(name, tag, data, whole["mediaType"])
        return descriptor(OCI_MANIFEST, data, platform=self.platform)


def publish_index(registry: Scripted, name: str, tag: str, entries: list[dict[str, Any]]) -> str:
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}
    return registry.add(name, tag, json.dumps(index).encode(), OCI_INDEX)


LAYER_TYPES = (OCI_LAYER, OCI_LAYER_GZIP, OCI_LAYER_ZSTD)
