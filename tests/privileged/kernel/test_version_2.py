"""Control groups version 2 with all controllers, in User Mode Linux: for hosts that have them on version 1.

Runs where LODGE_UML names a directory for the unpacked package (see on_version_2.sh); half a minute.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest


@pytest.mark.timeout(900)
@pytest.mark.skipif(
    "LODGE_UML" not in os.environ or shutil.which("dpkg-deb") is None,
    reason="LODGE_UML is not set: see tests/contract/cgroups/on_version_2.sh",
)
def test_the_contract_holds_on_version_2(project: Path) -> None:
    script = project / "tests" / "contract" / "cgroups" / "on_version_2.sh"
    done = subprocess.run(["sh", str(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr
    assert " passed" in done.stdout
