"""A command as a value, and the context in which it runs.

A verb's module defines one or more `Command`s; `lodge.cli.tree` says where each is found, `lodge.cli.main`
runs them and turns failures into exit codes. Help is drawn from the same tables (`lodge.cli.help`).
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from lodge.cli.flags import Flag, Values
    from lodge.client.address import Address
    from lodge.client.engine import EngineClient

    Action = Callable[["Context", Values, list[str]], "int | None"]

ANY = 1 << 30


class Failure(Exception):
    """The command ends with `code`; `message` goes to stderr as it is (nothing when it is empty)."""

    def __init__(self, message: str = "", code: int = 1) -> None:
        super().__init__(message)
        self.message = message
        self.code = code


class Command:
    """One verb: its usage after its name, its flags, how many arguments it takes, and what it does.

    `mixed` False ends flags at the first argument. `error_code` is the exit code of refusals: 125 for verbs
    that otherwise answer with a program's own code. `complete` names what its arguments are, for the shells.
    """

    __slots__ = (
        "action",
        "complete",
        "error_code",
        "flags",
        "maximum",
        "minimum",
        "mixed",
        "summary",
        "usage",
    )

    def __init__(
        self,
        usage: str,
        summary: str,
        action: Action,
        *,
        flags: Sequence[Flag] = (),
        minimum: int = 0,
        maximum: int = 0,
        mixed: bool = True,
        error_code: int = 1,
        complete: str = "",
    ) -> None:
        self.usage = usage
        self.summary = summary
        self.action = action
        self.flags = flags
        self.minimum = minimum
        self.maximum = maximum
        self.mixed = mixed
        self.error_code = error_code
        self.complete = complete

    def parse(self, arguments: Sequence[str]) -> tuple[Values, list[str]]:
        """Read the words after the verb; UsageError when they do not fit the table of flags."""
        from lodge.cli.flags import Parser

        return Parser(self.flags, mixed=self.mixed).parse(arguments)


class Context:
    """What a verb may use: the environment, the output streams and, at first use, the engine."""

    def __init__(
        self, address: Address, *, environ: Mapping[str, str] | None = None, autostart: bool = True
    ) -> None:
        self.address = address
        self.environ: Mapping[str, str] = os.environ if environ is None else environ
        self._autostart = autostart
        self._engine: EngineClient | None = None
        self._config: dict[str, Any] | None = None

    @property
    def engine(self) -> EngineClient:
        """The client, connected when it is first asked for something; a missing daemon is started."""
        if self._engine is None:
            from lodge.client.engine import EngineClient

            engine = EngineClient(self.address, headers=self.config().get("HttpHeaders"))
            if self._autostart and self.address.default:
                self._connect_or_start(engine)
            self._engine = engine
        return self._engine

    def _connect_or_start(self, engine: EngineClient) -> None:
        """A socket may be missing, or be left over from a daemon that was killed: only connecting tells."""
        from lodge.client.failures import Unreachable

        try:
            engine.connect()
        except Unreachable as error:
            from lodge.client import startup

            if not startup.may_start(self.address):
                error.hint = error.hint or startup.why_not()
                raise
            startup.start_daemon(self.address)

    def close(self) -> None:
        """Give the client's connections back."""
        if self._engine is not None:
            self._engine.close()

    def config(self) -> dict[str, Any]:
        """The user's config.json of Docker (`$DOCKER_CONFIG`), empty where there is none."""
        if self._config is None:
            folder = self.environ.get("DOCKER_CONFIG") or f"{self.environ.get('HOME', '/root')}/.docker"
            try:
                with open(f"{folder}/config.json", "rb") as file:
                    from lodge.client.lean_json import loads

                    value = loads(file.read())
            except (OSError, ValueError):
                value = {}
            self._config = value if isinstance(value, dict) else {}
        return self._config

    @staticmethod
    def out(text: str) -> None:
        """One line to stdout."""
        sys.stdout.write(text + "\n")

    @staticmethod
    def err(text: str) -> None:
        """One line to stderr, at once."""
        sys.stdout.flush()
        sys.stderr.write(text + "\n")
        sys.stderr.flush()


def failures_of(ctx: Context, names: Sequence[str], act: Callable[[str], str | None]) -> list[str]:
    """Do `act` for every name, printing what it returns; refusals go to stderr and the rest goes on.

    The names that were refused come back.
    """
    from lodge.client.failures import Refused

    failed = []
    for name in names:
        try:
            text = act(name)
        except Refused as error:
            failed.append(name)
            ctx.err(f"Error response from daemon: {error.message}")
        else:
            if text is not None:
                ctx.out(text)
    return failed


def for_each(ctx: Context, names: Sequence[str], act: Callable[[str], str | None]) -> int:
    """`failures_of` as an exit code: 1 when one of the names was refused."""
    return 1 if failures_of(ctx, names, act) else 0
