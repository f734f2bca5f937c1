"""What may happen to a registry: it is killed, its disk is full, its clients want TLS."""

from __future__ import annotations

import datetime
import ipaddress
import os
import signal
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.privileged.registry.program import Program, digest_of, free


def test_it_starts_and_ends_and_says_why_it_can_not(tmp_path: Path) -> None:
    program = Program(tmp_path / "r")
    program.start()
    assert program.ask("GET", "/v2/")[0] == 200
    assert "in use by another process" in program.check()
    assert program.end() == 0
    assert program.check() == "no problem found\n"


def test_nothing_that_was_acknowledged_is_lost_by_a_kill(tmp_path: Path) -> None:
    """hostile.md row 32: after each kill everything is whole or absent."""
    program = Program(tmp_path / "r")
    acknowledged: list[str] = []

    def push(thread: int, round_: int) -> None:
        for number in range(1000):
            tag = f"t{round_}-{thread}-{number}"
            try:
                if program.push_image(f"repo{thread % 2}", tag, os.urandom(200_000)) == 201:
                    acknowledged.append(f"/v2/repo{thread % 2}/manifests/{tag}")
            except OSError:
                return

    for round_ in range(3):
        program.start()
        threads = [threading.Thread(target=push, args=(n, round_)) for n in range(3)]
        for thread in threads:
            thread.start()
        time.sleep(0.7)
        program.end(signal.SIGKILL)
        for thread in threads:
            thread.join()
        assert program.check() == "no problem found\n"
    program.start()
    try:
        assert len(acknowledged) > 10
        assert {program.ask("GET", path)[0] for path in acknowledged} == {200}
    finally:
        program.end()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 12 MB."""
    where = tmp_path / "disk"
    where.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "none", str(where)], check=True)
    try:
        yield where
    finally:
        subprocess.run(["umount", str(where)], check=True)


def test_a_full_disk(small_disk: Path) -> None:
    """hostile.md row 33: a clear answer, the old state is readable, things can be removed at zero bytes."""
    program = Program(small_disk / "r", "--gc-grace", "0s")
    program.log = small_disk.parent / "log"
    program.start()
    try:
        layer = os.urandom(3 << 20)
        assert program.push_image("a", "v1", layer) == 201
        before = free(small_disk)
        assert program.push_blob("a", os.urandom(16 << 20)) == 507
        assert free(small_disk) == before  # half a blob does not keep it full
        with open(small_disk / "filler", "wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                pass
        assert free(small_disk) == 0
        assert program.push_image("a", "v2", b"layer") == 507
        assert program.ask("GET", f"/v2/a/blobs/{digest_of(layer)}")[2] == layer
        digest = program.ask("GET", "/v2/a/manifests/v1")[1]["Docker-Content-Digest"]
        assert program.ask("DELETE", f"/v2/a/manifests/{digest}")[0] == 202
        assert program.process is not None
        program.process.send_signal(signal.SIGUSR1)  # collect now
        end = time.monotonic() + 10
        while free(small_disk) < len(layer):
            assert time.monotonic() < end
            time.sleep(0.05)
        assert program.push_image("a", "v2", b"layer") == 201
    finally:
        program.end()


class Authority:
    """A private CA and a certificate of 127.0.0.1 by it, in files."""

    def __init__(self, directory: Path) -> None:
        self.ca, self.certificate, self.key = (directory / n for n in ("ca.crt", "server.crt", "server.key"))
        self._ca_key = ec.generate_private_key(ec.SECP256R1())
        self._write(self.ca, self._certify(self._ca_key.public_key(), "ca", authority=True))
        key = ec.generate_private_key(ec.SECP256R1())
        self._write(self.certificate, self._certify(key.public_key(), "server", authority=False))
        self.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )

    def _certify(self, public: ec.EllipticCurvePublicKey, name: str, *, authority: bool) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ca")])
        return (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(issuer)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(1))
            .not_valid_after(now + datetime.timedelta(1))
            .add_extension(x509.BasicConstraints(authority, None), critical=True)
            .add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
                critical=False,
            )
            .sign(self._ca_key, hashes.SHA256())
        )

    @staticmethod
    def _write(path: Path, certificate: x509.Certificate) -> None:
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def test_tls_with_a_private_authority(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    context = ssl.create_default_context(cafile=str(authority.ca))
    options = ("--tls-cert", str(authority.certificate), "--tls-key", str(authority.key))
    program = Program(tmp_path / "r", *options, tls=context)
    program.start()
    try:
        layer = os.urandom(3 << 20)
        assert program.push_image("a", "v1", layer) == 201
        assert program.ask("GET", f"/v2/a/blobs/{digest_of(layer)}")[2] == layer
        program.tls = ssl.create_default_context()
        with pytest.raises(ssl.SSLCertVerificationError):
            program.ask("GET", "/v2/")
    finally:
        program.end()


def test_strangers_need_the_password_that_the_command_made(tmp_path: Path) -> None:
    import base64
    import sys

    made = subprocess.run(
        [sys.executable, "-m", "lodge", "registry", "password", "joe"],
        input=b"secret\n", capture_output=True, check=True, timeout=30,
    )  # fmt: skip
    (tmp_path / "users").write_bytes(made.stdout)
    program = Program(tmp_path / "r", "--htpasswd", str(tmp_path / "users"))
    program.start()
    try:
        assert program.ask("GET", "/v2/")[0] == 401
        joe = {"Authorization": "Basic " + base64.b64encode(b"joe:secret").decode()}
        assert program.ask("GET", "/v2/", headers=joe)[0] == 200
    finally:
        program.end()
