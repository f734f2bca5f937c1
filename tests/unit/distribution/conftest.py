"""A scripted registry, and the client for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lodge.distribution.registries import Registries
from lodge.distribution.settings import RegistrySettings
from tests.registries.scripted import Scripted, scripted


@pytest.fixture
def registry() -> Iterator[Scripted]:
    with scripted() as made:
        yield made


@pytest.fixture
def other() -> Iterator[Scripted]:
    """A second one: a mirror, a foreign host."""
    with scripted() as made:
        yield made


@pytest.fixture(autouse=True)
def swift(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting between attempts takes no time here."""
    monkeypatch.setattr("lodge.distribution.transport._backoff", lambda attempt: 0.0)


@pytest.fixture
def registries() -> Iterator[Registries]:
    with Registries(RegistrySettings(certificate_directories=())) as made:
        yield made
