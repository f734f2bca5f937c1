"""The way in: one function a verb."""

from __future__ import annotations

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor

import msgspec

from lodge.archive.strata import Layer, Stack, differences, read_layer
from lodge.daemon.images import reports
from lodge.daemon.images.opening import Desk
from lodge.daemon.images.options import parse
from lodge.daemon.images.reports import Explored
from lodge.distribution.transit import names
from lodge.distribution.transit.contract import Origin
from lodge.distribution.transit.copying import copy, one_image
from lodge.errors import Corrupt, LodgeError
from lodge.spec.descriptor import Descriptor
from lodge.spec.image import CONFIG_CAP, ImageConfig
from lodge.spec.platform import Platform


def main(words: list[str] | None = None) -> int:
    """Do what the command line says; the exit code."""
    try:
        given = parse(sys.argv[1:] if words is None else words)
        desk = Desk(given)
        try:
            return _VERBS[given.verb](desk, given)
        finally:
            desk.close()
    except LodgeError as error:
        print(f"lodge image: {error.message}", file=sys.stderr)
        if error.hint:
            print(error.hint, file=sys.stderr)
    except BrokenPipeError:
        return 141
    except OSError as error:
        print(f"lodge image: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        return 130
    return 1


def _platform(given: argparse.Namespace) -> Platform | None:
    return Platform.parse(given.platform) if given.platform else None


def _copy(desk: Desk, given: argparse.Namespace) -> int:
    origin = desk.origin(given.source)
    try:
        goal = desk.goal(given.target, origin)
        try:
            tell = _silent if given.quiet else _say
            copied = copy(origin, goal, tell, platform=_platform(given), every=given.all)
        finally:
            goal.close()
    finally:
        origin.close()
    if given.quiet:
        print(copied.digest)
    return 0


def _say(line: str) -> None:
    print(line, flush=True)


def _silent(_line: str) -> None:
    pass


def _inspect(desk: Desk, given: argparse.Namespace) -> int:
    origin = desk.origin(given.image)
    try:
        if given.raw:
            sys.stdout.buffer.write(origin.top().data)
            return 0
        if given.config:
            manifest = one_image(origin, _platform(given)).manifest()
            print(_pretty(_config(origin, manifest.config).encode()))
            return 0
        top = origin.top()
        print(_pretty(msgspec.json.encode({
            "Descriptor": top.descriptor, "Manifest": msgspec.Raw(top.data),
        })))  # fmt: skip
    finally:
        origin.close()
    return 0


def _pretty(data: bytes) -> str:
    return msgspec.json.format(data, indent=4).decode()


def _config(origin: Origin, descriptor: Descriptor) -> ImageConfig:
    if descriptor.size > CONFIG_CAP:
        raise Corrupt(f"the image configuration is larger than {CONFIG_CAP >> 20} MiB")
    with origin.open(descriptor) as stream:
        return ImageConfig.decode(b"".join(iter(lambda: stream.read(1 << 20), b"")))


def explore(desk: Desk, text: str, platform: Platform | None) -> Explored:
    """Take an image apart: every layer is read once."""
    origin = desk.origin(text, names.STORE)
    try:
        manifest = one_image(origin, platform).manifest()
        config = _config(origin, manifest.config)

        def read(layer: Descriptor) -> Layer:
            with origin.open(layer) as stream:
                return read_layer(stream)

        with ThreadPoolExecutor(2, thread_name_prefix="explore") as pool:
            layers = list(pool.map(read, manifest.layers))
    finally:
        origin.close()
    commands = [step.created_by or step.comment for step in config.history if not step.empty_layer]
    commands += [""] * (len(layers) - len(commands))
    return Explored(text, manifest.layers, tuple(commands[: len(layers)]), Stack(layers))


def _explore(desk: Desk, given: argparse.Namespace) -> int:
    explored = explore(desk, given.image, _platform(given))
    if given.format == "json":
        sys.stdout.buffer.write(reports.explored_json(explored))
    elif given.format == "text" or not (sys.stdin.isatty() and sys.stdout.isatty()):
        sys.stdout.write(reports.explored_text(explored))
    else:
        from lodge.daemon.images.viewer import view

        view(explored)
    if explored.stack.efficiency < given.lowest_efficiency:
        print(f"efficiency {explored.stack.efficiency:.1%} is below the wanted one", file=sys.stderr)
        return 1
    return 0


def _diff(desk: Desk, given: argparse.Namespace) -> int:
    platform = _platform(given)
    first, second = (explore(desk, text, platform).stack.tree for text in (given.first, given.second))
    found = differences(first, second)
    if given.format == "json":
        sys.stdout.buffer.write(reports.differences_json(found))
    else:
        sys.stdout.write(reports.differences_text(found))
    return 0


def _verify(desk: Desk, given: argparse.Namespace) -> int:
    from lodge.daemon.images.trusting import verify

    return verify(desk, given)


def _attestations(desk: Desk, given: argparse.Namespace) -> int:
    from lodge.daemon.images.trusting import show_attestations

    return show_attestations(desk, given)


_VERBS = {
    "copy": _copy,
    "inspect": _inspect,
    "diff": _diff,
    "verify": _verify,
    "attestations": _attestations,
    "explore": _explore,
}


if __name__ == "__main__":
    sys.exit(main())
