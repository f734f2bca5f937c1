"""Compiled programs on disk: a compilation takes milliseconds, a look-up microseconds.

A file is named by the hash of all that decides its content, and begins with the hash of its content, so a
file that a crash cut short is made again.
"""

from __future__ import annotations

import os
from _blake2 import blake2b  # hashlib would load OpenSSL, megabytes in a process that is forked a lot
from collections.abc import Sequence

from lodge.kernel.seccomp.compiler import compile as compile_profile
from lodge.kernel.seccomp.compiler import library_version
from lodge.kernel.syscalls import MACHINE
from lodge.spec.runtime import Seccomp, encode

# Grows when the compiler of this house changes what it makes of the same profile.
_FORMAT = 1
_DIGEST = 32


def compile_cached(profile: Seccomp, directory: str, arches: Sequence[str] = ()) -> bytes:
    """As `compiler.compile`, with programs kept in a directory that only the engine can write to."""
    path = os.path.join(directory, _key(profile, arches))
    try:
        with open(path, "rb") as file:
            content = file.read()
    except FileNotFoundError:
        content = b""
    digest, program = content[:_DIGEST], content[_DIGEST:]
    if program and _hash(program) == digest:
        return program
    program = compile_profile(profile, arches)
    _store(path, _hash(program) + program)
    return program


def _key(profile: Seccomp, arches: Sequence[str]) -> str:
    parts = (encode(profile), library_version().encode(), MACHINE.encode(), b"%d" % _FORMAT)
    return _hash(b"\0".join((*parts, *(arch.encode() for arch in arches)))).hex()


def _hash(content: bytes) -> bytes:
    return blake2b(content, digest_size=_DIGEST).digest()


def _store(path: str, content: bytes) -> None:
    """Whole or not at all; without fsync, for a lost file costs one compilation."""
    temporary = f"{path}.{os.getpid()}"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(fd, "wb") as file:
        file.write(content)
    os.rename(temporary, path)
