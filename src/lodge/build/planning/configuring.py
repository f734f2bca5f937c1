"""Instructions that change only the configuration: each a function of the state and the instruction."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from lodge.build.dockerfile import instructions as i
from lodge.build.dockerfile.problems import DockerfileError
from lodge.build.planning.state import StageState
from lodge.build.planning.tools import Workshop, go_duration, go_quote, go_rune

_PORT = re.compile(r"(\d+)(?:-(\d+))?(?:/([A-Za-z]+))?", re.ASCII)
_MAPPED = re.compile(r"(?:.*:)?(?:\d+(?:-\d+)?)?:?(\d+(?:-\d+)?)(/[A-Za-z]+)?", re.ASCII)
_PROTOCOLS = ("tcp", "udp", "sctp")
_SIGNAL = re.compile(r"(?:SIG)?[A-Z0-9+-]+|\d+", re.IGNORECASE | re.ASCII)


def env(state: StageState, instruction: i.Env, shop: Workshop) -> None:
    """ENV: all values see the variables as they were before the instruction."""
    values = state.values
    pairs = [
        (shop.expand(name, values, instruction), shop.expand(value, values, instruction))
        for name, value in instruction.pairs
    ]
    for name, value in pairs:
        shop.lint.secret("ENV", name, instruction.lines)
        state.add_env(name, value)
    state.record("ENV " + " ".join(f"{name}={value}" for name, value in pairs), layer=False)


def label(state: StageState, instruction: i.Label, shop: Workshop) -> None:
    """LABEL."""
    values = state.values
    pairs = [
        (shop.expand(name, values, instruction), shop.expand(value, values, instruction))
        for name, value in instruction.pairs
    ]
    state.config.labels = {**(state.config.labels or {}), **dict(pairs)}
    state.record("LABEL " + " ".join(f"{name}={value}" for name, value in pairs), layer=False)


def arg(state: StageState, instruction: i.Arg, shop: Workshop) -> None:
    """ARG: the user's value, else the default, else what was said before the first FROM."""
    shown: list[str] = []
    for argument in instruction.arguments:
        name = argument.name
        shop.lint.secret("ARG", name, instruction.lines)
        default = argument.default
        if default is not None:
            default = shop.expand(default, state.values, instruction)
        value = shop.given.get(name, default if default is not None else shop.globals.get(name))
        state.declared[name] = None
        if value is not None:
            state.arguments[name] = value
        shown.append(name if value is None else f"{name}={value}")
    state.record("ARG " + " ".join(shown), layer=False)


def maintainer(state: StageState, instruction: i.Maintainer, shop: Workshop) -> None:
    """MAINTAINER."""
    del shop
    state.author = instruction.author
    state.record(f"MAINTAINER {instruction.author}", layer=False)


def expose(state: StageState, instruction: i.Expose, shop: Workshop) -> None:
    """EXPOSE: ports and ranges, each with a protocol."""
    ports: list[str] = []
    for text in instruction.ports:
        for word in shop.words(text, state.values, instruction):
            ports += _ports(word, instruction, shop)
    state.config.exposed_ports = {**(state.config.exposed_ports or {}), **{key: {} for key in ports}}
    shown = " ".join(f"{port}:{{}}" for port in dict.fromkeys(ports))
    state.record(f"EXPOSE [{' '.join(sorted(dict.fromkeys(ports)))}]" if shown else "EXPOSE", layer=False)


def _ports(word: str, instruction: i.Expose, shop: Workshop) -> list[str]:
    found = _PORT.fullmatch(word)
    if found is None and (mapped := _MAPPED.fullmatch(word)):
        shop.lint.found("ExposeInvalidFormat", instruction.lines, word)
        found = _PORT.fullmatch(mapped[1] + (mapped[2] or ""))
    if found is None:
        raise DockerfileError(f"invalid containerPort: {word}", hint="80, 80/udp, 8000-8010/tcp")
    protocol = found[3] or "tcp"
    if protocol != protocol.lower():
        shop.lint.found("ExposeProtoCasing", instruction.lines, word)
    if protocol.lower() not in _PROTOCOLS:
        raise DockerfileError(f"invalid proto: {protocol}", hint=", ".join(_PROTOCOLS))
    first, last = int(found[1]), int(found[2] or found[1])
    if not first <= last <= 65535:
        raise DockerfileError(f"invalid containerPort: {word}", hint="a port is at most 65535")
    return [f"{number}/{protocol.lower()}" for number in range(first, last + 1)]


