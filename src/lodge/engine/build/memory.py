"""The build cache: results of steps by their keys, as rows; its limits, its listing, its pruning.

A row protects its layers from the collector. Used by the loop's thread, as the database is.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable

import msgspec
from msgspec import Struct

from lodge.build.graph import Rootfs
from lodge.engine.build.kept import Kept
from lodge.engine.filters import before
from lodge.engine.state.database import Database
from lodge.errors import InvalidArgument
from lodge.spec.digest import Digest
from lodge.store.layers import Layers

_decode = msgspec.json.Decoder(Rootfs)
_FILTERS = (
    "id",
    "parent",
    "type",
    "description",
    "inuse",
    "shared",
    "private",
    "until",
    "unused-for",
    "mutable",
    "immutable",
)
_BATCH = 64
_SECOND = 10**9


class Record(Struct, kw_only=True):
    """One entry as people see it: times in nanoseconds, sizes in bytes."""

    id: str
    key: str
    parent: str
    kind: str
    description: str
    size: int
    created_at: int
    used_at: int
    uses: int
    chain: str
    shared: bool = False
    in_use: bool = False


class Memory:
    """Fulfils build.worker.Memory."""

    def __init__(self, database: Database, layers: Layers, kept: Kept, in_use: Callable[[str], bool]) -> None:
        """`in_use` tells whether work that is underway needs a chain."""
        self._database = database
        self._kept = kept
        self._layers = layers
        self._in_use = in_use

    async def find(self, key: str) -> Rootfs | None:
        """A result whose layers are all there; one whose layers went is forgotten."""
        rows = list(self._database.read("SELECT document FROM build_cache WHERE key = ?", (key,)))
        if not rows:
            return None
        result = _decode.decode(rows[0][0])
        if result.chain and not self._layers.exists(Digest(result.chain)):
            self.forget([key])
            return None
        statement = "UPDATE build_cache SET used_at = ?, uses = uses + 1 WHERE key = ?"
        self._database.write([(statement, (time.time_ns(), key))], durable=False)
        return result

    async def keep(self, key: str, result: Rootfs, *, parent: str, description: str) -> None:
        """Remember."""
        now = time.time_ns()
        size = result.layers[-1].size if result.layers else 0
        row = (key, result.chain, parent, description, size, now, now, msgspec.json.encode(result))
        self.forget([key])
        self._kept.more(result.chain)
        statement = "INSERT INTO build_cache VALUES (?, ?, ?, ?, ?, ?, ?, 1, ?)"
        self._database.write([(statement, row)], durable=False)

    def forget(self, keys: Iterable[str]) -> None:
        """Remove rows."""
        every = list(keys)
        for begin in range(0, len(every), _BATCH):
            part = every[begin : begin + _BATCH]
            for key in part:
                for (chain,) in self._database.read("SELECT chain FROM build_cache WHERE key = ?", (key,)):
                    self._kept.less(chain)
            statements = [("DELETE FROM build_cache WHERE key = ?", (key,)) for key in part]
            self._database.write(statements, durable=False, freeing=True)

    def records(self, images: frozenset[str] = frozenset()) -> list[Record]:
        """All entries, the latest used first; `images` are chains that images have too."""
        query = (
            "SELECT key, chain, parent, description, size, created_at, used_at, uses FROM build_cache "
            "ORDER BY used_at DESC"
        )
        found: list[Record] = []
        for key, chain, parent, description, size, created_at, used_at, uses in self._database.read(query):
            found.append(
                Record(
                    id=record_id(chain or key),
                    key=key,
                    parent=record_id(parent) if parent else "",
                    kind="regular",
                    description=description,
                    size=size,
                    created_at=created_at,
                    used_at=used_at,
                    uses=uses,
                    chain=chain,
                    shared=chain in images,
                    in_use=bool(chain) and self._in_use(chain),
                )
            )
        return found


def record_id(text: str) -> str:
    """A short name in the manner of BuildKit's: 25 letters and digits."""
    number = int.from_bytes(hashlib.sha256(text.encode()).digest(), "big")
    letters = "0123456789abcdefghijklmnopqrstuvwxyz"
    made = []
    for _ in range(25):
        number, rest = divmod(number, 36)
        made.append(letters[rest])
    return "".join(made)


def choose(
    records: list[Record],
    filters: dict[str, list[str]],
    *,
    all: bool,
    keep: int = 0,
    most: int = 0,
) -> list[Record]:
    """Which entries a prune removes, the longest unused first.

    Without `all` those that images use too stay, as Docker has it for what is no garbage. `keep` bytes stay
    in any case; `most` is how many may stay, 0 for no limit.
    """
    for name in filters:
        if name not in _FILTERS:
            raise InvalidArgument(f"invalid filter '{name}'")
    chosen = [each for each in records if not each.in_use and _fits(each, filters)]
    if not all:
        chosen = [each for each in chosen if not each.shared]
    chosen.sort(key=lambda each: each.used_at)
    total = sum(each.size for each in records)
    room = max(keep, most)
    if not room:
        return chosen
    going: list[Record] = []
    for each in chosen:
        if total <= room:
            break
        going.append(each)
        total -= each.size
    return going


def overdue(records: list[Record], *, most: int, age: int) -> list[Record]:
    """What goes by itself: entries unused for `age` seconds, and the longest unused beyond `most` bytes.

    What images share costs nothing and doesn't count.
    """
    now = time.time_ns()
    own = sorted((each for each in records if not each.in_use), key=lambda each: each.used_at)
    going = [each for each in own if now - each.used_at > age * _SECOND]
    gone = {each.key for each in going}
    total = sum(each.size for each in records if not each.shared and each.key not in gone)
    for each in own:
        if total <= most:
            break
        if each.key not in gone and not each.shared:
            going.append(each)
            total -= each.size
    return going


def _fits(record: Record, filters: dict[str, list[str]]) -> bool:
    for name, values in filters.items():
        match name:
            case "id" | "parent":
                value = record.id if name == "id" else record.parent
                fits = any(value.startswith(each) for each in values)
            case "type":
                fits = record.kind in values
            case "description":
                fits = any(each in record.description for each in values)
            case "until" | "unused-for":
                moment = before({"until": values})
                fits = moment is None or record.used_at <= moment
            case "inuse" | "shared":
                fits = (record.in_use if name == "inuse" else record.shared) == _truth(values)
            case "private":
                fits = record.shared != _truth(values)
            case _:
                fits = (name == "immutable") == _truth(values)
        if not fits:
            return False
    return True


def _truth(values: list[str]) -> bool:
    return not values or values[0].lower() in ("1", "true", "t")
