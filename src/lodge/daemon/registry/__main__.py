"""The way in: `serve`, `gc`, `check` and `password`."""

from __future__ import annotations

import argparse
import sys

from lodge.daemon.registry.options import parse
from lodge.errors import LodgeError


def main(words: list[str] | None = None) -> int:
    """Do what the command line says; the exit code."""
    try:
        given = parse(sys.argv[1:] if words is None else words)
        return _VERBS[given.verb](given)
    except LodgeError as error:
        print(f"lodge registry: {error.message}", file=sys.stderr)
        if error.hint:
            print(error.hint, file=sys.stderr)
    except OSError as error:
        print(f"lodge registry: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        return 130
    return 1


def _serve(given: argparse.Namespace) -> int:
    import asyncio

    from lodge.daemon import log

    log.set_up("debug" if given.debug else "info", "text")
    asyncio.run(_live(given))
    return 0


async def _live(given: argparse.Namespace) -> None:
    import asyncio
    import gc
    import signal

    from lodge.daemon.registry.assembly import Assembly
    from lodge.daemon.systemd import notify

    loop, end = asyncio.get_running_loop(), asyncio.Event()
    assembly = Assembly(given)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end.set)
    loop.add_signal_handler(signal.SIGHUP, assembly.reload)
    loop.add_signal_handler(signal.SIGUSR1, assembly.collect_now)
    await assembly.open()
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    notify("READY=1")
    try:
        await end.wait()
    finally:
        notify("STOPPING=1")
        await assembly.close()


def _collect(given: argparse.Namespace) -> int:
    from lodge.registry.collection import Rules, collect
    from lodge.registry.directory import Directory
    from lodge.registry.uploads import Uploads

    directory = Directory(given.directory)
    freed = collect(directory, Uploads(), Rules(grace=0, untagged=given.delete_untagged))
    directory.close()
    print(
        f"removed {freed.manifests} manifests, {freed.blobs} blobs, {freed.uploads} uploads; "
        f"freed {freed.size} bytes"
    )
    return 0


def _check(given: argparse.Namespace) -> int:
    from lodge.registry.checking import check
    from lodge.registry.directory import Directory

    directory = Directory(given.directory)
    problems = 0
    for problem in check(directory, repair=given.repair):
        problems += 1
        print(problem)
    directory.close()
    print("no problem found" if not problems else f"{problems} problems found")
    return 1 if problems and not given.repair else 0


def _password(given: argparse.Namespace) -> int:
    import getpass

    from lodge.registry.access.passwords import line

    password = getpass.getpass() if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    print(line(given.user, password))
    return 0


_VERBS = {"serve": _serve, "gc": _collect, "check": _check, "password": _password}


if __name__ == "__main__":
    sys.exit(main())
