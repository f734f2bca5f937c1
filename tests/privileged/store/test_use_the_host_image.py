"""`host`: the machine's own files, read-only under what a container writes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lodge.errors import Unsupported
from lodge.kernel import overlay
from lodge.store import Store
from tests.privileged.store.namespaces import run_apart

HOST = "docker.io/library/host:latest"

LOOK = """
import os, subprocess, sys
root, options = sys.argv[1:3]
look = root + "/look"
os.mkdir(look)
subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, look], check=True)
assert open(look + "/etc/os-release").read() == open("/etc/os-release").read()
print(sorted(os.listdir(look + root)))
with open(look + "/etc/lodge-test-canary", "w") as file:
    file.write("only in the container")
os.unlink(look + "/etc/hostname")
subprocess.run(["chroot", look, "/bin/sh", "-c", "echo hello > /tmp-of-lodge-test"], check=True)
"""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    if not overlay.supported(str(tmp_path)):
        pytest.skip("overlay can't be mounted here")
    with Store(tmp_path / "root", snapshotter="overlay") as made:
        yield made


def test_a_container_of_it_sees_the_host_and_writes_elsewhere(store: Store, project: Path) -> None:
    target = store.host_image()
    assert store.host_image() == target
    store.references.set(HOST, target)
    image = store.images.resolve(target)
    assert store.images.is_unpacked(image)
    store.snapshots.prepare("c", image.chain_id)
    assert store.snapshots.changes("c") == []
    before = sorted(path.name for path in Path("/etc").iterdir())
    options = ",".join(store.snapshots.mounts("c")[0].options)
    # The store itself, with the files of all other containers, is not to be seen.
    assert run_apart(LOOK, store.root, options, project=project) == "[]\n"
    assert sorted(path.name for path in Path("/etc").iterdir()) == before
    changes = store.snapshots.changes("c")
    assert ("A", "/etc/lodge-test-canary") in changes
    assert ("D", "/etc/hostname") in changes
    assert ("A", "/tmp-of-lodge-test") in changes
    assert all(not path.startswith(store.root) for _, path in changes)
    store.collect()
    assert store.images.is_unpacked(image)
    store.snapshots.remove("c")
    store.references.remove(HOST)
    store.collect()
    assert Path("/etc").is_dir()
    assert list(store.layers.walk()) == []


def test_it_can_be_extended_but_not_saved(store: Store) -> None:
    target = store.host_image()
    store.references.set(HOST, target)
    image = store.images.resolve(target)
    store.snapshots.prepare("c", image.chain_id)
    with pytest.raises(Unsupported, match="can't be saved"):
        store.archives.save([(target, [HOST])], lambda _: None)
    made = store.archives.commit("c", image, image.config.config)
    again = store.images.resolve(made)
    store.snapshots.prepare("d", again.chain_id)
    assert store.snapshots.mounts("d")[0].options[0].count(":") == 1
    with pytest.raises(Unsupported, match="can't be saved"):
        store.archives.save([(made, [])], lambda _: None)
