"""Overlay mounts: odd names, more layers than a page of options holds, and the probe."""

import errno
import os
from pathlib import Path

import pytest

from lodge.kernel import mount as m
from lodge.kernel import namespaces as ns
from lodge.kernel import overlay
from lodge.kernel.seccomp.profile import kernel_version
from lodge.spec.runtime import IdMapping
from tests.privileged.kernel.isolation import isolated

ODD = ["plain", "co:lon", "com,ma", "back\\slash", "esc\\:aped", "sp ace", "tail\\"]


def layers(top: Path, names: list[str]) -> list[str]:
    for number, name in enumerate(names):
        (top / name).mkdir()
        (top / name / f"file{number}").touch()
    return [str(top / name) for name in names]


@pytest.mark.parametrize("new", [False, True], ids=["mount", "fsmount"])
def test_odd_names(tmp_path: Path, new: bool) -> None:
    if new and kernel_version() < (6, 8):
        pytest.skip("this kernel takes no layers one by one")
    lower = layers(tmp_path, ODD)
    upper, work, target = tmp_path / "up,per\\:", tmp_path / "wo,rk\\", tmp_path / "target"
    for directory in (upper, work, target):
        directory.mkdir()

    def action() -> list[str]:
        if new:
            mount = overlay.fsmount_overlay(lower, str(upper), str(work))
            m.move_mount(mount, "", m.AT_FDCWD, str(target), m.MOVE_MOUNT_F_EMPTY_PATH)
        else:
            overlay.mount_overlay(str(target), lower, str(upper), str(work))
        (target / "new").touch()
        return sorted(os.listdir(target))

    assert isolated(action) == str([*(f"file{number}" for number in range(len(ODD))), "new"])
    assert os.listdir(upper) == ["new"]


def test_many_layers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lower = layers(tmp_path, [f"layer-with-a-long-name-{number:03}" for number in range(120)])
    for name in ("target", "upper", "work"):
        (tmp_path / name).mkdir()
    upper, work = str(tmp_path / "upper"), str(tmp_path / "work")
    assert len(overlay.options(lower)) > 4096

    def action() -> str:
        here = os.getcwd()
        overlay.mount_overlay(str(tmp_path / "target"), lower, flags=m.MS_RDONLY | m.MS_NODEV)
        top = [mount for mount in m.mountinfo() if mount.mount_point == str(tmp_path / "target")][-1]
        assert {"ro", "nodev"} <= set(top.options)
        overlay.mount_data(str(tmp_path / "target"), overlay.options(lower, upper, work))
        (tmp_path / "target" / "new").touch()
        assert os.getcwd() == here
        return f"{len(os.listdir(tmp_path / 'target'))} {os.listdir(upper)}"

    assert isolated(action) == "121 ['new']"

    def refuse(*args: object, **kwargs: object) -> int:
        raise OSError(errno.EINVAL, "Invalid argument")

    os.remove(tmp_path / "upper" / "new")
    monkeypatch.setattr(overlay, "fsmount_overlay", refuse)
    assert isolated(action) == "121 ['new']"


def test_more_layers_than_any_way_can_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lower = layers(tmp_path, [f"{number:03}{'x' * 40}" for number in range(120)])
    (tmp_path / "target").mkdir()

    def refuse(*args: object, **kwargs: object) -> int:
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(overlay, "fsmount_overlay", refuse)

    def action() -> None:
        with pytest.raises(OSError, match="do not fit into a page"):
            overlay.mount_overlay(str(tmp_path / "target"), lower)

    isolated(action)


def test_the_top_layer_wins(tmp_path: Path) -> None:
    for name in ("low", "high", "target"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)

    def action() -> str:
        overlay.mount_overlay(str(tmp_path / "target"), [str(tmp_path / "high"), str(tmp_path / "low")])
        return (tmp_path / "target" / "file").read_text()

    assert isolated(action) == "high"


def test_the_probe_leaves_nothing(tmp_path: Path) -> None:
    before = len(m.mountinfo())
    assert overlay.supported(str(tmp_path))
    assert os.listdir(tmp_path) == []
    assert len(m.mountinfo()) == before


def test_the_probe_says_no_where_it_does_not_work(tmp_path: Path) -> None:
    assert not overlay.supported("/proc")
    assert not overlay.supported(str(tmp_path / "missing"))
    assert not overlay.supported(str(tmp_path), extra=["no-such-option"])
    assert os.listdir(tmp_path) == []

    def on_overlay() -> bool:
        """An upper directory on an overlay is what the kernel refuses."""
        for name in ("low", "up", "work", "target"):
            (tmp_path / name).mkdir()
        overlay.mount_overlay(
            str(tmp_path / "target"), [str(tmp_path / "low")], str(tmp_path / "up"), str(tmp_path / "work")
        )
        return overlay.supported(str(tmp_path / "target"))

    assert isolated(on_overlay) == "False"


def test_the_probe_in_a_user_namespace(tmp_path: Path) -> None:
    os.chmod(tmp_path, 0o777)
    go, went = os.pipe()
    answer, answered = os.pipe()
    pid, pidfd = ns.clone3(ns.CLONE_NEWUSER | ns.CLONE_NEWNS)
    if pid == 0:
        os.read(go, 1)
        os.write(answered, f"{overlay.supported(str(tmp_path), extra=['userxattr'])}".encode())
        os._exit(0)
    whole = [IdMapping(container_id=0, host_id=0, size=65536)]
    ns.write_id_maps(pid, whole, whole)
    os.write(went, b"x")
    assert os.read(answer, 10) == b"True"
    os.waitpid(pid, 0)
    for fd in (go, went, answer, answered, pidfd):
        os.close(fd)
