"""The project's own source as data for the style tests: modules, their trees, functions and comments."""

import ast
import functools
import io
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent.parent
SOURCE = PROJECT / "src" / "lodge"


@dataclass(frozen=True)
class Function:
    """A function or method, with the lines that it spans (decorators not counted)."""

    module: "Module"
    name: str
    node: ast.FunctionDef | ast.AsyncFunctionDef

    @property
    def length(self) -> int:
        return (self.node.end_lineno or self.node.lineno) - self.node.lineno + 1

    def __str__(self) -> str:
        return f"{self.module}:{self.node.lineno} {self.name}"


@dataclass(frozen=True)
class Module:
    """One Python file of the project."""

    path: Path

    @functools.cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @functools.cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, filename=str(self.path))

    @functools.cached_property
    def lines(self) -> int:
        return len(self.text.splitlines())

    @functools.cached_property
    def comments(self) -> dict[int, str]:
        """Comments by line number, without the `#`."""
        tokens = tokenize.generate_tokens(io.StringIO(self.text).readline)
        return {
            token.start[0]: token.string.lstrip("#").strip()
            for token in tokens
            if token.type == tokenize.COMMENT
        }

    @property
    def dotted(self) -> str:
        """The import name: lodge.kernel.mount."""
        parts = self.path.relative_to(SOURCE.parent).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @property
    def room(self) -> str:
        """The package directly below lodge, or the module's own name where it stands alone."""
        return [*self.dotted.split("."), ""][1]

    def functions(self) -> Iterator[Function]:
        """Every function of the module, methods and nested ones included, outermost first."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield Function(self, node.name, node)

    def __str__(self) -> str:
        return str(self.path.relative_to(PROJECT))


@functools.cache
def modules() -> tuple[Module, ...]:
    """Every module of the package lodge."""
    return tuple(Module(path) for path in sorted(SOURCE.rglob("*.py")))


@functools.cache
def scripts() -> tuple[Module, ...]:
    """Every Python file of tests, bench and tools."""
    return tuple(
        Module(path) for top in ("tests", "bench", "tools") for path in sorted((PROJECT / top).rglob("*.py"))
    )
