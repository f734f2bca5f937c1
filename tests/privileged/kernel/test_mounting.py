"""Mounting: the old call and the new ones, recursive attributes, idmapped mounts, a new root."""

import errno
import os
from pathlib import Path

import pytest

from lodge.kernel import mount as m
from lodge.kernel import namespaces as ns
from lodge.kernel import paths
from lodge.spec.runtime import IdMapping
from tests.privileged.kernel.isolation import isolated


def here(path: object) -> m.Mount:
    return [mount for mount in m.mountinfo() if mount.mount_point == str(path)][-1]


def test_a_tmpfs_with_options(tmp_path: Path) -> None:
    def work() -> m.Mount:
        parsed = m.parse_options(["nosuid", "noexec", "size=1m", "mode=700"])
        m.mount("tmpfs", str(tmp_path), "tmpfs", parsed.flags, parsed.data)
        return here(tmp_path)

    seen = isolated(work)
    for word in ("'nosuid'", "'noexec'", "'size=1024k'", "'mode=700'"):
        assert word in seen


def test_a_failure_names_the_target(tmp_path: Path) -> None:
    def work() -> str | None:
        with pytest.raises(OSError, match="device") as caught:
            m.mount("x", str(tmp_path), "no-such-fs")
        assert caught.value.errno == errno.ENODEV
        return caught.value.filename

    assert isolated(work) == str(tmp_path)


def test_the_kernels_own_words_are_in_the_error() -> None:
    context = m.fsopen("tmpfs")
    try:
        with pytest.raises(OSError, match="Bad value for 'size'"):
            m.fsconfig_string(context, "size", "much")
    finally:
        os.close(context)


def test_a_detached_mount_leaves_nothing_behind(tmp_path: Path) -> None:
    def work() -> list[str]:
        before = len(m.mountinfo())
        context = m.fsopen("tmpfs")
        m.fsconfig_flag(context, "inode64")
        m.fsconfig_create(context)
        mount = m.fsmount(context, attributes=m.MOUNT_ATTR_NODEV)
        os.mkdir("file", dir_fd=mount)
        assert len(m.mountinfo()) == before
        m.move_mount(mount, "", m.AT_FDCWD, str(tmp_path), m.MOVE_MOUNT_F_EMPTY_PATH)
        assert "nodev" in here(tmp_path).options
        return os.listdir(tmp_path)

    assert isolated(work) == "['file']"
    assert os.listdir(tmp_path) == []


def test_read_only_all_the_way_down(tmp_path: Path) -> None:
    def work() -> None:
        m.mount("tmpfs", str(tmp_path), "tmpfs")
        inner = tmp_path / "inner"
        inner.mkdir()
        m.mount("tmpfs", str(inner), "tmpfs")
        m.mount_setattr(m.AT_FDCWD, str(tmp_path), 0, m.MOUNT_ATTR_RDONLY)
        (inner / "writable").touch()
        m.mount_setattr(m.AT_FDCWD, str(tmp_path), m.AT_RECURSIVE, m.MOUNT_ATTR_RDONLY)
        with pytest.raises(OSError, match="Read-only"):
            (inner / "refused").touch()
        parsed = m.parse_options(["rnoatime", "rnosymfollow"])
        m.mount_setattr(m.AT_FDCWD, str(tmp_path), m.AT_RECURSIVE, parsed.attr_set, parsed.attr_clr)
        assert {"noatime", "nosymfollow"} <= set(here(inner).options)

    isolated(work)


def test_a_tree_is_copied_and_moved(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    target.mkdir()
    (source / "file").touch()

    def work() -> list[str]:
        tree = m.open_tree(m.AT_FDCWD, str(source), m.OPEN_TREE_CLONE | m.OPEN_TREE_CLOEXEC | m.AT_RECURSIVE)
        m.mount_setattr(tree, "", m.AT_EMPTY_PATH, m.MOUNT_ATTR_RDONLY)
        m.move_mount(tree, "", m.AT_FDCWD, str(target), m.MOVE_MOUNT_F_EMPTY_PATH)
        with pytest.raises(OSError, match="Read-only"):
            (target / "x").touch()
        (source / "y").touch()
        return sorted(os.listdir(target))

    assert isolated(work) == "['file', 'y']"


def test_an_idmapped_mount(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    target.mkdir()
    (source / "root").touch()

    def work() -> int:
        read, write = os.pipe()
        pid, pidfd = ns.clone3(ns.CLONE_NEWUSER)
        if pid == 0:
            os.close(write)
            os.read(read, 1)
            os._exit(0)
        shift = [IdMapping(container_id=0, host_id=100000, size=65536)]
        ns.write_id_maps(pid, shift, shift)
        userns = ns.open_namespace(pid, "user")
        tree = m.open_tree(m.AT_FDCWD, str(source), m.OPEN_TREE_CLONE)
        try:
            m.mount_setattr(tree, "", m.AT_EMPTY_PATH, m.MOUNT_ATTR_IDMAP, userns_fd=userns)
        except OSError as error:
            return error.errno or 0
        finally:
            os.close(write)
            os.waitpid(pid, 0)
            os.close(pidfd)
        m.move_mount(tree, "", m.AT_FDCWD, str(target), m.MOVE_MOUNT_F_EMPTY_PATH)
        return (target / "root").stat().st_uid

    seen = isolated(work)
    if seen == str(errno.EINVAL):
        pytest.skip("the file system of temporary files can't be idmapped (tmpfs: Linux 6.3)")
    assert seen == "100000"


def test_a_new_root(tmp_path: Path) -> None:
    (tmp_path / "only").touch()

    def work() -> list[str]:
        m.mount(str(tmp_path), str(tmp_path), None, m.MS_BIND | m.MS_REC)
        old = os.open("/", os.O_PATH)
        os.chdir(tmp_path)
        # SAFETY: in a mount namespace that ends with this child.
        m.pivot_root(".", ".")
        os.fchdir(old)
        m.umount2(".", m.MNT_DETACH)
        os.chdir("/")
        return os.listdir("/")

    assert isolated(work) == "['only']"


def test_unmounting_does_not_follow_links(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("mounted")
    (tmp_path / "mounted").mkdir()

    def work() -> None:
        m.mount("tmpfs", str(tmp_path / "mounted"), "tmpfs")
        with pytest.raises(OSError, match="Invalid argument"):
            m.umount2(str(tmp_path / "link"), m.UMOUNT_NOFOLLOW)
        m.umount2(str(tmp_path / "mounted"), m.UMOUNT_NOFOLLOW)

    isolated(work)


def test_a_mount_point_is_pinned_by_its_fd(tmp_path: Path) -> None:
    """hostile.md rows 4 and 11: what is swapped in after the look gets nothing."""
    (tmp_path / "target").mkdir()
    (tmp_path / "elsewhere").mkdir()

    def work() -> list[str]:
        root = os.open(tmp_path, os.O_PATH)
        fd = paths.make_directories_in_root(root, "target")
        os.rename(tmp_path / "target", tmp_path / "moved")
        (tmp_path / "target").symlink_to("elsewhere")
        m.mount("tmpfs", paths.fd_path(fd), "tmpfs")
        return [mount.mount_point for mount in m.mountinfo() if str(tmp_path) in mount.mount_point]

    assert isolated(work) == f"['{tmp_path}/moved']"
