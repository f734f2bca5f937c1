"""Images as archives: layers and a configuration in the forms that `docker load` takes, right or wrong."""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Mapping, Sequence

import zstandard

from lodge.spec.platform import host
from tests.images.layer import TIME

PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
CREATED = "2023-11-14T22:13:20Z"

OCI = "application/vnd.oci.image"
SUFFIXES = {"": "", "gzip": "+gzip", "zstd": "+zstd"}


def sha256(data: bytes) -> str:
    """A digest as documents write it."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def tar_of(files: Mapping[str, bytes] | Iterable[tuple[str, bytes]]) -> bytes:
    """A tar of regular files, in the order given; a name may come twice."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in files.items() if isinstance(files, Mapping) else files:
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(content), TIME
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def compressed(data: bytes, how: str) -> bytes:
    """`data` as it is (""), or by "gzip" or "zstd"."""
    if how == "gzip":
        return gzip.compress(data, 1, mtime=0)
    return zstandard.ZstdCompressor().compress(data) if how == "zstd" else data


def configuration(
    layers: Sequence[bytes], config: Mapping[str, object] | None = None, **top: object
) -> bytes:
    """The document of an image of these (uncompressed) layers; `config` is what a container inherits."""
    document = {
        "architecture": host().architecture,
        "os": "linux",
        "created": CREATED,
        "config": {"Env": [PATH], "Cmd": ["sh"], **(config or {})},
        "rootfs": {"type": "layers", "diff_ids": [sha256(layer) for layer in layers]},
        "history": [{"created": CREATED, "created_by": f"test layer {n}"} for n, _ in enumerate(layers)],
        **top,
    }
    return json.dumps(document).encode()


def docker_archive(
    name: str,
    layers: Sequence[bytes],
    config: Mapping[str, object] | None = None,
    *,
    compression: str = "",
    **top: object,
) -> bytes:
    """An image as `docker save` of older engines writes it: manifest.json, a configuration, layers."""
    document = configuration(layers, config, **top)
    config_name = hashlib.sha256(document).hexdigest() + ".json"
    names = [f"{number}/layer.tar" for number, _ in enumerate(layers)]
    manifest = [{"Config": config_name, "RepoTags": [name], "Layers": names}]
    files = {config_name: document}
    files |= {path: compressed(layer, compression) for path, layer in zip(names, layers, strict=True)}
    return tar_of({**files, "manifest.json": json.dumps(manifest).encode()})


def oci_archive(
    name: str,
    layers: Sequence[bytes],
    config: Mapping[str, object] | None = None,
    *,
    compression: str = "gzip",
    spoil: Mapping[str, bytes] | None = None,
    **top: object,
) -> bytes:
    """An image as an OCI layout. `spoil` replaces files of it by other bytes, the names staying."""
    document = configuration(layers, config, **top)
    packed = [compressed(layer, compression) for layer in layers]
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": f"{OCI}.manifest.v1+json",
            "config": describe(f"{OCI}.config.v1+json", document),
            "layers": [describe(f"{OCI}.layer.v1.tar{SUFFIXES[compression]}", layer) for layer in packed],
        }
    ).encode()
    entry = describe(f"{OCI}.manifest.v1+json", manifest)
    entry["annotations"] = {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name}
    index = {"schemaVersion": 2, "mediaType": f"{OCI}.index.v1+json", "manifests": [entry]}
    files = {
        "oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
        "index.json": json.dumps(index).encode(),
        **{blob_path(blob): blob for blob in (manifest, document, *packed)},
    }
    return tar_of({**files, **(spoil or {})})


def describe(media_type: str, blob: bytes) -> dict[str, object]:
    """A descriptor of a blob."""
    return {"mediaType": media_type, "digest": sha256(blob), "size": len(blob)}


def blob_path(blob: bytes) -> str:
    """Where a layout keeps a blob."""
    return "blobs/sha256/" + hashlib.sha256(blob).hexdigest()
