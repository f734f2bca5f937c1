"""`lodge registry`: starts the registry's own program and becomes it. No daemon is asked."""

from __future__ import annotations

import os
import sys

from lodge.cli.command import Command
from lodge.cli.flags import BOOL, BYTES, DURATION, INT, LIST, STRING, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lodge.cli.command import Context
    from lodge.cli.flags import Values

_SECONDS = 1_000_000_000


def _become(verb: str, flags: tuple[Flag, ...], values: Values, arguments: list[str]) -> None:
    """Replace this process by the registry's: its signals and exit code are its own."""
    words = [sys.executable, "-m", "lodge.daemon.registry", verb]
    for flag in flags:
        if flag.name not in values:
            continue
        value = values[flag.name]
        if flag.kind is BOOL:
            words += [f"--{flag.name}"] if value else []
        elif flag.kind is DURATION:
            words.append(f"--{flag.name}={value / _SECONDS}")
        else:
            words += [f"--{flag.name}={each}" for each in (value if flag.kind.many else [value])]
    sys.stdout.flush()
    os.execv(words[0], [*words, "--", *arguments])


_SERVE_FLAGS = (
    Flag("addr", LIST, 'Listen on this address, port or unix:// path (default "127.0.0.1:5000")'),
    Flag("tls-cert", STRING, "Certificate of the server: TLS is on"),
    Flag("tls-key", STRING, "Key of the server"),
    Flag("tls-client-ca", STRING, "Let in only clients with a certificate of this CA"),
    Flag("htpasswd", STRING, "File of users with bcrypt hashes"),
    Flag("anonymous-pull", BOOL, "Without a password clients may pull"),
    Flag("token-realm", STRING, "Where clients get tokens"),
    Flag("token-service", STRING, "The name of this registry in tokens"),
    Flag("token-issuer", STRING, "Who must have made a token"),
    Flag("token-key", LIST, "File of public keys that sign tokens: JWK set, PEM keys or certificates"),
    Flag("read-only", BOOL, "Take no pushes and deletions"),
    Flag("no-delete", BOOL, "Take no deletions"),
    Flag("max-blob-size", BYTES, "Refuse larger blobs"),
    Flag("max-uploads", INT, "Take bytes of so many uploads at once (default 256)"),
    Flag("access-log", BOOL, "Log every request"),
    Flag("gc-interval", DURATION, "Collect garbage this often, 0 for only on SIGUSR1 (default 1h)"),
    Flag("gc-grace", DURATION, "Keep what was uploaded or asked for within this time (default 1h)"),
    Flag("delete-untagged", BOOL, "Manifests that no tag leads to are garbage"),
    Flag("upload-expiry", DURATION, "Give up uploads that nobody continues (default 168h)"),
    Flag("proxy", STRING, "Pull through: get what is not here from this registry (URL or image domain)"),
    Flag("proxy-ca", STRING, "Trust this CA for it"),
    Flag("proxy-user", STRING, "User there"),
    Flag("proxy-password-file", STRING, "File with the password there"),
    Flag("proxy-keep", DURATION, "Forget blobs that nobody asked for in this time (default 168h)"),
    Flag("store", BOOL, "DIRECTORY is a data root of lodged: serve its images, read-only"),
    Flag("debug", BOOL, "Log every refusal"),
)
_GC_FLAGS = (Flag("delete-untagged", BOOL, "Remove manifests that no tag leads to"),)
_CHECK_FLAGS = (Flag("repair", BOOL, "Remove what is damaged, so that it can be pushed again"),)


def _serve(_ctx: Context, values: Values, arguments: list[str]) -> None:
    _become("serve", _SERVE_FLAGS, values, arguments)


def _gc(_ctx: Context, values: Values, arguments: list[str]) -> None:
    _become("gc", _GC_FLAGS, values, arguments)


def _check(_ctx: Context, values: Values, arguments: list[str]) -> None:
    _become("check", _CHECK_FLAGS, values, arguments)


def _password(_ctx: Context, values: Values, arguments: list[str]) -> None:
    _become("password", (), values, arguments)


SERVE = Command(
    "[OPTIONS] DIRECTORY",
    "Serve an OCI registry over a directory",
    _serve,
    flags=_SERVE_FLAGS,
    minimum=1,
    maximum=1,
)
GC = Command(
    "[OPTIONS] DIRECTORY",
    "Remove what no manifest needs from a registry that is not served",
    _gc,
    flags=_GC_FLAGS,
    minimum=1,
    maximum=1,
)
CHECK = Command(
    "[OPTIONS] DIRECTORY",
    "Compare everything in a registry that is not served with its digest",
    _check,
    flags=_CHECK_FLAGS,
    minimum=1,
    maximum=1,
)
PASSWORD = Command(
    "USER", "Make a line for --htpasswd from a password on stdin", _password, minimum=1, maximum=1
)
