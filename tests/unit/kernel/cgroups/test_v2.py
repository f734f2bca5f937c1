"""Version 2 on a recorded tree: a directory with the files that a kernel with all controllers shows."""

import errno
from pathlib import Path

import pytest

from lodge.kernel.cgroups.v2 import V2Cgroup, V2Hierarchy
from lodge.spec import runtime as r

CONTROLLERS = "cpuset cpu io memory hugetlb pids rdma"


def record(directory: Path, **files: str) -> None:
    """The files of a group, as mkdir makes them on a cgroup file system."""
    directory.mkdir(parents=True, exist_ok=True)
    standard = {
        "cgroup.controllers": CONTROLLERS,
        "cgroup.subtree_control": "",
        "cgroup.procs": "",
        "cgroup.freeze": "0\n",
        "cgroup.events": "populated 0\nfrozen 0\n",
        "cpu.max": "max 100000\n",
        "cpu.weight": "100\n",
        "memory.max": "max\n",
        "memory.current": "1000\n",
        "memory.low": "0\n",
        "memory.swap.max": "max\n",
        "memory.events": "oom 2\noom_kill 3\n",
        "pids.max": "max\n",
        "io.weight": "default 100\n",
        "hugetlb.2MB.max": "max\n",
    }
    for name, text in (standard | files).items():
        (directory / name).write_text(text)


@pytest.fixture
def top(tmp_path: Path) -> Path:
    record(tmp_path)
    record(tmp_path / "lodge")
    record(tmp_path / "lodge" / "x")
    return tmp_path


@pytest.fixture
def group(top: Path) -> V2Cgroup:
    return V2Hierarchy(str(top)).group("/lodge/x")


def content(group: V2Cgroup, name: str) -> str:
    return (Path(group.directory) / name).read_text().splitlines()[0]


def overwrite(group: V2Cgroup, name: str) -> None:
    """A file here keeps the tail of longer texts, which cgroup files do not: start it empty."""
    (Path(group.directory) / name).write_text("")


def test_controllers_are_handed_down_once(top: Path) -> None:
    hierarchy = V2Hierarchy(str(top))
    assert hierarchy.controllers == set(CONTROLLERS.split())
    hierarchy.group("/lodge/x").create()
    wanted = " ".join(f"+{name}" for name in sorted(CONTROLLERS.split()))
    assert (top / "cgroup.subtree_control").read_text() == wanted
    assert (top / "lodge" / "cgroup.subtree_control").read_text() == wanted
    (top / "lodge" / "cgroup.subtree_control").write_text("")
    hierarchy.group("/lodge/y").create()
    assert (top / "lodge" / "cgroup.subtree_control").read_text() == ""
    assert (top / "lodge" / "y").is_dir()


def test_controllers_that_are_on_are_left_alone(top: Path) -> None:
    for directory in (top, top / "lodge"):
        (directory / "cgroup.subtree_control").write_text(CONTROLLERS)
        (directory / "cgroup.subtree_control").chmod(0o444)
    V2Hierarchy(str(top)).group("/lodge/z").create()
    assert (top / "cgroup.subtree_control").read_text() == CONTROLLERS


def test_swap_limits_are_seen_below_the_root(top: Path) -> None:
    assert V2Hierarchy(str(top)).swap_limits
    (top / "lodge" / "memory.swap.max").unlink()
    assert not V2Hierarchy(str(top)).swap_limits


def test_resources_reach_their_files(group: V2Cgroup) -> None:
    for name in ("memory.max", "memory.swap.max", "pids.max", "cpu.max", "cpu.weight", "io.weight"):
        overwrite(group, name)
    group.apply(
        r.Resources(
            memory=r.Memory(limit=4096, swap=8192),
            pids=r.Pids(limit=10),
            cpu=r.Cpu(shares=1024, quota=5000, period=10000),
            block_io=r.BlockIo(weight=10),
            hugepage_limits=[r.HugepageLimit(page_size="2MB", limit=2097152)],
        )
    )
    assert content(group, "memory.max") == "4096"
    assert content(group, "memory.swap.max") == "4096"
    assert content(group, "pids.max") == "10"
    assert content(group, "cpu.max") == "5000 10000"
    assert content(group, "cpu.weight") == "100"
    assert content(group, "io.weight") == "default 1"
    assert content(group, "hugetlb.2MB.max") == "2097152"


def test_a_new_period_keeps_the_quota(group: V2Cgroup) -> None:
    (Path(group.directory) / "cpu.max").write_text("5000 10000\n")
    group.apply(r.Resources(cpu=r.Cpu(period=20000)))
    assert content(group, "cpu.max") == "5000 20000"
    (Path(group.directory) / "cpu.max").write_text("max 10000\n")
    group.apply(r.Resources(cpu=r.Cpu(period=20000)))
    assert content(group, "cpu.max") == "max 20000"


def test_the_scheduler_with_weights_of_its_own_is_preferred(group: V2Cgroup) -> None:
    (Path(group.directory) / "io.bfq.weight").write_text("")
    group.apply(r.Resources(block_io=r.BlockIo(weight=300)))
    assert content(group, "io.bfq.weight") == "300"
    assert content(group, "io.weight") == "default 100"


def test_a_control_that_is_not_there_is_an_error(group: V2Cgroup) -> None:
    with pytest.raises(FileNotFoundError, match="no such control"):
        group.apply(r.Resources(unified={"memory.nope": "1"}))


def test_no_swap_to_limit_is_no_error(group: V2Cgroup) -> None:
    (Path(group.directory) / "memory.swap.max").unlink()
    group.apply(r.Resources(memory=r.Memory(limit=4096, swap=4096)))
    with pytest.raises(FileNotFoundError, match="no such control"):
        group.apply(r.Resources(memory=r.Memory(limit=4096, swap=8192)))


def test_a_limit_below_the_use_is_refused_when_asked(group: V2Cgroup) -> None:
    with pytest.raises(OSError, match="unable to set memory limit to 500") as caught:
        group.apply(r.Resources(memory=r.Memory(limit=500, check_before_update=True)))
    assert caught.value.errno == errno.EBUSY


def test_events(group: V2Cgroup) -> None:
    assert group.oom_kills() == 3


def test_room_is_made_by_moving_processes(top: Path) -> None:
    (top / "cgroup.procs").write_text("41\n42\n")
    record(top / "init")
    V2Hierarchy(str(top)).make_room("/")
    assert (top / "init" / "cgroup.procs").read_text() == "42"
