"""`python -m bench [ROW...]`: measure, print the table, keep the samples; `--write` puts it in README.md."""

import argparse
import json
import os
import platform
import time
import traceback
from pathlib import Path

import bench.rows  # noqa: F401 - registers the rows
from bench.frame import Measured, row, table
from bench.subjects import Subjects, subjects

HERE = Path(__file__).resolve().parent
QUIET = 0.5
"""A load (of one minute) above which others are at work too."""
ORDER = (
    "idle",
    "run",
    "command",
    "version",
    "exec",
    "container-memory",
    "many",
    "restart",
    "small-files",
    "large-files",
    "build-steps",
    "build-context",
    "build-stages",
    "pull-small",
    "pull-large",
    "pull-again",
    "registry-server",
    "names",
    "network-run",
    "network-throughput",
    "network-churn",
    "vm-start",
    "vm-exec",
    "vm-memory",
    "logs",
    "used",
)
"""What is measured fresh comes first; the last row looks at what the others have left in memory."""
BEGIN, END = "<!-- table -->", "<!-- end of table -->"


def main() -> int:
    """Run the rows that were asked for; the exit code tells whether one of them failed to run."""
    arguments = _parser().parse_args()
    names = arguments.rows or ORDER
    load = os.getloadavg()[0]
    if load > QUIET:
        print(f"warning: the load is {load:.1f}; times of a busy machine tell little, ratios tell something")
    measured: list[Measured] = []
    failed = []
    with subjects(arguments.rounds, set(arguments.subjects.split(","))) as who:
        for name in names:
            lines = _one(name, who)
            if lines is None:
                failed.append(name)
            else:
                measured += lines
    print("\n" + table(measured))
    path = _keep(measured, load)
    print(f"\nsamples: {path}")
    if arguments.write:
        _write_readme(measured, load)
    if failed:
        print(f"rows that failed: {', '.join(failed)}")
    return 1 if failed else 0


def _one(name: str, who: Subjects) -> list[Measured] | None:
    started = time.monotonic()
    print(f"{name} ... ", end="", flush=True)
    try:
        lines = row.rows[name](who)
    except Exception:  # one row that fails must not take the others with it
        print("failed")
        traceback.print_exc()
        return None
    print(f"{time.monotonic() - started:.1f} s")
    for line in lines:
        print("    " + "  ".join(line.cells()), flush=True)
    return lines


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", choices=[[], *ORDER], help=f"of {', '.join(ORDER)}")
    parser.add_argument("--rounds", type=int, default=5, help="scales how often a row repeats (default 5)")
    parser.add_argument("--subjects", default="lodge,docker,crun", help="who is measured (default: all)")
    parser.add_argument("--write", action="store_true", help="put the table into bench/README.md")
    return parser


def _keep(measured: list[Measured], load: float) -> Path:
    folder = HERE / "results"
    folder.mkdir(exist_ok=True)
    path = folder / f"{time.strftime('%Y-%m-%dT%H%M%S')}.json"
    machine = {
        "kernel": platform.release(),
        "python": platform.python_version(),
        "processors": os.cpu_count(),
        "load before": load,
    }
    path.write_text(json.dumps({"machine": machine, "rows": [one.record() for one in measured]}, indent=1))
    return path


def _write_readme(measured: list[Measured], load: float) -> None:
    path = HERE / "README.md"
    text = path.read_text()
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    caption = (
        f"Measured on {time.strftime('%Y-%m-%d')}: {os.cpu_count()} processors, Linux {platform.release()}, "
        f"Python {platform.python_version()}; the load before was {load:.1f}."
    )
    path.write_text(f"{before}{BEGIN}\n{caption}\n\n{table(measured)}\n{END}{after}")


if __name__ == "__main__":
    raise SystemExit(main())
