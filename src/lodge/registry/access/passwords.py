"""HTTP basic authentication against an Apache htpasswd file with bcrypt hashes (RFC 7617).

The file is read again when it changes. A password that was right is remembered for a while (as a keyed
hash), since bcrypt takes a tenth of a second by design; it is computed in few threads, so that guessing does
not take the processors away from everybody else.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import os
import secrets
import time
from collections.abc import Awaitable
from concurrent.futures import ThreadPoolExecutor

from lodge.errors import InvalidArgument
from lodge.http.head import Head
from lodge.registry.access.contract import Need
from lodge.registry.refusals import Refusal

_PREFIXES = (b"$2a$", b"$2b$", b"$2y$")
_REMEMBERED = 300.0
_KEPT = 1024
_LONGEST = 72
"""Bytes of a password: bcrypt takes no more, and silently cutting would make two passwords one."""


class Passwords:
    """A gate with a file of users. `anonymous_pull` lets strangers read."""

    def __init__(self, path: str, *, realm: str = "Registry", anonymous_pull: bool = False) -> None:
        import bcrypt

        self._check = bcrypt.checkpw
        self._path = path
        self._realm = realm
        self._anonymous_pull = anonymous_pull
        self._stamp: tuple[int, int, int] | None = None
        self._users: dict[str, bytes] = {}
        self._nobody = bcrypt.hashpw(b"", bcrypt.gensalt(10))
        self._key = secrets.token_bytes(32)
        self._known: dict[bytes, float] = {}
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="registry-bcrypt")
        self._load()

    def admit(self, head: Head, needs: tuple[Need, ...]) -> Awaitable[None] | None:
        """See Gate."""
        header = head.headers.get("authorization")
        if header is None:
            if self._anonymous_pull and needs and all(need.action == "pull" for need in needs):
                return None
            raise self._challenge("authentication required")
        user, password = self._credentials(header)
        self._load()
        until = self._known.get(self._mark(user, password), 0.0)
        return None if until > time.monotonic() else self._verify(user, password)

    def allows(self, head: Head, need: Need) -> bool:
        """See Gate: users are equal."""
        return "authorization" in head.headers or (self._anonymous_pull and need.action == "pull")

    async def _verify(self, user: str, password: bytes) -> None:
        # an unknown user costs as much time as a known one
        hashed = self._users.get(user, self._nobody)
        loop = asyncio.get_running_loop()
        right = await loop.run_in_executor(self._threads, self._matches, password, hashed)
        if not right or user not in self._users:
            raise self._challenge("invalid user name or password")
        if len(self._known) >= _KEPT:
            self._known.clear()
        self._known[self._mark(user, password)] = time.monotonic() + _REMEMBERED

    def _matches(self, password: bytes, hashed: bytes) -> bool:
        if len(password) > _LONGEST:
            return False
        try:
            return bool(self._check(password, hashed))
        except ValueError:
            return False

    def _mark(self, user: str, password: bytes) -> bytes:
        """The hash belongs to it: a changed password is not remembered."""
        text = b"\0".join((user.encode(), password, self._users.get(user, b"")))
        return hmac.digest(self._key, text, hashlib.sha256)

    def _credentials(self, header: str) -> tuple[str, bytes]:
        scheme, _, text = header.partition(" ")
        try:
            if scheme.lower() != "basic":
                raise ValueError
            user, colon, password = base64.b64decode(text.strip(), validate=True).partition(b":")
            if not colon:
                raise ValueError
            return user.decode(), password
        except (ValueError, binascii.Error):
            raise self._challenge("basic authentication required") from None

    def _challenge(self, why: str) -> Refusal:
        header = (("WWW-Authenticate", f'Basic realm="{self._realm}", charset="UTF-8"'),)
        return Refusal("UNAUTHORIZED", why, 401, headers=header)

    def _load(self) -> None:
        try:
            facts = os.stat(self._path)
            stamp = (facts.st_mtime_ns, facts.st_size, facts.st_ino)
            if stamp == self._stamp:
                return
            with open(self._path, "rb") as file:
                text = file.read(1 << 20)
        except OSError as error:
            if self._stamp is not None:
                return  # it is being replaced: the users of before go on
            raise InvalidArgument(f"can't read the password file {self._path}: {error.strerror}") from None
        self._users = parse(text)
        self._stamp = stamp


def parse(text: bytes) -> dict[str, bytes]:
    """Users and hashes of an htpasswd file. InvalidArgument for anything but bcrypt."""
    users: dict[str, bytes] = {}
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith(b"#"):
            continue
        user, colon, hashed = line.partition(b":")
        if not colon or not user or not hashed.startswith(_PREFIXES) or len(hashed) != 60:
            raise InvalidArgument(
                f"line {number} of the password file is no user with a bcrypt hash",
                hint="make lines with `lodge registry password USER` or `htpasswd -nB USER`",
            )
        users[user.decode("utf-8", "surrogateescape")] = hashed
    return users


def line(user: str, password: str) -> str:
    """One line for the file. InvalidArgument for what can't be one."""
    import bcrypt

    if not user or ":" in user or not user.isprintable():
        raise InvalidArgument(f"invalid user name: {user!r}")
    if not 1 <= len(password.encode()) <= _LONGEST:
        raise InvalidArgument(f"a password has 1 to {_LONGEST} bytes")
    return f"{user}:{bcrypt.hashpw(password.encode(), bcrypt.gensalt(10)).decode()}"
