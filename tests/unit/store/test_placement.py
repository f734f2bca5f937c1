import subprocess
from pathlib import Path

from lodge.store.placement import spread


def test_it_is_a_hint_that_every_file_system_takes(tmp_path: Path) -> None:
    spread("/proc/self/task")
    spread(str(tmp_path))
    spread(str(tmp_path))
    shown = subprocess.run(["lsattr", "-d", str(tmp_path)], capture_output=True, text=True, check=False)
    if shown.returncode == 0 and "e" in shown.stdout.split()[0]:
        assert "T" in shown.stdout.split()[0]
