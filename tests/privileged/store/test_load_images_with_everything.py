"""Images with owners, capabilities, devices and setuid files; and nobody else who could reach them."""

from __future__ import annotations

import io
import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lodge.archive.tree import TreeOptions
from lodge.kernel import overlay
from lodge.spec.digest import Digest
from lodge.store import Store
from tests.images.canary import Canary
from tests.unit.archive.making import entry, tar
from tests.unit.store.making import docker_archive

# cap_net_raw+ep, revision 2, as setcap writes it
CAPABILITY = bytes.fromhex("0100000200200000000000000000000000000000")

RICH = tar(
    entry("bin", kind="dir", uid=0, gid=0),
    entry("bin/su", b"s", uid=0, gid=42, mode=0o6755),
    entry("bin/ping", b"p", pax_headers={"SCHILY.xattr.security.capability": CAPABILITY.decode("latin-1")}),
    entry("home", kind="dir", uid=1000, gid=1000, mode=0o1777),
    entry("home/l", "x", "link", uid=1000, gid=1001),
    entry("dev/null", kind="char", devmajor=1, devminor=3, mode=0o666, uid=0, gid=5),
    entry("dev/sda", kind="block", devmajor=8, devminor=0, mode=0o660, uid=0, gid=6),
    entry("dev/pipe", kind="fifo", mode=0o622, uid=7, gid=8),
    entry("big-id", b"1", uid=3_000_000_000, gid=3_000_000_001),
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    if not overlay.supported(str(tmp_path)):
        pytest.skip("overlay can't be mounted here")
    with Store(tmp_path / "root", snapshotter="overlay") as made:
        yield made


def unpacked(store: Store, layer: bytes) -> Path:
    target = store.archives.load(io.BytesIO(docker_archive([layer], ["rich"])))[0].target
    chain = store.images.resolve(target).chain_id
    assert chain is not None
    return Path(store.root, "layers", chain.hex, "fs")


def test_all_attributes_arrive(store: Store) -> None:
    root = unpacked(store, RICH)

    def of(path: str) -> tuple[int, int, int]:
        status = (root / path).lstat()
        return status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)

    assert of("bin/su") == (0, 42, 0o6755)
    assert of("home") == (1000, 1000, 0o1777)
    assert of("home/l")[:2] == (1000, 1001)
    assert of("dev/null") == (0, 5, 0o666)
    assert of("dev/sda") == (0, 6, 0o660)
    assert of("dev/pipe") == (7, 8, 0o622)
    assert of("big-id")[:2] == (3_000_000_000, 3_000_000_001)
    assert (root / "dev/null").stat().st_rdev == os.makedev(1, 3)
    assert (root / "dev/sda").stat().st_rdev == os.makedev(8, 0)
    assert os.getxattr(root / "bin/ping", "security.capability") == CAPABILITY


def test_all_attributes_leave_again(store: Store) -> None:
    target = store.archives.load(io.BytesIO(docker_archive([RICH], ["rich"])))[0].target
    image = store.images.resolve(target)
    store.snapshots.prepare("c", None)
    upper = store.snapshots.mounts("c")[0].options[1].removeprefix("upperdir=")
    subprocess.run(["cp", "-a", f"{store.root}/layers/{image.chain_id.hex}/fs/.", upper], check=True)
    out: list[bytes] = []
    store.snapshots.archive("c", out.append, TreeOptions(precise=True))
    again = unpacked(store, b"".join(out))
    first = Path(store.root, "layers", Digest(str(image.chain_id)).hex, "fs")
    listing = "cd $0 && find . -mindepth 1 -printf '%P %M %U:%G %T@ %l\\n' | sort"
    seen = [subprocess.check_output(["sh", "-c", listing, str(where)]) for where in (first, again)]
    assert seen[0] == seen[1]
    assert os.getxattr(again / "bin/ping", "security.capability") == CAPABILITY


def test_other_users_reach_nothing(store: Store) -> None:
    """CVE-2021-41091: a setuid file in a layer must not be run by a user of the host."""
    root = unpacked(store, RICH)
    for path in (root / "bin/su", store.root, Path(store.root, "content/index.json")):
        done = subprocess.run(
            ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "test", "-r", str(path)],
            check=False,
        )
        assert done.returncode != 0, path


HOSTILE = {
    "through a link": lambda aim: tar(entry("l", aim, "link"), entry("l/evil", b"x")),
    "through two layers": lambda aim: None,
    "device over a directory": lambda aim: tar(
        entry("d", aim, "link"), entry("d/null", kind="char", devmajor=1, devminor=3)
    ),
    "owner of a link's target": lambda aim: tar(entry("l", aim, "link", uid=65534, gid=65534)),
    "times of a link's target": lambda aim: tar(entry("l", aim + "/secret", "link", mtime=1)),
    "xattrs of a link's target": lambda aim: tar(
        entry("l", aim + "/secret", "link", pax_headers={"SCHILY.xattr.trusted.evil": "x"})
    ),
    "hard link to a link": lambda aim: tar(
        entry("l", aim + "/secret", "link"), entry("h", "l", "hard"), entry("h", b"x", mode=0o777)
    ),
    "a fifo with a mode": lambda aim: tar(entry("p", aim, "link"), entry("p", kind="fifo", mode=0o777)),
    "an implicit directory becomes a link": lambda aim: tar(entry("i/x", b"1"), entry("i", aim, "link")),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_no_layer_reaches_the_host(store: Store, name: str, canary: Canary) -> None:
    aim = str(canary.path)
    made = HOSTILE[name](aim)
    layers = [made] if made is not None else [tar(entry("l", aim, "link")), tar(entry("l/evil", b"x"))]
    store.archives.load(io.BytesIO(docker_archive(layers, ["evil"])))
    # The canary's fixture looks whether anything there has changed.
    store.references.remove("docker.io/library/evil:latest")
    store.collect()
    store.trash.wait()
