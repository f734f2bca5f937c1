"""Mounts as users write them (-v, --mount, --tmpfs, --volumes-from, an image's VOLUME), read into one form.

One form for all spellings, so that whatever is decided about mounts is decided once (hostile row 19). Pure:
volumes are named here, made elsewhere; `mounts` turns the result into what the runtime performs.
"""

from __future__ import annotations

import posixpath

from msgspec import Struct

from lodge.errors import InvalidArgument
from lodge.spec.container import HostConfig, MountPoint
from lodge.spec.mount import Mount

PROPAGATIONS = frozenset({"private", "rprivate", "slave", "rslave", "shared", "rshared"})
_MODES = (
    frozenset({"rw", "ro"}),
    frozenset({"z", "Z"}),
    PROPAGATIONS,
    frozenset({"nocopy"}),
    frozenset({"consistent", "cached", "delegated", "default"}),
)


class MountWish(Struct, kw_only=True):
    """One mount that is wanted.

    `type` is bind, volume, tmpfs, image or secret; `source` a path, an image, a secret's name, or empty;
    `name` a volume's name, empty for an anonymous one, or a secret's id. `create_source` makes a missing
    directory, as -v does and --mount does not. `mount` is what shows a volume that is no plain directory.
    """

    type: str
    destination: str
    source: str = ""
    name: str = ""
    driver: str = ""
    driver_options: dict[str, str] | None = None
    labels: dict[str, str] | None = None
    mode: str = ""
    read_only: bool = False
    read_only_recursive: bool | None = None
    recursive: bool = True
    propagation: str = ""
    copy: bool = True
    subpath: str = ""
    tmpfs_options: tuple[str, ...] = ()
    create_source: bool = False
    inherited: bool = False
    mount: Mount | None = None


def clean(path: str) -> str:
    """A path of the container without `.`, `..` and doubled slashes; never a second leading slash."""
    return posixpath.normpath("/" + path.lstrip("/"))


def _valid_mode(mode: str) -> bool:
    words = mode.split(",")
    counts = [sum(word in group for word in words) for group in _MODES]
    return sum(counts) == len(words) and max(counts) <= 1


def parse_bind(text: str, volume_driver: str = "") -> MountWish:
    """Read `[source:]destination[:options]`, or a destination alone; InvalidArgument in Docker's words."""
    parts = text.split(":")
    if len(parts) > 3 or not parts[0] or (len(parts) == 2 and _valid_mode(parts[1])):
        raise InvalidArgument(f"invalid volume specification: '{text}'")
    source, target, mode = ("", parts[0], "") if len(parts) == 1 else (*parts, "")[:3]
    if mode and not _valid_mode(mode):
        raise InvalidArgument(f"invalid mode: {mode}")
    words = mode.split(",") if mode else []
    propagation = next((word for word in words if word in PROPAGATIONS), "")
    is_bind = source.startswith("/")
    problem = _problem_of_target(target)
    if not problem and propagation and not is_bind:
        problem = "field BindOptions must not be specified"
    if not problem and "nocopy" in words and is_bind:
        problem = "field VolumeOptions must not be specified"
    if problem:
        kind = "bind" if is_bind else "volume"
        raise InvalidArgument(
            f"invalid volume specification: '{text}': invalid mount config for type \"{kind}\": {problem}"
        )
    if not is_bind and source:
        check_volume_name(source)
    return MountWish(
        type="bind" if is_bind else "volume",
        destination=clean(target),
        source=posixpath.normpath(source) if is_bind else "",
        name="" if is_bind else source,
        driver="" if is_bind else volume_driver,
        mode=mode,
        read_only="ro" in words,
        propagation=(propagation or "rprivate") if is_bind else "",
        copy="nocopy" not in words,
        create_source=is_bind,
    )


def check_volume_name(name: str) -> None:
    """InvalidArgument for what can't be the name of a volume (and so never becomes part of a path)."""
    if len(name) == 1:
        raise InvalidArgument(
            f"create {name}: volume name is too short, names should be at least two alphanumeric characters"
        )
    ok = name != "" and name[0].isalnum() and all(c.isalnum() or c in "_.-" for c in name) and name.isascii()
    if not ok:
        raise InvalidArgument(
            f'create {name}: "{name}" includes invalid characters for a local volume name, only'
            ' "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed.'
            " If you intended to pass a host directory, use absolute path"
        )


