"""Terminals: pty(7), ioctl_tty(2), termios(3). The slave is opened through its master, never by name."""

from __future__ import annotations

import fcntl
import os
import struct
import termios

_TIOCGPTPEER = 0x5441
_TIOCSPTLCK = 0x40045431

_INPUT, _OUTPUT, _CONTROL, _LOCAL, _CHARACTERS = 0, 1, 2, 3, 6
_WINDOW = struct.Struct("HHHH")


def open_pty(ptmx: str = "/dev/ptmx") -> tuple[int, int]:
    """A new terminal (master, slave) from the devpts whose `ptmx` is named; both close-on-exec.

    The slave comes from TIOCGPTPEER (Linux 4.13), so nothing that was put in its place can be opened instead
    (CVE-2025-52565).
    """
    master = os.open(ptmx, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        fcntl.ioctl(master, _TIOCSPTLCK, struct.pack("i", 0))
        slave = fcntl.ioctl(master, _TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    except BaseException:
        os.close(master)
        raise
    return master, slave


def set_window_size(fd: int, rows: int, columns: int) -> None:
    """Set the size in characters; the foreground processes get SIGWINCH when it changes."""
    fcntl.ioctl(fd, termios.TIOCSWINSZ, _WINDOW.pack(rows, columns, 0, 0))


def window_size(fd: int) -> tuple[int, int]:
    """(rows, columns)."""
    rows, columns, _, _ = _WINDOW.unpack(fcntl.ioctl(fd, termios.TIOCGWINSZ, bytes(_WINDOW.size)))
    return rows, columns


def set_controlling_tty(fd: int) -> None:
    """Make a terminal the controlling one of this session leader (after setsid)."""
    fcntl.ioctl(fd, termios.TIOCSCTTY, 0)


def make_raw(fd: int) -> list[int | list[bytes | int]]:
    """Pass every byte as it is, cfmakeraw(3); returns the attributes from before, for `restore`."""
    before: list[int | list[bytes | int]] = termios.tcgetattr(fd)
    raw = list(before)
    raw[_INPUT] &= ~(  # type: ignore[operator]
        termios.IGNBRK
        | termios.BRKINT
        | termios.PARMRK
        | termios.ISTRIP
        | termios.INLCR
        | termios.IGNCR
        | termios.ICRNL
        | termios.IXON
    )
    raw[_OUTPUT] &= ~termios.OPOST  # type: ignore[operator]
    raw[_LOCAL] &= ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.ISIG | termios.IEXTEN)  # type: ignore[operator]
    raw[_CONTROL] = raw[_CONTROL] & ~(termios.CSIZE | termios.PARENB) | termios.CS8  # type: ignore[operator]
    characters = list(raw[_CHARACTERS])  # type: ignore[arg-type]
    characters[termios.VMIN], characters[termios.VTIME] = 1, 0
    raw[_CHARACTERS] = characters
    termios.tcsetattr(fd, termios.TCSANOW, raw)
    return before


def restore(fd: int, attributes: list[int | list[bytes | int]]) -> None:
    """Give a terminal the attributes back that `make_raw` returned."""
    termios.tcsetattr(fd, termios.TCSANOW, attributes)
