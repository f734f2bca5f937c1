"""A container in a machine of its own: implements `contract.Dwelling`."""

from __future__ import annotations

import itertools
import os
import platform
import secrets
import time
from collections.abc import Iterator, Sequence
from typing import Any

from lodge.errors import Conflict, LodgeError, StartFailed
from lodge.kernel import seccomp
from lodge.kernel.cgroups import Cgroup, CgroupStats, Hierarchy
from lodge.kernel.system import cpu_count, memory_total
from lodge.runtime.contract import StdioRequest, Streams
from lodge.runtime.vm import birth, cells, figures, network, setup, sizes, table
from lodge.runtime.vm.channel import Pipe
from lodge.runtime.vm.files import Files
from lodge.runtime.vm.machine import Machine, Wish
from lodge.runtime.vm.network import Wires
from lodge.runtime.vm.parts import base as bases
from lodge.runtime.vm.parts import image
from lodge.runtime.vm.porter_link import MachineGone
from lodge.runtime.vm.program import GuestProgram
from lodge.runtime.vm.protocol import Answer, Kind, Stage
from lodge.runtime.vm.qemu import providers
from lodge.runtime.vm.qemu.process import find_program
from lodge.runtime.vm.shares import serve
from lodge.runtime.vm.streams import open_streams
from lodge.spec.mount import Mount
from lodge.spec.runtime import Process, Resources, RuntimeConfig, Seccomp

_PATIENCE = 60.0
_WARM_PATIENCE = 20.0
_SHORT_PATIENCE = 15.0
_NOT_FOUND, _NOT_EXECUTABLE = 127, 126
_FIRST_CHANNEL = 1
_OWN_CHANNEL = 0xFFFF
_ENOENT = 2
_TOLD = 6


