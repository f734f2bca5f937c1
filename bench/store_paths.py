"""The store alone, without an engine around it: `python -m bench.store_paths [DIRECTORY] [ROUNDS]`.

For whoever changes `archive` or `store`: extraction beside GNU tar; loading, saving and removing of many
small files and of a few large ones, and the two steps that every container start and end waits for. Prints
medians; CPU seconds of this process stand beside wall time, since they do not drift with what else runs.
Whole requests, beside Docker, are measured by `bench.rows.archives`.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.material import docker_archive, large_files_layer, small_files_layer
from lodge.archive.extract import Options, extract
from lodge.archive.source import DescriptorReader
from lodge.archive.whiteouts import OverlayWhiteouts
from lodge.store import Store

KINDS = {"30,000 small files": small_files_layer, "1 GiB in 8 files": large_files_layer}
STARTS = 400


class Times:
    """Samples of wall and CPU seconds by what was done."""

    def __init__(self) -> None:
        self._samples: dict[str, list[tuple[float, float]]] = {}

    def of(self, what: str, work: Callable[[], object]) -> None:
        """Do it once and keep how long it took."""
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        sample = (time.perf_counter() - wall, time.process_time() - cpu)
        self._samples.setdefault(what, []).append(sample)

    def show(self) -> None:
        """Print a line each: medians in milliseconds."""
        for what, samples in self._samples.items():
            wall, cpu = (statistics.median(column) * 1000 for column in zip(*samples, strict=True))
            print(f"{what:<44} {wall:10.3f} ms wall {cpu:10.3f} ms CPU   ({len(samples)} times)")


def _extract(layer: Path, where: Path) -> None:
    root = os.open(where, os.O_RDONLY | os.O_DIRECTORY)
    with open(layer, "rb", buffering=0) as file:
        extract(DescriptorReader(file.fileno()), root, Options(whiteouts=OverlayWhiteouts(), layer=True))
    os.close(root)


def _fresh(where: Path) -> Path:
    # SAFETY: a directory of this program, below the one that it was told to work in.
    shutil.rmtree(where, ignore_errors=True)
    where.mkdir()
    return where


def _round(times: Times, title: str, name: str, scratch: Path, number: int) -> None:
    layer, archive = scratch / f"{name}.layer.tar", scratch / f"{name}.tar"
    out = _fresh(scratch / "ours")
    times.of(f"{title}: extract", lambda: _extract(layer, out))
    theirs = _fresh(scratch / "theirs")
    times.of(f"{title}: GNU tar", lambda: subprocess.run(["tar", "-xf", layer, "-C", theirs], check=True))
    for path in (out, theirs):
        _fresh(path)
    reference = f"docker.io/library/{name}:latest"
    with Store(scratch / f"store-{number % 2}") as store, open(archive, "rb", buffering=0) as file:
        times.of(f"{title}: load", lambda: store.archives.load(file))
        target = store.references.get(reference)
        with open(scratch / "saved.tar", "wb", buffering=0) as saved:
            times.of(f"{title}: save", lambda: store.archives.save([(target, [reference])], saved.write))
        store.references.remove(reference)
        times.of(f"{title}: remove, until it returns", store.collect)
        times.of(f"{title}: remove, until it is gone", store.trash.wait)


def _starts(times: Times, name: str, scratch: Path) -> None:
    with Store(scratch / "store-0") as store, open(scratch / f"{name}.tar", "rb", buffering=0) as file:
        image = store.images.resolve(store.archives.load(file)[0].target)
        for number in range(STARTS):
            key = f"c{number}"
            times.of("prepare", lambda key=key: store.snapshots.prepare(key, image.chain_id))  # type: ignore[misc]
            times.of("mounts", lambda key=key: store.snapshots.mounts(key))  # type: ignore[misc]
        for number in range(STARTS):
            times.of("remove", lambda key=f"c{number}": store.snapshots.remove(key))  # type: ignore[misc]


def main() -> None:
    """Measure all and print the table."""
    directory = sys.argv[1] if len(sys.argv) > 1 else None
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    times = Times()
    with tempfile.TemporaryDirectory(dir=directory, prefix="lodge-bench-") as name:
        scratch = Path(name)
        for number, (title, make) in enumerate(KINDS.items()):
            layer = scratch / f"kind{number}.layer.tar"
            make(layer)
            docker_archive(layer, f"kind{number}", scratch / f"kind{number}.tar")
            for turn in range(rounds):
                _round(times, title, f"kind{number}", scratch, turn)
        _starts(times, "kind0", scratch)
    times.show()


if __name__ == "__main__":
    main()
