"""Where output goes: the driver and its options, completed by the engine's defaults, checked, made a LogSpec.

Options and their texts are Docker's. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from lodge.engine.models import Container
from lodge.engine.settings import Settings
from lodge.errors import InvalidArgument, Unsupported
from lodge.runtime.logs import journald, syslog
from lodge.runtime.messages import Forward, LogSpec
from lodge.spec.container import LogConfig

_FILES = {"json-file": "{directory}/{id}-json.log", "local": "{directory}/local-logs/container.log"}
_SERVICES = ("journald", "syslog")
_CACHE = "{directory}/container-cached.log"
_KNOWN_ELSEWHERE = frozenset({"gelf", "fluentd", "awslogs", "splunk", "gcplogs", "etwlogs"})
_ATTRIBUTES = frozenset({"labels", "labels-regex", "env", "env-regex", "tag"})
_CACHED = frozenset({"cache-disabled", "cache-max-size", "cache-max-file", "cache-compress"})
_OPTIONS = {
    "json-file": frozenset(
        {"max-file", "max-size", "compress", "labels", "labels-regex", "env", "env-regex", "tag"}
    ),
    "local": frozenset({"max-file", "max-size", "compress"}),
    "syslog": syslog.OPTIONS | _ATTRIBUTES | _CACHED,
    "journald": _ATTRIBUTES | _CACHED,
}
_EVERYWHERE = frozenset({"mode", "max-buffer-size"})
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([kKmMgGtTpP]?)(?:[iI]?[bB])?")
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "p": 1 << 50}
_LOCAL_SIZE = 20 << 20
_LOCAL_FILES = 5


def complete(log: LogConfig, settings: Settings) -> None:
    """Write the defaults in; InvalidArgument for unknown options, Unsupported for other drivers."""
    if not log.type or log.type == settings.log_driver:
        log.config = {**settings.log_options, **(log.config or {})}
        log.type = settings.log_driver
    log.config = log.config or {}
    if log.type in _KNOWN_ELSEWHERE:
        raise Unsupported(
            f"logger: log driver {log.type} is not part of this engine yet",
            hint="json-file, local, journald, syslog and none are",
        )
    if log.type == "none":
        return
    if log.type in _SERVICES:
        _check_service(log)
    elif log.type in _FILES:
        _parse(log, "")
    else:
        raise InvalidArgument(f'error looking up logging plugin {log.type}: plugin "{log.type}" not found')


def _check_service(log: LogConfig) -> None:
    _cache(log, "")
    if log.type == "syslog":
        syslog.check(log.config or {})
    elif not journald.present():
        raise Unsupported("journald is not enabled on this host")


def path(log: LogConfig, directory: str, id: str) -> str:
    """The log's file, "" for none."""
    if log.type in _SERVICES:
        return "" if _cache(log, "").driver == "none" else _CACHE.format(directory=directory)
    return _FILES[log.type].format(directory=directory, id=id) if log.type in _FILES else ""


def spec(container: Container) -> LogSpec | None:
    """What the monitor and the reader are told; None for no log."""
    log = container.wish.host.log_config
    if log.type in _SERVICES:
        made = _cache(log, container.log_path)
        made.forward = _forward(container, log)
        return made
    if log.type not in _FILES:
        return None
    made = _parse(log, container.log_path)
    made.attributes = dict(_attributes(container, log.config or {}))
    return made


def _forward(container: Container, log: LogConfig) -> Forward:
    options = log.config or {}
    attributes = dict(_attributes(container, options))
    tag = attributes.pop("tag", "") or container.id[:12]
    return Forward(
        driver=log.type,
        options={name: options[name] for name in syslog.OPTIONS if name in options},
        tag=tag,
        container_id=container.id,
        container_name=container.name,
        image_name=container.image_name,
        attributes=attributes,
    )


def _cache(log: LogConfig, where: str) -> LogSpec:
    """What is kept for `logs` beside a service, as Docker does: the format of `local`, bounded."""
    options = log.config or {}
    _check_names(log)
    if _truth("cache-disabled", options.get("cache-disabled", "false")):
        return LogSpec(driver="none")
    kept = {
        name.removeprefix("cache-"): value
        for name, value in options.items()
        if name in _CACHED and name != "cache-disabled"
    }
    return _parse(LogConfig(type="local", config=kept), where)


def _check_names(log: LogConfig) -> None:
    options = log.config or {}
    for name in options:
        if name not in _OPTIONS[log.type] | _EVERYWHERE:
            raise InvalidArgument(f"unknown log opt '{name}' for {log.type} log driver")
    if options.get("mode", "blocking") not in ("blocking", "non-blocking"):
        raise InvalidArgument(f"logger: logging mode not supported: {options['mode']}")


def _parse(log: LogConfig, where: str) -> LogSpec:
    options = log.config or {}
    _check_names(log)
    local = log.type == "local"
    size = _size(options["max-size"]) if "max-size" in options else (_LOCAL_SIZE if local else -1)
    files = _count(options.get("max-file", str(_LOCAL_FILES) if local else "1"))
    compress = _truth("compress", options.get("compress", "true" if local else "false"))
    if not local and compress and (size < 0 or files < 2) and "compress" in options:
        raise InvalidArgument("compress cannot be true when max-file is less than 2 or max-size is not set")
    return LogSpec(driver=log.type, path=where, max_size=size, max_files=files, compress=compress)


def _size(text: str) -> int:
    if text == "-1":
        return -1
    match = _SIZE.fullmatch(text)
    if not match:
        raise InvalidArgument(f"invalid size: '{text}'")
    size = int(float(match[1]) * _UNITS[match[2].lower()])
    if size <= 0:
        raise InvalidArgument("max-size must be a positive number")
    return size


def _count(text: str) -> int:
    if not text.isdecimal():
        raise InvalidArgument(f'strconv.Atoi: parsing "{text}": invalid syntax')
    if int(text) < 1:
        raise InvalidArgument("max-file cannot be less than 1")
    return int(text)


def _truth(name: str, text: str) -> bool:
    if text.lower() in ("1", "t", "true"):
        return True
    if text.lower() in ("0", "f", "false"):
        return False
    raise InvalidArgument(f'invalid value for {name}: "{text}" is neither true nor false')


def _attributes(container: Container, options: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Labels and variables that are kept with each entry."""
    config = container.wish.config
    variables = dict(entry.partition("=")[::2] for entry in config.env or ())
    for kind, values in (("labels", config.labels or {}), ("env", variables)):
        for name in options.get(kind, "").split(","):
            if name in values:
                yield name, values[name]
        if pattern := options.get(f"{kind}-regex"):
            try:
                matches = re.compile(pattern).search
            except re.error as error:
                raise InvalidArgument(f"invalid {kind}-regex: {error}") from error
            yield from ((name, value) for name, value in values.items() if matches(name))
    if tag := options.get("tag"):
        yield "tag", _expand(tag, container)


def _expand(tag: str, container: Container) -> str:
    """The template words that people use in a tag."""
    words = {
        "{{.ID}}": container.id[:12],
        "{{.FullID}}": container.id,
        "{{.Name}}": container.name,
        "{{.ImageName}}": container.image_name,
        "{{.ImageID}}": container.image_id[:12],
        "{{.ImageFullID}}": container.image_id,
        "{{.DaemonName}}": "docker",
    }
    for word, value in words.items():
        tag = tag.replace(word, value)
    return tag
