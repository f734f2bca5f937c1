"""Containers, execs, networks and facts as rows. A row's document is the whole value as JSON.

The engine keeps all containers in memory and writes them through here, so reading happens once, at start.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec
from msgspec import Struct

from lodge.engine.models import Container, Exec, Network
from lodge.engine.state.database import Database
from lodge.errors import Corrupt

_encode = msgspec.json.Encoder().encode
_container = msgspec.json.Decoder(Container)
_exec = msgspec.json.Decoder(Exec)
_network = msgspec.json.Decoder(Network)

T = TypeVar("T", bound=Struct)


class Rows:
    """What is kept of an engine. `durable` as in `Database.write`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def containers(self) -> list[Container]:
        """All containers, oldest first."""
        found = self._database.read("SELECT document FROM containers ORDER BY created_at")
        return [_decode(_container, row[0]) for row in found]

    def execs(self) -> list[Exec]:
        """All execs whose containers have not ended."""
        return [_decode(_exec, row[0]) for row in self._database.read("SELECT document FROM execs")]

    def save(self, container: Container, *, durable: bool = True) -> None:
        """Insert or replace a container."""
        row = (container.id, container.name, container.state.status, container.created_at, _encode(container))
        self._database.write([("REPLACE INTO containers VALUES (?, ?, ?, ?, ?)", row)], durable=durable)

    def remove(self, id: str) -> None:
        """Forget a container; its execs are forgotten when it ends. Not synced."""
        self._database.write([("DELETE FROM containers WHERE id = ?", (id,))], durable=False, freeing=True)

    def save_exec(self, exec: Exec) -> None:
        """Insert or replace an exec. Not synced: no exec survives a power failure."""
        row = (exec.id, exec.container_id, _encode(exec))
        self._database.write([("REPLACE INTO execs VALUES (?, ?, ?)", row)], durable=False)

    def remove_execs(self, container_id: str) -> None:
        """Forget the execs of a container that ended."""
        self._database.write([("DELETE FROM execs WHERE container_id = ?", (container_id,))], durable=False)

    def networks(self) -> list[Network]:
        """All networks, oldest first."""
        found = self._database.read("SELECT document FROM networks ORDER BY created_at")
        return [_decode(_network, row[0]) for row in found]

    def save_network(self, network: Network) -> None:
        """Insert or replace a network."""
        row = (network.id, network.name, network.created_at, _encode(network))
        self._database.write([("REPLACE INTO networks VALUES (?, ?, ?, ?)", row)])

    def remove_network(self, id: str) -> None:
        """Forget a network."""
        self._database.write([("DELETE FROM networks WHERE id = ?", (id,))], freeing=True)

    def fact(self, name: str) -> bytes | None:
        """A fact that the engine noted for itself."""
        for (value,) in self._database.read("SELECT value FROM facts WHERE name = ?", (name,)):
            return bytes(value)
        return None

    def facts(self, prefix: str) -> dict[str, bytes]:
        """All facts whose names begin so."""
        found = self._database.read(
            "SELECT name, value FROM facts WHERE substr(name, 1, ?) = ?", (len(prefix), prefix)
        )
        return {name: bytes(value) for name, value in found}

    def note(self, name: str, value: bytes) -> None:
        """Note a fact."""
        self._database.write([("REPLACE INTO facts VALUES (?, ?)", (name, value))])

    def forget(self, name: str) -> None:
        """Forget a fact. Not synced."""
        self._database.write([("DELETE FROM facts WHERE name = ?", (name,))], durable=False, freeing=True)


def _decode(decoder: msgspec.json.Decoder[T], document: bytes) -> T:
    try:
        return decoder.decode(document)
    except msgspec.DecodeError as error:
        raise Corrupt(f"a row of the engine's database can't be read: {error}") from error
