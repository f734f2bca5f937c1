"""Platforms of images: parse `os[/arch[/variant]]`, normalise the names people use, choose the best match.

The order of preference is the one of containerd's `platforms.Only`: an exact match first, then what the same
processor also runs (arm64 runs arm v8 to v5; amd64 v3 runs v2 and v1, and 386).
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterable
from typing import TypeVar

import msgspec

from lodge.errors import InvalidArgument

_PART = re.compile(r"[A-Za-z0-9_.-]+(?:\([A-Za-z0-9_.-]*\))?")
_OS = frozenset({"linux", "windows", "darwin", "freebsd", "netbsd", "openbsd", "solaris", "wasip1"})
_ARCHITECTURES = frozenset(
    {"386", "amd64", "arm", "arm64", "loong64", "mips64le", "mipsle", "ppc64le", "riscv64", "s390x", "wasm"}
)
_ALIASES = {
    "i386": ("386", ""),
    "i686": ("386", ""),
    "x86_64": ("amd64", ""),
    "x86-64": ("amd64", ""),
    "aarch64": ("arm64", ""),
    "armhf": ("arm", "v7"),
    "armel": ("arm", "v6"),
    "armv7l": ("arm", "v7"),
    "armv6l": ("arm", "v6"),
    "loongarch64": ("loong64", ""),
}
_REDUNDANT = frozenset({("amd64", "v1"), ("arm64", "8"), ("arm64", "v8"), ("arm64", "v8.0")})

T = TypeVar("T")


class Platform(msgspec.Struct, frozen=True, omit_defaults=True):
    """Operating system, architecture and variant in Go's spelling, as images carry them."""

    architecture: str
    os: str
    os_version: str | None = msgspec.field(default=None, name="os.version")
    os_features: tuple[str, ...] | None = msgspec.field(default=None, name="os.features")
    variant: str | None = None

    @classmethod
    def parse(cls, text: str) -> Platform:
        """Read `os`, `arch`, `os/arch` or `os/arch/variant`; what is missing is taken from this machine.

        Raises InvalidArgument when a part is empty or unknown.
        """
        parts = text.split("/")
        if len(parts) > 3 or not all(_PART.fullmatch(part) for part in parts):
            raise InvalidArgument(
                f"{text!r}: platform specifier component must match {_PART.pattern!r}",
                hint="write it as os[/arch[/variant]], for example linux/arm64/v8",
            )
        if len(parts) == 1:
            return cls._parse_single(text)
        system = parts[0].partition("(")[0].lower()
        variant = parts[2] if len(parts) == 3 else None
        return cls(architecture=parts[1], os=system, variant=variant).normalised()

    @classmethod
    def _parse_single(cls, text: str) -> Platform:
        name = text.lower()
        if name.partition("(")[0] in _OS or name == "macos":
            return cls(architecture=host().architecture, os=name, variant=host().variant).normalised()
        guess = cls(architecture=name, os=host().os).normalised()
        if guess.architecture in _ARCHITECTURES:
            return guess
        raise InvalidArgument(f"{text!r}: unknown operating system or architecture")

    def normalised(self) -> Platform:
        """Return it with canonical names; redundant variants (arm64 v8, amd64 v1) are dropped."""
        architecture, variant = self.architecture.lower(), (self.variant or "").lower()
        if architecture in _ALIASES:
            architecture, implied = _ALIASES[architecture]
            variant = variant or implied
        if (architecture, variant) in _REDUNDANT:
            variant = ""
        elif architecture == "arm":
            variant = "v" + (variant.removeprefix("v") or "7")
        system = {"macos": "darwin"}.get(self.os.lower(), self.os.lower())
        return msgspec.structs.replace(self, architecture=architecture, os=system, variant=variant or None)

    def __str__(self) -> str:
        parts = (self.os, self.architecture, self.variant)
        return "/".join(part for part in parts if part)

    def runs(self) -> list[Platform]:
        """Return all platforms whose programs this one runs, best first; it is itself the first."""
        me = self.normalised()
        found = [Platform(architecture=me.architecture, os=me.os, variant=me.variant)]
        if me.architecture == "amd64":
            level = int(me.variant.removeprefix("v")) if me.variant and me.variant[1:].isdigit() else 1
            found += [_make(me.os, "amd64", f"v{n}" if n > 1 else None) for n in range(level - 1, 0, -1)]
            found.append(_make(me.os, "386", None))
        elif me.architecture == "arm":
            level = int(me.variant[1:]) if me.variant and me.variant[1:].isdigit() else 7
            found += [_make(me.os, "arm", f"v{n}") for n in range(level - 1, 4, -1)]
        elif me.architecture == "arm64":
            if me.variant:
                found.append(_make(me.os, "arm64", None))
            found += [_make(me.os, "arm", f"v{n}") for n in range(8, 4, -1)]
        return found

    def choose(self, offers: Iterable[tuple[Platform | None, T]]) -> T | None:
        """Return the value whose platform suits this one best, or None.

        Of equals the first wins (image-spec, image-index.md). An offer without a platform suits only when no
        other does.
        """
        ranks = {platform: rank for rank, platform in enumerate(self.runs())}
        best: tuple[int, T] | None = None
        for platform, value in offers:
            if platform is None:
                rank = len(ranks)
            else:
                bare = platform.normalised()
                found = ranks.get(Platform(architecture=bare.architecture, os=bare.os, variant=bare.variant))
                if found is None:
                    continue
                rank = found
            if best is None or rank < best[0]:
                best = (rank, value)
        return best[1] if best else None

    def matches(self, other: Platform) -> bool:
        """Whether programs for `other` run on this platform."""
        return self.choose([(other, True)]) is True


def _make(system: str, architecture: str, variant: str | None) -> Platform:
    return Platform(architecture=architecture, os=system, variant=variant)


@functools.cache
def host() -> Platform:
    """Return the platform of this machine's kernel."""
    name = os.uname()
    return Platform(architecture=name.machine, os=name.sysname.lower()).normalised()
