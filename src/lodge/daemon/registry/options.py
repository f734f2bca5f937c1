"""The command line of `python -m lodge.daemon.registry`, which `lodge registry` starts. Pure."""

from __future__ import annotations

import argparse
from typing import NoReturn

from lodge.errors import InvalidArgument


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InvalidArgument(message)


def parse(words: list[str]) -> argparse.Namespace:
    """What the words say. InvalidArgument."""
    parser = _Parser(prog="lodge registry", add_help=False, allow_abbrev=False)
    verbs = parser.add_subparsers(dest="verb", required=True, parser_class=_Parser)
    _serve(verbs.add_parser("serve", add_help=False, allow_abbrev=False))
    collect = verbs.add_parser("gc", add_help=False, allow_abbrev=False)
    collect.add_argument("--delete-untagged", action="store_true")
    collect.add_argument("directory")
    check = verbs.add_parser("check", add_help=False, allow_abbrev=False)
    check.add_argument("--repair", action="store_true")
    check.add_argument("directory")
    password = verbs.add_parser("password", add_help=False, allow_abbrev=False)
    password.add_argument("user")
    return parser.parse_args(words)


def _serve(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--addr", action="append")
    add("--tls-cert", default="")
    add("--tls-key", default="")
    add("--tls-client-ca", default="")
    add("--htpasswd", default="")
    add("--anonymous-pull", action="store_true")
    add("--token-realm", default="")
    add("--token-service", default="")
    add("--token-issuer", default="")
    add("--token-key", action="append", default=[])
    add("--read-only", action="store_true")
    add("--no-delete", action="store_true")
    add("--max-blob-size", type=int, default=0)
    add("--max-uploads", type=int, default=256)
    add("--access-log", action="store_true")
    add("--gc-interval", type=float, default=3600.0)
    add("--gc-grace", type=float, default=3600.0)
    add("--delete-untagged", action="store_true")
    add("--upload-expiry", type=float, default=7 * 24 * 3600.0)
    add("--proxy", default="")
    add("--proxy-ca", default="")
    add("--proxy-user", default="")
    add("--proxy-password-file", default="")
    add("--proxy-keep", type=float, default=7 * 24 * 3600.0)
    add("--store", action="store_true")
    add("--debug", action="store_true")
    add("directory")