def volume(state: StageState, instruction: i.Volume, shop: Workshop) -> None:
    """VOLUME."""
    places = [shop.expand(place, state.values, instruction) for place in instruction.places]
    if not all(places):
        raise DockerfileError("VOLUME specified can not be an empty string")
    state.config.volumes = {**(state.config.volumes or {}), **{key: {} for key in places}}
    state.record(f"VOLUME [{' '.join(places)}]", layer=False)


def user(state: StageState, instruction: i.User, shop: Workshop) -> None:
    """USER."""
    state.config.user = shop.expand(instruction.user, state.values, instruction)
    state.record(f"USER {state.config.user}", layer=False)


def stop_signal(state: StageState, instruction: i.StopSignal, shop: Workshop) -> None:
    """STOPSIGNAL."""
    name = shop.expand(instruction.signal, state.values, instruction)
    if not _SIGNAL.fullmatch(name) or (name.isdecimal() and not 0 < int(name) < 65):
        raise DockerfileError(f"invalid signal: {name}", hint="SIGTERM, INT or a number")
    state.config.stop_signal = name
    state.record(f"STOPSIGNAL {name}", layer=False)


def shell(state: StageState, instruction: i.Shell, shop: Workshop) -> None:
    """SHELL."""
    del shop
    state.config.shell = list(instruction.words)
    state.record(f"SHELL [{' '.join(instruction.words)}]", layer=False)


def cmd(state: StageState, instruction: i.Cmd, shop: Workshop) -> None:
    """CMD."""
    state.config.cmd = _words(state, instruction, instruction.command, shop)
    state.config.args_escaped = True
    state.command_set = True
    state.record(f"CMD {_quoted(state.config.cmd)}", layer=False)


def entrypoint(state: StageState, instruction: i.Entrypoint, shop: Workshop) -> None:
    """ENTRYPOINT: the base's CMD was meant for the base's entrypoint."""
    state.config.entrypoint = _words(state, instruction, instruction.command, shop)
    if not state.command_set:
        state.config.cmd = None
    state.record(f"ENTRYPOINT {_quoted(state.config.entrypoint)}", layer=False)


def _words(state: StageState, instruction: i.Instruction, command: i.Command, shop: Workshop) -> list[str]:
    if not command.shell:
        return list(command.words)
    if not command.words:
        return []
    if state.config.shell is None:
        shop.lint.found("JSONArgsRecommended", instruction.lines, instruction.name)
    return [*state.shell, *command.words]


def _quoted(words: list[str] | None) -> str:
    return "[" + " ".join(go_quote(word) for word in words or ()) + "]"


def health(state: StageState, instruction: i.Health, shop: Workshop) -> None:
    """HEALTHCHECK."""
    del shop
    state.config.healthcheck = instruction.check
    check = instruction.check
    times = (check.interval, check.timeout, check.start_period, check.start_interval)
    shown = [_quoted(check.test), *(f'"{go_duration(time)}"' for time in times), go_rune(check.retries)]
    state.record(f"HEALTHCHECK &{{{' '.join(shown)}}}", layer=False)


def on_build(state: StageState, instruction: i.OnBuild, shop: Workshop) -> None:
    """ONBUILD: kept as text for those who build on this image; it is in no history."""
    del shop
    state.config.on_build = [*(state.config.on_build or ()), instruction.trigger]


CONFIGURING: dict[type[i.Instruction], Callable[[StageState, Any, Workshop], None]] = {
    i.Arg: arg,
    i.Cmd: cmd,
    i.Entrypoint: entrypoint,
    i.Env: env,
    i.Expose: expose,
    i.Health: health,
    i.Label: label,
    i.Maintainer: maintainer,
    i.OnBuild: on_build,
    i.Shell: shell,
    i.StopSignal: stop_signal,
    i.User: user,
    i.Volume: volume,
}
