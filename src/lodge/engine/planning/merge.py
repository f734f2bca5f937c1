"""A container's config over its image's: what the user left open comes from the image.

Source: Docker's merge of the two configs; the entrypoint of the user drops the command of the image.
"""

from __future__ import annotations

import posixpath

import msgspec

from lodge.engine.planning import environment
from lodge.errors import InvalidArgument
from lodge.spec.container import ContainerConfig, HealthCheck


def over_image(config: ContainerConfig, image: ContainerConfig | None) -> None:
    """Fill `config` from the image's; InvalidArgument "no command specified" when there is none then."""
    if image is not None:
        _fill(config, image)
    # A user's empty word stands for "none", so that an image's entrypoint can be taken away.
    if config.entrypoint == [""]:
        config.entrypoint = None
    if not config.entrypoint and not config.cmd:
        raise InvalidArgument("no command specified")


def _fill(config: ContainerConfig, image: ContainerConfig) -> None:
    config.user = config.user or image.user
    config.exposed_ports = {**(image.exposed_ports or {}), **(config.exposed_ports or {})} or None
    config.env = environment.over_image(image.env, config.env)
    config.labels = {**(image.labels or {}), **(config.labels or {})}
    if not config.entrypoint:
        if not config.cmd:
            config.cmd = image.cmd
            config.args_escaped = image.args_escaped
        if config.entrypoint is None:
            config.entrypoint = image.entrypoint
    config.healthcheck = _health(config.healthcheck, image.healthcheck)
    config.working_dir = config.working_dir or image.working_dir
    config.volumes = {**(config.volumes or {}), **(image.volumes or {})} or None
    config.stop_signal = config.stop_signal or image.stop_signal
    config.stop_timeout = image.stop_timeout if config.stop_timeout is None else config.stop_timeout
    config.shell = config.shell or image.shell
    config.on_build = config.on_build or image.on_build


def _health(own: HealthCheck | None, image: HealthCheck | None) -> HealthCheck | None:
    if image is None or own is None:
        return own or image
    merged = msgspec.structs.replace(image)
    for name in ("test", "interval", "timeout", "retries", "start_period", "start_interval"):
        if value := getattr(own, name):
            setattr(merged, name, value)
    return merged


def program(config: ContainerConfig) -> tuple[str, list[str]]:
    """The program's path and its arguments: the entrypoint's words, then the command's."""
    words = [*(config.entrypoint or ()), *(config.cmd or ())]
    return words[0], words[1:]


def check_working_directory(config: ContainerConfig) -> None:
    """Clean it; InvalidArgument unless it is absolute."""
    if not config.working_dir:
        return
    if not config.working_dir.startswith("/"):
        raise InvalidArgument(
            f"the working directory '{config.working_dir}' is invalid, it needs to be an absolute path"
        )
    config.working_dir = posixpath.normpath("/" + config.working_dir.lstrip("/"))