class VmDwelling:
    """One container. `extras` are the engine's (`process.extras.Extras`, by its members)."""

    def __init__(
        self,
        identity: str,
        config: RuntimeConfig,
        *,
        root: str,
        root_mounts: Sequence[Mount],
        extras: Any,
        hierarchy: Hierarchy,
        filter_cache: str,
    ) -> None:
        self._identity = identity
        self._config = config
        self._root = root
        self._files = Files(config, root_mounts)
        self._extras = extras
        self._filter_cache = filter_cache
        path = config.linux.cgroups_path if config.linux else ""
        self._cgroup: Cgroup = hierarchy.group(path or f"/{identity}")
        self._wires = Wires()
        self._machine: Machine | None = None
        self._channels = itertools.count(_FIRST_CHANNEL)
        self._init: GuestProgram | None = None
        self._paused = False
        self._last_words = ""
        self._last_figures = CgroupStats()

    def create(self, stdio: StdioRequest) -> GuestProgram:
        """See the contract."""
        try:
            self._wires = network.connect(self._config)
            try:
                self._machine = self._boot()
            finally:
                self._wires.close()
            process = self._config.process
            assert process is not None
            self._init = self._spawn(process, stdio, self._extras, first=True)
        except BaseException as error:
            try:
                self.remove()
            except (LodgeError, OSError) as second:
                error.add_note(f"and cleaning up failed: {second}")
            raise
        return self._init

    def _boot(self) -> Machine:
        base = bases.find(self._root)
        resources = self._config.linux.resources if self._config.linux else None
        user = cells.user_of(self._identity)
        cage = cells.Hypervisor(
            self._place,
            base.directory,
            user,
            self._compiled(cells.hypervisor_filter()),
            devices=["/dev/kvm"],
            network=self._wires.space,
        )
        porter = cells.Porter(self._place, user, self._compiled(cells.porter_filter()))
        self._make_group(resources)
        disk = os.open(image.disk(self._root, self._files.layers), os.O_RDONLY | os.O_CLOEXEC)
        try:
            for accelerator in providers.choose(self._root):
                emulated = accelerator == "tcg"
                wish = Wish(
                    program=find_program(platform.machine()),
                    accelerator=accelerator,
                    memory=sizes.memory(resources, memory_total()),
                    processors=sizes.processors(resources, cpu_count(), emulated=emulated),
                    image=disk,
                    wires=self._wires,
                    namespaces=cells.NAMESPACES,
                    enter_cage=cells.in_group(self._cgroup.enter, cage.enter),
                    enter_cell=cells.in_group(self._cgroup.enter, porter.enter),
                )
                try:
                    return self._first_that_lives(birth.ways(self._root, wish, base))
                except birth.NoBoot as error:
                    if emulated:
                        raise
                    # The probe's few instructions ran, a kernel does not: nobody else shall wait for that.
                    reason = f"a guest kernel does not come up with it: {error.message}"
                    providers.condemn(self._root, accelerator, reason)
            raise StartFailed("no accelerator is left to start a machine with")
        finally:
            os.close(disk)

    def _make_group(self, resources: Resources | None) -> None:
        """The host's control group of the machine limits its processors' time; the rest holds inside."""
        self._cgroup.create()
        if resources is not None and resources.cpu is not None:
            self._cgroup.apply(Resources(cpu=resources.cpu))

    def _compiled(self, profile: Seccomp) -> bytes:
        return seccomp.compile_cached(profile, self._filter_cache)

    @property
    def _place(self) -> str:
        """An empty directory, which each process covers in its own mount namespace."""
        place = os.path.join(self._root, "place")
        os.makedirs(place, 0o755, exist_ok=True)
        return place

    def _first_that_lives(self, ways: Iterator[birth.Birth]) -> Machine:
        """A machine that knows what it is; a frozen one whose copies do not live is forgotten."""
        for way in ways:
            machine: Machine | None = None
            try:
                machine = way.begin()
                self._serve_files(machine)
                self._tell_setup(machine, _WARM_PATIENCE if way.warm else _PATIENCE)
            except MachineGone as error:
                complaint = ""
                if machine is not None:
                    complaint = machine.complaint()
                    machine.close()
                if way.frozen is None:
                    raise StartFailed(f"the machine died: {complaint or error}", hint=error.hint) from error
                way.frozen.discard()
            except BaseException:
                if machine is not None:
                    machine.close()
                raise
            else:
                return machine
        raise StartFailed("no way to start a machine is left")

    def _serve_files(self, machine: Machine) -> None:
        shares = self._files.open()
        cell = cells.FileServer(self._place, self._compiled(cells.server_filter()))
        try:
            servers = serve.mounts(*shares)
            machine.fork_server(
                "lodge-files",
                cells.in_group(self._cgroup.enter, cell.enter),
                lambda: serve.become_server(machine.files, servers),
                [machine.files.fileno(), *(share.fd for part in shares for share in part)],
            )
        finally:
            for part in shares:
                for share in part:
                    os.close(share.fd)
            machine.files.close()

    def _tell_setup(self, machine: Machine, patience: float) -> None:
        payload = setup.machine_fields(
            self._config,
            now_ns=time.time_ns(),
            entropy=secrets.token_bytes(256),
            upper=self._files.upper is not None,
            shares=self._files.numbers,
            netlink=[message for each in self._wires.interfaces for message in each.messages],
        )
        answer = machine.porter.ask(Kind.SETUP, 0, payload, patience=patience)
        if answer.error:
            raise _start_failed(answer)

    def _spawn(
        self, process: Process, stdio: StdioRequest, extras: Any, *, first: bool = False
    ) -> GuestProgram:
        machine = self._living()
        linux = self._config.linux
        filters = None
        if linux is not None and linux.seccomp is not None:
            filters = self._compiled(linux.seccomp)
        payload = setup.program_fields(
            process,
            stdio,
            first=first,
            user=extras.user if extras else None,
            groups=extras.groups if extras else (),
            reaper=bool(extras and extras.reaper),
            seccomp=filters,
        )
        channel = next(self._channels)
        theirs: list[int] = []
        streams = Streams()
        status, status_end = os.pipe2(os.O_CLOEXEC)
        try:
            pipes, theirs = open_streams(stdio, streams)
            if first:
                pipes |= Pipe.FIRST
            answer = machine.porter.ask(
                Kind.SPAWN, channel, payload, patience=_PATIENCE, pipes=pipes, fds=[status_end, *theirs]
            )
            if answer.error:
                raise _start_failed(answer)
        except BaseException:
            streams.close()
            os.close(status)
            raise
        finally:
            for fd in (status_end, *theirs):
                os.close(fd)
        return GuestProgram(machine.pid, machine.porter, channel, status, streams, stdio.terminal)

    def start(self) -> None:
        """See the contract."""
        self._release(_FIRST_CHANNEL)

    def _release(self, channel: int) -> None:
        answer = self._living().porter.ask(Kind.START, channel, patience=_PATIENCE)
        if answer.error:
            raise _start_failed(answer)

    def execute(self, process: Process, stdio: StdioRequest, extras: Any = None) -> GuestProgram:
        """See the contract."""
        if self._paused:
            raise Conflict("cannot exec in a paused container")
        program = self._spawn(process, stdio, extras)
        try:
            self._release(program.channel)
        except BaseException:
            program.streams.close()
            program.close()
            raise
        return program

    def signal_all(self, number: int) -> None:
        """See the contract."""
        self._living().porter.tell(Kind.SIGNAL, 0, number.to_bytes(4, "little"))

    def pause(self) -> None:
        """See the contract: the machine's processors stop."""
        self.stats()
        # A commit looks at the files of a paused container.
        self.sync(changed=False)
        self._living().control.run("stop")
        self._paused = True

    def resume(self) -> None:
        """See the contract."""
        self._living().control.run("cont")
        self._paused = False

    def update(self, resources: Resources) -> None:
        """See the contract."""
        for text in setup.group_files(resources):
            self._ask(Kind.GROUP, text.encode())

    def stats(self) -> CgroupStats:
        """See the contract: counted in the machine; of a paused one the last figures."""
        if not self._paused and self._machine is not None:
            try:
                answer = self._ask(Kind.FIGURES)
            except MachineGone as error:
                raise OSError(str(error)) from error
            self._last_figures = figures.read(answer.text)
        return self._last_figures

    def processes(self) -> list[int]:
        """See the contract: those that the host knows, the hypervisor first."""
        return self._living().pids

    def process_rows(self) -> list[list[str]]:
        """See `contract.OutOfSight`."""
        if self._paused:
            raise Conflict("the processes of a paused machine can't be listed")
        return table.rows(self._ask(Kind.TABLE).text, time.time())

    def last_words(self) -> str:
        """See `contract.OutOfSight`."""
        return self._last_words

    def sync(self, *, changed: bool) -> None:
        """See `contract.OutOfSight`; what a paused machine has written was brought out before."""
        if not self._paused:
            self._ask(Kind.SYNC, b"\1" if changed else b"\0")

    def oom_kills(self) -> int:
        """See the contract."""
        if self._machine is None:
            return 0
        self._machine.porter.look()
        return self._machine.porter.oom_kills

    def remove(self) -> None:
        """See the contract."""
        machine, self._machine = self._machine, None
        if machine is not None:
            if self._init is not None and self._init.died:
                machine.porter.look()
                self._last_words = _epitaph(machine.porter.console or machine.complaint())
            machine.close()
        if self._cgroup.exists():
            self._cgroup.kill()
            self._cgroup.remove()

    def _ask(self, kind: Kind, payload: bytes = b"") -> Answer:
        answer = self._living().porter.ask(kind, _OWN_CHANNEL, payload, patience=_SHORT_PATIENCE)
        if answer.error:
            raise OSError(answer.error, answer.text.decode("utf-8", "replace"))
        return answer

    def _living(self) -> Machine:
        if self._machine is None:
            raise Conflict("the container is not running")
        return self._machine


def _epitaph(console: str) -> str:
    """What a machine said last, cut to a few printable lines."""
    lines = ["".join(filter(str.isprintable, line)).strip() for line in console.splitlines()]
    panics = [line for line in lines if "Kernel panic" in line]
    told = panics[-1:] or [line for line in lines if line][-_TOLD:]
    return "the machine died" + (": " + "; ".join(told) if told else "")


def _start_failed(answer: Answer) -> StartFailed:
    """The agent's refusal in the words and with the code that a container's would have."""
    text = answer.text.decode("utf-8", "replace")
    code = 128
    if answer.stage in (Stage.LOOKUP, Stage.EXEC):
        code = _NOT_FOUND if answer.error == _ENOENT else _NOT_EXECUTABLE
    return StartFailed(text or os.strerror(answer.error), exit_code=code)
