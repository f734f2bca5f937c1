"""The build cache's rows: found again, forgotten, protected, pruned."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from lodge.build.graph import LayerRef, Rootfs
from lodge.engine.build.kept import Kept
from lodge.engine.build.memory import Memory, Record, choose, overdue, record_id
from lodge.engine.state.database import Database
from lodge.errors import InvalidArgument
from lodge.spec.descriptor import OCI_LAYER, Descriptor
from lodge.spec.digest import Digest

CHAIN = f"sha256:{'a' * 64}"
OTHER = f"sha256:{'b' * 64}"


class FakeLayers:
    def __init__(self) -> None:
        self.there = {CHAIN, OTHER}

    def exists(self, chain: Digest) -> bool:
        return chain in self.there


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database(str(tmp_path / "state.db"))


def result(chain: str = CHAIN) -> Rootfs:
    blob = Descriptor(media_type=OCI_LAYER, digest=OTHER, size=7)
    return Rootfs(chain=chain, layers=(LayerRef(diff_id=OTHER, size=5, blob=blob, created=9),))


def test_a_result_is_found_again_also_by_the_next_engine(database: Database) -> None:
    layers = FakeLayers()
    memory = Memory(database, layers, Kept(database), CHAIN.__eq__)  # type: ignore[arg-type]
    asyncio.run(memory.keep("k", result(), parent=OTHER, description="RUN x"))
    later = Memory(database, layers, Kept(database), CHAIN.__eq__)  # type: ignore[arg-type]
    assert asyncio.run(later.find("k")) == result()
    assert asyncio.run(later.find("other")) is None
    (record,) = later.records()
    assert record.in_use
    assert (record.size, record.uses, record.parent, record.description) == (5, 2, record_id(OTHER), "RUN x")


def test_a_result_whose_layers_went_is_forgotten(database: Database) -> None:
    layers = FakeLayers()
    memory = Memory(database, layers, Kept(database), CHAIN.__eq__)  # type: ignore[arg-type]
    asyncio.run(memory.keep("k", result(), parent="", description=""))
    layers.there.clear()
    assert asyncio.run(memory.find("k")) is None
    assert memory.records() == []


def test_layers_are_kept_as_long_as_a_row_names_them(database: Database) -> None:
    kept = Kept(database)
    memory = Memory(database, FakeLayers(), kept, CHAIN.__eq__)  # type: ignore[arg-type]
    for key, chain in (("1", CHAIN), ("2", CHAIN), ("3", OTHER), ("3", OTHER)):
        asyncio.run(memory.keep(key, result(chain), parent="", description=""))
    assert sorted(kept.chains()) == [CHAIN, OTHER]
    memory.forget(["1", "3"])
    assert kept.chains() == [CHAIN]
    assert Kept(database).chains() == [CHAIN]
    memory.forget(["2"])
    assert kept.chains() == []


def record(key: str, size: int, age: float, *, shared: bool = False, in_use: bool = False) -> Record:
    used = time.time_ns() - int(age * 10**9)
    return Record(
        id=record_id(key), key=key, parent="", kind="regular", description=f"RUN {key}", size=size,
        created_at=used, used_at=used, uses=1, chain=key, shared=shared, in_use=in_use,
    )  # fmt: skip


RECORDS = [
    record("new", 10, 5),
    record("old", 20, 500),
    record("oldest", 30, 5000),
    record("shared", 40, 900, shared=True),
    record("busy", 50, 9000, in_use=True),
]


@pytest.mark.parametrize(
    ("filters", "options", "keys"),
    [
        ({}, {}, ["oldest", "old", "new"]),
        ({}, {"all": True}, ["oldest", "shared", "old", "new"]),
        ({}, {"keep": 125}, ["oldest"]),
        ({}, {"most": 95}, ["oldest", "old", "new"]),
        ({"unused-for": ["1m"]}, {}, ["oldest", "old"]),
        ({"until": ["10m"]}, {}, ["oldest"]),
        ({"description": ["RUN o"]}, {}, ["oldest", "old"]),
        ({"id": [record_id("new")[:8]]}, {}, ["new"]),
        ({"type": ["exec.cachemount"]}, {}, []),
        ({"shared": ["true"]}, {"all": True}, ["shared"]),
        ({"inuse": ["1"]}, {"all": True}, []),
    ],
)
def test_what_a_prune_takes(filters: dict[str, list[str]], options: dict[str, int], keys: list[str]) -> None:
    whole = {"all": False, **options}
    assert [each.key for each in choose(RECORDS, filters, **whole)] == keys  # type: ignore[arg-type]


def test_unknown_filters_are_refused() -> None:
    with pytest.raises(InvalidArgument, match="invalid filter 'nope'"):
        choose(RECORDS, {"nope": ["1"]}, all=True)


def test_what_goes_by_itself() -> None:
    assert [each.key for each in overdue(RECORDS, most=10**9, age=10**6)] == []
    assert [each.key for each in overdue(RECORDS, most=10**9, age=600)] == ["oldest", "shared"]
    assert [each.key for each in overdue(RECORDS, most=85, age=10**6)] == ["oldest"]
