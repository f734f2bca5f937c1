"""Single files of a cgroup file system: one open, one read or write, one close."""

from __future__ import annotations

import os

_READ = os.O_RDONLY | os.O_CLOEXEC
_WRITE = os.O_WRONLY | os.O_CLOEXEC


def open_for_writing(path: str) -> int:
    """A file descriptor for writes to come, close-on-exec."""
    return os.open(path, _WRITE)


def write(path: str, text: str) -> None:
    """Write a text with one write(2); OSError names the path and what was written."""
    write_all(path, (text,))


def write_all(path: str, texts: tuple[str, ...] | list[str]) -> None:
    """Write each text with a write(2) of its own, as rule lists demand."""
    fd = os.open(path, _WRITE)
    try:
        for text in texts:
            try:
                os.write(fd, text.encode())
            except OSError as error:
                message = f"{error.strerror} (writing {text.strip()!r})"
                raise OSError(error.errno, message, path) from None
    finally:
        os.close(fd)


def read(path: str) -> str:
    """The whole content."""
    fd = os.open(path, _READ)
    try:
        parts = []
        # A short answer is not the end: these files answer in whole lines, as many as a page holds.
        while part := os.read(fd, 65536):
            parts.append(part)
    finally:
        os.close(fd)
    return b"".join(parts).decode()


def read_or(path: str, default: str = "") -> str:
    """The whole content, or the default where this kernel has no such file."""
    try:
        return read(path)
    except FileNotFoundError:
        return default


def read_number(path: str) -> int:
    """A single number; 0 where this kernel has no such file."""
    text = read_or(path, "0")
    return int(text)


def read_table(path: str) -> dict[str, int]:
    """Lines of "name number" as a dictionary; empty where this kernel has no such file."""
    table = {}
    for line in read_or(path).splitlines():
        name, _, value = line.partition(" ")
        if value.lstrip("-").isdigit():
            table[name] = int(value)
    return table


def read_limit(path: str, unlimited: int) -> int | None:
    """A number that may be "max"; None for that, for a missing file and for `unlimited` or more."""
    text = read_or(path, "max").strip()
    if text == "max":
        return None
    value = int(text)
    return None if value >= unlimited else value


def exists(path: str) -> bool:
    """Whether there is such a file."""
    return os.access(path, os.F_OK)
