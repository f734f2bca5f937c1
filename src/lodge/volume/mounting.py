"""A volume as a mount for the runtime: a bind of its data, or what its options say.

A volume with `type` and `device` is mounted by each container for itself, in the container's own mount
namespace: the host's mount table never changes. So an NFS share or a block device is shared by all that use
the volume, while a tmpfs is each container's own.
"""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from collections.abc import Callable, Mapping

from lodge.errors import InvalidArgument, Unavailable
from lodge.kernel import paths
from lodge.spec.mount import Mount
from lodge.volume.record import Volume

Resolve = Callable[[str], str]

_NETWORK = ("nfs", "nfs4", "cifs", "smb3")
_SHARES = ("cifs", "smb3")
_BIND_WORDS = ("bind", "rbind")
_SHARE = re.compile(r"(//)([^/]+)(/.*|$)")


def resolve_address(host: str) -> str:
    """The first address of a host name, as text; Unavailable when it has none."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise Unavailable(f"error resolving passed in network volume address: {host}: {error}") from error
    return str(found[0][4][0])


def mount_of(volume: Volume, subpath: str = "", resolve: Resolve = resolve_address) -> Mount:
    """What shows the volume in a container, or a part of it (`subpath`, which must exist inside)."""
    options = volume.options or {}
    if not options.get("device") and not options.get("type"):
        source = _inside(volume.mountpoint, subpath) if subpath else volume.mountpoint
        return Mount("bind", source, ("rbind",))
    words = [word for word in options.get("o", "").split(",") if word]
    kind, device = options.get("type", ""), options.get("device", "")
    if any(word in _BIND_WORDS for word in words):
        return _bind(device, words, subpath)
    if subpath:
        raise InvalidArgument(
            f"a subpath of volume {volume.name}, which is mounted by its options, can't be shown"
        )
    if kind in _NETWORK:
        words, device = _with_addresses(kind, words, device, resolve)
    return Mount(kind, device, tuple(words))


def _bind(device: str, words: list[str], subpath: str) -> Mount:
    """A directory of the host; with words beside the bind itself of type "none", so that they are kept."""
    source = _inside(device, subpath) if subpath else device
    if all(word in _BIND_WORDS for word in words):
        return Mount("bind", source, tuple(words))
    return Mount("none", source, tuple(words))


def _inside(directory: str, subpath: str) -> str:
    """The real path of something inside a directory, links followed inside it only."""
    rootfd = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        inner = paths.resolve_in_root(rootfd, subpath)
    except OSError as error:
        raise InvalidArgument(
            f"cannot access path {os.path.join(directory, subpath)}: {error.strerror}"
        ) from error
    finally:
        os.close(rootfd)
    return os.path.realpath(directory) + inner.rstrip("/")


def _with_addresses(kind: str, words: list[str], device: str, resolve: Resolve) -> tuple[list[str], str]:
    """Replace host names by addresses: the kernel's mount(2) knows no names, mount(8) would look them up."""
    options: Mapping[str, str] = dict(word.partition("=")[::2] for word in words)
    host = options.get("addr", "")
    if host and not _is_address(host):
        address = resolve(host)
        return [f"addr={address}" if word == f"addr={host}" else word for word in words], device
    share = _SHARE.fullmatch(device)
    if not host and kind in _SHARES and share is not None and not _is_address(share[2]):
        device = f"{share[1]}{resolve(share[2])}{share[3]}"
    return words, device


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True
