"""The image `host`: the machine's own root file system, read-only under a container's writes.

Its one layer has no bytes and is never copied; its unpacked directory is "/". A container of it sees the
host's files as they are now, all that root may read, and nothing that is mounted below "/" (proc, sys,
other disks); what it writes stays in its snapshot. The engine says so to whoever uses it. It can be neither
saved nor pushed.
"""

from __future__ import annotations

import os

from lodge.errors import Unsupported
from lodge.spec.container import ContainerConfig
from lodge.spec.descriptor import LODGE_HOST_LAYER, OCI_CONFIG, OCI_MANIFEST, Descriptor
from lodge.spec.digest import Digest
from lodge.spec.image import History, ImageConfig, Manifest, RootFS
from lodge.spec.platform import host
from lodge.store.content import Content
from lodge.store.layers import Layers
from lodge.store.snapshots.contract import Snapshotter

_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
HOST_DIFF_ID = Digest.of(b"lodge: the root file system of this machine\n")
"""Stands for a layer that has no tar."""


def make_host_image(content: Content, layers: Layers, snapshots: Snapshotter) -> Descriptor:
    """Make the image and return its target. Idempotent; hold a lease until it has a name.

    Raises Unsupported where snapshots are copies: nobody wants a copy of "/".
    """
    if snapshots.name != "overlay2":
        raise Unsupported("the host image needs overlay mounts, which this file system doesn't allow")
    platform = host()
    config = ImageConfig(
        architecture=platform.architecture,
        os=platform.os,
        variant=platform.variant or "",
        config=ContainerConfig(env=[_PATH], cmd=[_shell()], working_dir="/"),
        rootfs=RootFS(diff_ids=(str(HOST_DIFF_ID),)),
        history=(History(created_by="lodge: the root file system of this machine"),),
    ).encode()
    layer = Descriptor(media_type=LODGE_HOST_LAYER, digest=content.put(b""), size=0)
    manifest = Manifest(
        schema_version=2,
        media_type=OCI_MANIFEST,
        config=Descriptor(media_type=OCI_CONFIG, digest=content.put(config), size=len(config)),
        layers=(layer,),
    ).encode()
    layers.commit_host(HOST_DIFF_ID, HOST_DIFF_ID)
    return Descriptor(media_type=OCI_MANIFEST, digest=content.put(manifest), size=len(manifest))


def _shell() -> str:
    return "/bin/bash" if os.path.exists("/bin/bash") else "/bin/sh"
