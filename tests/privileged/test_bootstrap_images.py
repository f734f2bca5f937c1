"""A user makes base images without a registry, and gets the same image each time."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lodge.distribution import busybox, debian
from lodge.distribution.bootstrap import bootstrap
from lodge.errors import LodgeError, Unavailable
from lodge.spec.descriptor import Descriptor
from lodge.store.store import Store

SUITE = "debian:bookworm-slim"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store") as store:
        yield store


def unpacked(store: Store, target: Descriptor) -> Path:
    """The files of the image's only layer."""
    chain = store.images.unpack(store.images.resolve(target))
    (layer,) = Path(store.root, "layers").glob(f"*{chain.hex}*")
    return layer / "fs"


def inside(root: Path, *command: str) -> str:
    """What a command prints with the image's files as its root."""
    return subprocess.run(["chroot", root, *command], capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bootstrap")


def need(check: object, *arguments: object) -> None:
    """Skip where the tool is missing: `make test` installs it."""
    assert callable(check)
    try:
        check(*arguments)
    except Unavailable as error:
        pytest.skip(f"{error}: {error.hint}")


def test_busybox_runs_in_its_own_root(store: Store, cache: Path) -> None:
    need(busybox.find_busybox)
    made = bootstrap("busybox", store=store, cache_dir=cache)
    root = unpacked(store, made.manifest)
    assert inside(root, "/bin/sh", "-c", "id -u; id -un; echo $0") == "0\nroot\n/bin/sh\n"
    assert (root / "tmp").stat().st_mode & 0o7777 == 0o1777


@pytest.mark.timeout(300)
def test_debian_is_made_from_its_mirror_and_runs(store: Store, cache: Path) -> None:
    need(debian.check_tools, "debian")
    heard: list[str] = []
    made = bootstrap(SUITE, store=store, cache_dir=cache, progress=lambda status, *_: heard.append(status))
    root = unpacked(store, made.manifest)
    release = subprocess.run(
        ["chroot", root, "cat", "/etc/os-release"], capture_output=True, text=True, check=True
    )
    assert "VERSION_CODENAME=bookworm" in release.stdout
    installed = subprocess.run(
        ["chroot", root, "dpkg", "--audit"], capture_output=True, text=True, check=True
    )
    assert installed.stdout == ""
    assert heard[0].startswith("Making debian:bookworm as released at ")
    # nothing of the machine that made it, nothing that grows stale
    assert not (root / "etc/resolv.conf").exists()
    assert not (root / "etc/hostname").exists()
    assert list((root / "var/lib/apt/lists").iterdir()) == [root / "var/lib/apt/lists/partial"]
    assert list((root / "var/cache/apt").rglob("*.deb")) == []
    assert list((root / "usr/share/man").rglob("*.gz")) == []


@pytest.mark.timeout(300)
def test_another_machine_makes_the_same_image(store: Store, cache: Path, tmp_path: Path) -> None:
    need(debian.check_tools, "debian")
    here = bootstrap(SUITE, store=store, cache_dir=cache)
    there = bootstrap(SUITE, store=store, cache_dir=tmp_path / "another cache")
    assert there == here


def test_a_suite_that_does_not_exist_is_said_plainly(store: Store, cache: Path) -> None:
    with pytest.raises(LodgeError, match="no such release"):
        bootstrap("debian:nosuchsuite", store=store, cache_dir=cache)
    assert store.references.list() == {}
