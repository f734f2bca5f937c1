"""Variables and labels: -e and --env-file, -l and --label-file, and other `key=value` flags."""

from __future__ import annotations

from lodge.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any


def variables(files: Sequence[str], given: Sequence[str], environ: Mapping[str, str]) -> list[str]:
    """The Env list: the files' lines, then the flags; a bare name takes its value from `environ`.

    A flag's bare name that is not set there is sent bare (the engine removes such a variable); a file's is
    left out. A name given twice by flags counts once, with its last value.
    """
    found = []
    for path in files:
        for name, mark, value in _lines(path, "env"):
            if mark:
                found.append(f"{name}={value}")
            elif name in environ:
                found.append(f"{name}={environ[name]}")
    flags = {}
    for text in given:
        name, mark, _ = text.partition("=")
        flags[name] = text if mark or name not in environ else f"{name}={environ[name]}"
    return [*found, *flags.values()]


_PROXIES = (
    ("httpProxy", "HTTP_PROXY"),
    ("httpsProxy", "HTTPS_PROXY"),
    ("noProxy", "NO_PROXY"),
    ("ftpProxy", "FTP_PROXY"),
    ("allProxy", "ALL_PROXY"),
)


def proxy_variables(config: Mapping[str, Any], host: str, given: Sequence[str]) -> list[str]:
    """The proxies of config.json as variables in both cases of letters, but for those of `given`."""
    proxies = config.get("proxies") or {}
    chosen = proxies.get(host) or proxies.get("default") or {}
    taken = {text.partition("=")[0] for text in given}
    names = [(key, spelled) for key, name in _PROXIES for spelled in (name, name.lower())]
    return [f"{name}={chosen[key]}" for key, name in names if chosen.get(key) and name not in taken]


def labels(files: Sequence[str], given: Sequence[str]) -> dict[str, str]:
    """The Labels: the files' lines, then the flags; a bare name has an empty value."""
    found: dict[str, str] = {}
    for path in files:
        found.update((name, value) for name, _, value in _lines(path, "label"))
    found.update(pairs(given))
    return found


def pairs(texts: Sequence[str]) -> dict[str, str]:
    """`key=value` texts as a mapping; the value of a bare key is empty."""
    found = {}
    for text in texts:
        name, _, value = text.partition("=")
        found[name] = value
    return found


def _lines(path: str, what: str) -> Iterator[tuple[str, str, str]]:
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InvalidArgument(f"open {path}: {reason}") from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = content[: error.start].count(b"\n") + 1
        raise InvalidArgument(f"invalid {what} file ({path}): invalid utf8 bytes at line {number}") from error
    for line in text.split("\n"):
        line = line.removesuffix("\r").lstrip()
        if not line or line.startswith("#"):
            continue
        name, mark, value = line.partition("=")
        if not name:
            raise InvalidArgument(f"invalid {what} file ({path}): no variable name on line '{line}'")
        if any(character.isspace() for character in (name if mark else name.rstrip())):
            raise InvalidArgument(f"invalid {what} file ({path}): variable '{name}' contains whitespaces")
        yield name.rstrip(), mark, value
