"""The way in: reads the global options, finds the verb, runs it, and turns its end into an exit code.

Exit codes are Docker's: 0, 1 for failures, 125 where `run` and its kin could not do their work, otherwise the
program's own. Nothing is imported here that a verb can do without.
"""

from __future__ import annotations

import os
import sys

from lodge.cli.command import Context, Failure
from lodge.cli.flags import BOOL, LIST, STRING, Flag, Parser, UsageError
from lodge.errors import InvalidArgument, LodgeError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from lodge.cli.command import Command
    from lodge.cli.flags import Values
    from lodge.client.address import Address

GLOBAL_FLAGS = (
    Flag("host", LIST, "The daemon's address (unix://, tcp://, ssh://)", short="H"),
    Flag("no-autostart", BOOL, "Do not start a daemon where none answers"),
    Flag("config", STRING, 'Folder of Docker\'s client files (default "~/.docker")'),
    Flag("debug", BOOL, "Show where a failure came from", short="D"),
    Flag("tls", BOOL, "Use TLS"),
    Flag("tlscacert", STRING, "Trust certificates signed by this CA"),
    Flag("tlscert", STRING, "The client's TLS certificate"),
    Flag("tlskey", STRING, "The client's TLS key"),
    Flag("tlsverify", BOOL, "Use TLS and verify the daemon"),
    Flag("version", BOOL, "Print the version and end", short="v"),
)


def run(arguments: Sequence[str]) -> int:
    """Do what the command line says; the exit code."""
    try:
        values, words = Parser(GLOBAL_FLAGS, mixed=False).parse(arguments)
    except UsageError as error:
        sys.stderr.write(
            f"{error}\n\nUsage:  lodge [OPTIONS] COMMAND\n\nRun 'lodge --help' for more information\n"
        )
        return 125
    if values["version"]:
        from lodge.cli.verbs.system import client_version

        sys.stdout.write(f"Lodge version {client_version()}\n")
        return 0
    if not words or values["help"]:
        from lodge.cli.help import show_root

        show_root(GLOBAL_FLAGS)
        return 0
    return _dispatch(values, words)


def _dispatch(values: Values, words: list[str]) -> int:
    from lodge.cli.tree import TREE, load

    entry = TREE.get(words[0])
    used = 1
    if isinstance(entry, dict):
        if len(words) == 1 or words[1] in ("--help", "-h"):
            from lodge.cli.help import show_group

            show_group(words[0])
            return 0
        entry = entry.get(words[1])
        used = 2
    if entry is None:
        from lodge.cli.help import unknown_command

        sys.stderr.write(unknown_command(words))
        return 1
    path = " ".join(words[:used])
    return _Invocation(path, load(entry), entry, values).run(words[used:])


class _Invocation:
    """One verb being run: knows its name for messages, and turns every failure into text and a code."""

    def __init__(self, path: str, command: Command, leaf: str, options: Values) -> None:
        self._path = f"lodge {path}"
        self._command = command
        self._leaf = leaf
        self._options = options

    def run(self, arguments: list[str]) -> int:
        command = self._command
        try:
            values, positional = command.parse(arguments)
            if values["help"]:
                from lodge.cli.help import show_command

                show_command(self._path, command, self._leaf)
                return 0
            if problem := self._count_problem(len(positional)):
                return self._complain(f"lodge: {problem}", 1)
            ctx = _context(self._options)
            try:
                return command.action(ctx, values, positional) or 0
            finally:
                ctx.close()
        except UsageError as error:
            return self._complain(str(error), 125)
        except Failure as failure:
            if failure.message:
                Context.err(failure.message)
            return failure.code
        except LodgeError as error:
            return self._report(error)
        except BrokenPipeError:
            raise  # the reader of our output has gone
        except OSError as error:
            return self._report(LodgeError(_describe(error)))

    def _count_problem(self, count: int) -> str:
        minimum, maximum = self._command.minimum, self._command.maximum
        if minimum <= count <= maximum:
            return ""
        if maximum == 0:
            return f"'{self._path}' accepts no arguments"
        bound, wanted = ("at least ", minimum) if count < minimum else ("at most ", maximum)
        if minimum == maximum:
            bound = ""
        return f"'{self._path}' requires {bound}{wanted} argument{'s' if wanted > 1 else ''}"

    def _complain(self, message: str, code: int) -> int:
        Context.err(
            f"{message}\n\nUsage:  {self._path} {self._command.usage}".rstrip()
            + f"\n\nRun '{self._path} --help' for more information"
        )
        return code

    def _report(self, error: LodgeError) -> int:
        from lodge.client.failures import Refused

        code = self._command.error_code
        message = (
            f"Error response from daemon: {error.message}" if isinstance(error, Refused) else error.message
        )
        if code == 125:
            message = f"lodge: {message}"
        if error.hint:
            from lodge.cli.colour import CYAN, paint

            message += "\n" + paint(error.hint, CYAN, sys.stderr)
        if code == 125:
            message += f"\n\nRun '{self._path} --help' for more information"
        Context.err(message)
        for note in getattr(error, "__notes__", ()):
            Context.err(note)
        if self._options["debug"]:
            import traceback

            traceback.print_exception(error)
        return code


def _describe(error: OSError) -> str:
    reason = (error.strerror or str(error)).lower()
    return f"{error.filename}: {reason}" if error.filename else reason


def _context(values: Values) -> Context:
    environ = dict(os.environ)
    if values["config"]:
        environ["DOCKER_CONFIG"] = values["config"]
    return Context(_address(values, environ), environ=environ, autostart=not values["no-autostart"])


def _address(values: Values, environ: dict[str, str]) -> Address:
    from lodge.client.address import TlsFiles, resolve

    hosts = values["host"]
    if len(hosts) > 1:
        raise InvalidArgument("specify only one -H")
    tls = None
    if (
        values["tls"]
        or values["tlsverify"]
        or any(f"tls{part}" in values for part in ("cacert", "cert", "key"))
    ):
        folder = environ.get("DOCKER_CERT_PATH") or f"{environ.get('HOME', '')}/.docker"
        tls = TlsFiles(
            values["tlscacert"] or f"{folder}/ca.pem",
            values["tlscert"] or f"{folder}/cert.pem",
            values["tlskey"] or f"{folder}/key.pem",
            bool(values["tlsverify"]),
        )
    return resolve(environ, hosts[0] if hosts else None, tls)


def main() -> int:
    """The console script; it leaves by `os._exit`, for taking the interpreter apart costs 2 ms."""
    try:
        code = run(sys.argv[1:])
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = 130
    except BrokenPipeError:
        code = 141  # 128 + SIGPIPE: whoever read our output has gone
    sys.stderr.flush()
    os._exit(code)
