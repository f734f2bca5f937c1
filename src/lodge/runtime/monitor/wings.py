"""Which dwelling an order asks for: the one place of the monitor that knows the wings."""

from __future__ import annotations

import os

import msgspec

from lodge.errors import InvalidArgument, Unsupported
from lodge.kernel.cgroups import Hierarchy, detect
from lodge.runtime.contract import Dwelling
from lodge.runtime.jobs import Settings
from lodge.runtime.messages import PROCESS_WING, Launch
from lodge.runtime.monitor.foreign import complete
from lodge.runtime.oci.dwelling import OciDwelling
from lodge.runtime.process.dwelling import ProcessDwelling
from lodge.runtime.process.extras import Extras
from lodge.runtime.process.extras import decode_extras as _decode_extras
from lodge.runtime.process.rootfs import mount_at
from lodge.spec.runtime import RuntimeConfig, decode_config


class Wings:
    """Made once, in the zygote: what is the same for all monitors is found out only once."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._hierarchy: Hierarchy | None = None
        try:
            self._hierarchy = detect()
        except (OSError, Unsupported):
            # Whoever asks for a container will look again, and be told.
            pass

    def dwelling(self, order: Launch, config: RuntimeConfig) -> Dwelling:
        """A dwelling for an order, with nothing made yet."""
        if order.runtime == PROCESS_WING:
            return ProcessDwelling(
                order.id,
                order.bundle,
                config,
                state_dir=order.state_dir,
                root_mounts=order.root_mounts or (),
                extras=decode_extras(order.extras),
                hierarchy=self._hierarchy,
                filter_cache=self._settings.filter_cache,
            )
        if not order.runtime.startswith("/"):
            raise InvalidArgument(f"unknown runtime {order.runtime}")
        return OciDwelling(
            order.id,
            order.bundle,
            config,
            runtime=order.runtime,
            arguments=order.runtime_arguments,
            state_dir=order.state_dir,
            root_mounts=order.root_mounts or (),
            mount_at=mount_at,
            complete=complete,
            extras=decode_extras(order.extras),
            hierarchy=self._hierarchy or detect(),
        )


def config_of(order: Launch) -> RuntimeConfig:
    """The config of an order, read from its bundle where it is not in the order itself."""
    if order.config is not None:
        return order.config
    path = os.path.join(order.bundle, "config.json")
    try:
        with open(path, "rb") as file:
            return decode_config(file.read())
    except (OSError, msgspec.DecodeError) as error:
        raise InvalidArgument(f"the bundle's config.json can't be used: {error}") from error


def decode_extras(text: msgspec.Raw) -> Extras | None:
    """The engine's additions; InvalidArgument for members of wrong types."""
    if not bytes(text):
        return None
    try:
        return _decode_extras(bytes(text))
    except msgspec.DecodeError as error:
        raise InvalidArgument(f"the extras can't be read: {error}") from error
