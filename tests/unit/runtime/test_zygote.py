"""The zygote's import budget: everything is loaded before the first fork, and nothing that need not be."""

import subprocess
import sys

# Packages outside of lodge. Each is paid for by every machine that runs a container: add with a reason.
BUDGET = {
    "abc", "array", "atexit", "bz2", "codecs", "collections", "contextlib", "copy", "copyreg",
    "ctypes", "datetime", "decimal", "enum", "errno", "fcntl", "functools", "gc",
    "genericpath", "heapq", "importlib", "io", "isal", "itertools", "keyword", "linecache",
    "lzma", "math", "msgspec", "numbers", "operator", "os", "platform", "posixpath", "re",
    "reprlib", "resource", "select", "selectors", "signal", "socket", "stat", "struct", "termios",
    "textwrap", "types", "typing", "uuid", "warnings", "weakref",
    "zlib", "zstandard",
}  # fmt: skip
ROOMS = frozenset(("archive", "errors", "kernel", "runtime", "spec"))

LIST = (
    "import sys; sys.path[:0] = {path!r}; sys.modules['typing_extensions'] = None;"
    " import lodge.runtime.zygote; del sys.modules['typing_extensions']; print(*sorted(sys.modules))"
)


def loaded() -> set[str]:
    """What the zygote has loaded when it begins to serve."""
    program = LIST.format(path=[entry for entry in sys.path if entry])
    command = [sys.executable, "-I", "-S", "-X", "utf8", "-c", program]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


def test_import_budget() -> None:
    modules = loaded()
    bare = [sys.executable, "-I", "-S", "-X", "utf8", "-c", "import sys; print(*sys.modules)"]
    given = set(subprocess.run(bare, capture_output=True, text=True, check=True).stdout.split())
    packages = {name.partition(".")[0] for name in modules - given}
    # Private modules are the C halves of public ones.
    over = {name for name in packages if not name.startswith("_")} - BUDGET - {"lodge"}
    assert not over


def test_rooms() -> None:
    assert {name.split(".")[1] for name in loaded() if name.startswith("lodge.")} == ROOMS


def test_nothing_that_starts_threads() -> None:
    assert not loaded() & {"threading", "logging", "asyncio", "concurrent", "subprocess", "multiprocessing"}
