"""Archives that are wrong: names, links and digests that lead elsewhere, documents that lie.

Loading one must fail with a clear error, or must give an image without harm. Each function repeats a known
failure (rows of hostile.md) and is given the path of a canary, which must stay as it is.
"""

import json
from pathlib import Path

from tests.images.archive import blob_path, configuration, docker_archive, oci_archive, sha256, tar_of
from tests.images.attack import NAME, Attack, Make
from tests.images.layer import Layer
from tests.images.ordinary import busybox_layer

ARCHIVES: dict[str, Make] = {}


def _archive(make: Make) -> Make:
    ARCHIVES[make.__name__] = make
    return make


def _with(layer: Layer) -> bytes:
    return docker_archive(NAME, [busybox_layer(), layer.bytes()])


@_archive
def dot_dot_name(canary: Path) -> Attack:
    """hostile.md 15, CVE-2014-6407: a member named upwards."""
    up = "../" * 30 + str(canary).lstrip("/")
    return Attack("a member named ../../..", _with(Layer().file(f"{up}/secret", "overwritten")))


@_archive
def absolute_name(canary: Path) -> Attack:
    """hostile.md 15: a member with an absolute name belongs below the root of the layer."""
    return Attack("a member with an absolute name", _with(Layer().file(f"{canary}/secret", "overwritten")))


@_archive
def file_through_symlink(canary: Path) -> Attack:
    """hostile.md 15, CVE-2014-9356: first a link out of the root, then a file through it."""
    layer = Layer().symlink("out", str(canary)).file("out/secret", "overwritten")
    return Attack("a file through a link made before", _with(layer))


@_archive
def file_through_symlink_of_a_lower_layer(canary: Path) -> Attack:
    """The link is in one layer and the file in the next: each layer has a root of its own."""
    lower, upper = Layer().symlink("out", str(canary)), Layer().file("out/secret", "overwritten")
    return Attack(
        "a file through a link of another layer", docker_archive(NAME, [lower.bytes(), upper.bytes()])
    )


@_archive
def file_onto_symlink(canary: Path) -> Attack:
    """A file with the name of a link replaces the link and is not written through it."""
    layer = Layer().symlink("out", f"{canary}/secret").file("out", "overwritten")
    return Attack("a file onto a link", _with(layer))


@_archive
def relative_symlink_upwards(canary: Path) -> Attack:
    """As before, by a relative link that climbs past the root."""
    layer = Layer().symlink("out", "../" * 30 + str(canary).lstrip("/")).file("out/secret", "overwritten")
    return Attack("a file through a link that climbs", _with(layer))


@_archive
def directory_onto_symlink(canary: Path) -> Attack:
    """A directory member with the name of a link must not change what the link names."""
    layer = Layer().symlink("out", str(canary)).directory("out", 0o777, uid=1).file("out/new", "x")
    return Attack("a directory onto a link", _with(layer))


@_archive
def hardlink_to_the_host(canary: Path) -> Attack:
    """hostile.md 15: a hard link whose target is outside, then writing through it."""
    layer = Layer().hardlink("stolen", f"{canary}/secret").file("stolen", "overwritten")
    return Attack("a hard link to a file of the host", _with(layer))


@_archive
def hardlink_upwards(canary: Path) -> Attack:
    """The same with .. in the target."""
    target = "../" * 30 + str(canary).lstrip("/") + "/secret"
    return Attack("a hard link upwards", _with(Layer().hardlink("stolen", target)))


@_archive
def hardlink_through_symlink(canary: Path) -> Attack:
    """The target passes through a link of the archive."""
    layer = Layer().symlink("out", str(canary)).hardlink("stolen", "out/secret")
    return Attack("a hard link through a link", _with(layer))


@_archive
def hardlink_to_a_symlink(canary: Path) -> Attack:
    """A hard link to a link is that link again; a file through it must not leave."""
    layer = Layer().symlink("out", str(canary)).hardlink("again", "out").file("again/secret", "overwritten")
    return Attack("a hard link to a link", _with(layer))


@_archive
def whiteout_upwards(canary: Path) -> Attack:
    """`.wh...` removes `..`: the name behind the prefix must be a name (hostile.md 15)."""
    return Attack("a whiteout of ..", _with(Layer().directory("a").file("a/.wh...")))


@_archive
def whiteout_of_itself(canary: Path) -> Attack:
    """`.wh..` removes the folder that it is in, `.wh.` removes nothing that has a name."""
    return Attack(
        "a whiteout of . and of nothing", _with(Layer().directory("a").file("a/.wh..").file("a/.wh."))
    )


@_archive
def whiteout_through_symlink(canary: Path) -> Attack:
    """A whiteout behind a link must not delete on the host."""
    layer = Layer().symlink("out", str(canary)).file("out/.wh.secret").file("out/.wh..wh..opq")
    return Attack("a whiteout through a link", _with(layer))


