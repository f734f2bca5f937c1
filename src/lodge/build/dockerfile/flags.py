"""The flags of an instruction: which there are, their kinds, each at most once unless it is a list."""

from __future__ import annotations

from collections.abc import Sequence

from lodge.build.dockerfile.problems import DockerfileError, nearest

TEXT, SWITCH, LIST = "text", "switch", "list"

FLAGS: dict[str, dict[str, str]] = {
    "add": {
        "chown": TEXT,
        "chmod": TEXT,
        "link": SWITCH,
        "keep-git-dir": SWITCH,
        "checksum": TEXT,
        "unpack": SWITCH,
        "exclude": LIST,
    },
    "copy": {
        "chown": TEXT,
        "chmod": TEXT,
        "link": SWITCH,
        "from": TEXT,
        "parents": SWITCH,
        "exclude": LIST,
    },
    "from": {"platform": TEXT},
    "run": {"mount": LIST, "network": TEXT, "security": TEXT, "device": LIST},
    "healthcheck": {
        "interval": TEXT,
        "timeout": TEXT,
        "start-period": TEXT,
        "start-interval": TEXT,
        "retries": TEXT,
    },
}


class Flags:
    """The flags that one instruction was given."""

    def __init__(self, keyword: str, words: Sequence[str]) -> None:
        self._values: dict[str, list[str]] = {}
        known = FLAGS.get(keyword, {})
        for word in words:
            name, equals, value = word.removeprefix("--").partition("=")
            kind = known.get(name)
            if kind is None:
                meant = nearest(name, tuple(known))
                raise DockerfileError(
                    f"unknown flag: --{name}" + (f" (did you mean {meant}?)" if meant else ""),
                    hint=f"{keyword.upper()} has " + (", ".join(f"--{n}" for n in known) or "no flags"),
                )
            if name in self._values and kind != LIST:
                raise DockerfileError(f"duplicate flag specified: --{name}")
            self._values.setdefault(name, []).append(_value(name, kind, equals, value))

    def text(self, name: str) -> str:
        """A flag's value; empty when it is not there."""
        return self._values.get(name, [""])[0]

    def texts(self, name: str) -> tuple[str, ...]:
        """All values of a list."""
        return tuple(self._values.get(name, ()))

    def switch(self, name: str) -> bool | None:
        """On, off, or None when it was not given."""
        return self._values[name][0] == "true" if name in self._values else None


def _value(name: str, kind: str, equals: str, value: str) -> str:
    if kind == SWITCH:
        lowered = value.lower() if equals else "true"
        if lowered not in ("true", "false"):
            raise DockerfileError(f"expecting boolean value for flag --{name}, not: {value}")
        return lowered
    if not equals:
        raise DockerfileError(f"missing a value on flag: --{name}")
    return value
