"""Loading archives that attack: an error or a harmless image, and never a change of the host (hostile.md)."""

import io
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lodge.errors import LodgeError
from lodge.store.store import Store
from tests.images.attack import Attack
from tests.images.canary import Canary
from tests.images.hostile_archives import ARCHIVES
from tests.images.hostile_images import IMAGES


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store") as store:
        yield store


def tree(top: Path) -> set[str]:
    walked = os.walk(top)
    return {os.path.join(folder, name) for folder, folders, files in walked for name in (*folders, *files)}


def load(store: Store, attack: Attack) -> LodgeError | None:
    """Load it; the error that people would see, if there is one. Any other exception is a failure."""
    try:
        store.archives.load(io.BytesIO(attack.archive))
    except LodgeError as error:
        return error
    return None


@pytest.mark.parametrize("name", [*ARCHIVES, *IMAGES])
def test_loading_changes_nothing_but_the_store(
    name: str, store: Store, canary: Canary, tmp_path: Path
) -> None:
    attack = (ARCHIVES | IMAGES)[name](canary.path)
    outside = {path for path in tree(tmp_path) if not path.startswith(store.root)}
    error = load(store, attack)
    if attack.refused is not None:
        assert (error is not None) == attack.refused, f"{attack.story}: {error!r}"
    assert bool(store.references.list()) == (error is None)
    assert canary.differences() == []
    assert {path for path in tree(tmp_path) if not path.startswith(store.root)} == outside


@pytest.mark.parametrize("name", [name for name, make in ARCHIVES.items() if make(Path("/")).refused])
def test_a_refused_archive_leaves_nothing_in_the_store(name: str, store: Store, canary: Canary) -> None:
    error = load(store, ARCHIVES[name](canary.path))
    assert error is not None
    assert error.message
    assert os.listdir(os.path.join(store.root, "content", "ingest")) == []
    layers = Path(store.root, "layers")
    assert tree(layers) - {str(layers / ".staging")} == set()
