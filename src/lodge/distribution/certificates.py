"""TLS towards registries: the machine's authorities, those of the settings, and the client's certificates.

Reads the files of `certs.d/<host[:port]>/` as Docker does: *.crt are authorities, *.cert with *.key are the
client's. May touch nothing else.
"""

from __future__ import annotations

import os
import ssl

from lodge.distribution.endpoints import Endpoint
from lodge.errors import InvalidArgument


def context(endpoint: Endpoint, directories: tuple[str, ...]) -> ssl.SSLContext:
    """Return the TLS settings for an endpoint. Raises InvalidArgument for files that can't be used."""
    authorities, pairs = _files(endpoint, directories)
    made = ssl.create_default_context()
    try:
        for path in authorities:
            made.load_verify_locations(path)
        for certificate, key in pairs:
            made.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise InvalidArgument(f"the certificates for {endpoint.host} can't be used: {error}") from error
    if not endpoint.verified and not authorities:
        # SAFETY: only for loopback and for hosts that the settings name as insecure; see `endpoints`.
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    return made


def _files(endpoint: Endpoint, directories: tuple[str, ...]) -> tuple[list[str], list[tuple[str, str]]]:
    entry = endpoint.entry
    authorities = [entry.ca] if entry.ca else []
    pairs = [(entry.client_cert, entry.client_key)] if entry.client_cert else []
    for directory in directories:
        here = os.path.join(directory, endpoint.host)
        try:
            names = sorted(os.listdir(here))
        except OSError:
            continue
        for name in names:
            path = os.path.join(here, name)
            if name.endswith(".crt"):
                authorities.append(path)
            elif name.endswith(".cert"):
                key = path.removesuffix(".cert") + ".key"
                if not os.path.exists(key):
                    raise InvalidArgument(
                        f"missing key {os.path.basename(key)} for client certificate {name}. CA certificates "
                        'must use the extension ".crt"'
                    )
                pairs.append((path, key))
    return authorities, pairs
