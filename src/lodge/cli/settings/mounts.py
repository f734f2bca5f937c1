"""What is mounted into a container: the grammars of -v, --mount and --tmpfs."""

from __future__ import annotations

import os

from lodge.cli.flags import BOOL, parse_bytes
from lodge.cli.settings.csv import split_fields
from lodge.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

_OPTION_GROUPS = {
    "bind": "BindOptions",
    "volume": "VolumeOptions",
    "tmpfs": "TmpfsOptions",
    "image": "ImageOptions",
}
_BARE = frozenset(("readonly", "ro", "volume-nocopy", "bind-nonrecursive", "bind-create-src"))


def parse_volumes(texts: Sequence[str], folder: str) -> tuple[list[str], dict[str, dict[str, Any]]]:
    """Binds, and the anonymous volumes (by path in the container), of all -v flags.

    Relative sources start at `folder`. A text without a source is an anonymous volume.
    """
    binds: dict[str, None] = {}
    anonymous: dict[str, dict[str, Any]] = {}
    for text in texts:
        if not text:
            raise InvalidArgument("invalid empty volume spec")
        parts = text.split(":")
        if len(parts) == 1 or (len(parts) == 2 and not parts[1]):
            anonymous[text] = {}
            continue
        if "" in parts:
            raise InvalidArgument(f"invalid spec: {text}: empty section between colons")
        binds[":".join((_absolute(parts[0], folder), *parts[1:]))] = None
    return list(binds), anonymous


def _absolute(source: str, folder: str) -> str:
    """A source that begins with a dot is a path; another without a slash in front is a volume's name."""
    if source == "." or source == ".." or source.startswith(("./", "../")):
        return os.path.normpath(os.path.join(folder, source))
    return source


def parse_tmpfs(texts: Sequence[str]) -> dict[str, str]:
    """Path to mount options of all --tmpfs flags."""
    found = {}
    for text in texts:
        path, _, options = text.partition(":")
        found[path] = options
    return found


def parse_secret(text: str) -> dict[str, Any]:
    """One --secret as the API's Mount: a name, or fields; ValueError says which is wrong."""
    fields = {"source": text} if "=" not in text and "," not in text else {}
    for field in split_fields(text) if not fields else ():
        key, mark, value = field.partition("=")
        if not mark and "source" not in fields:
            key, value = "source", field
        key = {"src": "source", "id": "source", "dst": "target", "destination": "target"}.get(key, key)
        if key not in ("source", "target", "uid", "gid", "mode", "type"):
            raise ValueError(f"unexpected key '{key}' in '{field}'")
        fields[key] = value
    if fields.get("type", "mount") != "mount":
        raise ValueError("a secret can only be mounted: type=mount")
    source = fields.get("source", "")
    if not source:
        raise ValueError("source is required")
    target = fields.get("target", source)
    mount: dict[str, Any] = {
        "Type": "secret",
        "Source": source,
        "Target": target if target.startswith("/") else f"/run/secrets/{target}",
    }
    options: dict[str, Any] = {}
    if "mode" in fields:
        options["Mode"] = int(fields["mode"], 8)
    if owner := [[key, fields[key]] for key in ("uid", "gid") if key in fields]:
        options["Options"] = owner
    if options:
        mount["TmpfsOptions"] = options
    return mount


def parse_mount(text: str) -> dict[str, Any]:
    """One --mount as the API's Mount; ValueError says which key or value is wrong."""
    mount = _Mount()
    for field in split_fields(text):
        key, mark, value = field.partition("=")
        key = key.lower()
        if not mark and key not in _BARE:
            raise ValueError(f"invalid field '{field}' must be a key=value pair")
        mount.take(field, key, value if mark else "true")
    return mount.finish()


