"""Binds, mounts, tmpfs and volumes-from, as users write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodge.engine.planning.mount_wishes import (
    MountWish,
    clean,
    collect,
    parse_bind,
    parse_mount,
    parse_tmpfs,
    parse_volumes_from,
)
from lodge.errors import InvalidArgument
from lodge.spec.container import (
    BindOptions,
    DriverConfig,
    HostConfig,
    ImageOptions,
    MountPoint,
    TmpfsOptions,
    VolumeOptions,
)


def test_a_bind() -> None:
    assert parse_bind("/src/./a:/dst/:ro,rslave") == MountWish(
        type="bind",
        source="/src/a",
        destination="/dst",
        mode="ro,rslave",
        read_only=True,
        propagation="rslave",
        create_source=True,
    )


def test_a_named_and_an_anonymous_volume() -> None:
    named = MountWish(type="volume", name="data", destination="/d", mode="nocopy", copy=False)
    assert parse_bind("data:/d:nocopy") == named
    assert parse_bind("/d") == MountWish(type="volume", destination="/d")
    assert parse_bind("v1:/d", "local").driver == "local"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "invalid volume specification: ''"),
        (":/d", "invalid volume specification: ':/d'"),
        ("/d:ro", "invalid volume specification: '/d:ro'"),
        ("/a:/b:ro:x", "invalid volume specification: '/a:/b:ro:x'"),
        ("/a:/b:ro,rw", "invalid mode: ro,rw"),
        ("/a:/b:quick", "invalid mode: quick"),
        ("/a:/", "invalid specification: destination can't be '/'"),
        ("/a:/b/..", "invalid specification: destination can't be '/'"),
        ("/a:b", "invalid mount path: 'b' mount path must be absolute"),
        ("a/b:/d", 'create a/b: "a/b" includes invalid characters for a local volume name'),
        ("..:/d", "includes invalid characters"),
        ("x:/d:shared", "field BindOptions must not be specified"),
        ("/x:/d:nocopy", "field VolumeOptions must not be specified"),
    ],
)
def test_what_docker_refuses_of_a_bind(text: str, words: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse_bind(text)
    assert words in caught.value.message


@given(st.text(max_size=40))
def test_any_text_is_a_lawful_mount_or_refused(text: str) -> None:
    try:
        wish = parse_bind(text)
    except InvalidArgument:
        return
    assert wish.destination.startswith("/")
    assert wish.destination != "/"
    assert ".." not in wish.destination.split("/")
    assert wish.type == "volume" or wish.source.startswith("/")
    assert "/" not in wish.name


@given(st.text(alphabet="/.ab", max_size=30))
def test_a_clean_path_is_clean(path: str) -> None:
    made = clean(path)
    assert made.startswith("/")
    assert not made.startswith("//")
    assert clean(made) == made
    assert not {"..", "."} & set(made.split("/"))


def test_mounts_of_every_type() -> None:
    bind = MountPoint(
        type="bind", source="/a", target="/b", read_only=True, bind_options=BindOptions(non_recursive=True)
    )
    assert parse_mount(bind) == MountWish(
        type="bind", source="/a", destination="/b", read_only=True, recursive=False, propagation="rprivate"
    )
    driver = DriverConfig(name="local", options={"type": "tmpfs"})
    volume = MountPoint(
        type="volume",
        source="v1",
        target="/b",
        volume_options=VolumeOptions(no_copy=True, subpath="x", driver_config=driver, labels={"a": "b"}),
    )
    assert parse_mount(volume) == MountWish(
        type="volume",
        name="v1",
        destination="/b",
        driver="local",
        driver_options={"type": "tmpfs"},
        labels={"a": "b"},
        copy=False,
        subpath="x",
    )
    tmpfs = MountPoint(
        type="tmpfs",
        target="/t",
        tmpfs_options=TmpfsOptions(size_bytes=4096, mode=0o1777, options=[["exec"]]),
    )
    assert parse_mount(tmpfs).tmpfs_options == ("mode=1777", "size=4096", "exec")
    image = MountPoint(type="image", source="busybox", target="/i", image_options=ImageOptions())
    assert (parse_mount(image).source, parse_mount(image).destination) == ("busybox", "/i")


@pytest.mark.parametrize(
    ("mount", "words"),
    [
        (MountPoint(type="bind", target="/x"), 'type "bind": field Source must not be empty'),
        (MountPoint(type="bind", source="x", target="/x"), "mount path must be absolute"),
        (MountPoint(type="bind", source="/x"), "field Target must not be empty"),
        (MountPoint(type="tmpfs", source="x", target="/x"), "field Source must not be specified"),
        (MountPoint(type="image", target="/x"), 'type "image": field Source must not be empty'),
        (MountPoint(type="cluster", target="/x"), "mount type unknown"),
        (
            MountPoint(type="volume", target="/x", bind_options=BindOptions()),
            "field BindOptions must not be specified",
        ),
        (
            MountPoint(type="bind", source="/x", target="/x", bind_options=BindOptions(propagation="odd")),
            "invalid propagation mode: odd",
        ),
        (
            MountPoint(type="volume", source="v1", target="/x", volume_options=VolumeOptions(subpath="../x")),
            "subpath must be a relative path within the volume",
        ),
        (
            MountPoint(type="volume", target="/x", volume_options=VolumeOptions(subpath="x")),
            "subpath of an anonymous volume",
        ),
        (
            MountPoint(type="tmpfs", target="/x", tmpfs_options=TmpfsOptions(options=[["suid"]])),
            "invalid option: suid",
        ),
    ],
)
def test_what_docker_refuses_of_a_mount(mount: MountPoint, words: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse_mount(mount)
    assert words in caught.value.message


def test_tmpfs_and_volumes_from() -> None:
    assert parse_tmpfs("/t", "size=1m,exec").tmpfs_options == ("size=1m", "exec")
    assert parse_volumes_from("other") == ("other", "rw")
    assert parse_volumes_from("other:ro") == ("other", "ro")
    for text in ("", "x:shared", "x:nocopy", "x:odd"):
        with pytest.raises(InvalidArgument):
            parse_volumes_from(text)


def test_each_place_once_and_own_wishes_over_inherited_ones_over_the_images() -> None:
    host = HostConfig(binds=["/a:/one"], tmpfs={"/two": ""})
    inherited = [MountWish(type="volume", name="v1", destination=place) for place in ("/one", "/three")]
    found = collect(host, inherited, {"/two": {}, "/three/": {}, "/four": {}})
    assert [(wish.type, wish.destination) for wish in found] == [
        ("bind", "/one"),
        ("volume", "/three"),
        ("tmpfs", "/two"),
        ("volume", "/four"),
    ]
    with pytest.raises(InvalidArgument, match="Duplicate mount point: /one"):
        collect(HostConfig(binds=["/a:/one", "/b:/one/"]), [], None)


def test_a_secret_is_read_only_and_has_an_owner_and_a_mode() -> None:
    options = TmpfsOptions(mode=0o400, options=[["uid", "5"], ["gid", "6"]])
    wish = parse_mount(
        MountPoint(type="secret", source="db", target="/run/secrets/db", tmpfs_options=options)
    )
    assert (wish.type, wish.source, wish.destination, wish.read_only) == (
        "secret",
        "db",
        "/run/secrets/db",
        True,
    )
    assert wish.tmpfs_options == ("mode=400", "uid=5", "gid=6")


@pytest.mark.parametrize("option", [["exec"], ["uid"], ["uid", "root"], ["size", "1"]])
def test_other_options_of_a_secret_are_refused(option: list[str]) -> None:
    mount = MountPoint(type="secret", source="db", target="/x", tmpfs_options=TmpfsOptions(options=[option]))
    with pytest.raises(InvalidArgument, match="invalid option"):
        parse_mount(mount)
