"""What machines are made of: the archive, the table of slots, the order of modules, sizes."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodge.errors import InvalidArgument, Unavailable, Unsupported
from lodge.runtime.vm import sizes
from lodge.runtime.vm.parts import aml, base, cpio
from lodge.runtime.vm.parts.frozen import Frozen
from lodge.runtime.vm.parts.modules import WANTED, Modules
from lodge.spec.runtime import Cpu, Memory, Resources


def test_an_archive_is_what_cpio_reads(tmp_path: Path) -> None:
    archive = cpio.archive(
        [cpio.directory("d"), cpio.file("d/f", b"abc"), cpio.file("x", b"", executable=True)]
    )
    try:
        listed = subprocess.run(["cpio", "-itv"], input=archive, capture_output=True, check=True).stdout
    except FileNotFoundError:
        listed = subprocess.run(
            ["busybox", "cpio", "-itv"], input=archive, capture_output=True, check=True
        ).stdout
    assert b"d/f" in listed
    assert b"x" in listed


def test_the_same_entries_give_the_same_bytes() -> None:
    entries = [cpio.directory("d"), cpio.file("d/f", b"abc")]
    assert cpio.archive(entries) == cpio.archive(entries)
    assert len(cpio.archive(entries)) % 4 == 0


def test_the_table_of_slots_sums_to_zero_and_knows_its_length() -> None:
    table = aml.table([aml.Slot(3, 0xFEB00600, 19), aml.Slot(4, 0xFEB00800, 20)])
    assert sum(table) % 256 == 0
    assert int.from_bytes(table[4:8], "little") == len(table)
    assert table.count(b"LNRO0005") == 2


def _module(directory: Path, name: str, needs: str = "") -> None:
    place = directory / "kernel"
    place.mkdir(exist_ok=True)
    (place / f"{name}.ko").write_bytes(b"ELF\0depends=" + needs.encode() + b"\0name=x\0")


def test_modules_come_after_what_they_need(tmp_path: Path) -> None:
    for name in WANTED:
        _module(tmp_path, name.replace("_", "-"), "libcrc32c" if name == "erofs" else "")
    _module(tmp_path, "libcrc32c")
    names = [Path(path).name for path in Modules(str(tmp_path)).in_order()]
    assert names.index("libcrc32c.ko") < names.index("erofs.ko")
    assert len(names) == len(WANTED) + 1


def test_a_kernel_without_the_modules_is_refused_by_name(tmp_path: Path) -> None:
    _module(tmp_path, "virtio")
    with pytest.raises(Unsupported, match="erofs"):
        Modules(str(tmp_path)).in_order()


def test_no_kernel_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as caught:
        base.find(str(tmp_path))
    assert caught.value.hint is not None
    assert "lodge vm setup" in caught.value.hint


@given(st.integers(1, 1 << 20))
def test_steps_hold_what_is_asked_for(mib: int) -> None:
    size = sizes.step_up(mib)
    assert size >= mib
    assert size <= max(mib * 3 // 2 + 1, 128)
    if mib >= 128:
        assert sizes.step_down(mib) <= mib < sizes.step_up(sizes.step_down(mib) + 1)


def test_a_limit_leaves_room_for_the_kernel() -> None:
    limited = Resources(memory=Memory(limit=400 << 20))
    assert sizes.memory(limited, 8 << 30) == 512
    assert sizes.memory(None, 8 << 30) == 2048
    assert sizes.memory(None, 1 << 30) == 512
    with pytest.raises(InvalidArgument, match="more than this host"):
        sizes.memory(Resources(memory=Memory(limit=9 << 30)), 8 << 30)


def test_processors_follow_the_limit() -> None:
    assert sizes.processors(None, 8, emulated=True) == 1
    assert sizes.processors(None, 8, emulated=False) == 8
    assert sizes.processors(Resources(cpu=Cpu(quota=250_000, period=100_000)), 8, emulated=True) == 3
    assert sizes.processors(Resources(cpu=Cpu(cpus="0-2,5")), 8, emulated=True) == 4
    assert sizes.processors(Resources(cpu=Cpu(quota=10_000_000)), 2, emulated=False) == 2


def test_a_frozen_machine_is_made_once_and_its_memory_is_shared_and_sealed(tmp_path: Path) -> None:
    frozen = Frozen(str(tmp_path), Frozen.key_of("a", 1))
    assert not frozen.ready

    def freeze(memory: int, state: int) -> None:
        import os

        os.pwrite(memory, b"page", 8192)
        os.write(state, b"state")

    import os

    frozen.make(freeze, 1 << 20)
    frozen.make(lambda _memory, _state: pytest.fail("made twice"), 1 << 20)
    first, second = frozen.open(), frozen.open()
    try:
        assert os.pread(first.memory, 4, 8192) == b"page"
        assert os.fstat(first.memory).st_ino == os.fstat(second.memory).st_ino
        with pytest.raises(PermissionError):
            os.pwrite(second.memory, b"evil", 8192)
        assert os.read(first.state, 10) == b"state"
    finally:
        for copy in (first, second):
            os.close(copy.memory)
            os.close(copy.state)
        frozen.release()
