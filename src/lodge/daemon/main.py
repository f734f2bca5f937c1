"""The program lodged: reads its flags, then serves until it is told to stop.

What the first request doesn't need is imported late, since the time until the daemon answers is a goal.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from lodge.errors import LodgeError

if TYPE_CHECKING:
    import asyncio

    from lodge.daemon.assembly import Assembly
    from lodge.daemon.config import Config
    from lodge.daemon.flags import Given
    from lodge.runtime.launcher import Launcher


def main(arguments: list[str] | None = None) -> int:
    """Run lodged; gives its exit code (125 for a wrong command line, 1 for any other failure)."""
    from lodge.daemon import config, flags

    words = sys.argv[1:] if arguments is None else arguments
    try:
        given = flags.parse(words)
    except LodgeError as error:
        return _say(error, 125)
    if given.get("help"):
        from lodge.daemon.options import usage

        print(usage(), end="")
        return 0
    if given.get("version"):
        from lodge.wire.versions import ENGINE

        print(f"Lodge version {ENGINE}")
        return 0
    try:
        loaded = config.load(given)
        if given.get("validate"):
            print("configuration OK")
            return 0
        return _serve(given, loaded)
    except (LodgeError, OSError) as error:
        return _say(error, 1)


def _say(error: Exception, code: int) -> int:
    print(f"lodged: {error}", file=sys.stderr)
    if isinstance(error, LodgeError) and error.hint:
        print(error.hint, file=sys.stderr)
    return code


def _serve(given: Given, config: Config) -> int:
    if not config.tlsverify and not config.tls:
        _leave_out_ssl()
    import asyncio

    from lodge.daemon import log
    from lodge.daemon.systemd import PidFile

    log.set_up(config.level, config.log_format)
    with PidFile(config.pidfile):
        launcher = _begin_early(config)
        try:
            asyncio.run(_live(given, config, launcher))
        finally:
            launcher.close()
    return 0


def _begin_early(config: Config) -> Launcher:
    """Start the zygote now: it gets ready while this process imports the rest."""
    import os

    from lodge.engine.planning.usual import usual_config
    from lodge.runtime.launcher import Launcher

    os.makedirs(config.exec_root, 0o711, exist_ok=True)
    launcher = Launcher(config.exec_root, config.data_root, usual=usual_config(config.settings().shm_size))
    launcher.begin()
    return launcher


def _leave_out_ssl() -> None:
    """Make asyncio do without ssl: it saves some 10 ms and 4 MB where no socket needs it."""
    kept: Any = sys.modules.get("ssl")
    sys.modules["ssl"] = None  # type: ignore[assignment]
    try:
        import asyncio  # noqa: F401
    finally:
        del sys.modules["ssl"]
        if kept is not None:
            sys.modules["ssl"] = kept


async def _live(given: Given, config: Config, launcher: Launcher) -> None:
    import asyncio
    import logging
    import signal

    from lodge.daemon.assembly import Assembly
    from lodge.daemon.systemd import notify

    logger = logging.getLogger("lodge.daemon")
    for warning in config.warnings:
        logger.warning(warning)
    loop, end = asyncio.get_running_loop(), asyncio.Event()
    assembly = Assembly(config, launcher)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _stop, end)
    loop.add_signal_handler(signal.SIGHUP, _reload, assembly, given)
    await assembly.open()
    logger.info("Daemon has completed initialization")
    notify("READY=1")
    try:
        await end.wait()
    finally:
        logger.info("Processing signal, shutting down: containers live on")
        notify("STOPPING=1")
        await assembly.close()


def _stop(end: asyncio.Event) -> None:
    end.set()


def _reload(assembly: Assembly, given: Given) -> None:
    """SIGHUP: read the file again. A wrong file changes nothing."""
    import logging

    from lodge.daemon import config, log
    from lodge.daemon.systemd import notify

    logger = logging.getLogger("lodge.daemon")
    notify("RELOADING=1")
    try:
        fresh = config.load(given)
        fixed = assembly.reload(fresh)
        log.set_level(fresh.level)
        logger.info("Reloaded configuration")
        if fixed:
            logger.warning("changes of %s need a restart", ", ".join(fixed))
    except LodgeError as error:
        logger.error("configuration was not reloaded: %s", error)
    notify("READY=1")


if __name__ == "__main__":
    sys.exit(main())
