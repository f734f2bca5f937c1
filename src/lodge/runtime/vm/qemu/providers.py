"""The accelerators that QEMU may use, as objects of one contract; which of them work here, and why not.

    kvm    Linux; proven by running a few guest instructions in a process of its own, within seconds
    hvf    macOS, whpx  Windows: named for completeness, this engine runs on Linux
    tcg    anywhere: every instruction is translated, at a fifth to a tenth of the speed

Verdicts are kept for as long as the kernel runs: `verdicts.json` names its boot. A verdict may be corrected
later, when a machine that was started with an accelerator did not come up.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from typing import Protocol

import msgspec
from msgspec import Struct

from lodge.errors import Unavailable, Unsupported
from lodge.runtime.vm.qemu.process import find_program

_PATIENCE = 5.0
_PROBE = "import sys; sys.path[:0] = {path!r}; from lodge.kernel.kvm import run_a_guest; run_a_guest()"


class Verdict(Struct, frozen=True):
    """Whether something works, and if not why."""

    name: str
    usable: bool
    reason: str = ""


class Provider(Protocol):
    """A way to run machines."""

    name: str
    """As `lodge info` shows it: qemu/kvm."""
    accelerator: str

    def probe(self) -> str:
        """Why it can't be used here, "" when it can; may take some seconds."""


class Kvm:
    """The kernel's own, with the processor's help."""

    name = "qemu/kvm"
    accelerator = "kvm"

    def probe(self) -> str:
        """See the contract: really run something."""
        if sys.platform != "linux":
            return "only Linux has it"
        if not os.path.exists("/dev/kvm"):
            return "there is no /dev/kvm: no virtualization by the processor, or the module is not loaded"
        if not os.access("/dev/kvm", os.R_OK | os.W_OK):
            return "no permission to open /dev/kvm"
        program = _PROBE.format(path=[entry for entry in sys.path if entry])
        try:
            done = subprocess.run(
                [sys.executable, "-I", "-S", "-c", program],
                capture_output=True,
                text=True,
                check=False,
                timeout=_PATIENCE,
            )
        except subprocess.TimeoutExpired:
            return f"a guest of six instructions did not end in {_PATIENCE:.0f} seconds: /dev/kvm hangs"
        if done.returncode:
            return f"a guest can't run: {done.stderr.strip().splitlines()[-1:] or ['killed']}"
        return ""


class Foreign:
    """An accelerator of another system."""

    def __init__(self, accelerator: str, system: str, title: str) -> None:
        self.name = f"qemu/{accelerator}"
        self.accelerator = accelerator
        self._system = system
        self._title = title

    def probe(self) -> str:
        """See the contract."""
        if sys.platform == self._system:
            return "untested: this engine runs its machines on Linux"
        return f"only {self._title} has it"


class Tcg:
    """Translation of every instruction: works wherever QEMU does."""

    name = "qemu/tcg"
    accelerator = "tcg"

    def probe(self) -> str:
        """See the contract."""
        return ""


PROVIDERS: tuple[Provider, ...] = (
    Kvm(),
    Foreign("hvf", "darwin", "macOS"),
    Foreign("whpx", "win32", "Windows"),
    Tcg(),
)


class _Record(Struct):
    boot: str
    verdicts: list[Verdict]


def verdicts(root: str) -> list[Verdict]:
    """All providers' verdicts, found out once a boot."""
    try:
        find_program(platform.machine())
    except Unavailable as error:
        return [Verdict(each.name, False, f"{error.message}: {error.hint}") for each in PROVIDERS]
    known = _read(root)
    if known is None:
        known = [Verdict(each.name, not (why := each.probe()), why) for each in PROVIDERS]
        _write(root, known)
    return known


def condemn(root: str, accelerator: str, reason: str) -> None:
    """What the probe believed in did not work."""
    name = f"qemu/{accelerator}"
    _write(root, [Verdict(name, False, reason) if each.name == name else each for each in verdicts(root)])


def choose(root: str, wanted: str = "") -> list[str]:
    """The accelerators to try, the best first; Unsupported for an unknown or unusable one that was named."""
    found = verdicts(root)
    if wanted:
        for verdict in found:
            if verdict.name == f"qemu/{wanted}":
                if not verdict.usable:
                    raise Unsupported(f"the accelerator {wanted} can't be used here: {verdict.reason}")
                return [wanted]
        known = ", ".join(each.accelerator for each in PROVIDERS)
        raise Unsupported(f"unknown accelerator {wanted!r}", hint=f"known are {known}")
    return [verdict.name.removeprefix("qemu/") for verdict in found if verdict.usable]


def _boot() -> str:
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


def _read(root: str) -> list[Verdict] | None:
    try:
        with open(os.path.join(root, "verdicts.json"), "rb") as file:
            record = msgspec.json.decode(file.read(), type=_Record)
    except (OSError, msgspec.DecodeError):
        return None
    return record.verdicts if record.boot == _boot() else None


def _write(root: str, found: list[Verdict]) -> None:
    os.makedirs(root, 0o700, exist_ok=True)
    staged = os.path.join(root, f"verdicts.json.{os.getpid()}")
    with open(staged, "wb") as file:
        file.write(msgspec.json.encode(_Record(_boot(), found)))
    os.rename(staged, os.path.join(root, "verdicts.json"))
