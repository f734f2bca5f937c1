"""Habits that no linter knows: opening docstrings, names, one keyhole for ctypes, danger that is argued."""

import ast
import re
from collections.abc import Iterator

from tests.style.source import Function, Module, modules, scripts

FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "misc"}
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK|NotImplementedError)\b")

DANGEROUS = {
    "os": {
        "fork", "forkpty", "setuid", "setgid", "seteuid", "setegid", "setreuid", "setregid", "setresuid",
        "setresgid", "setgroups", "chroot",
    },
    "shutil": {"rmtree"},
    # wrappers of our own room, by whatever name the module was imported
    "": {"clone3", "pivot_root", "umount2", "rmtree"},
}  # fmt: skip


def every_module() -> tuple[Module, ...]:
    return (*modules(), *scripts())


def test_every_module_opens_with_a_docstring() -> None:
    """A file of tests may do without: its name and the names of its tests say what it is about."""
    silent = [
        str(module)
        for module in every_module()
        if module.text.strip()
        and not module.path.name.startswith("test_")
        and not ast.get_docstring(module.tree)
    ]
    assert not silent


def test_packages_hold_no_code_beyond_their_names() -> None:
    """An `__init__` re-exports; what does something lives in a module with a subject."""
    busy = [
        f"{module}:{node.lineno}"
        for module in modules()
        if module.path.name == "__init__.py"
        for node in module.tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        and node.name not in {"__dir__", "__getattr__"}
    ]
    assert not busy


def test_no_module_has_a_name_that_says_nothing() -> None:
    vague = [
        str(module) for module in every_module() if FORBIDDEN_NAMES & set(module.path.with_suffix("").parts)
    ]
    assert not vague


def test_nothing_is_left_unfinished() -> None:
    unfinished = [
        f"{module}:{number}: {line.strip()}"
        for module in modules()
        for number, line in enumerate(module.text.splitlines(), 1)
        if UNFINISHED.search(line)
    ]
    assert not unfinished


def test_only_the_kernel_room_holds_ctypes() -> None:
    holders = {
        str(module)
        for module in modules()
        for node in ast.walk(module.tree)
        if (isinstance(node, ast.Import) and any(name.name.split(".")[0] == "ctypes" for name in node.names))
        or (isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "ctypes")
    }
    assert all(holder.startswith("src/lodge/kernel/") for holder in holders), holders


def dangerous_calls(function: Function) -> Iterator[ast.Call]:
    for node in ast.walk(function.node):
        if not isinstance(node, ast.Call):
            continue
        callee = node.func
        if getattr(callee, "attr", None) == function.name:
            continue  # the wrapper itself: its callers argue
        if isinstance(callee, ast.Attribute):
            owner = callee.value.id if isinstance(callee.value, ast.Name) else ""
            if callee.attr in DANGEROUS.get(owner, set()) | DANGEROUS[""]:
                yield node
        elif isinstance(callee, ast.Name) and callee.id in DANGEROUS["os"] | DANGEROUS[""]:
            yield node


def test_dangerous_operations_carry_their_argument() -> None:
    """A fork, a recursive delete, a raw unmount, a change of user: the same function says why it is safe."""
    unargued = []
    for module in modules():
        safe = {line for line, comment in module.comments.items() if comment.startswith("SAFETY:")}
        for function in module.functions():
            first, last = function.node.lineno - 2, function.node.end_lineno or 0
            if not any(first <= line <= last for line in safe):
                unargued += [
                    f"{module}:{call.lineno} in {function.name}" for call in dangerous_calls(function)
                ]
    assert not unargued, "these calls need a `# SAFETY:` comment in their function:\n" + "\n".join(unargued)
