import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lodge.errors import Conflict, InvalidArgument, NotFound, Unsupported
from lodge.spec.digest import Digest
from lodge.store import Store, durability
from tests.unit.store.making import BASE, TOP, docker_archive

A = "docker.io/library/a:latest"


def test_it_remains_from_one_run_to_the_next(store: Store) -> None:
    store.archives.load(io.BytesIO(docker_archive([BASE, TOP], ["a"])))
    chain = store.images.resolve(store.references.get(A)).chain_id
    store.snapshots.prepare("c", chain)
    store.close()
    store.close()
    with Store(store.root) as again:
        assert again.images.resolve(again.references.get(A)).chain_id == chain
        assert again.snapshots.walk() == ["c"]
        assert again.snapshots.chain("c") == chain
        assert again.snapshots.name == "vfs"


def test_a_root_has_one_owner(store: Store) -> None:
    with pytest.raises(Conflict, match="in use"):
        Store(store.root)


def test_a_root_keeps_its_snapshotter(store: Store, tmp_path: Path) -> None:
    store.close()
    with pytest.raises(Conflict, match="has snapshots of the kind 'copy'"):
        Store(store.root, snapshotter="overlay")
    with pytest.raises(InvalidArgument, match="unknown snapshotter"):
        Store(tmp_path / "other", snapshotter="zfs")


@pytest.mark.parametrize("name", ["a:b", "a,b", "a b", "a\\b"])
def test_roots_with_separators_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidArgument, match="must not contain"):
        Store(tmp_path / name)


def test_nobody_else_may_look_inside(store: Store) -> None:
    assert os.stat(store.root).st_mode & 0o007 == 0
    for name in ("content", "layers", "snapshots", "trash", "pending", "l"):
        path = os.path.join(store.root, name)
        assert os.stat(path).st_mode & 0o077 == 0, name


def test_the_content_is_an_oci_layout(store: Store) -> None:
    target = store.archives.load(io.BytesIO(docker_archive([BASE], ["a"])))[0].target
    layout = Path(store.root, "content")
    assert json.loads((layout / "oci-layout").read_bytes()) == {"imageLayoutVersion": "1.0.0"}
    entries = json.loads((layout / "index.json").read_bytes())["manifests"]
    assert [(each["digest"], each["annotations"]) for each in entries] == [
        (target.digest, {"org.opencontainers.image.ref.name": A})
    ]
    for entry in entries:
        assert (layout / "blobs" / entry["digest"].replace(":", "/")).stat().st_size == entry["size"]


def test_debris_of_a_crash_goes(store: Store) -> None:
    store.archives.load(io.BytesIO(docker_archive([BASE], ["a"])))
    store.close()
    root = Path(store.root)
    (root / "layers/.staging/1-2/fs").mkdir(parents=True)
    (root / "layers" / ("f" * 64) / "fs").mkdir(parents=True)
    (root / "l/DANGLE").symlink_to("../layers/none/fs")
    (root / "snapshots/half/upper").mkdir(parents=True)
    (root / "trash/old/x").mkdir(parents=True)
    (root / "content/ingest/anonymous-1-1").write_bytes(b"x")
    (root / "content/ingest" / f"sha256-{'a' * 64}").write_bytes(b"x")
    with Store(root) as again:
        again.trash.wait()
        assert os.listdir(root / "layers/.staging") == []
        assert len(list(again.layers.walk())) == 1
        assert len(os.listdir(root / "l")) == 1
        assert again.snapshots.walk() == []
        assert os.listdir(root / "snapshots") == []
        assert os.listdir(root / "trash") == []
        # A download that can be resumed is kept.
        assert os.listdir(root / "content/ingest") == [f"sha256-{'a' * 64}"]


def test_after_a_loss_of_power_things_are_whole_or_absent(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.close()
    monkeypatch.setattr(durability, "boot_id", lambda: "earlier")
    monkeypatch.setattr(durability, "syncfs", lambda fd: None)
    monkeypatch.setattr(durability.Durability, "_start", lambda self: None)
    with Store(store.root) as before:
        image = before.images.resolve(
            before.archives.load(io.BytesIO(docker_archive([BASE, TOP], ["a"])))[0].target
        )
        hurt = Digest(image.manifest.layers[1].digest)
        os.chmod(before.content.path(hurt), 0o600)
        os.truncate(before.content.path(hurt), 10)
    monkeypatch.undo()
    with Store(store.root) as after:
        assert not after.content.exists(hurt)
        assert after.content.verify(Digest(image.manifest.layers[0].digest))
        assert not after.layers.exists(image.chain_ids[0])
        with pytest.raises(NotFound):
            after.images.unpack(after.images.resolve(after.references.get(A)))
        after.content.put(TOP)
        after.images.unpack(after.images.resolve(after.references.get(A)))
        after.trash.wait()
    with Store(store.root) as later:
        assert later.images.is_unpacked(later.images.resolve(later.references.get(A)))


KILLED = """
import io, os, sys
from lodge.store import Store
from tests.unit.store.making import docker_archive
from tests.unit.archive.making import entry, tar
layers = [tar(*[entry(f"d{n}/f{m}", b"x" * 2000) for m in range(40)]) for n in range(3)]
store = Store(sys.argv[1], snapshotter="copy")
count, limit = 0, int(sys.argv[2])
def hook(event, args):
    global count
    if event in ("open", "os.mkdir", "os.rename", "os.link", "os.symlink", "os.utime", "os.remove"):
        count += 1
        if count == limit:
            os.kill(os.getpid(), 9)
sys.addaudithook(hook)
store.archives.load(io.BytesIO(docker_archive(layers, ["a"])))
store.collect()
print(count)
"""


def test_killed_at_any_moment_it_opens_again(tmp_path: Path, project: Path) -> None:
    """hostile.md row 32, for the death of the process: whatever it was doing, the store opens whole."""
    environment = {**os.environ, "PYTHONPATH": ":".join([f"{project}/src", str(project), *sys.path])}
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path / "count"), "-1"],
        env=environment, capture_output=True, check=True, text=True,
    )  # fmt: skip
    total = int(done.stdout)
    assert total > 200
    for limit in range(1, total - 20, max(1, total // 12)):
        root = str(tmp_path / f"root-{limit}")
        killed = subprocess.run(
            [sys.executable, "-c", KILLED, root, str(limit)], env=environment, check=False
        )
        assert killed.returncode == -9
        with Store(root) as store:
            for layer in store.layers.walk():
                assert len(list(Path(root, "layers", layer.chain.hex, "fs").rglob("f*"))) == 40
            for digest, _ in store.content.walk():
                assert store.content.verify(digest)
            for target in store.references.list().values():
                assert store.images.is_unpacked(store.images.resolve(target))
            store.trash.wait()
            assert os.listdir(os.path.join(root, "content/ingest")) == []


def test_the_host_image_needs_overlay(store: Store) -> None:
    with pytest.raises(Unsupported):
        store.host_image()
