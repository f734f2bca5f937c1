"""Leases: held by connections, let go with them."""

from __future__ import annotations

import asyncio
import json
import time

import pytest

from lodge.api import leases
from lodge.api.backend import Filters
from lodge.engine.models import Container
from tests.unit.api.conftest import Door
from tests.unit.api.fakes import container


def leased(door: Door, name: str, lease: str) -> None:
    one = door.engine.containers.add(container(name))
    one.wish.config.labels = {leases.LABEL: lease}


@pytest.fixture(autouse=True)
def filtering(door: Door) -> None:
    """The remembering engine lists everything: here it looks at the label."""

    async def listed(*, all: bool, limit: int, filters: Filters) -> list[Container]:
        key, _, value = filters["label"][0].partition("=")
        found = [one for one in door.engine.containers.all.values() if key in (one.wish.config.labels or {})]
        return [one for one in found if not value or (one.wish.config.labels or {})[key] == value]

    async def no_volumes(filters: Filters) -> list[object]:
        return []

    door.engine.containers.list = listed  # type: ignore[method-assign]
    door.engine.volumes.list = no_volumes  # type: ignore[assignment,method-assign]


def hold(door: Door, query: str) -> tuple[object, dict[str, str]]:
    client = door.running.connect()
    client.sendall(f"GET /lodge/lease?{query} HTTP/1.1\r\nHost: d\r\n\r\n".encode())
    data = b""
    while b"}\n" not in data:
        data += client.recv(1000)
    return client, json.loads(data[data.index(b"{") : data.index(b"}\n") + 1])


def test_what_is_leased_goes_with_its_client(door: Door) -> None:
    client, told = hold(door, "grace=0")
    assert told["Label"] == f"io.lodge.lease={told['Lease']}"
    leased(door, "mine", told["Lease"])
    leased(door, "other", "x")
    time.sleep(0.1)
    assert "mine" in door.engine.containers.all
    client.close()  # type: ignore[attr-defined]
    time.sleep(0.3)
    assert list(door.engine.containers.all) == ["other"]


def test_a_lease_taken_up_again_in_time_is_kept(door: Door) -> None:
    leased(door, "mine", "run-1")
    first, _ = hold(door, "id=run-1&grace=1")
    first.close()  # type: ignore[attr-defined]
    second, _ = hold(door, "id=run-1&grace=0")
    time.sleep(1.2)
    assert "mine" in door.engine.containers.all
    second.close()  # type: ignore[attr-defined]
    time.sleep(0.3)
    assert not door.engine.containers.all


def test_leases_of_before_the_start_wait_for_their_clients(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "ORPHAN_GRACE", 0.3)
    leased(door, "gone", "a")
    leased(door, "back", "b")

    async def adopt() -> None:
        await door.app.leases.adopt()

    asyncio.run_coroutine_threadsafe(adopt(), door.running.loop).result(5)
    client, _ = hold(door, "id=b")
    time.sleep(0.6)
    assert list(door.engine.containers.all) == ["back"]
    client.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("query", ["id=../x", "id=" + "a" * 65, "grace=-1", "grace=99999", "grace=x"])
def test_refused(door: Door, query: str) -> None:
    assert door.error("GET", f"/lodge/lease?{query}")[0] == 400