def _problem_of_target(target: str) -> str:
    if not target:
        return "field Target must not be empty"
    if clean(target) == "/":
        return "invalid specification: destination can't be '/'"
    if not target.startswith("/"):
        return f"invalid mount path: '{target}' mount path must be absolute"
    return ""


def parse_mount(mount: MountPoint) -> MountWish:
    """Read one --mount; InvalidArgument in Docker's words."""
    problem = _problem_of_options(mount) or _problem_of_target(mount.target)
    if not problem and mount.type not in _READERS:
        problem = "mount type unknown"
    if problem:
        raise _bad_mount(mount, problem)
    wish = _READERS[mount.type](mount)
    wish.read_only = mount.read_only or mount.type == "secret"
    return wish


def _bad_mount(mount: MountPoint, problem: str) -> InvalidArgument:
    return InvalidArgument(f'invalid mount config for type "{mount.type}": {problem}')


def _problem_of_options(mount: MountPoint) -> str:
    for kind, name, options in (
        ("bind", "BindOptions", mount.bind_options),
        ("volume", "VolumeOptions", mount.volume_options),
        ("image", "ImageOptions", mount.image_options),
        ("tmpfs", "TmpfsOptions", mount.tmpfs_options),
    ):
        if mount.type != kind and options is not None and (mount.type, kind) != ("secret", "tmpfs"):
            return f"field {name} must not be specified"
    return ""


def _read_bind(mount: MountPoint) -> MountWish:
    options = mount.bind_options
    propagation = options.propagation if options else ""
    if not mount.source:
        raise _bad_mount(mount, "field Source must not be empty")
    if propagation and propagation not in PROPAGATIONS:
        raise _bad_mount(mount, f"invalid propagation mode: {propagation}")
    if not mount.source.startswith("/"):
        raise _bad_mount(mount, f"invalid mount path: '{mount.source}' mount path must be absolute")
    recursive_ro: bool | None = None
    if options:
        if options.read_only_non_recursive and options.read_only_force_recursive:
            raise _bad_mount(mount, "mount options conflict: ReadOnlyNonRecursive && ReadOnlyForceRecursive")
        recursive_ro = (
            False if options.read_only_non_recursive else True if options.read_only_force_recursive else None
        )
    return MountWish(
        type="bind",
        destination=clean(mount.target),
        source=posixpath.normpath(mount.source),
        propagation=propagation or "rprivate",
        recursive=not (options and options.non_recursive),
        read_only_recursive=recursive_ro,
        create_source=bool(options and options.create_mountpoint),
    )


def _read_volume(mount: MountPoint) -> MountWish:
    options = mount.volume_options
    driver = options.driver_config if options else None
    if mount.source:
        check_volume_name(mount.source)
    if options and options.subpath:
        if not mount.source:
            raise _bad_mount(mount, "subpath of an anonymous volume is not allowed")
        _check_subpath(mount, options.subpath)
    return MountWish(
        type="volume",
        destination=clean(mount.target),
        name=mount.source,
        driver=driver.name if driver else "",
        driver_options=driver.options if driver else None,
        labels=options.labels if options else None,
        copy=not (options and options.no_copy),
        subpath=options.subpath if options else "",
    )


def _check_subpath(mount: MountPoint, subpath: str) -> None:
    if subpath.startswith("/") or ".." in subpath.split("/"):
        raise _bad_mount(mount, "subpath must be a relative path within the volume")


def _read_tmpfs(mount: MountPoint) -> MountWish:
    if mount.source:
        raise _bad_mount(mount, "field Source must not be specified")
    words: list[str] = []
    if (options := mount.tmpfs_options) is not None:
        if options.mode:
            words.append(f"mode={options.mode:o}")
        if options.size_bytes:
            words.append(f"size={options.size_bytes}")
        for option in options.options or ():
            if not 1 <= len(option) <= 2:
                raise _bad_mount(mount, "invalid option array length")
            if option[0] not in ("exec", "noexec"):
                raise _bad_mount(mount, f"invalid option: {option[0]}")
            words.append("=".join(option))
    return MountWish(type="tmpfs", destination=clean(mount.target), tmpfs_options=tuple(words))


