"""One attached session at the terminal: raw mode, window size, signals and the detach keys around a stream.

The bytes themselves are moved by `lodge.client.attach`. A `with` block holds the signals and the terminal, so
both are given back on every way out.
"""

from __future__ import annotations

import os
import sys

from lodge.cli.command import Failure
from lodge.cli.signals import FATAL, FORWARDED, NAMES, WINDOW_CHANGED, SignalPipe, die_of
from lodge.client.attach import DEFAULT_DETACH_KEYS, Attachment, parse_detach_keys
from lodge.errors import LodgeError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

    from lodge.cli.command import Context
    from lodge.cli.flags import Values
    from lodge.cli.terminal import RawTerminal
    from lodge.client.http1 import Response


def detach_keys(ctx: Context, values: Values) -> str:
    """The sequence asked for: the flag, else `detachKeys` of config.json, else empty (the default)."""
    if "detach-keys" in values:
        return str(values["detach-keys"])
    return str(ctx.config().get("detachKeys") or "")


def check_terminal(attach_stdin: bool, tty: bool) -> None:
    """Docker's check: a terminal session that takes input needs a terminal to take it from."""
    if attach_stdin and tty and not os.isatty(0):
        raise Failure("the input device is not a TTY")


class Session:
    """Signals and terminal of one attached program.

    `stdin`, `stdout`, `stderr` say what is attached. `resize_path` is where a new window size is posted,
    `kill_path` where caught signals go (None keeps signals for this process).
    """

    def __init__(
        self,
        ctx: Context,
        *,
        tty: bool,
        stdin: bool,
        stdout: bool = True,
        stderr: bool = True,
        keys: str = "",
        resize_path: str = "",
        kill_path: str | None = None,
    ) -> None:
        self._ctx = ctx
        self._tty = tty
        self._stdin = 0 if stdin else None
        self._stdout = 1 if stdout else None
        self._stderr = 2 if stderr else None
        self._keys = parse_detach_keys(keys or DEFAULT_DETACH_KEYS) if tty else b""
        self._resize_path = resize_path
        self._kill_path = kill_path
        self._signals: SignalPipe | None = None
        self._terminal: RawTerminal | None = None

    def __enter__(self) -> Self:
        caught = set(FORWARDED if self._kill_path else FATAL if self._tty else ())
        if self._tty:
            caught.add(WINDOW_CHANGED)
        if caught:
            self._signals = SignalPipe(caught)
        return self

    def __exit__(self, *_: object) -> None:
        self._leave_raw()
        if self._signals:
            self._signals.close()

    def stream(self, response: Response) -> bool:
        """Copy until the program's streams end; True when the user detached before."""
        if self._tty and self._stdin is not None:
            from lodge.cli.terminal import RawTerminal

            self._terminal = RawTerminal(0)
            self._terminal.__enter__()
        attachment = Attachment(
            response,
            stdin=self._stdin,
            stdout=self._stdout,
            stderr=self._stderr,
            multiplexed=not self._tty,
            detach_keys=self._keys,
        )
        sys.stdout.flush()
        try:
            watch = {self._signals.fileno(): self._handle_signals} if self._signals else {}
            return attachment.run(watch)
        finally:
            attachment.close()
            self._leave_raw()

    def resize(self, *, redraw: bool = False) -> None:
        """Tell the engine how large the terminal is; a program that has ended already does not mind.

        `redraw` first tells another size: a shell that is attached to again draws its prompt only when the
        size changes.
        """
        if not self._tty:
            return
        from lodge.cli.terminal import size

        found = size() or size(0)
        if found is None:
            return
        rows, columns = found
        sizes = [(rows + 1, columns + 1), found] if redraw else [found]
        try:
            for rows, columns in sizes:
                self._ctx.engine.call("POST", self._resize_path, query={"h": rows, "w": columns})
        except LodgeError:
            pass

    def _leave_raw(self) -> None:
        if self._terminal:
            self._terminal.__exit__()
            self._terminal = None

    def _handle_signals(self) -> None:
        assert self._signals is not None
        for number in self._signals.take():
            if number == WINDOW_CHANGED and self._tty:
                self.resize()
            elif self._kill_path is None:
                self._leave_raw()
                die_of(number)
            else:
                self._forward(number)

    def _forward(self, number: int) -> None:
        from lodge.client.failures import Unreachable

        try:
            self._ctx.engine.call("POST", self._kill_path or "", query={"signal": NAMES[number]})
        except Unreachable:
            self._leave_raw()  # nobody to pass it to: it is for us
            die_of(number)
        except LodgeError:
            pass  # it has ended, or has not begun
