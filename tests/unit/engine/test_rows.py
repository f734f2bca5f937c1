"""Rows survive: written, read again by another connection, refused when they are from the future."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from lodge.engine.images.parentage import Parentage
from lodge.engine.models import Exec, ExecWish
from lodge.engine.state.database import MIGRATIONS, Database
from lodge.engine.state.rows import Rows
from lodge.errors import Corrupt, Exhausted, Internal
from tests.unit.engine.samples import container


def opened(path: Path) -> tuple[Database, Rows]:
    database = Database(str(path / "state.db"))
    return database, Rows(database)


@pytest.mark.parametrize("durable", [True, False])
def test_a_container_is_read_as_it_was_written(tmp_path: Path, durable: bool) -> None:
    database, rows = opened(tmp_path)
    one = container("one", host={"memory": 64 << 20}, config={"labels": {"a": "b"}})
    rows.save(one, durable=durable)
    one.state.status = "exited"
    one.state.exit_code = 3
    rows.save(one, durable=durable)
    database.close()
    again, rows = opened(tmp_path)
    assert rows.containers() == [one]
    again.close()


def test_what_was_removed_is_gone(tmp_path: Path) -> None:
    database, rows = opened(tmp_path)
    rows.save(container("one"))
    rows.remove("c" * 64)
    rows.remove("c" * 64)
    assert rows.containers() == []
    database.close()


def test_two_containers_never_share_a_name(tmp_path: Path) -> None:
    database, rows = opened(tmp_path)
    rows.save(container("one", id="a" * 64))
    rows.save(container("two", id="b" * 64))
    assert [each.name for each in rows.containers()] == ["one", "two"]
    database.close()


def test_execs_go_with_their_container(tmp_path: Path) -> None:
    database, rows = opened(tmp_path)
    first = Exec(id="e1", container_id="c1", wish=ExecWish(command=["true"]))
    second = Exec(id="e2", container_id="c2", wish=ExecWish(command=["true"], window=(24, 80)))
    rows.save_exec(first)
    rows.save_exec(second)
    rows.remove_execs("c1")
    assert rows.execs() == [second]
    database.close()


def test_facts_are_kept(tmp_path: Path) -> None:
    database, rows = opened(tmp_path)
    assert rows.fact("id") is None
    rows.note("id", b"x")
    rows.note("id", b"y")
    assert rows.fact("id") == b"y"
    database.close()


def test_a_transaction_is_all_or_nothing(tmp_path: Path) -> None:
    database, rows = opened(tmp_path)
    insert = "INSERT INTO facts VALUES (?, ?)"
    with pytest.raises(Internal):
        database.write([(insert, ("a", b"1")), (insert, ("a", b"2"))])
    assert rows.fact("a") is None
    database.close()


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    opened(tmp_path)[0].close()
    raw = sqlite3.connect(tmp_path / "state.db")
    raw.execute(f"PRAGMA user_version={len(MIGRATIONS) + 1}")
    raw.close()
    with pytest.raises(Internal, match="written by a newer engine"):
        opened(tmp_path)


def test_damage_is_told(tmp_path: Path) -> None:
    (tmp_path / "state.db").write_bytes(b"no database at all, but long enough to be looked at" * 100)
    with pytest.raises(Corrupt, match="is damaged"):
        opened(tmp_path)


def test_a_row_that_can_not_be_read_is_told(tmp_path: Path) -> None:
    database, rows = opened(tmp_path)
    database.write([("INSERT INTO containers VALUES (?, ?, ?, ?, ?)", ("x", "x", "created", 1, b"{"))])
    with pytest.raises(Corrupt, match="row of the engine's database"):
        rows.containers()
    database.close()


def test_a_full_disk_has_a_name_and_a_hint(tmp_path: Path) -> None:
    database, rows = opened(tmp_path)
    database.write([("PRAGMA max_page_count=1", ())])
    with pytest.raises(Exhausted) as caught:
        rows.save(container("big", config={"env": ["A=" + "x" * 100_000]}))
    assert caught.value.hint
    database.close()


def test_parents_of_images_are_kept_until_the_image_goes(tmp_path: Path) -> None:
    path = str(tmp_path / "state.db")
    parentage = Parentage(Rows(Database(path)))
    parentage.note("sha256:child", "sha256:base")
    parentage.note("sha256:child", "sha256:other")
    parentage.note("sha256:same", "sha256:same")
    again = Parentage(Rows(Database(path)))
    assert (again.of("sha256:child"), again.of("sha256:same"), again.of("x")) == ("sha256:base", "", "")
    again.forget("sha256:child")
    assert Parentage(Rows(Database(path))).of("sha256:child") == ""
