"""The environment of a program, as Docker makes it; the image's and the user's variables, each once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lodge.engine.planning.defaults import PATH
from lodge.errors import InvalidArgument


def check(env: Iterable[str] | None) -> None:
    """InvalidArgument for a variable without a name."""
    for entry in env or ():
        if not entry.partition("=")[0]:
            raise InvalidArgument(f"invalid environment variable: {entry}")


def merge(base: Sequence[str], over: Sequence[str]) -> list[str]:
    """`base` with `over` in its places: a bare name in `over` removes, later entries win."""
    places: dict[str, str | None] = {}
    for entry in base:
        places[entry.partition("=")[0]] = entry
    for entry in over:
        name, equals, _ = entry.partition("=")
        if equals or name not in places:
            places[name] = entry if equals else None
        else:
            places[name] = None
    return [entry for entry in places.values() if entry is not None]


def of_container(hostname: str, terminal: bool, env: Sequence[str]) -> list[str]:
    """What the program sees: PATH, HOSTNAME and, with a terminal, TERM, unless the user says otherwise.

    HOME is added by the runtime, which can read the container's /etc/passwd. An entry without "=" is dropped:
    the host's environment is never looked at (hostile row 26).
    """
    base = [f"PATH={PATH}", f"HOSTNAME={hostname}"]
    if terminal:
        base.append("TERM=xterm")
    return merge(base, env)


def over_image(image: Sequence[str] | None, own: Sequence[str] | None) -> list[str]:
    """A container's variables: its own, then those of the image that it doesn't name."""
    mine = list(own or ())
    named = {entry.partition("=")[0] for entry in mine}
    return mine + [entry for entry in image or () if entry.partition("=")[0] not in named]
