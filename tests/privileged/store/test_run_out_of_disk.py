"""A full disk (hostile.md row 33): the store says so, stays whole, and removes things at zero bytes free."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.privileged.store.namespaces import run_apart

PREAMBLE = """
import errno, io, os, subprocess, sys
from lodge.errors import Exhausted
from lodge.spec.container import ContainerConfig
from lodge.store import Store
from tests.unit.archive.making import entry, tar
from tests.unit.store.making import docker_archive

where, kind = sys.argv[1:3]
mount = {
    "tmpfs": ["mount", "-t", "tmpfs", "-o", "size=24m", "none", where],
    "ext4": ["mount", "-o", "loop", where + ".img", where],
}[kind]
if kind == "ext4":
    with open(where + ".img", "wb") as image:
        image.truncate(24 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", where + ".img"], check=True)
subprocess.run(mount, check=True)
layer = lambda size: tar(*[entry(f"f{n}", os.urandom(size // 64)) for n in range(64)])
A = "docker.io/library/a:latest"
B = "docker.io/library/b:latest"

def free():
    status = os.statvfs(where)
    return status.f_bavail * status.f_bsize

def fill():
    with open(where + "/ballast-of-the-test", "wb", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError as error:
                assert error.errno == errno.ENOSPC
    print("free", free())

def refused(work):
    try:
        work()
    except Exhausted as error:
        assert "no space left" in str(error), error
        assert error.hint
    else:
        raise AssertionError("it did not notice")

store = Store(where + "/root")
store.archives.load(io.BytesIO(docker_archive([layer(2 << 20)], ["a"])))
chain = store.images.resolve(store.references.get(A)).chain_id
store.snapshots.prepare("c", chain)
"""

LOADING = """
big = docker_archive([layer(5 << 20), layer(20 << 20)], ["b"])
refused(lambda: store.archives.load(io.BytesIO(big)))
assert list(store.references.list()) == [A]
store.collect()
store.trash.wait()
assert os.listdir(where + "/root/layers/.staging") == []
assert os.listdir(where + "/root/content/ingest") == []
assert len(list(store.layers.walk())) == 1
assert free() > 12 << 20, free()
store.archives.load(io.BytesIO(docker_archive([layer(1 << 20)], ["b"])))
"""

FULL = """
fill()
target = store.references.get(A)
refused(lambda: store.content.put(os.urandom(1 << 20)))
refused(lambda: store.archives.import_tar(io.BytesIO(layer(1 << 20))))
refused(lambda: store.archives.load(io.BytesIO(docker_archive([layer(1 << 20)], ["b"]))))
upper = store.snapshots.mounts("c")[0].options[1].removeprefix("upperdir=")
assert store.references.list() == {A: target}
store.images.resolve(target)
store.close()
store = Store(where + "/root")
assert store.references.list() == {A: target}
assert store.images.is_unpacked(store.images.resolve(target))
store.snapshots.remove("c")
assert store.snapshots.walk() == []
store.references.remove(A)
assert store.references.list() == {}
store.collect()
store.trash.wait()
assert list(store.layers.walk()) == [] and list(store.content.walk()) == []
assert free() > 3 << 20
store.close()
store = Store(where + "/root")
assert store.references.list() == {}
store.archives.load(io.BytesIO(docker_archive([layer(1 << 20)], ["b"])))
"""

COMMITTING = """
upper = store.snapshots.mounts("c")[0].options[1].removeprefix("upperdir=")
with open(upper + "/big", "wb") as file:
    file.write(os.urandom(9 << 20))
base = store.images.resolve(store.references.get(A))
refused(lambda: store.archives.commit("c", base, ContainerConfig(), name=B))
assert list(store.references.list()) == [A]
assert ("A", "/big") in store.snapshots.changes("c")
"""


@pytest.mark.parametrize("kind", ["tmpfs", "ext4"])
@pytest.mark.parametrize("scene", [LOADING, FULL, COMMITTING], ids=["loading", "full", "committing"])
def test_the_store_stays_whole(kind: str, scene: str, tmp_path: Path, project: Path) -> None:
    where = tmp_path / "disk"
    where.mkdir()
    run_apart(PREAMBLE + scene + "\nstore.close()\n", str(where), kind, project=project)
