"""The store: volumes come and go whole, survive restarts and crashes, and take no data along by mistake."""

import errno
import os
import stat
import threading
from pathlib import Path

import pytest

from lodge.errors import AlreadyExists, Exhausted, InvalidArgument, NotFound, Unavailable
from lodge.volume import Volume, VolumeStore
from lodge.volume import store as module


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "volumes"


@pytest.fixture
def store(root: Path) -> VolumeStore:
    return VolumeStore(root)


def test_a_volume_is_made(store: VolumeStore, root: Path) -> None:
    volume = store.create("data", labels={"a": "b"})
    assert volume.mountpoint == str(root / "data" / "_data")
    assert os.listdir(volume.mountpoint) == []
    assert (volume.name, volume.driver, volume.options, volume.labels) == ("data", "local", None, {"a": "b"})
    assert not volume.anonymous
    assert store.get("data") == volume
    assert store.exists("data")


def test_making_it_again_changes_nothing(store: VolumeStore) -> None:
    volume = store.create("data", labels={"a": "b"})
    Path(volume.mountpoint, "file").touch()
    assert store.create("data", labels={"c": "d"}, options={"type": "tmpfs", "device": "tmpfs"}) == volume
    assert os.listdir(volume.mountpoint) == ["file"]


def test_without_a_name_it_is_anonymous(store: VolumeStore) -> None:
    first, second = store.create(), store.create()
    assert first.anonymous
    assert first.name != second.name
    assert len(first.name) == 64
    assert first.labels == {"com.docker.volume.anonymous": ""}
    assert store.create("a" * 64, anonymous=True).anonymous


def test_other_drivers_and_bad_wishes_are_refused(store: VolumeStore, root: Path) -> None:
    with pytest.raises(NotFound, match='plugin "flocker" not found'):
        store.create("data", driver="flocker")
    with pytest.raises(InvalidArgument, match="invalid characters"):
        store.create("../data")
    with pytest.raises(InvalidArgument, match="invalid option"):
        store.create("data", options={"x": "y"})
    assert os.listdir(root) == []


def test_what_is_not_there_is_not_found(store: VolumeStore) -> None:
    for call in (store.get, store.remove, store.size, store.mount):
        with pytest.raises(NotFound, match="get nothing: no such volume"):
            call("nothing")
    with pytest.raises(NotFound):
        store.get("../../etc")


def test_the_list_is_sorted(store: VolumeStore) -> None:
    for name in ("bb", "aa", "cc"):
        store.create(name)
    assert [volume.name for volume in store.list()] == ["aa", "bb", "cc"]


def test_a_removed_volume_leaves_nothing(store: VolumeStore, root: Path) -> None:
    volume = store.create("data")
    Path(volume.mountpoint, "inner").mkdir()
    Path(volume.mountpoint, "inner", "file").touch()
    store.remove("data")
    assert os.listdir(root) == []
    assert not store.exists("data")
    store.create("data")
    assert os.listdir(volume.mountpoint) == []


