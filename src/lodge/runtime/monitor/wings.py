"""Which dwelling an order asks for: the one place of the monitor that knows the wings."""

from __future__ import annotations

from collections.abc import Callable

from lodge.errors import InvalidArgument, Unsupported
from lodge.kernel.cgroups import Hierarchy, detect
from lodge.runtime.contract import Dwelling
from lodge.runtime.jobs import Settings
from lodge.runtime.messages import PROCESS_WING, VM_WING, SealedLaunch
from lodge.runtime.monitor.cell import Cell, rehearse
from lodge.runtime.monitor.delivered import DeliveredDwelling
from lodge.runtime.monitor.foreign import complete
from lodge.runtime.monitor.midwife import Midwife
from lodge.runtime.monitor.order import config_of, decode_extras, outline_of
from lodge.runtime.oci.dwelling import OciDwelling
from lodge.runtime.process import warming
from lodge.runtime.process.control_group import cgroup_path
from lodge.runtime.process.dwelling import ProcessDwelling, warm_up
from lodge.runtime.process.prefab import Pattern
from lodge.runtime.process.rootfs import mount_at


class Wings:
    """Made once, in the zygote: what is the same for all monitors is found out only once."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._pattern = Pattern.of(settings.usual) if settings.usual is not None else None
        self._found: Hierarchy | None = None
        try:
            self._found = detect()
        except (OSError, Unsupported):
            # Whoever asks for a container will look again, and be told.
            pass
        warm_up()

    @property
    def _hierarchy(self) -> Hierarchy:
        if self._found is None:
            self._found = detect()
        return self._found

    def cell(self, leave: Callable[[], None]) -> Cell | None:
        """An init that is born now, before there is an order; `leave` closes in it what is not its own."""
        if self._pattern is None:
            return None
        place = self._settings.exec_root
        return Cell.fork(self._pattern, place, lambda order: self._process(order, for_parent=False), leave)

    def rehearse(self) -> None:
        """Do what every init does, without making anything."""
        if self._found is not None:
            warming.warm_up(self._found)
        if self._pattern is not None:
            rehearse(lambda order: self._process(order, for_parent=False), self._pattern)

    def dwelling(self, order: SealedLaunch, cell: Cell | None) -> Dwelling:
        """A dwelling for an order; for a monitor, which owns the cell."""
        if order.runtime != PROCESS_WING:
            _dismiss(cell)
            return self._machine(order) if order.runtime == VM_WING else self._foreign(order)
        outline = outline_of(order)
        # There the init is a go-between's child and can't be given to anybody else.
        if outline.joins_user_namespace:
            _dismiss(cell)
            return self._process(order, for_parent=False)
        group = self._hierarchy.group(cgroup_path(outline.cgroups_path, order.id))
        return DeliveredDwelling(
            order,
            cell,
            self._call_midwife,
            group,
            outline,
            lambda: self._process(order, for_parent=False),
        )

    def _call_midwife(self) -> Midwife:
        return Midwife.fork(lambda order: self._process(order, for_parent=True))

    def _process(self, order: SealedLaunch, *, for_parent: bool) -> ProcessDwelling:
        return ProcessDwelling(
            order.id,
            order.bundle,
            config_of(order),
            state_dir=order.state_dir,
            root_mounts=order.root_mounts or (),
            extras=decode_extras(order.extras),
            hierarchy=self._hierarchy,
            filter_cache=self._settings.filter_cache,
            for_parent=for_parent,
        )

    def _machine(self, order: SealedLaunch) -> Dwelling:
        # Imported here: what only machines need is no part of every container's monitor.
        from lodge.runtime.vm.dwelling import VmDwelling

        return VmDwelling(
            order.id,
            config_of(order),
            root=self._settings.machines,
            root_mounts=order.root_mounts or (),
            extras=decode_extras(order.extras),
            hierarchy=self._hierarchy,
            filter_cache=self._settings.filter_cache,
        )

    def _foreign(self, order: SealedLaunch) -> OciDwelling:
        if not order.runtime.startswith("/"):
            raise InvalidArgument(f"unknown runtime {order.runtime}")
        return OciDwelling(
            order.id,
            order.bundle,
            config_of(order),
            runtime=order.runtime,
            arguments=order.runtime_arguments,
            state_dir=order.state_dir,
            root_mounts=order.root_mounts or (),
            mount_at=mount_at,
            complete=complete,
            extras=decode_extras(order.extras),
            hierarchy=self._hierarchy,
        )


def _dismiss(cell: Cell | None) -> None:
    if cell is not None:
        cell.dismiss()
