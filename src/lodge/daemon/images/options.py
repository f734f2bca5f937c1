"""The command line of `python -m lodge.daemon.images`, which `lodge image` starts. Pure."""

from __future__ import annotations

import argparse
from typing import NoReturn

from lodge.errors import InvalidArgument


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InvalidArgument(message)


def parse(words: list[str]) -> argparse.Namespace:
    """What the words say. InvalidArgument."""
    parser = _Parser(prog="lodge image", add_help=False, allow_abbrev=False)
    verbs = parser.add_subparsers(dest="verb", required=True, parser_class=_Parser)
    copy = _verb(verbs, "copy")
    copy.add_argument("--all", action="store_true")
    copy.add_argument("--quiet", action="store_true")
    copy.add_argument("source")
    copy.add_argument("target")
    inspect = _verb(verbs, "inspect")
    inspect.add_argument("--raw", action="store_true")
    inspect.add_argument("--config", action="store_true")
    inspect.add_argument("image")
    diff = _verb(verbs, "diff")
    diff.add_argument("--format", default="")
    diff.add_argument("first")
    diff.add_argument("second")
    explore = _verb(verbs, "explore")
    explore.add_argument("--format", default="")
    explore.add_argument("--lowest-efficiency", type=float, default=0.0)
    explore.add_argument("image")
    _trust(verbs)
    return parser.parse_args(words)


def _trust(verbs: argparse._SubParsersAction[_Parser]) -> None:
    verify = _verb(verbs, "verify")
    for name in ("key", "roots", "intermediates", "transparency-key"):
        verify.add_argument(f"--{name}", action="append", default=[])
    for name in ("identity", "identity-regexp", "oidc-issuer", "oidc-issuer-regexp"):
        verify.add_argument(f"--certificate-{name}", default="")
    verify.add_argument("--policy", default="")
    verify.add_argument("--format", default="")
    verify.add_argument("image")
    shown = _verb(verbs, "attestations")
    shown.add_argument("--type", default="")
    shown.add_argument("--key", action="append", default=[])
    shown.add_argument("--raw", action="store_true")
    shown.add_argument("--format", default="")
    shown.add_argument("image")


def _verb(verbs: argparse._SubParsersAction[_Parser], name: str) -> argparse.ArgumentParser:
    parser = verbs.add_parser(name, add_help=False, allow_abbrev=False)
    parser.add_argument("--platform", default="")
    parser.add_argument("--insecure-registry", action="append", default=[])
    parser.add_argument("--ca", default="")
    parser.add_argument("--host", default="")
    return parser