def test_removal_follows_no_link(store: VolumeStore, tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").touch()
    volume = store.create("data")
    Path(volume.mountpoint, "link").symlink_to(tmp_path / "precious")
    store.remove("data")
    assert os.listdir(tmp_path / "precious") == ["file"]


def test_a_directory_that_somebody_deleted_can_still_be_removed(store: VolumeStore, root: Path) -> None:
    store.create("data")
    os.remove(root / "data" / "volume.json")
    os.rmdir(root / "data" / "_data")
    os.rmdir(root / "data")
    store.remove("data")
    assert not store.exists("data")


def test_volumes_survive_a_restart(store: VolumeStore, root: Path) -> None:
    made = [
        store.create("data", labels={"a": "b"}, options={"type": "tmpfs", "device": "tmpfs", "o": "size=1m"}),
        store.create("plain"),
        store.create(),
    ]
    assert VolumeStore(root).list() == sorted(made, key=lambda volume: volume.name)


def test_debris_of_a_crash_is_swept(store: VolumeStore, root: Path) -> None:
    store.create("data")
    (root / ".new-abc" / "_data").mkdir(parents=True)
    (root / ".trash-abc" / "_data").mkdir(parents=True)
    (root / ".trash-abc" / "_data" / "file").touch()
    assert [volume.name for volume in VolumeStore(root).list()] == ["data"]
    assert os.listdir(root) == ["data"]


def test_what_is_no_volume_is_left_alone(store: VolumeStore, root: Path) -> None:
    (root / "lost+found").mkdir()
    (root / "empty-directory").mkdir()
    (root / "a-file").touch()
    assert VolumeStore(root).list() == []
    assert len(os.listdir(root)) == 3


@pytest.mark.parametrize("damage", [None, b"", b"{nonsense"])
def test_data_without_a_record_is_a_plain_volume(
    store: VolumeStore, root: Path, damage: bytes | None
) -> None:
    volume = store.create("data", labels={"a": "b"})
    Path(volume.mountpoint, "file").write_text("precious")
    if damage is None:
        (root / "data" / "volume.json").unlink()
    else:
        (root / "data" / "volume.json").write_bytes(damage)
    found = VolumeStore(root).get("data")
    assert (found.labels, found.driver) == (None, "local")
    assert Path(found.mountpoint, "file").read_text() == "precious"


@pytest.mark.parametrize("step", ["mkdir", "chmod", "rename", "fsync"])
def test_a_crash_at_any_step_leaves_a_whole_volume_or_none(
    store: VolumeStore, root: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Row 32: the process dies instead of the n-th call of each kind; then the store is opened again."""

    class Died(BaseException):
        pass

    real = getattr(os, step)
    for survived in range(4):
        calls = 0

        def die(*args: object, survived: int = survived, **kwargs: object) -> object:
            nonlocal calls
            calls += 1
            if calls > survived:
                raise Died
            return real(*args, **kwargs)

        with monkeypatch.context() as patch:
            patch.setattr(module, "_delete_after", lambda error, directory: None)
            patch.setattr(os, step, die)
            try:
                store.create("data", labels={"a": "b"})
            except Died:
                pass
        reopened = VolumeStore(root)
        for volume in reopened.list():
            assert (volume.name, volume.labels) == ("data", {"a": "b"})
            assert os.listdir(volume.mountpoint) == []
            reopened.remove("data")
        assert os.listdir(root) == []
        store = VolumeStore(root)


def test_a_full_disk_is_told_and_leaves_nothing(
    store: VolumeStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(directory: str, volume: Volume) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    kept = store.create("kept")
    monkeypatch.setattr(module, "write_record", full)
    with pytest.raises(Exhausted, match="create data: no space left on device"):
        store.create("data")
    assert os.listdir(root) == ["kept"]
    assert store.list() == [kept]
    store.remove("kept")
    assert os.listdir(root) == []


def test_a_stranger_with_this_name_is_not_replaced(store: VolumeStore, root: Path) -> None:
    (root / "data").mkdir()
    (root / "data" / "file").touch()
    with pytest.raises(AlreadyExists, match="something else"):
        store.create("data")
    assert os.listdir(root) == ["data"]
    assert os.listdir(root / "data") == ["file"]


def test_data_that_can_not_be_deleted_is_tried_again(
    store: VolumeStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.create("data")
    with monkeypatch.context() as patch:

        def busy(directory: str) -> None:
            raise OSError(errno.EBUSY, "Device or resource busy")

        patch.setattr(module.shutil, "rmtree", busy)
        with pytest.raises(Unavailable, match="remove data"):
            store.remove("data")
        assert not store.exists("data")
        assert VolumeStore(root).list() == []
    VolumeStore(root)
    assert os.listdir(root) == []


def test_sizes(store: VolumeStore) -> None:
    volume = store.create("data")
    assert store.size("data") == 0
    Path(volume.mountpoint, "file").write_bytes(b"x" * 1234)
    assert store.size("data") == 1234
    store.create("net", options={"type": "nfs", "device": ":/x", "o": "addr=192.0.2.1"})
    assert store.size("net") == 0


def test_mounts_use_the_stores_resolver(root: Path) -> None:
    store = VolumeStore(root, resolve=lambda host: f"address-of-{host}")
    store.create("net", options={"type": "nfs", "device": ":/x", "o": "addr=server"})
    assert store.mount("net").options == ("addr=address-of-server",)
    store.create("data")
    assert store.mount("data").source == str(root / "data" / "_data")


def test_directories_are_closed_to_others(store: VolumeStore, root: Path) -> None:
    """Row 28: a program with set-user-id in a volume is out of reach for the host's users."""
    old = os.umask(0o077)
    try:
        volume = store.create("data")
    finally:
        os.umask(old)
    modes = [stat.S_IMODE(os.stat(path).st_mode) for path in (root, root / "data", volume.mountpoint)]
    assert modes == [0o700, 0o700, 0o755]


def test_many_threads_make_one_volume(store: VolumeStore) -> None:
    made: list[Volume] = []
    start = threading.Barrier(8)

    def create() -> None:
        start.wait()
        made.append(store.create("data"))

    threads = [threading.Thread(target=create) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(volume) for volume in made}) == 1
