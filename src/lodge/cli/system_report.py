"""The long text of `info`, from the engine's answer. Pure."""

from __future__ import annotations

from lodge.cli.human import size_binary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any


def describe(info: dict[str, Any]) -> Iterator[str]:
    """The lines, without the indent of the section."""
    for label, key in (
        ("Containers", "Containers"),
        (" Running", "ContainersRunning"),
        (" Paused", "ContainersPaused"),
        (" Stopped", "ContainersStopped"),
        ("Images", "Images"),
        ("Server Version", "ServerVersion"),
        ("Storage Driver", "Driver"),
    ):
        yield f"{label}: {info.get(key, '')}"
    for name, value in info.get("DriverStatus") or ():
        yield f" {name}: {value}"
    yield f"Logging Driver: {info.get('LoggingDriver', '')}"
    yield f"Cgroup Driver: {info.get('CgroupDriver', '')}"
    yield f"Cgroup Version: {info.get('CgroupVersion', '')}"
    yield from _plugins(info.get("Plugins") or {})
    yield f"Runtimes: {' '.join(sorted(info.get('Runtimes') or {}))}"
    yield f"Default Runtime: {info.get('DefaultRuntime', '')}"
    if hypervisors := info.get("Hypervisors"):
        yield "Hypervisors:"
        yield from (f" {each['Name']}: {each['Reason'] or 'usable'}" for each in hypervisors)
    yield from _security(info.get("SecurityOptions") or ())
    for label, key in (
        ("Kernel Version", "KernelVersion"),
        ("Operating System", "OperatingSystem"),
        ("OSType", "OSType"),
        ("Architecture", "Architecture"),
        ("CPUs", "NCPU"),
    ):
        yield f"{label}: {info.get(key, '')}"
    yield f"Total Memory: {size_binary(info.get('MemTotal') or 0)}"
    yield f"Name: {info.get('Name', '')}"
    yield f"ID: {info.get('ID', '')}"
    yield f"Root Dir: {info.get('DockerRootDir', '')}"
    yield f"Debug Mode: {str(bool(info.get('Debug'))).lower()}"
    if labels := info.get("Labels"):
        yield "Labels:"
        yield from (f" {label}" for label in labels)
    yield f"Live Restore Enabled: {str(bool(info.get('LiveRestoreEnabled'))).lower()}"


def _plugins(plugins: dict[str, Any]) -> Iterator[str]:
    yield "Plugins:"
    for kind in ("Volume", "Network", "Log"):
        if plugins.get(kind):
            yield f" {kind}: {' '.join(plugins[kind])}"


def _security(options: Any) -> Iterator[str]:
    if not options:
        return
    yield "Security Options:"
    for option in options:
        fields = dict(field.partition("=")[::2] for field in option.split(","))
        yield f" {fields.pop('name', option)}"
        for key, value in fields.items():
            yield f"  {key.capitalize()}: {value}"
