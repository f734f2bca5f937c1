"""One container as every verb of `lodge-runtime` sees it: its record, its state of now, its dwelling."""

from __future__ import annotations

import os

import msgspec

from lodge.errors import InvalidArgument, NotFound
from lodge.kernel.cgroups import Cgroup, Hierarchy, detect
from lodge.runtime.process import ProcessDwelling
from lodge.runtime.process.gate import Gate, is_waiting
from lodge.runtime.process.hooks import HookRunner
from lodge.runtime.records import Record, Records, open_init
from lodge.runtime.states import Event, State, after
from lodge.spec.runtime import OCI_VERSION, RuntimeConfig, decode_config
from lodge.spec.runtime import State as OciState


class Context:
    """What the global flags say."""

    def __init__(self, root: str, *, debug: bool = False) -> None:
        self.records = Records(root)
        self.debug = debug
        self._hierarchy: Hierarchy | None = None

    @property
    def hierarchy(self) -> Hierarchy:
        """The host's control groups, looked at once."""
        if self._hierarchy is None:
            self._hierarchy = detect()
        return self._hierarchy


class Container:
    """A container that has a record."""

    def __init__(self, context: Context, record: Record) -> None:
        self.context = context
        self.record = record
        self.directory = context.records.directory(record.id)
        self._config: RuntimeConfig | None = None

    @classmethod
    def find(cls, context: Context, identity: str) -> Container:
        """The container of an identity; NotFound."""
        return cls(context, context.records.load(identity))

    @property
    def config(self) -> RuntimeConfig:
        """The config that it was made from."""
        if self._config is None:
            self._config = self.context.records.load_config(self.record.id)
        return self._config

    @property
    def cgroup(self) -> Cgroup:
        """Its control group."""
        return self.context.hierarchy.group(self.record.cgroup)

    def state(self) -> State:
        """Where it is in its life, seen from what there is."""
        if not self.record.pid:
            return State.CREATING
        try:
            os.close(open_init(self.record))
        except ProcessLookupError:
            return State.STOPPED
        if self.cgroup.frozen():
            return State.PAUSED
        return State.CREATED if is_waiting(self.directory) else State.RUNNING

    def require(self, event: Event) -> State:
        """The state of now; Conflict when the event is not for it."""
        state = self.state()
        after(state, event)
        return state

    def open_init(self) -> int:
        """A pidfd of its init; NotFound in runc's words when that has ended."""
        try:
            return open_init(self.record)
        except ProcessLookupError:
            raise NotFound("container not running") from None

    def oci_state(self, state: State | None = None) -> OciState:
        """What `state` prints and hooks get."""
        state = state or self.state()
        pid = 0 if state in (State.STOPPED, State.CREATING) else self.record.pid
        return OciState(
            oci_version=OCI_VERSION,
            id=self.record.id,
            status=state.value,
            pid=pid,
            bundle=self.record.bundle,
            annotations=self.record.annotations,
        )

    def hooks(self) -> HookRunner:
        """Its hooks."""
        return HookRunner(self.config.hooks, self.oci_state())

    def dwelling(self, *, keyring: bool = True) -> ProcessDwelling:
        """Its dwelling, for programs beside its init."""
        return make_dwelling(self.context, self.record, self.config, keyring=keyring)


def make_dwelling(
    context: Context,
    record: Record,
    config: RuntimeConfig,
    *,
    gate: Gate | None = None,
    keyring: bool = True,
    pivot: bool = True,
) -> ProcessDwelling:
    """The dwelling of a record: its init outlives this command."""
    return ProcessDwelling(
        record.id,
        record.bundle,
        config,
        state_dir=context.records.directory(record.id),
        hierarchy=context.hierarchy,
        dies_with_keeper=False,
        gate=gate,
        keyring=keyring,
        pivot=pivot,
    )


def load_bundle(bundle: str) -> RuntimeConfig:
    """The config of a bundle; InvalidArgument says which field is wrong."""
    path = f"{bundle}/config.json"
    try:
        with open(path, "rb") as file:
            config = decode_config(file.read())
    except FileNotFoundError:
        raise NotFound(f"JSON specification file {path} not found") from None
    except msgspec.MsgspecError as error:
        raise InvalidArgument(f"{path}: {error}") from None
    if not config.oci_version.startswith("1."):
        raise InvalidArgument(f"{path}: ociVersion {config.oci_version!r} is not supported")
    return config
