"""No module imports, directly or through others, itself: each can be read with only what is below it."""

import ast
from collections.abc import Iterator

from tests.style.source import Module, modules


def imported(module: Module, known: set[str]) -> Iterator[str]:
    """Modules of ours that this one imports when it is loaded (TYPE_CHECKING and function bodies apart)."""
    for node in _load_time(module.tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name in known)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = module.dotted.split(".")
                if module.path.name != "__init__.py":
                    package = package[:-1]
                base = ".".join([*package[: len(package) - node.level + 1], *filter(None, [base])])
            for name in node.names:
                dotted = f"{base}.{name.name}"
                if dotted in known:
                    yield dotted
                elif base in known:
                    yield base


def _load_time(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        yield node
        yield from _load_time(node)


def cycle_in(graph: dict[str, set[str]]) -> list[str] | None:
    """Some cycle of the graph as a closed walk, or None."""
    done: set[str] = set()
    for start in graph:
        path: list[str] = []
        todo = [(start, False)]
        while todo:
            node, leaving = todo.pop()
            if leaving:
                path.pop()
                done.add(node)
            elif node in path:
                return [*path[path.index(node) :], node]
            elif node not in done:
                path.append(node)
                todo.append((node, True))
                todo += [(below, False) for below in sorted(graph.get(node, ()))]
    return None


def test_a_cycle_is_found_when_there_is_one() -> None:
    assert cycle_in({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert cycle_in({"a": {"b", "c"}, "b": {"c"}, "c": set()}) is None


def test_imports_have_no_cycle() -> None:
    known = {module.dotted for module in modules()}
    graph = {
        module.dotted: {name for name in imported(module, known) if name != module.dotted}
        for module in modules()
    }
    cycle = cycle_in(graph)
    assert cycle is None, " -> ".join(cycle or [])
