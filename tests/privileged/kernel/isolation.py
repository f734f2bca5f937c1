"""A place for real effects: a forked child with namespaces of its own, whose failure is the test's."""

import os
import traceback
from collections.abc import Callable

from lodge.kernel import mount as m
from lodge.kernel import namespaces as ns


def isolated(action: Callable[[], object], flags: int = 0) -> str:
    """Run in a child with a private mount namespace (and those of `flags`); returns its result as text.

    AssertionError with the child's traceback when it fails.
    """
    read, write = os.pipe()
    # SAFETY: the tests' process has one thread; the child only runs the action and exits.
    pid, pidfd = ns.clone3(flags | ns.CLONE_NEWNS)
    if pid == 0:
        os.close(read)
        try:
            m.mount(None, "/", None, m.MS_REC | m.MS_PRIVATE)
            text = f"+{action()}"
        except BaseException:
            text = f"-{traceback.format_exc()}"
        with open(write, "wb") as file:
            file.write(text.encode())
        os._exit(0)
    os.close(write)
    with open(read, "rb") as file:
        text = file.read().decode()
    os.waitpid(pid, 0)
    os.close(pidfd)
    assert text.startswith("+"), f"in the child:\n{text[1:]}"
    return text[1:]
