"""Choices about a container's life and confinement: restart, logging, health, security options, modes."""

from __future__ import annotations

from lodge.cli.settings.environment import pairs
from lodge.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from lodge.cli.flags import Values


def restart_policy(text: str) -> dict[str, Any]:
    """`no`, `always`, `unless-stopped` or `on-failure[:retries]` as the API's RestartPolicy."""
    name, mark, retries = text.partition(":")
    if mark and not name:
        raise InvalidArgument("invalid restart policy format: no policy provided before colon")
    policy: dict[str, Any] = {"Name": name}
    if retries:
        try:
            policy["MaximumRetryCount"] = int(retries)
        except ValueError:
            raise InvalidArgument(
                "invalid restart policy format: maximum retry count must be an integer"
            ) from None
    return policy


def log_config(driver: str, options: Sequence[str]) -> dict[str, Any]:
    """The API's LogConfig."""
    if driver == "none" and options:
        raise InvalidArgument("invalid logging opts for driver none")
    return {"Type": driver, "Config": pairs([option for option in options if "=" in option])}


_HEALTH_TIMES = (
    ("health-interval", "Interval"),
    ("health-timeout", "Timeout"),
    ("health-start-period", "StartPeriod"),
    ("health-start-interval", "StartInterval"),
)


def health_check(values: Values) -> dict[str, Any] | None:
    """The API's HealthConfig, None when no flag speaks of it."""
    health: dict[str, Any] = {}
    if values["health-cmd"]:
        health["Test"] = ["CMD-SHELL", values["health-cmd"]]
    for flag, field in _HEALTH_TIMES:
        if values[flag] < 0:
            raise InvalidArgument(f"--{flag} cannot be negative")
        if values[flag]:
            health[field] = values[flag]
    if values["health-retries"] < 0:
        raise InvalidArgument("--health-retries cannot be negative")
    if values["health-retries"]:
        health["Retries"] = values["health-retries"]
    if values["no-healthcheck"]:
        if health:
            raise InvalidArgument("--no-healthcheck conflicts with --health-* options")
        return {"Test": ["NONE"]}
    return health or None


def security_options(texts: Sequence[str]) -> dict[str, Any]:
    """SecurityOpt, a seccomp profile's file replaced by its content; `systempaths` opens paths of /proc."""
    options = []
    fields: dict[str, Any] = {}
    for text in texts:
        key, mark, value = text.partition("=" if "=" in text else ":")
        if not mark and key != "no-new-privileges":
            raise InvalidArgument(f'Invalid --security-opt: "{text}"')
        if key == "systempaths" and value == "unconfined":
            fields["MaskedPaths"] = []
            fields["ReadonlyPaths"] = []
            continue
        if key == "seccomp" and value not in ("unconfined", "builtin"):
            text = f"seccomp={_profile(value)}"
        options.append(text)
    if options:
        fields["SecurityOpt"] = options
    return fields


def _profile(path: str) -> str:
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InvalidArgument(f"opening seccomp profile ({path}) failed: open {path}: {reason}") from error
    from json import dumps, loads

    try:
        return dumps(loads(content), separators=(",", ":"))
    except ValueError as error:
        raise InvalidArgument(f"compacting json for seccomp profile ({path}) failed: {error}") from error


def capabilities(texts: Sequence[str]) -> list[str]:
    """Names in the kernel's writing, each once, sorted; ALL stands for itself and comes first."""
    names = {text.strip().upper() for text in texts}
    return sorted(name if name == "ALL" or name.startswith("CAP_") else f"CAP_{name}" for name in names)


_MODES = (
    ("pid", "PidMode", "PID", ("", "host")),
    ("uts", "UTSMode", "UTS", ("", "host")),
    ("userns", "UsernsMode", "USER", ("", "host", "remap")),
    ("cgroupns", "CgroupnsMode", "CGROUP", ("", "host", "private")),
)


def namespace_modes(values: Values) -> dict[str, str]:
    """The HostConfig fields of --pid, --ipc, --uts, --userns and --cgroupns."""
    fields = {}
    for flag, field, name, known in _MODES:
        if flag not in values:
            continue
        mode = values[flag]
        joins = flag == "pid" and mode.startswith("container:") and mode != "container:"
        if mode not in known and not joins:
            raise InvalidArgument(f"--{flag}: invalid {name} mode")
        fields[field] = mode
    if "ipc" in values:
        fields["IpcMode"] = values["ipc"]
    return fields
