"""A trust policy: what is not signed by the right key is neither pulled nor run."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.clients.daemon import Lodged, docker_command
from tests.privileged.registry.program import MANIFEST, Program, digest_of

PAYLOAD = "application/vnd.dev.cosign.simplesigning.v1+json"


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Program]:
    program = Program(tmp_path / "registry")
    program.start()
    try:
        yield program
    finally:
        program.end()


def sign(registry: Program, name: str, digest: str, key: ec.EllipticCurvePrivateKey) -> None:
    """As `cosign sign --key` does."""
    payload = json.dumps({
        "critical": {
            "identity": {"docker-reference": name}, "image": {"docker-manifest-digest": digest},
            "type": "cosign container image signature",
        },
        "optional": None,
    }).encode()  # fmt: skip
    signature = base64.b64encode(key.sign(payload, ec.ECDSA(hashes.SHA256()))).decode()
    for blob in (b"{}", payload):
        assert registry.push_blob(name, blob) == 201
    manifest = {
        "schemaVersion": 2, "mediaType": MANIFEST,
        "config": {"mediaType": "application/x", "digest": digest_of(b"{}"), "size": 2},
        "layers": [{"mediaType": PAYLOAD, "digest": digest_of(payload), "size": len(payload),
                    "annotations": {"dev.cosignproject.cosign/signature": signature}}],
    }  # fmt: skip
    tag = digest.replace(":", "-") + ".sig"
    assert registry.ask("PUT", f"/v2/{name}/manifests/{tag}", json.dumps(manifest).encode())[0] == 201


def test_only_what_is_signed_is_pulled_and_runs(
    registry: Program, roots: Path, busybox_image: Path, tmp_path: Path
) -> None:
    if docker_command() is None:
        pytest.skip("there is no docker command here")
    key = ec.generate_private_key(ec.SECP256R1())
    (tmp_path / "key.pem").write_bytes(
        key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    policy = tmp_path / "policy.json"
    signed = {"type": "signed", "keys": [str(tmp_path / "key.pem")]}
    policy.write_text(json.dumps({"repositories": {f"{registry.host}/team": signed}}))
    daemon = Lodged(roots / "trust")
    daemon.start("--trust-policy", str(policy))
    try:
        name = f"{registry.host}/team/busybox:1"
        daemon.docker("load", "-i", str(busybox_image))
        assert daemon.out("run", "--rm", "--network", "none", "busybox", "echo", "free") == "free"
        daemon.docker("tag", "busybox", name)
        refused = daemon.docker("run", "--rm", "--network", "none", name, "true", check=False)
        assert b"wants a signature" in refused.stderr
        digest = (
            daemon.out("push", "-q", name)
            and registry.ask("GET", "/v2/team/busybox/manifests/1")[1]["Docker-Content-Digest"]
        )
        daemon.docker("rmi", name)
        unsigned = daemon.docker("pull", name, check=False)
        assert unsigned.returncode != 0
        assert b"it has no signature" in unsigned.stderr
        verify = [sys.executable, "-m", "lodge", "image", "verify", "--key", str(tmp_path / "key.pem"), name]
        assert subprocess.run(verify, capture_output=True, timeout=30, check=False).returncode == 1
        sign(registry, "team/busybox", digest, key)
        assert subprocess.run(verify, capture_output=True, timeout=30, check=False).returncode == 0
        daemon.docker("pull", name)
        assert daemon.out("run", "--rm", "--network", "none", name, "echo", "signed") == "signed"
        # the policy has changed: what is here is checked again
        policy.write_text(json.dumps({"default": {"type": "refuse"}}))
        assert b"refuses images" in daemon.docker("create", name, check=False).stderr
        build = daemon.docker("build", "-", input=f"FROM {name}\nRUN true\n", check=False)
        assert build.returncode != 0
        assert b"refuses images" in build.stderr + build.stdout
    finally:
        daemon.remove()
