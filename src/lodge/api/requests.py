"""Bodies of requests that are not a container's wish: typed, with Docker's names and defaults."""

from __future__ import annotations

from typing import Any

from lodge.spec.container import Limits, RestartPolicy, Settings


class ExecCreate(Settings):
    """POST /containers/{name}/exec."""

    user: str = ""
    privileged: bool = False
    tty: bool = False
    console_size: list[int] | None = None
    attach_stdin: bool = False
    attach_stderr: bool = False
    attach_stdout: bool = False
    detach_keys: str = ""
    env: list[str] | None = None
    working_dir: str = ""
    cmd: list[str] | None = None


class ExecStart(Settings):
    """POST /exec/{id}/start."""

    detach: bool = False
    tty: bool = False
    console_size: list[int] | None = None


class Update(Limits):
    """POST /containers/{name}/update."""

    restart_policy: RestartPolicy | None = None


class VolumeCreate(Settings):
    """POST /volumes/create."""

    name: str = ""
    driver: str = ""
    driver_opts: dict[str, str] | None = None
    labels: dict[str, str] | None = None
    cluster_volume_spec: dict[str, Any] | None = None


class NetworkCreate(Settings):
    """POST /networks/create: only what is needed to refuse it well."""

    name: str = ""
    driver: str = ""


class NetworkConnect(Settings):
    """POST /networks/{id}/connect and disconnect."""

    container: str = ""
    force: bool = False


class SecretCreate(Settings):
    """POST /lodge/secrets/create: the value in base64."""

    name: str = ""
    labels: dict[str, str] | None = None
    data: str = ""


class AuthConfig(Settings):
    """POST /auth."""

    username: str = ""
    password: str = ""
    serveraddress: str = ""
    identitytoken: str = ""


def window(size: list[int] | None) -> tuple[int, int] | None:
    """A console's rows and columns; None when it is not given or is [0, 0]."""
    if not size or len(size) != 2 or not any(size):
        return None
    return size[0], size[1]
