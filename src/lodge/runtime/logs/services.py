"""A wish for a log service becomes a forwarder. Imported only when a container has such a wish."""

from __future__ import annotations

from collections.abc import Callable

from lodge.errors import InvalidArgument, Unavailable
from lodge.runtime.logs import journald, syslog
from lodge.runtime.logs.forward import Forwarder
from lodge.runtime.messages import Forward


def open_forwarder(wish: Forward, on_trouble: Callable[[str, int], None]) -> Forwarder:
    """The forwarder; InvalidArgument for an unknown service, Unavailable when it is not there."""
    try:
        match wish.driver:
            case "syslog":
                return Forwarder(syslog.Formatter(wish), syslog.address(wish), on_trouble)
            case "journald":
                return Forwarder(journald.Formatter(wish), journald.address(), on_trouble)
            case other:
                raise InvalidArgument(f"unknown log service {other}")
    except OSError as error:
        where = wish.options.get("syslog-address", wish.driver)
        raise Unavailable(
            "failed to create task for container: failed to initialize logging driver: "
            f"dial {where}: {(error.strerror or str(error)).lower()}"
        ) from error
