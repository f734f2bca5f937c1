"""`lodge image copy`, `diff`, `explore` and the inspection of remote images: programs that this one becomes.

They work on registries, archives and layouts as the user who calls; lodged is asked for its own images only.
"""

from __future__ import annotations

import os
import sys

from lodge.cli.command import Command
from lodge.cli.flags import BOOL, LIST, STRING, Flag, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lodge.cli.command import Context
    from lodge.cli.flags import Values

_COMMON = (
    Flag("platform", STRING, "Of this platform, as os/architecture"),
    Flag("insecure-registry", LIST, "Do not check the certificate of this registry, or use plain HTTP"),
    Flag("ca", STRING, "Trust certificates of registries that this CA signed"),
)
_COPY = (
    Flag("all", BOOL, "All platforms of an index, and what else it holds", short="a"),
    Flag("quiet", BOOL, "Print only the digest", short="q"),
    *_COMMON,
)
_RAW = Flag("raw", BOOL, "Print the manifest as it is, byte for byte")
_CONFIG = Flag("config", BOOL, "Print the configuration of the image")
_FORMAT = Flag("format", STRING, '"text" or "json"', short="f")
_LOWEST = Flag("lowest-efficiency", STRING, "Fail when less of the bytes than this part can be seen (0.95)")


def become(verb: str, ctx: Context, flags: tuple[Flag, ...], values: Values, arguments: list[str]) -> None:
    """Replace this process by the program: its output and exit code are its own."""
    words = [sys.executable, "-m", "lodge.daemon.images", verb]
    if not ctx.address.default:
        words.append(f"--host={ctx.address.text}")
    for flag in flags:
        if flag.name not in values:
            continue
        value = values[flag.name]
        if flag.kind is BOOL:
            words += [f"--{flag.name}"] if value else []
        else:
            words += [f"--{flag.name}={each}" for each in (value if flag.kind.many else [value])]
    sys.stdout.flush()
    os.execve(words[0], [*words, "--", *arguments], dict(ctx.environ))


def _copy(ctx: Context, values: Values, arguments: list[str]) -> None:
    become("copy", ctx, _COPY, values, arguments)


def _diff(ctx: Context, values: Values, arguments: list[str]) -> None:
    become("diff", ctx, (_FORMAT, *_COMMON), values, arguments)


def _explore(ctx: Context, values: Values, arguments: list[str]) -> None:
    become("explore", ctx, (_FORMAT, _LOWEST, *_COMMON), values, arguments)


def _inspect(ctx: Context, values: Values, arguments: list[str]) -> None:
    become("inspect", ctx, (_RAW, _CONFIG, *_COMMON), values, arguments)


def inspect_remote(ctx: Context, values: Values, names: list[str]) -> None:
    """`image inspect --remote`: the configuration of one image."""
    if len(names) != 1 or values["format"]:
        raise UsageError("--remote takes one image and no --format")
    words = [f"--platform={values['platform']}"] if values["platform"] else []
    given, _ = MANIFEST_INSPECT.parse([*words, "--config"])
    _inspect(ctx, given, names)


_VERIFY = (
    Flag("key", LIST, "Public key, as PEM file, of who may have signed"),
    Flag("certificate-identity", STRING, "Mail address or URI of who must have signed by a certificate"),
    Flag("certificate-identity-regexp", STRING, "The same as a pattern that matches as a whole"),
    Flag("certificate-oidc-issuer", STRING, "Who must vouch for the identity"),
    Flag("certificate-oidc-issuer-regexp", STRING, "The same as a pattern"),
    Flag("roots", LIST, "PEM file of root certificates that are believed"),
    Flag("intermediates", LIST, "PEM file of certificates between them and the signer's"),
    Flag("transparency-key", LIST, "Public key of a log whose word counts for the time of signing"),
    Flag("policy", STRING, "Trust policy file to take the rule from"),
    _FORMAT,
    *_COMMON,
)
_ATTESTATIONS = (
    Flag("type", STRING, '"sbom", "provenance" or a predicate type'),
    Flag("key", LIST, "Public key, as PEM file, to verify signed ones with"),
    Flag("raw", BOOL, "Print the statements themselves"),
    _FORMAT,
    *_COMMON,
)


def _verify(ctx: Context, values: Values, arguments: list[str]) -> None:
    become("verify", ctx, _VERIFY, values, arguments)


def _attestations(ctx: Context, values: Values, arguments: list[str]) -> None:
    become("attestations", ctx, _ATTESTATIONS, values, arguments)


VERIFY = Command(
    "[OPTIONS] IMAGE",
    "Check who signed an image in a registry",
    _verify,
    flags=_VERIFY,
    minimum=1,
    maximum=1,
)
ATTESTATIONS = Command(
    "[OPTIONS] IMAGE",
    "Show what is attested of an image in a registry: contents (SBOM), making (provenance)",
    _attestations,
    flags=_ATTESTATIONS,
    minimum=1,
    maximum=1,
)
COPY = Command(
    "[OPTIONS] SOURCE TARGET",
    "Copy an image between registries, archives, layouts and lodged: "
    "docker://NAME, oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:NAME], lodge:NAME",
    _copy,
    flags=_COPY,
    minimum=2,
    maximum=2,
)
DIFF = Command(
    "[OPTIONS] IMAGE IMAGE",
    "Show which files differ between two images",
    _diff,
    flags=(_FORMAT, *_COMMON),
    minimum=2,
    maximum=2,
    complete="image",
)
EXPLORE = Command(
    "[OPTIONS] IMAGE",
    "Look into the layers of an image: what each changed, what is wasted",
    _explore,
    flags=(_FORMAT, _LOWEST, *_COMMON),
    minimum=1,
    maximum=1,
    complete="image",
)
MANIFEST_INSPECT = Command(
    "[OPTIONS] IMAGE",
    "Show the manifest of an image in a registry, archive or layout",
    _inspect,
    flags=(_RAW, _CONFIG, *_COMMON),
    minimum=1,
    maximum=1,
)
