"""RUN --mount: fields as they are written, and what they mean once variables are known."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Sequence

from msgspec import Struct

from lodge.build.dockerfile.instructions import Mount
from lodge.build.dockerfile.problems import DockerfileError, nearest

BIND, CACHE, TMPFS, SECRET, SSH = "bind", "cache", "tmpfs", "secret", "ssh"
_TYPES = (BIND, CACHE, TMPFS, SECRET, SSH)
_SHARINGS = ("shared", "private", "locked")
_KEYS = (
    "type", "from", "source", "target", "readonly", "id", "sharing", "required", "size", "mode", "uid", "gid",
    "src", "dst", "destination", "ro", "rw", "readwrite", "env",
)  # fmt: skip
_SYNONYMS = {"src": "source", "dst": "target", "destination": "target", "ro": "readonly", "rw": "readwrite"}
_SWITCHES = ("readonly", "readwrite", "required")
_TRUE, _FALSE = ("1", "t", "true"), ("0", "f", "false")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgtp]?)(?:i?b)?", re.IGNORECASE | re.ASCII)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}


class RunMount(Struct, kw_only=True):
    """One mount of a RUN. None and "" stand for what was left out; `size` is bytes."""

    type: str = BIND
    source_stage: str = ""
    source: str = ""
    target: str = ""
    read_only: bool | None = None
    id: str = ""
    sharing: str = ""
    required: bool = False
    size: int = 0
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    env: str | None = None

    @property
    def writable(self) -> bool:
        """Whether the program may write there; binds may not unless they say so."""
        if self.read_only is None:
            return self.type in (CACHE, TMPFS)
        return not self.read_only


def read_mount(text: str) -> Mount:
    """Cut the fields, which are CSV; what needs no variables is checked now."""
    try:
        rows = list(csv.reader([text], strict=True))
    except csv.Error as error:
        raise DockerfileError(f"failed to parse csv mounts: {error}") from None
    fields: list[tuple[str, str | None]] = []
    for field in rows[0] if rows else ():
        key, equals, value = field.partition("=")
        name = key.strip().lower()
        if name == "from" and "$" in value[:-1]:
            raise DockerfileError("'from' doesn't support variable expansion, define alias stage instead")
        if name not in _KEYS:
            meant = nearest(name, _KEYS)
            raise DockerfileError(
                f"unexpected key '{name}' in '{field}'" + (f" (did you mean {meant}?)" if meant else "")
            )
        fields.append((name, value if equals else None))
    return Mount(fields=tuple(fields))


def complete(mount: Mount, expand: Callable[[str], str]) -> RunMount:
    """What it means. DockerfileError in BuildKit's words for what can't be meant."""
    made = RunMount()
    for key, value in mount.fields:
        name = _SYNONYMS.get(key, key)
        if value is None and name not in _SWITCHES:
            raise DockerfileError(f"invalid field '{key}' must be a key=value pair")
        _set(made, name, key, None if value is None else value if name == "from" else expand(value))
    _check(made)
    return made


def _set(made: RunMount, name: str, key: str, value: str | None) -> None:
    text = value or ""
    match name:
        case "type":
            made.type = _one_of(text.lower(), _TYPES, "unsupported mount type")
        case "sharing":
            made.sharing = _one_of(text.lower(), _SHARINGS, "unsupported sharing value")
        case "readonly":
            made.read_only = _switch(key, value)
        case "readwrite":
            made.read_only = not _switch(key, value)
        case "required":
            _only_for(made, key, (SECRET, SSH))
            made.required = _switch(key, value)
        case "size":
            _only_for(made, key, (TMPFS,))
            made.size = _bytes(text)
        case "mode":
            made.mode = _number(text, 8, "mode")
        case "uid":
            made.uid = _number(text, 10, "uid")
        case "gid":
            made.gid = _number(text, 10, "gid")
        case "from":
            made.source_stage = text
        case _:
            setattr(made, name, text)


def _check(made: RunMount) -> None:
    if made.type not in (SECRET, SSH, CACHE):
        for name in ("mode", "uid", "gid"):
            if getattr(made, name) is not None:
                raise DockerfileError(f'{name} not allowed for "{made.type}" type mounts')
    if made.type == SECRET:
        if made.source_stage:
            raise DockerfileError("secret mount should not have a from")
        if made.sharing:
            raise DockerfileError("secret mount should not define sharing")
        if not (made.source or made.target or made.id):
            raise DockerfileError("invalid secret mount. one of source, target required")
        if made.source and made.id:
            raise DockerfileError("both source and id can't be set")
    if made.sharing and made.type != CACHE:
        raise DockerfileError(f"invalid cache sharing set for {made.type} mount")
    if made.env is not None and made.type != SECRET:
        raise DockerfileError(f"unexpected key 'env' for mount type '{made.type}'")
    if not made.target and made.type in (BIND, CACHE, TMPFS):
        raise DockerfileError(f"invalid mount: a {made.type} mount needs a target")


def _only_for(made: RunMount, key: str, types: Sequence[str]) -> None:
    if made.type not in types:
        raise DockerfileError(f"unexpected key '{key}' for mount type '{made.type}'")


def _one_of(value: str, known: tuple[str, ...], what: str) -> str:
    if value not in known:
        meant = nearest(value, known)
        raise DockerfileError(f'{what} "{value}"' + (f" (did you mean {meant}?)" if meant else ""))
    return value


def _switch(key: str, value: str | None) -> bool:
    lowered = "true" if value is None else value.lower()
    if lowered not in (*_TRUE, *_FALSE):
        raise DockerfileError(f"invalid value for {key}: {value}")
    return lowered in _TRUE


def _number(text: str, base: int, what: str) -> int:
    digits = "01234567" if base == 8 else "0123456789"
    if not text or len(text) > 11 or set(text) - set(digits) or int(text, base) >= 1 << 32:
        raise DockerfileError(f"invalid value {text} for {what}")
    return int(text, base)


def _bytes(text: str) -> int:
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise DockerfileError(f"invalid value for size: {text}")
    return int(float(found[1]) * 1024 ** _POWERS[found[2].lower()])