def _read_image(mount: MountPoint) -> MountWish:
    if not mount.source:
        raise _bad_mount(mount, "field Source must not be empty")
    subpath = mount.image_options.subpath if mount.image_options else ""
    if subpath:
        _check_subpath(mount, subpath)
    return MountWish(
        type="image",
        destination=clean(mount.target),
        source=mount.source,
        subpath=subpath,
        propagation="rprivate",
    )


def _read_secret(mount: MountPoint) -> MountWish:
    """A secret as a file: a mode as a tmpfs has it, and the options uid and gid."""
    if not mount.source:
        raise _bad_mount(mount, "field Source must not be empty")
    words: list[str] = []
    if (options := mount.tmpfs_options) is not None:
        if options.mode:
            words.append(f"mode={options.mode & 0o7777:o}")
        for option in options.options or ():
            if len(option) != 2 or option[0] not in ("uid", "gid") or not option[1].isdecimal():
                raise _bad_mount(mount, f"invalid option: {'='.join(option)}")
            words.append("=".join(option))
    return MountWish(
        type="secret",
        destination=clean(mount.target),
        source=mount.source,
        propagation="rprivate",
        recursive=False,
        tmpfs_options=tuple(words),
    )


_READERS = {
    "bind": _read_bind,
    "volume": _read_volume,
    "tmpfs": _read_tmpfs,
    "image": _read_image,
    "secret": _read_secret,
}


_TMPFS_FLAGS = {
    "defaults", "ro", "rw", "suid", "nosuid", "dev", "nodev", "exec", "noexec", "sync", "async", "dirsync",
    "remount", "mand", "nomand", "atime", "noatime", "diratime", "nodiratime", "relatime", "norelatime",
    "strictatime", "nostrictatime", "bind", "rbind", "private", "rprivate", "shared", "rshared", "slave",
    "rslave", "unbindable", "runbindable",
}  # fmt: skip
_TMPFS_VALUES = {"size", "mode", "uid", "gid", "nr_inodes", "nr_blocks", "mpol"}
"""What Docker takes for --tmpfs: flags of mount(2), and tmpfs(5)'s own options."""


def parse_tmpfs(destination: str, options: str) -> MountWish:
    """Read one --tmpfs."""
    if problem := _problem_of_target(destination):
        raise InvalidArgument(problem)
    words = tuple(word for word in options.split(",") if word)
    for word in words:
        if word not in _TMPFS_FLAGS and word.partition("=")[0] not in _TMPFS_VALUES:
            raise InvalidArgument(f'invalid tmpfs option "{word}"')
    return MountWish(type="tmpfs", destination=clean(destination), tmpfs_options=words)


def parse_volumes_from(text: str) -> tuple[str, str]:
    """Read one --volumes-from: the other container, and rw, ro or a label mode."""
    if not text:
        raise InvalidArgument("volumes-from specification cannot be an empty string")
    name, _, mode = text.partition(":")
    words = mode.split(",") if mode else []
    if mode and (not _valid_mode(mode) or any(w in PROPAGATIONS or w == "nocopy" for w in words)):
        raise InvalidArgument(f"invalid mode: {mode}")
    return name, mode or "rw"


def collect(
    host: HostConfig, inherited: list[MountWish], image_volumes: dict[str, object] | None
) -> list[MountWish]:
    """All mounts of a container, each destination once; InvalidArgument "Duplicate mount point: /x".

    Order of precedence as Docker's: what --volumes-from inherits is replaced by binds, mounts and tmpfs of
    the wish itself; volumes that the image declares fill what is left.
    """
    found = {wish.destination: wish for wish in inherited}
    own: dict[str, MountWish] = {}
    wishes = [parse_bind(text, host.volume_driver) for text in host.binds or ()]
    wishes += [parse_mount(mount) for mount in host.mounts or ()]
    wishes += [parse_tmpfs(place, options) for place, options in (host.tmpfs or {}).items()]
    for wish in wishes:
        if wish.destination in own:
            raise InvalidArgument(f"Duplicate mount point: {wish.destination}")
        own[wish.destination] = wish
    found.update(own)
    for place in image_volumes or {}:
        if problem := _problem_of_target(place):
            raise InvalidArgument(f'invalid mount config for type "volume": {problem}')
        destination = clean(place)
        if destination not in found:
            found[destination] = MountWish(type="volume", destination=destination, driver=host.volume_driver)
    return list(found.values())
