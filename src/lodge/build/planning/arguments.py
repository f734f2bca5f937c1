"""Where ARGs come from: the user, the Dockerfile's beginning, the platforms, the proxies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lodge.build.dockerfile.instructions import Arg
from lodge.build.dockerfile.words import Lexer
from lodge.spec.platform import Platform

_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")
PROXIES = frozenset((*_PROXIES, *(name.lower() for name in _PROXIES)))
"""ARGs that need no declaration, reach every RUN and are in no key and no history."""


def of_platforms(build: Platform, target: Platform, stage: str) -> dict[str, str]:
    """BUILDPLATFORM, TARGETARCH and their kin."""
    found: dict[str, str] = {}
    for prefix, platform in (("BUILD", build), ("TARGET", target)):
        found[f"{prefix}PLATFORM"] = str(platform)
        found[f"{prefix}OS"] = platform.os
        found[f"{prefix}OSVERSION"] = ""
        found[f"{prefix}ARCH"] = platform.architecture
        found[f"{prefix}VARIANT"] = platform.variant or ""
    found["TARGETSTAGE"] = stage or "default"
    return found


def of_globals(
    declared: Sequence[Arg], given: Mapping[str, str], platforms: Mapping[str, str], lexer: Lexer
) -> dict[str, str]:
    """What the ARGs before the first FROM come to, platforms included. Raises DockerfileError."""
    values = {name: given.get(name, value) for name, value in platforms.items()}
    for instruction in declared:
        for argument in instruction.arguments:
            if argument.name in given:
                values[argument.name] = given[argument.name]
            elif argument.default is not None:
                values[argument.name] = lexer.word(argument.default, values)
    return values


def proxies(given: Mapping[str, str]) -> tuple[str, ...]:
    """The proxies for the programs, as variables."""
    return tuple(f"{name}={value}" for name, value in sorted(given.items()) if name in PROXIES)
