"""What the runtime is told to mount."""

import os
from pathlib import Path

import pytest

from lodge.errors import InvalidArgument, Unavailable
from lodge.spec.mount import Mount
from lodge.volume.mounting import mount_of, resolve_address
from lodge.volume.record import Volume


def volume(mountpoint: str = "/v/_data", **options: str) -> Volume:
    return Volume("vol", "local", options or None, None, 0, mountpoint, False)


def resolve(host: str) -> str:
    return {"server": "10.0.0.7", "six": "fd00::1"}[host]


def test_a_plain_volume_is_a_bind() -> None:
    assert mount_of(volume()) == Mount("bind", "/v/_data", ("rbind",))


def test_a_tmpfs() -> None:
    mount = mount_of(volume(type="tmpfs", device="tmpfs", o="size=1m,uid=1000"))
    assert mount == Mount("tmpfs", "tmpfs", ("size=1m", "uid=1000"))
    assert mount_of(volume(type="tmpfs", device="x")).options == ()


@pytest.mark.parametrize(
    ("words", "mount"),
    [
        ("bind", Mount("bind", "/srv", ("bind",))),
        ("rbind", Mount("bind", "/srv", ("rbind",))),
        ("bind,ro", Mount("none", "/srv", ("bind", "ro"))),
    ],
)
def test_a_directory_of_the_host(words: str, mount: Mount) -> None:
    assert mount_of(volume(type="none", device="/srv", o=words)) == mount


@pytest.mark.parametrize(
    ("kind", "device", "words", "mounted_device", "mounted_words"),
    [
        ("nfs", ":/x", "addr=server,rw", ":/x", ("addr=10.0.0.7", "rw")),
        ("nfs4", ":/x", "addr=six,nolock", ":/x", ("addr=fd00::1", "nolock")),
        ("nfs", ":/x", "addr=192.0.2.1", ":/x", ("addr=192.0.2.1",)),
        ("nfs", "server:/x", "", "server:/x", ()),
        ("cifs", "//server/share", "username=u", "//10.0.0.7/share", ("username=u",)),
        ("cifs", "//192.0.2.1/s", "", "//192.0.2.1/s", ()),
        ("cifs", "//server/s", "addr=server", "//server/s", ("addr=10.0.0.7",)),
        ("ext4", "/dev/sdb1", "noatime", "/dev/sdb1", ("noatime",)),
    ],
)
def test_hosts_of_network_volumes_become_addresses(
    kind: str, device: str, words: str, mounted_device: str, mounted_words: tuple[str, ...]
) -> None:
    options = {"type": kind, "device": device} | ({"o": words} if words else {})
    assert mount_of(volume(**options), resolve=resolve) == Mount(kind, mounted_device, mounted_words)


def test_a_host_without_an_address_is_an_error() -> None:
    with pytest.raises(Unavailable, match="no-such-host"):
        resolve_address("no-such-host.invalid")
    assert resolve_address("127.0.0.1") == "127.0.0.1"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    top = tmp_path / "vol" / "_data"
    (top / "a" / "b").mkdir(parents=True)
    (top / "file").touch()
    (top / "inside").symlink_to("/a/b")
    (top / "outside").symlink_to("../../secret")
    (top / "absolute").symlink_to(tmp_path / "secret")
    (tmp_path / "secret").mkdir()
    return top


@pytest.mark.parametrize(
    ("subpath", "shown"), [("a/b", "a/b"), ("inside", "a/b"), ("file", "file"), ("/a", "a"), (".", "")]
)
def test_a_part_of_a_volume(data: Path, subpath: str, shown: str) -> None:
    mount = mount_of(volume(str(data)), subpath)
    assert mount.source == os.path.join(str(data), shown).rstrip("/")
    by_bind = volume("/nowhere", type="none", device=str(data), o="bind")
    assert mount_of(by_bind, subpath).source == mount.source


@pytest.mark.parametrize("subpath", ["missing", "outside", "absolute", "../../secret", "file/x"])
def test_a_part_that_is_not_inside(data: Path, subpath: str) -> None:
    with pytest.raises(InvalidArgument, match="cannot access path"):
        mount_of(volume(str(data)), subpath)


def test_a_part_of_what_is_mounted_by_options() -> None:
    with pytest.raises(InvalidArgument, match="subpath"):
        mount_of(volume(type="tmpfs", device="tmpfs"), "x")
