"""Where an output's bytes go: a file, a directory, or whoever asked for the build."""

from __future__ import annotations

import os
from collections.abc import Callable

from lodge.archive.extract import Options, extract
from lodge.archive.pipe import Pipe
from lodge.build.contract import BuildRequest, Output
from lodge.engine.bridge import Bridge
from lodge.errors import InvalidArgument

Make = Callable[[Callable[[bytes], object]], None]


async def deliver(bridge: Bridge, request: BuildRequest, output: Output, make: Make) -> None:
    """Let `make` write, and bring it where the output says. What broke off half-way is removed."""
    if output.kind == "local":
        await bridge.call(_into_directory, output.destination, make)
    elif output.destination:
        await bridge.call(_into_file, output.destination, make)
    elif request.sink is not None:
        async for piece in bridge.iterate(make):
            await request.sink(piece)
    else:
        raise InvalidArgument(f"an output of the type {output.kind} needs a destination")


def _into_file(path: str, make: Make) -> None:
    staged = f"{path}.{os.getpid()}.part"
    try:
        with open(staged, "wb", buffering=1 << 20) as file:
            make(file.write)
        os.rename(staged, path)
    except BaseException:
        if os.path.lexists(staged):
            os.unlink(staged)
        raise


def _into_directory(path: str, make: Make) -> None:
    """Unpack the files, over what is there. Owners stay where the caller may give them."""
    os.makedirs(path, exist_ok=True)
    pipe = Pipe()
    failures: list[BaseException] = []

    def write() -> None:
        try:
            make(pipe.write)
            pipe.finish()
        except BaseException as error:
            failures.append(error)
            pipe.fail(error)

    # Here, for hardly any build needs it.
    import threading

    thread = threading.Thread(target=write, name="lodge-build-output")
    thread.start()
    root = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        extract(pipe, root, Options(devices=os.geteuid() == 0))
    finally:
        pipe.abandon()
        thread.join()
        os.close(root)
    if failures:
        raise failures[0]
