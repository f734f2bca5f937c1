"""How things are measured here: interleaved, several times, told by the median.

Machines drift: one that is busy for ten seconds would make whatever is measured in them look slow. So
subjects take turns (A B A B ...), and what counts is the ratio of medians. A row of the table is a function
that gets the subjects and returns `Measured` values; it registers itself with `@row`.
"""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.subjects import Subjects


@dataclass(frozen=True)
class Target:
    """What is to be reached: `ratio` of the peer's value, and `value` in the row's own unit."""

    ratio: float | None = None
    value: float | None = None
    more_is_better: bool = False

    def __str__(self) -> str:
        least, most = ("at least", "at most")
        word = least if self.more_is_better else most
        parts = [f"{word} {self.ratio:.2f} x" if self.ratio is not None else ""]
        parts += [f"{word} {self.value:g}" if self.value is not None else ""]
        return " and ".join(part for part in parts if part) or "-"

    def met(self, ours: float, theirs: float | None) -> bool:
        """Whether our value reaches it; a missing peer decides nothing."""
        sign = -1 if self.more_is_better else 1
        value_met = self.value is None or sign * ours <= sign * self.value
        ratio_met = self.ratio is None or theirs is None or sign * ours <= sign * self.ratio * theirs
        return value_met and ratio_met


@dataclass
class Measured:
    """One line of the table: the samples of us and of a peer, in `unit`."""

    what: str
    unit: str
    target: Target
    peer: str
    samples: Mapping[str, Sequence[float]]
    notes: str = ""

    def median(self, subject: str) -> float | None:
        """The middle sample of a subject; None when it was not measured."""
        samples = self.samples.get(subject)
        return statistics.median(samples) if samples else None

    @property
    def met(self) -> bool | None:
        """Whether the target is reached; None when there is none, or when we were not measured."""
        ours = self.median("lodge")
        if ours is None or self.target == Target():
            return None
        return self.target.met(ours, self.median(self.peer))

    def cells(self) -> list[str]:
        """The line as text: what, target, peer, Lodge, ratio, met."""
        ours, theirs = self.median("lodge"), self.median(self.peer)
        ratio = "-" if ours is None or not theirs else f"{ours / theirs:.2f}"
        verdict = {None: "-", True: "yes", False: "no"}[self.met]
        return [
            f"{self.what} ({self.unit})",
            str(self.target),
            "-" if theirs is None else f"{self.peer} {number(theirs)}",
            "-" if ours is None else number(ours),
            ratio,
            verdict,
        ]

    def record(self) -> dict[str, object]:
        """The line as JSON keeps it, samples included."""
        return {**asdict(self), "met": self.met}


Row = Callable[["Subjects"], list[Measured]]


@dataclass
class Registry:
    """The rows that there are, in the order of the table."""

    rows: dict[str, Row] = field(default_factory=dict)

    def __call__(self, name: str) -> Callable[[Row], Row]:
        """Decorate the function that measures a row."""

        def register(function: Row) -> Row:
            self.rows[name] = function
            return function

        return register


row = Registry()


def milliseconds(action: Callable[..., object], *arguments: object) -> float:
    """How long a call takes."""
    started = time.perf_counter()
    action(*arguments)
    return (time.perf_counter() - started) * 1000


def interleave(
    actions: Mapping[str, Callable[[], float]], rounds: int, *, warm_up: int = 1
) -> dict[str, list[float]]:
    """Let the actions, each of which measures itself, take turns; return the samples of each."""
    samples: dict[str, list[float]] = {name: [] for name in actions}
    for turn in range(-warm_up, rounds):
        for name, action in actions.items():
            sample = action()
            if turn >= 0:
                samples[name].append(sample)
    return samples


def number(value: float) -> str:
    """Three significant digits, never an exponent."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


HEAD = ["what", "to reach", "peer", "Lodge", "ratio", "met"]


def table(measured: Sequence[Measured]) -> str:
    """All lines as a Markdown table, columns aligned."""
    lines = [HEAD, *(one.cells() for one in measured)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    texts = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
        for line in lines
    ]
    texts.insert(1, "| " + " | ".join("-" * width for width in widths) + " |")
    return "\n".join(texts)
