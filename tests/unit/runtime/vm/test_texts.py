"""What the agent counts and lists, as text that may be hostile; and what it is told of a config."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodge.errors import InvalidArgument, Unsupported
from lodge.runtime.contract import StdioRequest
from lodge.runtime.vm import figures, setup, table
from lodge.runtime.vm.parts.base import Base
from lodge.runtime.vm.protocol import Field, read_fields
from lodge.runtime.vm.qemu.command import Machine, command
from lodge.spec.runtime import Linux, Memory, Mount, Pids, Process, Resources, Rlimit, RuntimeConfig

FIGURES = b"""== cpu.stat
usage_usec 1500
user_usec 1000
system_usec 500
== memory.current
4096
== memory.max
max
== memory.events
max 2
oom_kill 1
== pids.current
3
== pids.max
max
== io.stat
254:0 rbytes=100 wbytes=0 rios=2 wios=0
== meminfo
MemTotal:         480000 kB
"""


def test_figures_are_read() -> None:
    stats = figures.read(FIGURES)
    assert (stats.cpu.total, stats.memory.usage, stats.memory.limit) == (1_500_000, 4096, 480000 * 1024)
    assert (stats.pids.current, stats.pids.limit, stats.memory.failures) == (3, None, 2)
    assert [(each.operation, each.value) for each in stats.io_bytes] == [("read", 100), ("write", 0)]


@given(st.one_of(st.binary(max_size=300), st.text(max_size=200).map(lambda text: b"== " + text.encode())))
def test_hostile_figures_and_tables_never_raise(text: bytes) -> None:
    assert figures.read(text).cpu.total >= 0
    assert isinstance(table.rows(text, 0.0), list)


def test_a_process_is_a_row_of_ps() -> None:
    stat = "42 (a b) S 1 42 42 34816 42 4194560 0 0 0 0 150 50 0 0 20 0 1 0 100 0"
    text = f"== 42\n{stat}\nName:\ta b\nUid:\t0\t0\t0\t0\na b c\n"
    assert table.rows(text.encode(), 0.0) == [
        ["root", "42", "1", "0", table.rows(text.encode(), 0.0)[0][4], "pts/0", "00:00:02", "a b c"]
    ]


def test_mounts_become_flags_and_texts() -> None:
    mount = Mount(destination="/data", type="bind", source="/host", options=["rbind", "ro"])
    packed = setup.mount_field(mount, {"/host": 3})
    flags, _, _ = struct.unpack_from("<QQQ", packed)
    assert flags == 4096 | 16384 | 1
    assert packed[24:].split(b"\0")[:2] == [b"/run/files/shares/3", b"/data"]
    with pytest.raises(Unsupported):
        setup.mount_field(mount, {})
    assert b"cgroup2" in setup.mount_field(Mount(destination="/sys/fs/cgroup", type="cgroup"), {})
    with pytest.raises(InvalidArgument):
        setup.mount_field(Mount(destination="/a\0b", type="tmpfs"), {})


def test_limits_become_files_of_the_machine() -> None:
    files = setup.group_files(Resources(memory=Memory(limit=100, swap=200), pids=Pids(limit=-1)))
    assert files == ["memory.max=100", "memory.swap.max=100", "pids.max=max"]


def test_a_program_is_told_in_fields() -> None:
    process = Process(
        cwd="/", args=["sh", "-c", "x"], env=["A=b"], rlimits=[Rlimit(type="RLIMIT_NOFILE", hard=2, soft=1)]
    )
    payload = setup.program_fields(
        process,
        StdioRequest(stdin=True),
        first=True,
        user="me:7",
        groups=["8"],
        reaper=False,
        seccomp=b"12345678",
    )
    fields = list(read_fields(payload))
    assert [value for tag, value in fields if tag == Field.ARG] == [b"sh", b"-c", b"x"]
    assert (Field.USER, b"me:7") in fields
    assert (Field.RLIMIT, struct.pack("<IQQ", 7, 1, 2)) in fields
    tags = {tag for tag, _ in fields}
    assert {Field.INIT, Field.STDIN, Field.SECCOMP} <= tags
    with pytest.raises(InvalidArgument, match="no command"):
        setup.program_fields(
            Process(cwd="/"), StdioRequest(), first=False, user=None, groups=(), reaper=False, seccomp=None
        )


def test_a_machine_is_told_what_differs_from_copy_to_copy() -> None:
    config = RuntimeConfig(oci_version="1.2.0", hostname="box", linux=Linux(masked_paths=["/proc/kcore"]))
    payload = setup.machine_fields(config, now_ns=5, entropy=b"e" * 8, upper=True, shares={}, netlink=[b"m"])
    fields = list(read_fields(payload))
    assert (Field.TIME, struct.pack("<Q", 5)) in fields
    assert (Field.HOSTNAME, b"box") in fields
    assert (Field.NAMES, b"") in fields
    assert (Field.MASK, b"/proc/kcore") in fields


def test_the_command_line_opens_nothing_by_name_but_the_kernel() -> None:
    machine = Machine(
        program="/q", accelerator="tcg", memory=512, processors=1, agent=3, files=4, control=5, console=6,
        image=7, cards=((8, "02:00:00:00:00:01"),), memory_file=9, state=10,
    )  # fmt: skip
    words = command(machine, Base("/base", "k", "6.1", 1000))
    assert [word for word in words if word.startswith("/")] == ["/q", "/base/kernel", "/base/initramfs"]
    assert "-sandbox" in words
    assert words[words.index("-incoming") + 1] == "defer"
    assert any("mac=02:00:00:00:00:01" in word for word in words)
    assert any("share=off" in word for word in words)
