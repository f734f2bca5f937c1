"""QEMU's command line for a machine. Pure: descriptors are numbers, nothing is opened here.

The machine is a microvm: eight virtio-mmio slots, a serial line, no PCI, no BIOS menus. Slot 0 has the serial
ports of the agent and of the file relay, 1 the balloon; from 3 on come what may be added to a copy of a
frozen
machine: the image's disk and the network. All files are descriptors that were opened by who starts it.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from lodge.runtime.vm.parts.base import Base

AGENT_PORT = "lodge.agent"
FILES_PORT = "lodge.files"
_IMAGE_SLOT = 3
_NETWORK_SLOT = 4
# Translated code of an emulated processor: QEMU's own default is a fraction of the host's memory.
_TRANSLATIONS_MB = 64


class Machine(Struct, frozen=True, kw_only=True):
    """A machine to start. Sizes are MiB; descriptors are the child's own numbers, -1 for none.

    `agent`, `files`, `control` and `console` are stream sockets; `image` a disk to read; `cards` tap devices
    with hardware addresses.
    `memory_file` is a file that its memory is a private copy of, or with `memory_shared` is; `state` the rest
    of a frozen machine, to go on from.
    """

    program: str
    accelerator: str
    memory: int
    processors: int
    agent: int
    files: int
    control: int
    console: int
    image: int = -1
    cards: tuple[tuple[int, str], ...] = ()
    memory_file: int = -1
    memory_shared: bool = False
    state: int = -1
    confined: bool = True


def command(machine: Machine, base: Base) -> list[str]:
    """The words, the program first."""
    return [
        machine.program,
        *_board(machine),
        *_boot(machine, base),
        *_sockets(machine),
        *_disk(machine),
        *_network(machine),
        *_rest(machine),
    ]


def kernel_command_line(accelerator: str, base: Base) -> str:
    """What the guest's kernel is told.

    Without a hardware clock that it knows, the kernel of an emulated machine has to be told how fast its time
    stamp counter runs (it is the host's), and not to look for timers of old.
    """
    words = ["console=ttyS0", "quiet", "loglevel=3", "panic=-1", "no_timer_check", "8250.nr_uarts=1"]
    words += ["rcupdate.rcu_expedited=1", "cryptomgr.notests", "random.trust_bootloader=on"]
    if accelerator == "tcg":
        # An emulated processor speculates nothing: what protects a real one only costs time.
        words.append("mitigations=off")
        if base.tsc_khz:
            words.append(f"tsc_early_khz={base.tsc_khz} tsc=reliable")
    return " ".join(words)


def _board(machine: Machine) -> Iterator[str]:
    options = "microvm,acpi=on,rtc=off,ioapic2=off,x-option-roms=off,memory-backend=memory"
    yield from ("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-machine", options)
    accelerator = machine.accelerator
    if accelerator == "tcg":
        threads = "multi" if machine.processors > 1 else "single"
        accelerator = f"tcg,thread={threads},tb-size={_TRANSLATIONS_MB}"
    yield from (
        "-accel",
        accelerator,
        "-cpu",
        "max" if machine.accelerator == "tcg" else "host,arch-capabilities=off",
    )
    yield from ("-smp", str(machine.processors), "-m", f"{machine.memory}M", "-object")
    size = f"id=memory,size={machine.memory}M"
    if machine.memory_file < 0:
        yield f"memory-backend-ram,{size}"
    else:
        share = "on" if machine.memory_shared else "off"
        yield f"memory-backend-file,{size},share={share},mem-path=/proc/self/fd/{machine.memory_file}"


def _boot(machine: Machine, base: Base) -> Iterator[str]:
    # A copy needs them too: they are part of what QEMU itself keeps of a machine.
    yield from ("-kernel", base.kernel, "-initrd", base.initramfs)
    yield from ("-append", kernel_command_line(machine.accelerator, base))


def _sockets(machine: Machine) -> Iterator[str]:
    yield from ("-chardev", f"socket,id=console,fd={machine.console}", "-serial", "chardev:console")
    yield from ("-chardev", f"socket,id=control,fd={machine.control}")
    yield from ("-mon", "chardev=control,mode=control")
    yield from ("-device", "virtio-serial-device,id=serial,bus=virtio-mmio-bus.0,max_ports=4")
    for name, fd, port in (("agent", machine.agent, AGENT_PORT), ("files", machine.files, FILES_PORT)):
        yield from ("-chardev", f"socket,id={name},fd={fd}")
        yield from ("-device", f"virtserialport,bus=serial.0,chardev={name},name={port}")
    yield from ("-device", "virtio-balloon-device,id=balloon,bus=virtio-mmio-bus.1,free-page-reporting=on")


def _disk(machine: Machine) -> Iterator[str]:
    if machine.image >= 0:
        yield from ("-add-fd", f"fd={machine.image},set=1")
        yield from ("-blockdev", "driver=file,node-name=image,filename=/dev/fdset/1,read-only=on,locking=off")
        bus = f"bus=virtio-mmio-bus.{_IMAGE_SLOT}"
        yield from ("-device", f"virtio-blk-device,drive=image,serial=image,{bus}")


def _network(machine: Machine) -> Iterator[str]:
    for number, (tap, mac) in enumerate(machine.cards):
        yield from ("-netdev", f"tap,id=net{number},fd={tap}")
        bus = f"bus=virtio-mmio-bus.{_NETWORK_SLOT + number}"
        yield from ("-device", f"virtio-net-device,netdev=net{number},mac={mac},{bus}")


def _rest(machine: Machine) -> Iterator[str]:
    if machine.state >= 0:
        yield from ("-incoming", "defer")
    if machine.confined:
        yield from (
            "-sandbox",
            "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
        )
