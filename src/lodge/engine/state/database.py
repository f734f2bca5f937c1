"""The engine's database file: opened, brought to the present schema, written in whole transactions.

SQLite in WAL mode. A write that a user relies on is synced to the disk before it returns; a write that only
has to survive the engine's own death (nothing runs after a power failure) is not. Used by one thread.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from lodge.errors import Corrupt, Exhausted, Internal

# Each entry brings the schema one version up; entries are never changed once released (hostile row 45).
MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE containers (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        status TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        document BLOB NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE execs (
        id TEXT PRIMARY KEY,
        container_id TEXT NOT NULL,
        document BLOB NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE facts (
        name TEXT PRIMARY KEY,
        value BLOB NOT NULL
    ) WITHOUT ROWID;
    """,
    """
    CREATE TABLE networks (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        created_at INTEGER NOT NULL,
        document BLOB NOT NULL
    ) WITHOUT ROWID;
    """,
    """
    CREATE TABLE build_cache (
        key TEXT PRIMARY KEY,
        chain TEXT NOT NULL,
        parent TEXT NOT NULL,
        description TEXT NOT NULL,
        size INTEGER NOT NULL,
        created_at INTEGER NOT NULL,
        used_at INTEGER NOT NULL,
        uses INTEGER NOT NULL,
        document BLOB NOT NULL
    ) WITHOUT ROWID;
    """,
)


Statement = tuple[str, Sequence[Any]]
_BALLAST = 256 << 10


class Database:
    """One open file. Errors of SQLite come out as kinds: a full disk is Exhausted, damage is Corrupt."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._ballast = f"{path}.ballast"
        # Environment variables of containers are in it; its journals take its mode.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        os.chmod(path, 0o600)
        # Autocommit: a transaction is what `write` makes of its statements.
        self._connection = sqlite3.connect(path, isolation_level=None, cached_statements=64)
        self._durable = True
        try:
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=FULL")
            self._connection.execute("PRAGMA cache_size=-1024")
            self._migrate()
            self._take_ballast()
        except sqlite3.Error as error:
            self._connection.close()
            raise _kind(error, path) from error
        except BaseException:
            self._connection.close()
            raise

    def _migrate(self) -> None:
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        if version > len(MIGRATIONS):
            raise Internal(
                f"{self.path} was written by a newer engine: schema {version}, known {len(MIGRATIONS)}",
                hint="start the newer version, or use another data root",
            )
        for number in range(version, len(MIGRATIONS)):
            self._connection.executescript(
                f"BEGIN;{MIGRATIONS[number]};PRAGMA user_version={number + 1};COMMIT;"
            )

    def write(self, statements: Sequence[Statement], *, durable: bool = True, freeing: bool = False) -> None:
        """Perform the statements as one transaction: all or nothing.

        One that is `freeing` space gets the ballast's when the disk is full, so that things can be removed
        with not a byte left (hostile row 33).
        """
        try:
            self._set_durable(durable)
            try:
                self._perform(statements)
            except sqlite3.Error as error:
                if not freeing or not _is_full(error) or not self._drop_ballast():
                    raise
                self._perform(statements)
        except sqlite3.Error as error:
            raise _kind(error, self.path) from error

    def _set_durable(self, durable: bool) -> None:
        if durable is not self._durable:
            self._connection.execute(f"PRAGMA synchronous={'FULL' if durable else 'OFF'}")
            self._durable = durable

    def _perform(self, statements: Sequence[Statement]) -> None:
        execute = self._connection.execute
        if len(statements) == 1:
            execute(*statements[0])
            return
        execute("BEGIN")
        try:
            for statement in statements:
                execute(*statement)
            execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                execute("ROLLBACK")
            raise

    def _take_ballast(self) -> None:
        """Put some space by; without it removals may fail on a full disk, everything else works."""
        try:
            with open(self._ballast, "xb") as file:
                file.write(bytes(_BALLAST))
        except OSError:
            return

    def _drop_ballast(self) -> bool:
        try:
            os.unlink(self._ballast)
        except OSError:
            return False
        return True

    def read(self, query: str, arguments: Sequence[Any] = ()) -> Iterable[tuple[Any, ...]]:
        """All rows of a query."""
        try:
            return self._connection.execute(query, arguments).fetchall()
        except sqlite3.Error as error:
            raise _kind(error, self.path) from error

    def close(self) -> None:
        """Close the file; idempotent."""
        self._connection.close()


def _is_full(error: sqlite3.Error) -> bool:
    """Whether the disk is; in the log's shared index it shows as an error of input and output."""
    code = getattr(error, "sqlite_errorcode", None)
    return code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE)


def _kind(error: sqlite3.Error, path: str) -> Exception:
    code = getattr(error, "sqlite_errorcode", None)
    if _is_full(error):
        return Exhausted(
            f"the disk of {path} is full", hint="free some space: images and containers can be removed"
        )
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return Corrupt(f"{path} is damaged: {error}", hint="restore it, or start with another data root")
    return Internal(f"{path}: {error}")
