"""What every implementation of `lodge.kernel.cgroups.contract` does."""

import errno
import mmap
import os
import select
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from lodge.kernel.cgroups import Cgroup, Hierarchy, tree
from lodge.spec import runtime as r


@contextmanager
def child(action: Callable[[], object]) -> Iterator[int]:
    """A process that does something and then waits; it is killed at the end, unless it is gone."""
    ready, is_ready = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            action()
            os.write(is_ready, b"x")
            while True:
                signal.pause()
        finally:
            os._exit(1)
    os.close(is_ready)
    os.read(ready, 1)
    os.close(ready)
    try:
        yield pid
    finally:
        try:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass


def nothing() -> None:
    """What a child does that only has to be there."""


def ends_within(pid: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if os.waitpid(pid, os.WNOHANG)[0] == pid:
            return True
        time.sleep(0.005)
    return False


def needs(hierarchy: Hierarchy, controller: str) -> None:
    if controller not in hierarchy.controllers:
        pytest.skip(f"this hierarchy has no controller {controller}")


def test_a_group_is_made_with_its_parents_and_goes_again(hierarchy: Hierarchy, parent: str) -> None:
    group = hierarchy.group(f"{parent}/a/b/c")
    assert not group.exists()
    group.create()
    group.create()
    assert group.exists()
    assert all(os.path.isdir(path) for path in group.paths().values())
    assert group.path == f"{parent}/a/b/c"
    group.remove()
    group.remove()
    assert not group.exists()
    assert not any(os.path.exists(path) for path in group.paths().values())


def test_a_parent_that_somebody_removed_is_made_again(hierarchy: Hierarchy, parent: str) -> None:
    for _ in range(2):
        group = hierarchy.group(f"{parent}/p/c")
        group.create()
        hierarchy.group(f"{parent}/p").remove()
        assert not group.exists()


def test_names_that_lead_elsewhere_are_refused(hierarchy: Hierarchy) -> None:
    for name in ("/", "", "/a/../b"):
        with pytest.raises(ValueError, match="control group"):
            hierarchy.group(name)


def test_a_group_that_is_not_there_is_empty(hierarchy: Hierarchy, parent: str) -> None:
    group = hierarchy.group(f"{parent}/nothing")
    assert group.pids() == []
    assert not group.frozen()
    group.kill()
    group.remove()
    with pytest.raises(FileNotFoundError):
        group.add(os.getpid())


def test_a_process_is_moved_in(group: Cgroup) -> None:
    with child(nothing) as pid:
        group.add(pid)
        assert group.pids() == [pid]
        for path in group.paths().values():
            with open(f"{path}/cgroup.procs") as file:
                assert file.read().split() == [str(pid)]


def test_a_process_comes_in_by_itself(group: Cgroup) -> None:
    with child(group.enter) as pid:
        assert group.pids() == [pid]


def test_a_process_comes_in_by_prepared_files(group: Cgroup) -> None:
    fds = group.prepare_entry()
    try:
        assert not any(os.get_inheritable(fd) for fd in fds)
        with child(lambda: [os.write(fd, b"0") for fd in fds]) as pid:
            assert group.pids() == [pid]
            for path in group.paths().values():
                with open(f"{path}/cgroup.procs") as file:
                    assert file.read().split() == [str(pid)]
    finally:
        for fd in fds:
            os.close(fd)


def test_children_are_born_in_the_group(group: Cgroup) -> None:
    def fork() -> None:
        group.enter()
        if os.fork() == 0:
            signal.pause()
            os._exit(0)

    with child(fork):
        assert len(group.pids()) == 2
        group.kill()


def test_processes_of_inner_groups_count_when_asked(hierarchy: Hierarchy, group: Cgroup) -> None:
    inner = hierarchy.group(f"{group.path}/inner")
    inner.create()
    with child(inner.enter) as pid:
        assert group.pids() == [pid]
        assert group.pids(recursive=False) == []


def test_frozen_processes_stand_still(hierarchy: Hierarchy, group: Cgroup) -> None:
    read, write = os.pipe()
    os.set_blocking(read, False)

    def tick() -> None:
        group.enter()
        if os.fork() == 0:
            while True:
                os.write(write, b"x")
                time.sleep(0.001)

    def ticks() -> int:
        count = 0
        try:
            while data := os.read(read, 65536):
                count += len(data)
        except BlockingIOError:
            pass
        return count

    with child(tick):
        assert not group.frozen()
        group.freeze()
        assert group.frozen()
        ticks()
        time.sleep(0.05)
        assert ticks() == 0
        group.thaw()
        assert not group.frozen()
        assert select.select([read], [], [], 5)[0]
        group.kill()
    os.close(read)
    os.close(write)


def test_freezing_an_empty_group_is_no_error(group: Cgroup) -> None:
    group.freeze()
    assert group.frozen()
    group.thaw()


def test_kill_reaches_everybody(hierarchy: Hierarchy, group: Cgroup) -> None:
    inner = hierarchy.group(f"{group.path}/inner")
    inner.create()

    def flee() -> None:
        """Ignore what can be ignored, and be somebody else every millisecond."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        group.enter()
        if os.fork() == 0:
            while True:
                if os.fork() != 0:
                    time.sleep(0.001)
                    os._exit(0)

    with child(flee) as pid, child(inner.enter) as other:
        group.kill()
        assert group.pids() == []
        assert ends_within(pid, 2)
        assert ends_within(other, 2)
    assert not group.frozen()


def test_kill_reaches_the_frozen(group: Cgroup) -> None:
    with child(group.enter) as pid:
        group.freeze()
        group.kill()
        assert ends_within(pid, 2)
    assert not group.frozen()


def test_removal_takes_inner_groups_with_it(hierarchy: Hierarchy, group: Cgroup) -> None:
    for name in ("a", "a/b", "c"):
        hierarchy.group(f"{group.path}/{name}").create()
    group.remove()
    assert not group.exists()


def test_removal_waits_for_the_dying(group: Cgroup) -> None:
    with child(group.enter) as pid:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        group.remove()
    assert not group.exists()


def test_a_group_in_use_is_not_removed(group: Cgroup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "_REMOVE_SECONDS", 0.3)
    with child(group.enter) as pid:
        began = time.monotonic()
        with pytest.raises(OSError, match="busy") as caught:
            group.remove()
        # One patience for all controllers together.
        assert time.monotonic() - began < 0.9
        assert caught.value.errno == errno.EBUSY
        assert group.pids() == [pid]


def opened(paths: list[str], flags: int) -> str:
    """Which of these devices could be opened, by letter."""
    result = ""
    for path in paths:
        try:
            os.close(os.open(path, flags))
            result += "+"
        except PermissionError:
            result += "-"
    return result


DENY_ALL = r.DeviceRule(allow=False)
NULL = r.DeviceRule(allow=True, type="c", major=1, minor=3, access="rwm")
ZERO_READ = r.DeviceRule(allow=True, type="c", major=1, minor=5, access="r")
ALL_MEMORY = r.DeviceRule(allow=True, type="c", major=1, access="rw")


@pytest.mark.parametrize(
    ("rules", "reading", "writing"),
    [
        ([DENY_ALL], "---", "---"),
        ([DENY_ALL, NULL], "+--", "+--"),
        ([DENY_ALL, NULL, ZERO_READ], "++-", "+--"),
        ([DENY_ALL, ALL_MEMORY], "+++", "+++"),
        ([r.DeviceRule(allow=True)], "+++", "+++"),
        (
            [r.DeviceRule(allow=True), r.DeviceRule(allow=False, type="c", major=1, minor=5, access="w")],
            "+++",
            "+-+",
        ),
    ],
)
def test_devices(
    hierarchy: Hierarchy, group: Cgroup, rules: list[r.DeviceRule], reading: str, writing: str
) -> None:
    if hierarchy.version == 1:
        needs(hierarchy, "devices")
    group.set_devices([ALL_MEMORY])
    group.set_devices(rules)
    read, write = os.pipe()
    paths = ["/dev/null", "/dev/zero", "/dev/full"]

    def look() -> None:
        group.enter()
        os.write(write, f"{opened(paths, os.O_RDONLY)} {opened(paths, os.O_WRONLY)}".encode())

    with child(look):
        assert os.read(read, 100).decode() == f"{reading} {writing}"
    os.close(read)
    os.close(write)


def test_devices_change_under_a_running_process(hierarchy: Hierarchy, group: Cgroup) -> None:
    if hierarchy.version == 1:
        needs(hierarchy, "devices")
    group.set_devices([DENY_ALL, NULL])
    ask, asked = os.pipe()
    answer, answered = os.pipe()

    def obey() -> None:
        group.enter()
        if os.fork() == 0:
            while os.read(ask, 1):
                os.write(answered, opened(["/dev/null", "/dev/zero"], os.O_RDONLY).encode())
            os._exit(0)

    def look() -> str:
        os.write(asked, b"?")
        return os.read(answer, 10).decode()

    with child(obey):
        assert look() == "+-"
        group.set_devices([DENY_ALL, NULL, ZERO_READ])
        assert look() == "++"
        group.set_devices([DENY_ALL, ZERO_READ])
        assert look() == "-+"
        group.kill()
    for fd in (ask, asked, answer, answered):
        os.close(fd)


def test_cpu_time_is_counted(hierarchy: Hierarchy, group: Cgroup) -> None:
    if hierarchy.version == 1:
        needs(hierarchy, "cpuacct")

    def work() -> None:
        group.enter()
        end = time.process_time() + 0.05
        while time.process_time() < end:
            pass

    with child(work):
        cpu = group.stats().cpu
    assert cpu.total >= 40_000_000
    assert sum(cpu.per_cpu) in (0, cpu.total)


def test_the_number_of_tasks_is_limited(hierarchy: Hierarchy, group: Cgroup) -> None:
    needs(hierarchy, "pids")
    group.apply(r.Resources(pids=r.Pids(limit=2)))
    read, write = os.pipe()

    def fork() -> None:
        group.enter()
        for _ in range(3):
            try:
                if os.fork() == 0:
                    signal.pause()
            except BlockingIOError:
                os.write(write, b"refused")
                break

    with child(fork):
        assert os.read(read, 100) == b"refused"
        stats = group.stats().pids
        assert (stats.current, stats.limit) == (2, 2)
        group.apply(r.Resources(pids=r.Pids(limit=0)))
        assert group.stats().pids.limit is None
        group.kill()
    os.close(read)
    os.close(write)


def test_memory_is_limited_and_its_end_is_told(hierarchy: Hierarchy, group: Cgroup) -> None:
    needs(hierarchy, "memory")
    limit = 16 << 20
    group.apply(r.Resources(memory=r.Memory(limit=limit, swap=limit if hierarchy.swap_limits else None)))
    assert group.stats().memory.limit == limit
    assert group.oom_kills() == 0
    event = group.oom_event_fd()
    go, went = os.pipe()

    def eat() -> None:
        group.enter()
        if os.fork() == 0:
            os.read(go, 1)
            hoard = [b"x" * (1 << 20) for _ in range(200)]
            os._exit(len(hoard) and 1)

    with child(eat):
        assert not select.select([event], [], [], 0)[0]
        os.write(went, b"x")
        assert select.select([event], [], [], 20)[0]
        deadline = time.monotonic() + 10
        while group.oom_kills() == 0 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert group.oom_kills() >= 1
        assert os.read(event, 4096)
        group.kill()
    for fd in (go, went, event):
        os.close(fd)


def test_memory_limits_move_up_and_down(hierarchy: Hierarchy, group: Cgroup) -> None:
    needs(hierarchy, "memory")
    if not hierarchy.swap_limits:
        pytest.skip("swap can't be limited here")
    for limit, swap in ((64, 128), (256, 512), (32, 64), (32, -1)):
        memory = r.Memory(limit=limit << 20, swap=swap if swap == -1 else swap << 20)
        group.apply(r.Resources(memory=memory))
        stats = group.stats().memory
        assert stats.limit == limit << 20
        assert stats.swap_limit == (None if swap == -1 else swap << 20)
    group.apply(r.Resources(memory=r.Memory(limit=-1)))
    assert group.stats().memory.limit is None


def test_a_limit_that_memory_does_not_fit_into_is_refused(hierarchy: Hierarchy, group: Cgroup) -> None:
    needs(hierarchy, "memory")
    go, went = os.pipe()

    def hold() -> None:
        group.enter()
        if os.fork() == 0:
            kept = mmap.mmap(-1, 32 << 20)
            kept.write(b"x" * (32 << 20))
            os.write(went, b"x")
            signal.pause()

    with child(hold):
        os.read(go, 1)
        with pytest.raises(OSError, match="unable to set memory limit to 1048576") as caught:
            group.apply(r.Resources(memory=r.Memory(limit=1 << 20, check_before_update=True)))
        assert caught.value.errno == errno.EBUSY
        group.kill()
    os.close(go)
    os.close(went)


def test_cpu_quota_moves_up_and_down(hierarchy: Hierarchy, group: Cgroup) -> None:
    needs(hierarchy, "cpu")
    for quota, period in ((50000, 100000), (5000, 10000), (200000, 100000), (-1, 100000)):
        group.apply(r.Resources(cpu=r.Cpu(quota=quota, period=period)))


def test_huge_pages_are_limited(hierarchy: Hierarchy, group: Cgroup) -> None:
    needs(hierarchy, "hugetlb")
    group.apply(r.Resources(hugepage_limits=[r.HugepageLimit(page_size="2MB", limit=4 << 20)]))
    path = next(iter(group.paths().values()))
    names = [name for name in os.listdir(path) if name in ("hugetlb.2MB.max", "hugetlb.2MB.limit_in_bytes")]
    with open(f"{path}/{names[0]}") as file:
        assert int(file.read()) == 4 << 20


def test_an_impossible_setting_names_its_file(hierarchy: Hierarchy, group: Cgroup) -> None:
    needs(hierarchy, "cpuset")
    with pytest.raises(OSError, match="4095") as caught:
        group.apply(r.Resources(cpu=r.Cpu(cpus="4095")))
    assert caught.value.filename.endswith("cpuset.cpus")


def test_the_callers_own_group_is_known(hierarchy: Hierarchy) -> None:
    own = hierarchy.own_path()
    assert own.startswith("/")
    if own != "/":
        # On version 1 each controller may have the caller elsewhere; one of them at least has it here.
        assert any(os.getpid() in tree.pids(path, False) for path in hierarchy.group(own).paths().values())
