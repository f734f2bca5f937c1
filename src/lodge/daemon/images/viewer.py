"""The layer explorer on a terminal: layers above, what the chosen one changed below, as a tree that folds.

Drawn with curses. What is shown is computed by `Browser`, which knows no terminal and is tested without one.
"""

from __future__ import annotations

import curses
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from lodge.archive.strata import Step
from lodge.daemon.images.reports import Explored, copies, counts, printable, size

_SIGNS = {"added": "+", "modified": "~", "deleted": "-", "": " "}
_FOLDED, _OPEN = "\N{BLACK RIGHT-POINTING SMALL TRIANGLE}", "\N{BLACK DOWN-POINTING SMALL TRIANGLE}"
_KEYS = "\N{UPWARDS ARROW}\N{DOWNWARDS ARROW} move   space fold   tab layers/files   w waste   q quit"


class Line(NamedTuple):
    """One line of the tree. `change` is empty for a directory that is only on the way."""

    path: str
    depth: int
    change: str
    size: int
    folded: bool
    directory: bool


class _Node:
    __slots__ = ("change", "children", "directory", "size")

    def __init__(self) -> None:
        self.children: dict[str, _Node] = {}
        self.change = ""
        self.size = 0
        self.directory = False


def tree(steps: Sequence[Step]) -> _Node:
    """The steps of a layer by directory; a directory's size is that of all below it."""
    root = _Node()
    for step in steps:
        node = root
        node.size += step.size
        for part in step.path.split("/"):
            node.directory = True
            node = node.children.setdefault(part, _Node())
            node.size += step.size
        node.change = step.change
        node.directory = node.directory or step.kind == "dir"
    return root


class Browser:
    """Where the reader is: which layer, which pane, which line, what is folded."""

    def __init__(self, explored: Explored) -> None:
        self.explored = explored
        self.layer = 0
        self.on_files = False
        self.wasted = False
        self.line = 0
        self._trees: dict[int, _Node] = {}
        self._open: dict[int, set[str]] = {}

    def lines(self) -> list[Line]:
        """The tree of the chosen layer as it is unfolded now."""
        node = self._trees.get(self.layer)
        if node is None:
            node = self._trees[self.layer] = tree(self.explored.stack.steps[self.layer])
            self._open[self.layer] = set(_to_first_fork(node))
        return list(self._walk(node, "", 0))

    def _walk(self, node: _Node, path: str, depth: int) -> Iterator[Line]:
        for name, child in sorted(node.children.items()):
            below = f"{path}/{name}" if path else name
            folded = child.directory and below not in self._open[self.layer]
            yield Line(below, depth, child.change, child.size, folded, child.directory)
            if child.directory and not folded:
                yield from self._walk(child, below, depth + 1)

    def press(self, key: str) -> bool:
        """Do what a key says; False at the end."""
        if key == "q":
            return False
        if key == "tab":
            self.on_files = not self.on_files
        elif key == "w":
            self.wasted = not self.wasted
        elif key in ("up", "down", "page up", "page down"):
            self._move({"up": -1, "down": 1, "page up": -10, "page down": 10}[key])
        elif key in (" ", "enter") and self.on_files and not self.wasted:
            self._fold()
        return True

    def _move(self, by: int) -> None:
        if self.on_files:
            last = len(self.explored.stack.waste() if self.wasted else self.lines()) - 1
            self.line = max(0, min(last, self.line + by))
        else:
            self.layer = max(0, min(len(self.explored.layers) - 1, self.layer + by))
            self.line = 0

    def _fold(self) -> None:
        lines = self.lines()
        if self.line < len(lines) and lines[self.line].directory:
            self._open[self.layer] ^= {lines[self.line].path}

    def layer_rows(self) -> list[str]:
        """The upper pane."""
        stack = self.explored.stack
        rows = []
        for number, layer in enumerate(stack.layers):
            made = counts(stack.steps[number])
            changes = f"+{made['added']} ~{made['modified']} -{made['deleted']}"
            command = printable(self.explored.commands[number])
            rows.append(f"{number:3} {size(layer.size):>9}  {changes:<22} {command}")
        return rows

    def file_rows(self) -> list[str]:
        """The lower pane."""
        if self.wasted:
            return [
                f"{size(one.size):>9}  {copies(one.count)}  /{printable(one.path)}"
                for one in self.explored.stack.waste()
            ]
        return [
            f"{_SIGNS[line.change]} {size(line.size):>9}  {'  ' * line.depth}"
            f"{(_FOLDED if line.folded else _OPEN) if line.directory else ' '} "
            f"{printable(line.path.rpartition('/')[2])}{'/' if line.directory else ''}"
            for line in self.lines()
        ]

    def title(self) -> str:
        """The first row."""
        stack = self.explored.stack
        wasted = sum(one.size for one in stack.waste())
        return (
            f"{printable(self.explored.name)}  {size(stack.size)}, wasted {size(wasted)}, "
            f"efficiency {stack.efficiency:.1%}"
        )


