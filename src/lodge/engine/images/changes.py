"""Dockerfile instructions that change an image's config: `commit --change` and `import --change`. Pure."""

from __future__ import annotations

import copy
import json
import re
import shlex
from collections.abc import Callable, Sequence

from lodge.errors import InvalidArgument
from lodge.spec.container import ContainerConfig, HealthCheck

_LINE = re.compile(r"\s*([A-Za-z]+)\s*(.*)", re.DOTALL)
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_NANOSECONDS = {"ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_SHELL = ("/bin/sh", "-c")


def apply(base: ContainerConfig | None, changes: Sequence[str]) -> ContainerConfig:
    """A copy of `base` with the instructions applied; InvalidArgument for one that can't be."""
    config = copy.deepcopy(base) if base is not None else ContainerConfig()
    for change in changes:
        match = _LINE.fullmatch(change)
        word = match[1].upper() if match else ""
        instruction = _INSTRUCTIONS.get(word)
        if match is None or instruction is None:
            raise InvalidArgument(f"{word or change} is not a valid change command")
        instruction(config, match[2].strip())
    return config


def _words(text: str) -> list[str] | None:
    """The words of a JSON array; None when it is none."""
    if not text.startswith("["):
        return None
    try:
        words = json.loads(text)
    except ValueError:
        return None
    return words if isinstance(words, list) and all(isinstance(word, str) for word in words) else None


def _command(config: ContainerConfig, text: str) -> list[str]:
    words = _words(text)
    return words if words is not None else [*(config.shell or _SHELL), text]


def _cmd(config: ContainerConfig, text: str) -> None:
    config.cmd = _command(config, text)
    config.args_escaped = True


def _entrypoint(config: ContainerConfig, text: str) -> None:
    config.entrypoint = _command(config, text) if text else None


def _pairs(text: str, what: str) -> list[tuple[str, str]]:
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise InvalidArgument(f"{what}: {error}") from error
    if not words:
        raise InvalidArgument(f"{what} requires at least one argument")
    if "=" not in words[0]:
        name, _, value = text.partition(" ")
        return [(name, value.strip())]
    for word in words:
        if "=" not in word:
            raise InvalidArgument(f"Syntax error - can't find = in {word!r}. Must be of the form: name=value")
    return [(name, value) for name, _, value in (word.partition("=") for word in words)]


def _env(config: ContainerConfig, text: str) -> None:
    env = dict(entry.partition("=")[::2] for entry in config.env or ())
    env.update(_pairs(text, "ENV"))
    config.env = [f"{name}={value}" for name, value in env.items()]


def _label(config: ContainerConfig, text: str) -> None:
    config.labels = {**(config.labels or {}), **dict(_pairs(text, "LABEL"))}


def _expose(config: ContainerConfig, text: str) -> None:
    ports = dict(config.exposed_ports or {})
    for word in text.split():
        port, _, protocol = word.partition("/")
        first, _, last = port.partition("-")
        if not first.isdecimal() or not (last or first).isdecimal():
            raise InvalidArgument(f"Invalid containerPort: {word}")
        for number in range(int(first), int(last or first) + 1):
            ports[f"{number}/{protocol or 'tcp'}"] = {}
    config.exposed_ports = ports


def _volume(config: ContainerConfig, text: str) -> None:
    places = _words(text)
    config.volumes = {
        **(config.volumes or {}),
        **{p: {} for p in (text.split() if places is None else places)},
    }


def _workdir(config: ContainerConfig, text: str) -> None:
    config.working_dir = text if text.startswith("/") else f"{config.working_dir.rstrip('/')}/{text}"


def _user(config: ContainerConfig, text: str) -> None:
    config.user = text


def _stop_signal(config: ContainerConfig, text: str) -> None:
    config.stop_signal = text


def _on_build(config: ContainerConfig, text: str) -> None:
    config.on_build = [*(config.on_build or ()), text]


def _shell(config: ContainerConfig, text: str) -> None:
    words = _words(text)
    if not words:
        raise InvalidArgument("SHELL requires the arguments to be in JSON form")
    config.shell = words


def _health(config: ContainerConfig, text: str) -> None:
    check = HealthCheck()
    while match := re.match(r"--([a-z-]+)=(\S+)\s*", text):
        _health_option(check, match[1], match[2])
        text = text[match.end() :]
    kind, _, rest = text.partition(" ")
    if kind.upper() == "NONE":
        check.test = ["NONE"]
    elif kind.upper() == "CMD" and rest.strip():
        words = _words(rest.strip())
        check.test = ["CMD", *words] if words is not None else ["CMD-SHELL", rest.strip()]
    else:
        raise InvalidArgument(f"Unknown type {kind!r} in HEALTHCHECK (try CMD)")
    config.healthcheck = check


def _health_option(check: HealthCheck, name: str, value: str) -> None:
    if name == "retries":
        if not value.isdecimal():
            raise InvalidArgument(f"--retries must be a number: {value}")
        check.retries = int(value)
        return
    attribute = name.replace("-", "_")
    parts = _DURATION.findall(value)
    if attribute not in ("interval", "timeout", "start_period", "start_interval"):
        raise InvalidArgument(f"Unknown flag: {name}")
    if "".join(number + unit for number, unit in parts) != value or not parts:
        raise InvalidArgument(f"invalid duration {value!r}")
    setattr(check, attribute, int(sum(float(number) * _NANOSECONDS[unit] for number, unit in parts)))


_INSTRUCTIONS: dict[str, Callable[[ContainerConfig, str], None]] = {
    "CMD": _cmd,
    "ENTRYPOINT": _entrypoint,
    "ENV": _env,
    "EXPOSE": _expose,
    "HEALTHCHECK": _health,
    "LABEL": _label,
    "ONBUILD": _on_build,
    "SHELL": _shell,
    "STOPSIGNAL": _stop_signal,
    "USER": _user,
    "VOLUME": _volume,
    "WORKDIR": _workdir,
}
