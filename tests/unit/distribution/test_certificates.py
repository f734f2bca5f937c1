import ssl
import subprocess
from pathlib import Path

import pytest

from lodge.distribution.certificates import context
from lodge.distribution.endpoints import plan
from lodge.distribution.settings import RegistryEntry, RegistrySettings
from lodge.errors import InvalidArgument


def _certificate(where: Path, name: str) -> None:
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-keyout", where / f"{name}.key", "-out", where / f"{name}.crt", "-subj", f"/CN={name}"],
        check=True, capture_output=True,
    )  # fmt: skip


def test_files_of_a_host(tmp_path: Path) -> None:
    """As Docker has it: *.crt are authorities, *.cert with *.key are the client's."""
    here = tmp_path / "r.example:5000"
    here.mkdir()
    _certificate(here, "ca")
    (here / "ca.crt").rename(here / "authority.crt")
    _certificate(here, "client")
    (here / "client.crt").rename(here / "client.cert")
    (endpoint,) = plan(RegistrySettings(), "r.example:5000", "a")
    made = context(endpoint, (str(tmp_path),))
    assert "ca" in str(made.get_ca_certs())
    assert made.verify_mode == ssl.CERT_REQUIRED
    (other,) = plan(RegistrySettings(), "other.example", "a")
    assert "'ca'" not in str(context(other, (str(tmp_path),)).get_ca_certs())
    (here / "client.key").unlink()
    with pytest.raises(InvalidArgument, match=r"missing key client\.key for client certificate"):
        context(endpoint, (str(tmp_path),))


def test_files_of_the_settings(tmp_path: Path) -> None:
    _certificate(tmp_path, "ca")
    entry = RegistryEntry(ca=str(tmp_path / "ca.crt"))
    (endpoint,) = plan(RegistrySettings(registries={"localhost:5": entry}), "localhost:5", "a")
    assert context(endpoint, ()).verify_mode == ssl.CERT_REQUIRED
    broken = RegistryEntry(ca=str(tmp_path / "none.crt"))
    (endpoint,) = plan(RegistrySettings(registries={"r.example": broken}), "r.example", "a")
    with pytest.raises(InvalidArgument, match=r"the certificates for r.example can't be used"):
        context(endpoint, ())


def test_loopback_is_not_checked() -> None:
    (endpoint,) = plan(RegistrySettings(), "localhost:5000", "a")
    assert context(endpoint, ()).verify_mode == ssl.CERT_NONE
