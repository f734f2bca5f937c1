"""Python code in a child process with a mount namespace of its own, so that no mount can be left behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def run_apart(script: str, *words: str, project: Path) -> str:
    """Run Python source in a private mount namespace; return what it printed. Fails as the script fails."""
    environment = {**os.environ, "PYTHONPATH": f"{project}/src:{project}"}
    command = ["unshare", "--mount", "--propagation", "private", sys.executable, "-c", script, *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stderr
    return done.stdout
