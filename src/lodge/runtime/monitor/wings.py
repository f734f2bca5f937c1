"""Which dwelling an order asks for: the one place of the monitor that knows the wings."""

from __future__ import annotations

from lodge.errors import InvalidArgument, Unsupported
from lodge.kernel.cgroups import Hierarchy, detect
from lodge.runtime.contract import Dwelling
from lodge.runtime.jobs import Settings
from lodge.runtime.messages import PROCESS_WING, SealedLaunch
from lodge.runtime.monitor.delivered import DeliveredDwelling
from lodge.runtime.monitor.foreign import complete
from lodge.runtime.monitor.midwife import Midwife
from lodge.runtime.monitor.order import config_of, decode_extras, outline_of
from lodge.runtime.oci.dwelling import OciDwelling
from lodge.runtime.process.control_group import cgroup_path
from lodge.runtime.process.dwelling import ProcessDwelling
from lodge.runtime.process.rootfs import mount_at


class Wings:
    """Made once, in the zygote: what is the same for all monitors is found out only once."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._found: Hierarchy | None = None
        try:
            self._found = detect()
        except (OSError, Unsupported):
            # Whoever asks for a container will look again, and be told.
            pass

    @property
    def _hierarchy(self) -> Hierarchy:
        if self._found is None:
            self._found = detect()
        return self._found

    def dwelling(self, order: SealedLaunch, midwife: Midwife) -> Dwelling:
        """A dwelling for an order, with nothing made yet; for a monitor, which has a midwife."""
        if order.runtime != PROCESS_WING:
            return self._foreign(order)
        outline = outline_of(order)
        # There the init is a go-between's child and can't be given to anybody else.
        if outline.joins_user_namespace:
            return self._process(order, for_parent=False)
        group = self._hierarchy.group(cgroup_path(outline.cgroups_path, order.id))
        return DeliveredDwelling(
            order, midwife, group, outline.limits_memory, lambda: self._process(order, for_parent=False)
        )

    def for_midwife(self, order: SealedLaunch) -> Dwelling:
        """The dwelling that a midwife makes for her monitor."""
        return self._process(order, for_parent=True)

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
