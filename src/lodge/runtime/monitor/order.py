"""What an order asks for, read no further than needed: most of a config is for whoever makes the dwelling."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeVar

import msgspec
from msgspec import Struct

from lodge.errors import InvalidArgument
from lodge.runtime.messages import SealedLaunch
from lodge.runtime.process.extras import Extras
from lodge.runtime.process.extras import decode_extras as _decode_extras
from lodge.spec.runtime import Namespace, RuntimeConfig, decode_config

T = TypeVar("T")


class _MemoryOutline(Struct):
    limit: int | None = None


class _ResourcesOutline(Struct):
    memory: _MemoryOutline | None = None


class _LinuxOutline(Struct, rename="camel"):
    cgroups_path: str = ""
    resources: _ResourcesOutline | None = None
    namespaces: list[Namespace] = []


class _HooksOutline(Struct):
    poststop: list[msgspec.Raw] = []


class Outline(Struct):
    """The part of a config that a monitor itself needs."""

    linux: _LinuxOutline | None = None
    hooks: _HooksOutline | None = None

    @property
    def ends_with_hooks(self) -> bool:
        """Whether something is to be run when the container has ended."""
        return self.hooks is not None and bool(self.hooks.poststop)

    @property
    def cgroups_path(self) -> str:
        """Where the control group is."""
        return self.linux.cgroups_path if self.linux else ""

    @property
    def limits_memory(self) -> bool:
        """Whether the container alone can run out of memory."""
        resources = self.linux.resources if self.linux else None
        return bool(resources and resources.memory and (resources.memory.limit or 0) > 0)

    @property
    def joins_user_namespace(self) -> bool:
        """Whether the container is to live in a user namespace that exists already."""
        return any(
            each.type == "user" and each.path for each in (self.linux.namespaces if self.linux else ())
        )


_outline = msgspec.json.Decoder(Outline)


def outline_of(order: SealedLaunch) -> Outline:
    """The outline of an order's config; InvalidArgument when that can't be read."""
    return _read(_outline.decode, _config_text(order), "config.json")


def config_of(order: SealedLaunch) -> RuntimeConfig:
    """The whole config of an order; InvalidArgument when it can't be read."""
    return _read(decode_config, _config_text(order), "config.json")


def decode_extras(text: msgspec.Raw) -> Extras | None:
    """The engine's additions; InvalidArgument for members of wrong types."""
    raw = bytes(text)
    return None if raw in (b"", b"null") else _read(_decode_extras, raw, "extras")


def _config_text(order: SealedLaunch) -> bytes:
    text = bytes(order.config)
    if text not in (b"", b"null"):
        return text
    try:
        with open(os.path.join(order.bundle, "config.json"), "rb") as file:
            return file.read()
    except OSError as error:
        raise InvalidArgument(f"the bundle's config.json can't be read: {error}") from error


def _read(decode: Callable[[bytes], T], text: bytes, what: str) -> T:
    try:
        return decode(text)
    except msgspec.DecodeError as error:
        raise InvalidArgument(f"the {what} can't be used: {error}") from error
