"""From a name on the command line to an origin or a goal, with the user's credentials and settings."""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from typing import Any

from lodge.cli.credentials import lookup, registry_of
from lodge.client.address import Address, resolve
from lodge.distribution.credentials import Credentials
from lodge.distribution.registries import Registries
from lodge.distribution.settings import RegistryEntry, RegistrySettings
from lodge.distribution.transit import names
from lodge.distribution.transit.archives import ArchiveGoal, ArchiveOrigin
from lodge.distribution.transit.contract import Goal, Origin
from lodge.distribution.transit.layout import LayoutGoal, LayoutOrigin
from lodge.distribution.transit.registry import RegistryGoal, RegistryOrigin
from lodge.spec.reference import DEFAULT_DOMAIN, Reference


class Desk:
    """Opens origins and goals; close it behind them."""

    def __init__(self, given: argparse.Namespace) -> None:
        self._host: str = given.host
        self.registries = Registries(_settings(given))

    def origin(self, text: str, default: str = names.REGISTRY) -> Origin:
        """What a name leads to. Raises InvalidArgument, NotFound."""
        place = names.parse(text, default)
        if place.transport == names.LAYOUT:
            return LayoutOrigin(place.path, place.name)
        if place.transport in (names.OCI_ARCHIVE, names.DOCKER_ARCHIVE):
            return ArchiveOrigin(place.path, place.name)
        if place.transport == names.STORE:
            from lodge.daemon.images.engine_images import EngineOrigin

            return EngineOrigin(self._address(), place.name)
        reference = Reference.parse(place.name)
        return RegistryOrigin(self.registries, reference, credentials(reference))

    def goal(self, text: str, origin: Origin) -> Goal:
        """Where a name leads to."""
        place = names.parse(text)
        if place.transport == names.LAYOUT:
            return LayoutGoal(place.path, place.name)
        if place.transport in (names.OCI_ARCHIVE, names.DOCKER_ARCHIVE):
            docker = place.transport == names.DOCKER_ARCHIVE
            return ArchiveGoal(place.path, place.name, docker=docker)
        if place.transport == names.STORE:
            from lodge.daemon.images.engine_images import EngineGoal

            return EngineGoal(self._address(), place.name, tempfile.gettempdir())
        reference = Reference.parse(place.name)
        return RegistryGoal(self.registries, reference, credentials(reference), origin)

    def _address(self) -> Address:
        return resolve(dict(os.environ), self._host or None, None)

    def close(self) -> None:
        """Close connections."""
        self.registries.close()


def credentials(reference: Reference) -> Credentials | None:
    """What the user's config.json and its helpers know of an image's registry."""
    folder = os.environ.get("DOCKER_CONFIG") or f"{os.environ.get('HOME', '/root')}/.docker"
    try:
        with open(f"{folder}/config.json", "rb") as file:
            config: dict[str, Any] = json.load(file)
    except (OSError, ValueError):
        return None
    domain = reference.domain if reference.domain != DEFAULT_DOMAIN else "docker.io"
    return Credentials.of_auth_config(lookup(config, registry_of(f"{domain}/{reference.path}")))


def _settings(given: argparse.Namespace) -> RegistrySettings:
    environ = {name.lower(): value for name, value in os.environ.items()}
    return RegistrySettings(
        insecure=given.insecure_registry,
        registries={"*": RegistryEntry(ca=given.ca)} if given.ca else {},
        http_proxy=environ.get("http_proxy", ""),
        https_proxy=environ.get("https_proxy", ""),
        no_proxy=environ.get("no_proxy", ""),
    )
