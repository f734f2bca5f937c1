"""The contract of snapshotters (`lodge.store.snapshots.contract`), run against each of them.

Root is needed to look through overlay mounts: each look is made by a child in a mount namespace of its own.
"""

from __future__ import annotations

import io
import os
import stat
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lodge.archive.tree import TreeOptions
from lodge.errors import AlreadyExists, InvalidArgument, NotFound, Unsupported
from lodge.kernel import overlay
from lodge.spec.digest import Digest
from lodge.store import Store
from tests.unit.archive.making import entry, names, tar
from tests.unit.store.making import BASE, TOP, docker_archive

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

DEEP = tar(
    entry("./", kind="dir", mode=0o751),
    entry("deep/down/here/f", b"1"),
    entry("full", kind="dir"),
    entry("full/one", b"1"),
    entry("full/sub/two", b"2"),
    entry("suid", b"s", mode=0o4755, uid=1234, gid=4321),
    entry("null", kind="char", devmajor=1, devminor=3, mode=0o666),
)


@pytest.fixture(params=["overlay", "copy"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "overlay" and not overlay.supported(str(tmp_path)):
        pytest.skip("overlay can't be mounted here")
    with Store(tmp_path / "root", snapshotter=request.param) as made:
        yield made


@pytest.fixture
def chain(store: Store) -> Digest:
    """A chain of three layers."""
    target = store.archives.load(io.BytesIO(docker_archive([BASE, TOP, DEEP], ["x"])))[0].target
    found = store.images.resolve(target).chain_id
    assert found is not None
    return found


def inside(store: Store, key: str, script: str) -> str:
    """Run a shell script in the snapshot's root, mounted in a child's own mount namespace."""
    commands = ["set -e"]
    for mount in store.snapshots.mounts(key):
        options = ",".join(option for option in mount.options)
        if mount.type == "bind":
            commands.append(f"mount --bind {mount.source} {store.root}/look")
            if "ro" in mount.options:
                commands.append(f"mount -o remount,bind,ro {store.root}/look")
        else:
            commands.append(f"mount -t {mount.type} {mount.source} -o {options} {store.root}/look")
    os.makedirs(f"{store.root}/look", exist_ok=True)
    commands += [f"cd {store.root}/look", script]
    words = ["unshare", "--mount", "--propagation", "private", "sh", "-c", "\n".join(commands)]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def files(store: Store, key: str) -> dict[str, str]:
    """What a snapshot shows: path to mode, owner, size or device, and target."""
    script = "find . -mindepth 1 -printf '%P %M %U:%G %s %l\\n' | sed 's/ [0-9]* $/ /' | sort"
    return dict(line.split(" ", 1) for line in inside(store, key, script).splitlines())


def test_it_starts_as_its_chain(store: Store, chain: Digest) -> None:
    store.snapshots.prepare("c", chain)
    found = files(store, "c")
    expected = (
        "deep deep/down deep/down/here deep/down/here/f etc etc/b etc/c full full/one full/sub full/sub/two"
    )
    assert sorted(found) == [*expected.split(), "hard", "link", "null", "opt", "opt/more", "opt/tool", "suid"]
    assert found["suid"].startswith("-rwsr-xr-x 1234:4321")
    assert found["null"].startswith("crw-rw-rw-")
    assert found["opt"].startswith("drwx--x--x")
    assert found["link"].endswith("etc/a")
    assert inside(store, "c", "stat -c %a .").strip() == "751"
    assert inside(store, "c", "cat etc/b etc/c hard") == "bbccc#!"
    assert store.snapshots.changes("c") == []
    assert store.snapshots.usage("c")[0] == 0


def test_life(store: Store, chain: Digest) -> None:
    snapshots = store.snapshots
    assert not snapshots.exists("c")
    snapshots.prepare("c", chain)
    assert snapshots.exists("c")
    assert snapshots.chain("c") == chain
    with pytest.raises(AlreadyExists):
        snapshots.prepare("c", chain)
    snapshots.prepare("nothing", None)
    assert sorted(snapshots.walk()) == ["c", "nothing"]
    assert snapshots.chain("nothing") is None
    snapshots.remove("c")
    snapshots.remove("c")
    assert not snapshots.exists("c")
    for ask in (snapshots.mounts, snapshots.chain, snapshots.changes, snapshots.usage):
        with pytest.raises(NotFound):
            ask("c")
    snapshots.prepare("c", chain)
    assert snapshots.changes("c") == []


@pytest.mark.parametrize("key", ["", ".", "..", "a/b", "../x", "-x", "a b", "a\n", "x" * 300])
def test_keys_that_are_none(store: Store, key: str) -> None:
    for ask in (lambda: store.snapshots.prepare(key, None), lambda: store.snapshots.remove(key)):
        with pytest.raises(InvalidArgument):
            ask()


def test_a_chain_that_is_not_there(store: Store) -> None:
    with pytest.raises(NotFound):
        store.snapshots.prepare("c", Digest.of(b"nothing"))
    assert store.snapshots.walk() == []


def test_writes_stay_in_their_snapshot(store: Store, chain: Digest) -> None:
    store.snapshots.prepare("one", chain)
    store.snapshots.prepare("two", chain)
    inside(store, "one", "echo changed > etc/b; rm -r full; mkdir new; echo x > new/f")
    assert inside(store, "one", "cat etc/b; ls") == "changed\ndeep\netc\nhard\nlink\nnew\nnull\nopt\nsuid\n"
    assert inside(store, "two", "cat etc/b; ls full") == "bbone\nsub\n"
    store.snapshots.remove("one")
    store.snapshots.prepare("three", chain)
    assert inside(store, "three", "cat etc/b") == "bb"


def test_nothing_is_a_chain_too(store: Store) -> None:
    store.snapshots.prepare("c", None)
    assert inside(store, "c", "ls -A; echo 1 > f; cat f") == "1\n"
    assert store.snapshots.changes("c") == [("A", "/f")]


def test_a_view_can_only_be_read(store: Store, chain: Digest) -> None:
    store.snapshots.view("v", chain)
    assert inside(store, "v", "cat etc/b; touch f 2>/dev/null || echo refused") == "bbrefused\n"
    store.snapshots.view("base", store.layers.stack(chain)[-1].chain)
    assert inside(store, "base", "cat etc/a; touch f 2>/dev/null || echo refused") == "arefused\n"
    store.snapshots.view("empty", None)
    assert inside(store, "empty", "ls -A") == ""
    for ask in (store.snapshots.changes, store.snapshots.usage):
        with pytest.raises(NotFound):
            ask("v")


CHANGES = {
    "nothing": ("true", []),
    "a new file": ("echo 1 > n", [("A", "/n")]),
    "a new tree": ("mkdir -p n/m; echo 1 > n/m/f", [("A", "/n"), ("A", "/n/m"), ("A", "/n/m/f")]),
    "a new file in an old directory": ("echo 1 > etc/n", [("C", "/etc"), ("A", "/etc/n")]),
    "changed content": ("echo 1 > etc/b", [("C", "/etc"), ("C", "/etc/b")]),
    "a changed mode": ("chmod 600 etc/b", [("C", "/etc"), ("C", "/etc/b")]),
    "a changed mode of a directory": ("chmod 700 opt", [("C", "/opt")]),
    "a changed owner": ("chown 5:5 etc/b", [("C", "/etc"), ("C", "/etc/b")]),
    "a changed link": ("ln -sfn x link", [("C", "/link")]),
    "a deleted file": ("rm etc/b", [("C", "/etc"), ("D", "/etc/b")]),
    "a deleted tree": ("rm -r full", [("D", "/full")]),
    "a deep change": (
        "echo 2 > deep/down/here/g",
        [("C", "/deep"), ("C", "/deep/down"), ("C", "/deep/down/here"), ("A", "/deep/down/here/g")],
    ),
    "made and unmade": ("echo 1 > etc/n; rm etc/n", []),
    "deleted and made again": ("rm etc/b; echo other > etc/b", [("C", "/etc"), ("C", "/etc/b")]),
    "a directory made anew": (
        "rm -r full; mkdir full; echo 3 > full/three",
        [("C", "/full"), ("D", "/full/one"), ("D", "/full/sub"), ("A", "/full/three")],
    ),
    "a directory made anew with an old name inside": (
        "rm -r full; mkdir -p full/sub; echo 3 > full/sub/three",
        [
            ("C", "/full"),
            ("D", "/full/one"),
            ("C", "/full/sub"),
            ("A", "/full/sub/three"),
            ("D", "/full/sub/two"),
        ],
    ),
    "a file in place of a directory": ("rm -r full; echo 1 > full", [("C", "/full")]),
    "a directory in place of a file": (
        "rm hard; mkdir hard; touch hard/x",
        [("C", "/hard"), ("A", "/hard/x")],
    ),
    "a renamed file": ("mv etc/b etc/z", [("C", "/etc"), ("D", "/etc/b"), ("A", "/etc/z")]),
    "a renamed directory": (
        "mv full moved",
        [("D", "/full"), ("A", "/moved"), ("A", "/moved/one"), ("A", "/moved/sub"), ("A", "/moved/sub/two")],
    ),
    "only read": ("cat etc/b suid > /dev/null; ls -R > /dev/null", []),
    "special files": ("mkfifo p; mknod d c 1 5", [("A", "/d"), ("A", "/p")]),
    "an odd name": ("touch \"$(printf 'n\\303\\244 x')\"", [("A", "/nä x")]),
}


@pytest.mark.parametrize("name", CHANGES)
def test_changes_are_what_docker_diff_shows(store: Store, chain: Digest, name: str) -> None:
    script, expected = CHANGES[name]
    store.snapshots.prepare("c", chain)
    inside(store, "c", script)
    assert store.snapshots.changes("c") == expected


def test_usage_counts_what_was_written(store: Store, chain: Digest) -> None:
    store.snapshots.prepare("c", chain)
    inside(
        store,
        "c",
        "head -c 1000 /dev/zero > a; head -c 50 /dev/zero > etc/n; mkdir d; ln a d/again; rm opt/more",
    )
    size, inodes = store.snapshots.usage("c")
    assert size == 1050
    assert inodes >= 4


@pytest.mark.parametrize("name", [name for name in CHANGES if name != "nothing"])
def test_the_difference_on_top_of_the_chain_gives_the_same_tree(
    store: Store, chain: Digest, name: str
) -> None:
    store.snapshots.prepare("c", chain)
    inside(store, "c", CHANGES[name][0])
    base = store.images.resolve(store.references.get("docker.io/library/x:latest"))
    target = store.archives.commit("c", base, base.config.config)
    store.snapshots.prepare("again", store.images.resolve(target).chain_id)
    assert files(store, "again") == files(store, "c")
    assert inside(store, "again", "cat etc/b 2>/dev/null || true") == inside(
        store, "c", "cat etc/b 2>/dev/null || true"
    )


def test_the_difference_is_the_tar_of_a_layer(store: Store, chain: Digest) -> None:
    store.snapshots.prepare("c", chain)
    inside(store, "c", "rm etc/b; echo 1 > etc/n; setfattr -n user.k -v v etc/n 2>/dev/null || true")
    out: list[bytes] = []
    store.snapshots.archive("c", out.append, TreeOptions(latest=0))
    data = b"".join(out)
    assert names(data) == ["etc", "etc/.wh.b", "etc/n"]
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        assert {info.mtime for info in archive} == {0}
        assert not any("overlay" in key for info in archive for key in info.pax_headers)


def test_snapshots_do_not_disturb_each_other_in_threads(store: Store, chain: Digest) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def life(n: int) -> int:
        store.snapshots.prepare(f"t{n}", chain)
        found = len(store.snapshots.mounts(f"t{n}"))
        store.snapshots.remove(f"t{n}")
        return found

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(life, range(64))) == {1}
    assert store.snapshots.walk() == []


def test_a_view_without_a_key(store: Store, chain: Digest) -> None:
    if store.snapshots.name == "vfs":
        with pytest.raises(Unsupported):
            store.snapshots.view_mounts(chain)
        return
    assert "ro" in store.snapshots.view_mounts(chain)[0].options
    assert store.snapshots.view_mounts(store.layers.stack(chain)[-1].chain)[0].type == "bind"


def test_layers_hold_what_strangers_made_and_lead_nowhere(store: Store, tmp_path: Path) -> None:
    """Links in layers at every place where another layer has a directory."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "canary").write_text("alive")
    trap = tar(*(entry(name, str(outside), "link") for name in ("etc", "opt", "full", "a")))
    over = tar(
        entry("etc/x", b"1"),
        entry("opt", kind="dir", mode=0o777),
        entry("opt/.wh..wh..opq"),
        entry("full/.wh.canary"),
    )
    images = docker_archive([trap, over, trap, over], ["y"])
    target = store.archives.load(io.BytesIO(images))[0].target
    store.snapshots.prepare("c", store.images.resolve(target).chain_id)
    assert inside(store, "c", "cat etc/x") == "1"
    assert store.snapshots.changes("c") == []
    store.snapshots.remove("c")
    store.references.remove("docker.io/library/y:latest")
    store.collect()
    store.trash.wait()
    assert (outside / "canary").read_text() == "alive"
    assert os.listdir(outside) == ["canary"]
    assert stat.S_IMODE(outside.stat().st_mode) == 0o755


HOSTILE = tar(
    entry("etc", "/outside", kind="link"),
    entry("dev", b"a file"),
    entry("proc", "../../../outside", kind="link"),
    entry(".dockerenv", "/outside/made", kind="link"),
)


def test_a_furnished_one_has_mount_points_that_are_no_difference(store: Store, chain: Digest) -> None:
    store.snapshots.prepare("c", chain, furnished=True)
    shown = files(store, "c")
    assert shown["dev/console"].split() == ["-rwxr-xr-x", "0:0"]
    assert {"proc", "sys", "dev/pts", "dev/shm", ".dockerenv", "etc/hosts", "etc/resolv.conf"} <= shown.keys()
    assert shown["etc/mtab"].endswith("/proc/mounts")
    assert store.snapshots.changes("c") == []
    assert store.snapshots.usage("c")[0] == 0
    out: list[bytes] = []
    store.snapshots.archive("c", out.append, TreeOptions(latest=0))
    assert [name for name in names(b"".join(out)) if name.strip("./")] == []
    inside(store, "c", "touch etc/mine; rm .dockerenv")
    assert store.snapshots.changes("c") == [("D", "/.dockerenv"), ("C", "/etc"), ("A", "/etc/mine")]


def test_an_images_links_lead_no_mount_point_away(store: Store, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    target = store.archives.load(io.BytesIO(docker_archive([HOSTILE], ["hostile"])))[0].target
    store.snapshots.prepare("c", store.images.resolve(target).chain_id, furnished=True)
    shown = files(store, "c")
    assert shown["etc"].startswith("drwxr-xr-x")
    assert shown["proc"].startswith("drwxr-xr-x")
    assert shown["dev"].startswith("drwxr-xr-x")
    assert "outside" not in shown
    assert store.snapshots.changes("c") == []
    assert not list(outside.iterdir())


def test_mount_points_of_no_image(store: Store) -> None:
    store.snapshots.prepare("c", None, furnished=True)
    assert store.snapshots.changes("c") == []
    assert "etc/hosts" in files(store, "c")


def test_the_hosts_root_can_be_mounted_with_mount_points_wanted(store: Store) -> None:
    if store.snapshots.name != "overlay2":
        pytest.skip("the host image needs overlay mounts")
    store.snapshots.prepare("c", store.images.resolve(store.host_image()).chain_id, furnished=True)
    assert inside(store, "c", "test -d etc && echo mounted") == "mounted\n"
    assert store.snapshots.changes("c") == []
