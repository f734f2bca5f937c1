"""Secrets as they are kept: whole or not at all, for root only, and never twice under one name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lodge.errors import AlreadyExists, Corrupt, InvalidArgument, NotFound
from lodge.volume.secrets import LARGEST, SecretStore


@pytest.fixture
def root(tmp_path: Path) -> str:
    return str(tmp_path / "secrets")


def shown(store: SecretStore, id: str, place: Path) -> bytes:
    store.show(id, str(place), mode=0o440, uid=os.getuid(), gid=os.getgid())
    assert place.stat().st_mode & 0o7777 == 0o440
    return place.read_bytes()


def test_a_secret_is_kept_over_a_restart_and_found_by_name_and_id(root: str, tmp_path: Path) -> None:
    made = SecretStore(root).create("db.password", b"s3cret", {"team": "a"})
    again = SecretStore(root)
    assert again.list() == [made]
    for term in ("db.password", made.id, made.id[:6]):
        assert again.get(term) == made
    assert shown(again, made.id, tmp_path / "file") == b"s3cret"
    assert os.stat(root).st_mode & 0o777 == 0o700


def test_what_is_refused(root: str) -> None:
    store = SecretStore(root)
    for name in ("", "-a", "a-", "a/b", "..", "a" * 65, "ü"):
        with pytest.raises(InvalidArgument, match="invalid name"):
            store.create(name, b"x")
    for value in (b"", bytes(LARGEST + 1)):
        with pytest.raises(InvalidArgument, match="secret data"):
            store.create("a", value)
    store.create("a", b"x")
    with pytest.raises(AlreadyExists):
        store.create("a", b"y")
    with pytest.raises(NotFound, match="secret nobody not found"):
        store.get("nobody")
    assert [secret.name for secret in store.list()] == ["a"]


def test_a_removed_secret_is_gone_from_the_disk(root: str) -> None:
    store = SecretStore(root)
    store.create("a", b"x")
    store.remove("a")
    assert os.listdir(root) == []
    with pytest.raises(NotFound):
        store.remove("a")


def test_debris_of_a_crash_is_swept_up_and_damage_is_told(root: str) -> None:
    made = SecretStore(root).create("a", b"x")
    os.mkdir(f"{root}/.new-half")
    assert SecretStore(root).list() == [made]
    assert os.listdir(root) == [made.id]
    with open(f"{root}/{made.id}/secret.json", "w") as file:
        file.write("{")
    with pytest.raises(Corrupt, match=made.id):
        SecretStore(root)
