"""Registries in the daemon's settings: proxies of flag, file or environment; a check that all can be read."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lodge.engine.settings import Settings
from lodge.errors import InvalidArgument

if TYPE_CHECKING:
    from lodge.daemon.config import Config

_PROXIES = {"http-proxy": "http_proxy", "https-proxy": "https_proxy", "no-proxy": "no_proxy"}
_COUNTS = ("max_concurrent_downloads", "max_concurrent_uploads", "max_download_attempts")


def apply(config: Config, settings: Settings) -> Settings:
    """Put what concerns registries into the engine's settings."""
    settings.registries = config.registries
    settings.max_downloads = config.max_concurrent_downloads
    settings.max_uploads = config.max_concurrent_uploads
    settings.max_download_attempts = config.max_download_attempts
    for name, variable in _PROXIES.items():
        environment = os.environ.get(variable.upper()) or os.environ.get(variable) or ""
        setattr(settings, variable, getattr(config, variable) or config.proxies.get(name) or environment)
    return settings


def check(config: Config) -> None:
    """Refuse what can't be meant; every mirror and rewrite is read once, so that a mistake shows at once."""
    for name in _COUNTS:
        if getattr(config, name) < 1:
            raise InvalidArgument(f"invalid {name.replace('_', ' ')}: {getattr(config, name)}")
    for name in config.proxies:
        if name not in _PROXIES:
            raise InvalidArgument(f"unknown setting in proxies: {name!r}")
    if not (config.registries or config.registry_mirrors):
        return
    # Imported where they are needed: most daemons start without a word on registries.
    from lodge.distribution.endpoints import plan
    from lodge.engine.images.distribution import registry_settings

    wanted = registry_settings(apply(config, Settings(registry_mirrors=config.registry_mirrors)))
    for domain in ("docker.io", *config.registries):
        plan(wanted, domain, "library/x")
