"""The command line that ps shows."""

from __future__ import annotations

import ast
import subprocess
import sys

PROGRAM = """
from lodge.kernel.process import set_title
set_title(["/sbin/some-title", "a b", "x" * {count}])
for name in ("cmdline", "comm", "environ"):
    print(open(f"/proc/self/{{name}}", "rb").read())
"""


def shown(count: int) -> tuple[bytes, bytes, bytes]:
    words = [sys.executable, "-c", PROGRAM.format(count=count)]
    done = subprocess.run(words, env={"KEPT": "ab"}, capture_output=True, check=True, text=True)
    command, name, environment = map(ast.literal_eval, done.stdout.splitlines())
    return command, name, environment


def test_all_of_the_old_one_is_gone() -> None:
    command, name, environment = shown(1)
    assert command.rstrip(b"\0") == b"/sbin/some-title\0a b\0x"
    assert (name, environment) == (b"some-title\n", b"KEPT=ab\0")


def test_a_long_one_is_cut_and_stays_in_its_place() -> None:
    command, _, environment = shown(100_000)
    assert 100 < command.count(b"x") < 1000
    assert (command[-1:], environment) == (b"\0", b"KEPT=ab\0")