@_archive
def layer_with_overlay_xattrs(canary: Path) -> Attack:
    """An image must not speak overlayfs' own language: redirect would show other folders of the host."""
    headers = {
        "SCHILY.xattr.trusted.overlay.redirect": str(canary),
        "SCHILY.xattr.trusted.overlay.opaque": "y",
        "SCHILY.xattr.user.overlay.redirect": str(canary),
    }
    return Attack("extended attributes of overlayfs", _with(Layer().extended("file", headers)))


@_archive
def whiteout_device(canary: Path) -> Attack:
    """A character device 0:0 is overlayfs' whiteout: in an image it may hide, but no more than that."""
    return Attack("a character device 0:0", _with(Layer().device("bin/sh", 0, 0)))


@_archive
def digest_with_a_path(canary: Path) -> Attack:
    """hostile.md 16, CVE-2024-3727: a digest that is a path."""
    layer = busybox_layer()
    document = configuration([layer])
    manifest = {
        "schemaVersion": 2,
        "config": {"mediaType": "x", "digest": f"sha256:../../../..{canary}/secret", "size": len(document)},
        "layers": [],
    }
    body = json.dumps(manifest).encode()
    index = {
        "schemaVersion": 2,
        "manifests": [
            {
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "digest": sha256(body),
                "size": len(body),
            }
        ],
    }
    files = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": json.dumps(index).encode()}
    return Attack("a digest that is a path", tar_of({**files, blob_path(body): body}), refused=True)


@_archive
def config_name_upwards(canary: Path) -> Attack:
    """manifest.json names its files by path: upwards there is nothing."""
    manifest = [{"Config": f"../../../../..{canary}/secret", "RepoTags": [NAME], "Layers": []}]
    archive = tar_of({"manifest.json": json.dumps(manifest).encode()})
    return Attack("a configuration named upwards", archive, refused=True)


@_archive
def wrong_diff_id(canary: Path) -> Attack:
    """hostile.md 16: the layer is not the one that the configuration names."""
    layer = busybox_layer()
    other = [{"type": "layers", "diff_ids": [sha256(b"another layer")]}]
    return Attack(
        "a layer that is not its digest", docker_archive(NAME, [layer], rootfs=other[0]), refused=True
    )


@_archive
def wrong_blob(canary: Path) -> Attack:
    """hostile.md 16: the blob's bytes are not the ones that its name says."""
    layer = busybox_layer()
    document = configuration([layer])
    spoil = {blob_path(document): document.replace(b'"sh"', b'"no"')}
    return Attack("a blob that is not its digest", oci_archive(NAME, [layer], spoil=spoil), refused=True)


@_archive
def manifest_and_index_at_once(canary: Path) -> Attack:
    """hostile.md 16, CVE-2021-41190: one document that reads as two kinds."""
    layer = busybox_layer()
    document = configuration([layer])
    both = json.dumps(
        {
            "schemaVersion": 2,
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": sha256(document),
                "size": len(document),
            },
            "layers": [
                {
                    "mediaType": "application/vnd.oci.image.layer.v1.tar",
                    "digest": sha256(layer),
                    "size": len(layer),
                }
            ],
            "manifests": [],
        }
    ).encode()
    index = {
        "schemaVersion": 2,
        "manifests": [
            {
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "digest": sha256(both),
                "size": len(both),
            }
        ],
    }
    files = {
        "oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
        "index.json": json.dumps(index).encode(),
        **{blob_path(blob): blob for blob in (both, document, layer)},
    }
    return Attack("manifest and index at once", tar_of(files), refused=True)


@_archive
def truncated(canary: Path) -> Attack:
    """An archive that ends in the middle of a layer."""
    whole = docker_archive(NAME, [busybox_layer()])
    return Attack("an archive that ends too early", whole[: len(whole) // 2], refused=True)


@_archive
def no_archive(canary: Path) -> Attack:
    """Bytes that are nothing."""
    return Attack("no archive at all", b"#!/bin/sh\nexit 0\n" * 1000, refused=True)


@_archive
def empty_archive(canary: Path) -> Attack:
    """A tar without an image."""
    return Attack("a tar without an image", tar_of({"readme": b"nothing here"}), refused=True)


@_archive
def deep_json(canary: Path) -> Attack:
    """hostile.md 25: a document as deep as the reader's stack."""
    deep = b"[" * 100_000 + b"]" * 100_000
    return Attack("a document that nests too deeply", tar_of({"manifest.json": deep}), refused=True)


@_archive
def very_many_labels(canary: Path) -> Attack:
    """hostile.md 25: a configuration with a hundred thousand labels."""
    labels = {f"label-{number}": "x" * 50 for number in range(100_000)}
    return Attack("very many labels", docker_archive(NAME, [busybox_layer()], {"Labels": labels}))


@_archive
def bomb(canary: Path) -> Attack:
    """A layer that says it has a file of 2**60 bytes and ends."""
    layer = bytearray(Layer().file("large", b"x").bytes())
    layer[124:136] = b"\x80" + (1 << 60).to_bytes(11, "big")
    layer[148:156] = b" " * 8
    layer[148:156] = b"%06o\0 " % sum(layer[:512])
    return Attack("a member of 2**60 bytes", docker_archive(NAME, [bytes(layer)]), refused=True)
