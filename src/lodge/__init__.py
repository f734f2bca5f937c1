"""Lodge: a container engine. `lodge.Engine` runs programs from images, isolated, from Python.

    import lodge

    with lodge.Engine() as engine:
        result = engine.run("debian:bookworm", ["cat", "/etc/os-release"])
        print(result.text, result.exit_code, result.duration)

This module holds no code beyond names that load at first use, so that `import lodge` costs nothing and the
command starts fast. The engine lives in `lodge.engine`, the command in `lodge.cli`.
"""

from __future__ import annotations

# `typing` costs 8 ms, and the command starts through here (tests/unit/cli/test_start_budget.py).
TYPE_CHECKING = False
if TYPE_CHECKING:
    from lodge.build.failures import BuildFailed
    from lodge.engine.library.asynchronous import AsyncContainer, AsyncEngine
    from lodge.engine.library.blocking import Container, Engine
    from lodge.engine.library.building import BuildResult
    from lodge.engine.library.results import ProgramFailed, Resources, RunResult, RunTimedOut
    from lodge.engine.settings import Settings
    from lodge.errors import LodgeError

__all__ = [
    "AsyncContainer",
    "AsyncEngine",
    "BuildFailed",
    "BuildResult",
    "Container",
    "Engine",
    "LodgeError",
    "ProgramFailed",
    "Resources",
    "RunResult",
    "RunTimedOut",
    "Settings",
]

_HOMES = {
    "AsyncContainer": "lodge.engine.library.asynchronous",
    "AsyncEngine": "lodge.engine.library.asynchronous",
    "BuildFailed": "lodge.build.failures",
    "BuildResult": "lodge.engine.library.building",
    "Container": "lodge.engine.library.blocking",
    "Engine": "lodge.engine.library.blocking",
    "LodgeError": "lodge.errors",
    "ProgramFailed": "lodge.engine.library.results",
    "Resources": "lodge.engine.library.results",
    "RunResult": "lodge.engine.library.results",
    "RunTimedOut": "lodge.engine.library.results",
    "Settings": "lodge.engine.settings",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value