class _Mount:
    """A --mount under construction: plain fields, and one set of options a type."""

    def __init__(self) -> None:
        self.fields: dict[str, Any] = {"Type": "volume"}
        self.options: dict[str, dict[str, Any]] = {}
        self.recursive = ""

    def take(self, field: str, key: str, value: str) -> None:
        if key == "type":
            self.fields["Type"] = value.lower()
        elif key in ("source", "src"):
            self.fields["Source"] = (
                os.path.abspath(value) if value.startswith(".") and value[1:2] in ("", ".", "/") else value
            )
        elif key in ("target", "dst", "destination"):
            self.fields["Target"] = value
        elif key in ("readonly", "ro"):
            self.fields["ReadOnly"] = _switch(key, value)
        elif key == "consistency":
            self.fields["Consistency"] = value.lower()
        elif not self._take_option(key, value):
            raise ValueError(f"unexpected key '{key}' in '{field}'")

    def _take_option(self, key: str, value: str) -> bool:
        if key == "bind-propagation":
            self._set("bind", "Propagation", value.lower())
        elif key == "bind-nonrecursive":
            self._set("bind", "NonRecursive", _switch(key, value))
        elif key == "bind-create-src":
            self._set("bind", "CreateMountpoint", _switch(key, value))
        elif key == "bind-recursive":
            self._take_recursive(value)
        elif key == "volume-nocopy":
            self._set("volume", "NoCopy", _switch(key, value))
        elif key == "volume-subpath":
            self._set("volume", "Subpath", value)
        elif key == "volume-label":
            name, _, label = value.partition("=")
            self.options.setdefault("volume", {}).setdefault("Labels", {})[name] = label
        elif key == "volume-driver":
            self._driver()["Name"] = value
        elif key == "volume-opt":
            name, _, option = value.partition("=")
            self._driver().setdefault("Options", {})[name] = option
        elif key == "image-subpath":
            self._set("image", "Subpath", value)
        elif key == "tmpfs-size":
            try:
                self._set("tmpfs", "SizeBytes", parse_bytes(value))
            except ValueError:
                raise ValueError(f"invalid value for {key}: {value}") from None
        elif key == "tmpfs-mode":
            try:
                self._set("tmpfs", "Mode", int(value, 8))
            except ValueError:
                raise ValueError(f"invalid value for {key}: {value}") from None
        else:
            return False
        return True

    def _take_recursive(self, value: str) -> None:
        self.recursive = value
        if value == "disabled":
            self._set("bind", "NonRecursive", True)
        elif value == "writable":
            self._set("bind", "ReadOnlyNonRecursive", True)
        elif value == "readonly":
            self._set("bind", "ReadOnlyForceRecursive", True)
        elif value != "enabled":
            raise ValueError(
                f'invalid value for bind-recursive: {value} (must be "enabled", "disabled", "writable", or'
                ' "readonly")'
            )

    def _driver(self) -> dict[str, Any]:
        driver: dict[str, Any] = self.options.setdefault("volume", {}).setdefault("DriverConfig", {})
        return driver

    def _set(self, kind: str, name: str, value: object) -> None:
        self.options.setdefault(kind, {})[name] = value

    def finish(self) -> dict[str, Any]:
        """The whole shape, after the checks that need all fields."""
        kind = self.fields["Type"]
        if not kind:
            raise ValueError("type is required")
        if not self.fields.get("Target"):
            raise ValueError("target is required")
        for group, options in self.options.items():
            if group != kind:
                raise ValueError(f"cannot mix '{group}-*' options with mount type '{kind}'")
            self.fields[_OPTION_GROUPS[group]] = options
        if self.recursive in ("writable", "readonly"):
            option = f"option 'bind-recursive={self.recursive}' requires"
            if not self.fields.get("ReadOnly"):
                raise ValueError(f"{option} 'readonly' to be specified in conjunction")
            if self.recursive == "readonly" and self.options["bind"].get("Propagation") != "rprivate":
                raise ValueError(f"{option} 'bind-propagation=rprivate' to be specified in conjunction")
        return self.fields


def _switch(key: str, value: str) -> bool:
    try:
        return bool(BOOL.parse(value))
    except ValueError:
        raise ValueError(f"invalid value for {key}: {value}") from None
