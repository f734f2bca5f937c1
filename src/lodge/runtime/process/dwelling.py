"""A container on the host's own kernel: implements `contract.Dwelling` for the process that keeps it.

This is the keeper's side. It decides (`plan`), makes the control group while the child makes the rest
(`init`), answers the child's questions (`handshake`), and holds the init by its pidfd.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from typing import NoReturn

import msgspec

from lodge.errors import Conflict, LodgeError, StartFailed, Unavailable
from lodge.kernel import apparmor, capabilities, seccomp
from lodge.kernel import namespaces as ns
from lodge.kernel.cgroups import Cgroup, CgroupStats, Hierarchy, detect
from lodge.runtime.contract import StdioRequest
from lodge.runtime.process import attributes
from lodge.runtime.process.birth import Birth
from lodge.runtime.process.control_group import cgroup_path, clear_cgroup, signal_member
from lodge.runtime.process.conversation import converse, make_group, settle
from lodge.runtime.process.devices import granted
from lodge.runtime.process.extras import Extras
from lodge.runtime.process.gate import Gate
from lodge.runtime.process.handshake import (
    Channel,
    Misfit,
    Start,
)
from lodge.runtime.process.hooks import HookRunner
from lodge.runtime.process.identity import Filter
from lodge.runtime.process.init import ExecOrder, InitOrder, run_exec, run_init, signals_to_reset
from lodge.runtime.process.plan import (
    Plan,
    Surroundings,
    exec_flags,
    plan_becoming,
    plan_exec_terminal,
    plan_init,
)
from lodge.runtime.process.prefab import Pattern
from lodge.runtime.process.prepared import close_all, host_root, prepare_root, prepare_trees
from lodge.runtime.process.stdio import Stdio
from lodge.runtime.program import ChildProgram
from lodge.spec.mount import Mount
from lodge.spec.runtime import (
    OCI_VERSION,
    ConsoleSize,
    Linux,
    Process,
    Resources,
    RuntimeConfig,
    State,
)


class ProcessDwelling:
    """One container of the wing `process`; see `lodge.runtime.contract`.

    `bundle` is the directory that the config is relative to; `state_dir` is a directory of ours, on whose
    `rootfs` the `root_mounts` are performed (in the container's mount namespace only). Without root mounts
    the root is the config's directory. `hierarchy` is the host's, detected when None; `filter_cache` is a
    directory for compiled seccomp filters. With `dies_with_keeper` the init is killed when the keeper dies.
    A `gate` lets somebody else say Start. `keyring` False keeps the host's session keyring, `pivot` False
    avoids pivot_root. `remarks` collects what went wrong and must not matter: hooks after the start and after
    the end. With `for_parent` the init is born as a child of this process's parent, which is then
    its keeper: this process only makes it.
    """

    def __init__(
        self,
        identity: str,
        bundle: str,
        config: RuntimeConfig,
        *,
        state_dir: str,
        root_mounts: Sequence[Mount] = (),
        extras: Extras | None = None,
        hierarchy: Hierarchy | None = None,
        filter_cache: str | None = None,
        dies_with_keeper: bool = True,
        gate: Gate | None = None,
        keyring: bool = True,
        pivot: bool = True,
        for_parent: bool = False,
    ) -> None:
        self.identity = identity
        self.bundle = bundle
        self.config = config
        self.state_dir = state_dir
        self.extras = extras or Extras()
        self._root_mounts = tuple(root_mounts)
        self._filter_cache = filter_cache
        self._dies_with_keeper = dies_with_keeper
        self._gate = gate
        self._keyring = f"_ses.{identity}" if keyring else ""
        self._pivot = pivot
        self._for_parent = for_parent
        self._linux = config.linux or Linux()
        self._hierarchy = hierarchy or detect()
        self._cgroup = self._hierarchy.group(cgroup_path(self._linux.cgroups_path, identity))
        state = State(OCI_VERSION, identity, "creating", 0, bundle, annotations=config.annotations)
        self._hooks = HookRunner(config.hooks, state)
        self._channel: Channel | None = None
        self._init: ChildProgram | None = None
        self._removed = False
        self.remarks: list[str] = []
        self._filter: Filter | None = None

    @property
    def cgroup(self) -> Cgroup:
        """The container's control group."""
        return self._cgroup

    def create(self, stdio: StdioRequest) -> ChildProgram:
        """See the contract."""
        if self._init is not None:
            raise Conflict("the container was created already")
        if self._root_mounts:
            os.makedirs(f"{self.state_dir}/rootfs", 0o700, exist_ok=True)
        surroundings = self._prepared(self._surroundings(stdio.preserve))
        trees = [fd for fd in (surroundings.root_tree, *surroundings.trees.values()) if fd >= 0]
        try:
            return self._create(stdio, surroundings)
        finally:
            close_all(trees)

    def _create(self, stdio: StdioRequest, surroundings: Surroundings) -> ChildProgram:
        plan = plan_init(_with_window(self.config, stdio), self.extras, surroundings)
        streams = Stdio(stdio, host_root(self._linux))
        channel, child_channel = Channel.pair()
        order = self._order(plan, streams, child_channel, child_channel.expect_entries)
        mapped = order.mapped

        def body() -> NoReturn:
            channel.close()
            run_init(order)

        birth = msgspec.structs.replace(plan.birth, for_parent=self._for_parent)
        program = self._bear(birth, body, streams, channel, child_channel)
        try:
            settle(program, channel, self._linux, self._cgroup, mapped=mapped)
            converse(program, channel, self._linux, self._hooks)
            if plan.becoming.limited_by_keeper:
                attributes.set_limits(program.pid, plan.becoming.process.rlimits)
        except BaseException as error:
            self._abandon(program, streams, channel, error)
            raise
        self._init = program
        if self._gate is None:
            self._channel = channel
        else:
            channel.close()
        return program

    def _order(
        self, plan: Plan, streams: Stdio, channel: Channel, entries: Callable[[], list[int]]
    ) -> InitOrder:
        return InitOrder(
            plan=plan,
            linux=self._linux,
            stdio=streams,
            channel=channel,
            hooks=self._hooks,
            keyring=self._keyring,
            signals=signals_to_reset(),
            gate=self._gate,
            mapped=bool(plan.birth.flags & ns.CLONE_NEWUSER),
            entries=entries,
        )

    def inhabit(
        self, pattern: Pattern, trees: tuple[int, ...], stdio: StdioRequest, channel: Channel
    ) -> NoReturn:
        """In an init that was born ahead: become this container's, or say Misfit and end."""
        plan = self.fitting(stdio, pattern, trees)
        if plan is None:
            channel.send(Misfit())
            os._exit(0)
        os.makedirs(f"{self.state_dir}/rootfs", 0o700, exist_ok=True)
        run_init(
            self._order(plan, Stdio(stdio), channel, lambda: make_group(self._cgroup, self._linux)),
        )

    def fitting(self, stdio: StdioRequest, pattern: Pattern, trees: tuple[int, ...]) -> Plan | None:
        """What an init born ahead has left to do; None when it can't become this container."""
        try:
            plan = plan_init(_with_window(self.config, stdio), self.extras, self._surroundings(0))
        except LodgeError:
            # Who makes it the long way will say the same.
            return None
        if self.config.hooks is not None or (self._filter is not None and self._filter.listens):
            return None
        rest = pattern.rest_of(plan, trees)
        return None if rest is None else msgspec.structs.replace(plan, operations=rest)

    def start(self) -> None:
        """See the contract; with a gate, somebody else does this."""
        init, channel = self._created()
        self._channel = None
        try:
            channel.send(Start())
            channel.expect_end()
        except BrokenPipeError:
            raise StartFailed("the container ended before it was started") from None
        finally:
            channel.close()
        self.remarks += self._hooks.run_all("poststart", "running", init.pid)

    def execute(self, process: Process, stdio: StdioRequest, extras: Extras | None = None) -> ChildProgram:
        """See the contract."""
        init = self._living()
        return self.execute_beside(init.fileno(), process, stdio, extras)

    def execute_beside(
        self, target: int, process: Process, stdio: StdioRequest, extras: Extras | None = None
    ) -> ChildProgram:
        """Start a program beside the process that a pidfd stands for.

        For a keeper that did not make the init; else as `execute`.
        """
        if self._cgroup.frozen():
            raise Conflict("cannot exec in a paused container")
        process = _process_with_window(process, stdio)
        becoming = plan_becoming(process, self._linux, extras or Extras(), self._surroundings(stdio.preserve))
        try:
            entries = self._cgroup.prepare_entry()
        except FileNotFoundError:
            raise Conflict("the container is not running") from None
        channel, child_channel = Channel.pair()
        try:
            program, streams = self._bear_exec(
                ExecOrder(
                    becoming=becoming,
                    operations=tuple(plan_exec_terminal(process)),
                    linux=self._linux,
                    stdio=Stdio(stdio, host_root(self._linux)),
                    channel=child_channel,
                    entries=entries,
                    hooks=self._hooks,
                    keyring=self._keyring,
                    signals=signals_to_reset(),
                    target=target,
                    flags=exec_flags(self._linux),
                ),
                channel,
            )
        finally:
            close_all(entries)
        try:
            converse(program, channel, self._linux, self._hooks)
            if becoming.limited_by_keeper:
                attributes.set_limits(program.pid, process.rlimits)
                channel.send(Start())
            channel.expect_end()
        except BaseException as error:
            _discard(program, streams, error)
            raise
        finally:
            channel.close()
        return program

    def _bear_exec(self, order: ExecOrder, channel: Channel) -> tuple[ChildProgram, Stdio]:
        def body() -> NoReturn:
            channel.close()
            run_exec(order)

        birth = Birth(pid_of=order.target if self._has_namespace("pid") else -1)
        return self._bear(birth, body, order.stdio, channel, order.channel), order.stdio

    def signal_all(self, number: int) -> None:
        """See the contract."""
        if number == signal.SIGKILL:
            self._cgroup.kill()
            return
        for pid in self._cgroup.pids():
            signal_member(self._cgroup, pid, number)

    def pause(self) -> None:
        """See the contract."""
        self._living()
        self._cgroup.freeze()

    def resume(self) -> None:
        """See the contract."""
        self._cgroup.thaw()

    def update(self, resources: Resources) -> None:
        """See the contract."""
        self._cgroup.apply(resources)
        if resources.devices:
            self._cgroup.set_devices(granted(resources.devices))

    def stats(self) -> CgroupStats:
        """See the contract."""
        return self._cgroup.stats()

    def processes(self) -> list[int]:
        """See the contract."""
        return self._cgroup.pids()

    def oom_kills(self) -> int:
        """See the contract."""
        return self._cgroup.oom_kills()

    def remove(self) -> None:
        """See the contract."""
        if self._removed:
            return
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        if self._init is not None:
            self._end_init(self._init)
        clear_cgroup(self._cgroup)
        self._removed = True
        self.remarks += self._hooks.run_all("poststop", "stopped", 0)

    def _end_init(self, init: ChildProgram) -> None:
        if init.ended:
            return
        try:
            init.signal(signal.SIGKILL)
        except ProcessLookupError:
            pass
        # A frozen process takes its signal only when it thaws (cgroup v1).
        if self._cgroup.exists() and self._cgroup.frozen():
            self._cgroup.thaw()
        init.reap()

    def _surroundings(self, preserve: int) -> Surroundings:
        if self._filter is None and self._linux.seccomp is not None:
            self._filter = self._compile()
        return Surroundings(
            bundle=self.bundle,
            place=f"{self.state_dir}/rootfs",
            cgroup=self._cgroup,
            held=held_capabilities(),
            root_mounts=self._root_mounts,
            filter=self._filter,
            apparmor=_apparmor_is_on(),
            dies_with_keeper=self._dies_with_keeper,
            preserve=preserve,
            pivot=self._pivot,
        )

    def _prepared(self, where: Surroundings) -> Surroundings:
        """With the trees that the init could not make by itself."""
        trees = prepare_trees(self.config, self._linux)
        root = -1
        if self._root_mounts and self._linux.uid_mappings:
            try:
                root = prepare_root(self._root_mounts, where.place, self._linux)
            except BaseException:
                close_all(trees.values())
                raise
        if root < 0 and not trees:
            return where
        return msgspec.structs.replace(where, trees=trees, root_tree=root)

    def _compile(self) -> Filter:
        profile = self._linux.seccomp
        assert profile is not None
        if self._filter_cache is None:
            program = seccomp.compile(profile)
        else:
            program = seccomp.compile_cached(profile, self._filter_cache)
        listens = any(rule.action == "SCMP_ACT_NOTIFY" for rule in profile.syscalls)
        return Filter(program, seccomp.flag_bits(profile), listens)

    def _bear(
        self,
        birth: Birth,
        body: Callable[[], NoReturn],
        streams: Stdio,
        channel: Channel,
        child_channel: Channel,
    ) -> ChildProgram:
        try:
            pid, pidfd = birth.clone(body)
        except BaseException:
            channel.close()
            streams.abandon()
            raise
        finally:
            child_channel.close()
        streams.close_child_side()
        return ChildProgram(pid, pidfd, streams.streams)

    def _abandon(self, program: ChildProgram, streams: Stdio, channel: Channel, error: BaseException) -> None:
        """Undo a create that failed; what can't be undone is noted on the first error."""
        channel.close()
        _discard(program, streams, error)
        try:
            clear_cgroup(self._cgroup)
        except OSError as second:
            error.add_note(f"the control group could not be removed: {second}")
        for failure in self._hooks.run_all("poststop", "stopped", 0):
            error.add_note(failure)

    def _created(self) -> tuple[ChildProgram, Channel]:
        if self._init is None:
            raise Conflict("the container was not created yet")
        if self._channel is None:
            raise Conflict("the container was started already")
        return self._init, self._channel

    def _living(self) -> ChildProgram:
        if self._init is None or self._init.ended:
            raise Conflict("the container is not running")
        return self._init

    def _has_namespace(self, kind: str) -> bool:
        return any(namespace.type == kind for namespace in self._linux.namespaces)


@cache
def held_capabilities() -> int:
    """The keeper's own permitted set: what it can grant."""
    return capabilities.current().permitted


@cache
def _apparmor_is_on() -> bool:
    return apparmor.enabled()


def warm_up() -> None:
    """Find out and load, before the first fork, what every dwelling would have to."""
    held_capabilities()
    _apparmor_is_on()
    with suppress(Unavailable):
        seccomp.library_version()


def _discard(program: ChildProgram, streams: Stdio, error: BaseException) -> None:
    try:
        program.kill()
    except OSError as second:
        error.add_note(f"the child could not be ended: {second}")
    program.close()
    streams.abandon()


def _with_window(config: RuntimeConfig, stdio: StdioRequest) -> RuntimeConfig:
    """The config with the terminal that the keeper asks for, which wins over what the config says."""
    if config.process is None:
        return config
    return msgspec.structs.replace(config, process=_process_with_window(config.process, stdio))


def _process_with_window(process: Process, stdio: StdioRequest) -> Process:
    size = process.console_size
    if stdio.window is not None:
        size = ConsoleSize(height=stdio.window[0], width=stdio.window[1])
    return msgspec.structs.replace(process, terminal=stdio.terminal, console_size=size)