def _to_first_fork(node: _Node) -> Iterator[str]:
    """Directories that may as well be open: each is alone in its own."""
    path = ""
    while len(node.children) == 1:
        name, node = next(iter(node.children.items()))
        path = f"{path}/{name}" if path else name
        yield path


def view(explored: Explored) -> None:
    """Show it until the reader has enough."""
    if explored.layers:
        curses.wrapper(_loop, Browser(explored))


_NAMES = {
    curses.KEY_UP: "up", curses.KEY_DOWN: "down", curses.KEY_PPAGE: "page up", curses.KEY_NPAGE: "page down",
    9: "tab", 10: "enter", 13: "enter", curses.KEY_ENTER: "enter", 27: "q", ord("k"): "up", ord("j"): "down",
}  # fmt: skip


def _loop(screen: curses.window, browser: Browser) -> None:
    try:
        curses.curs_set(0)
        curses.use_default_colors()
        for number, colour in enumerate((curses.COLOR_GREEN, curses.COLOR_YELLOW, curses.COLOR_RED), 1):
            curses.init_pair(number, colour, -1)
    except curses.error:
        pass  # a terminal without colours or without a cursor to hide
    while True:
        _draw(screen, browser)
        key = screen.getch()
        if not browser.press(_NAMES.get(key, chr(key) if 0 < key < 256 else "")):
            return


def _draw(screen: curses.window, browser: Browser) -> None:
    screen.erase()
    height, width = screen.getmaxyx()
    layers, rows = browser.layer_rows(), browser.file_rows()
    upper = max(1, min(len(layers), height // 3))
    _put(screen, 0, browser.title(), width, curses.A_BOLD)
    _pane(screen, 2, upper, layers, browser.layer, width, active=not browser.on_files)
    heading = "Wasted" if browser.wasted else f"Changes of layer {browser.layer}"
    _put(screen, upper + 3, heading, width, curses.A_BOLD)
    _pane(screen, upper + 4, height - upper - 6, rows, browser.line, width, active=browser.on_files)
    _put(screen, height - 1, _KEYS, width, curses.A_DIM)
    screen.refresh()


def _pane(
    screen: curses.window, top: int, height: int, rows: list[str], chosen: int, width: int, *, active: bool
) -> None:
    first = max(0, min(chosen - height // 2, len(rows) - height))
    for offset, row in enumerate(rows[first : first + max(0, height)]):
        style = {"+": curses.color_pair(1), "~": curses.color_pair(2), "-": curses.color_pair(3)}
        look = style.get(row[:1], curses.A_NORMAL)
        if first + offset == chosen:
            look |= curses.A_REVERSE if active else curses.A_BOLD
        _put(screen, top + offset, row, width, look)


def _put(screen: curses.window, row: int, text: str, width: int, look: int) -> None:
    try:
        screen.addnstr(row, 0, text.ljust(width), width - 1, look)
    except curses.error:
        pass  # a window that is too small for it
