"""Signatures and attestations at a registry: ours, on loopback."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lodge.distribution.registries import Places, Registries
from lodge.distribution.settings import RegistrySettings
from lodge.distribution.trust import attestations, finding, keys
from lodge.distribution.trust.checking import decide
from lodge.distribution.trust.policy import Signed
from lodge.errors import Forbidden
from lodge.spec.digest import Digest
from lodge.spec.reference import Reference
from tests.unit.distribution.trust.signing import (
    BUNDLE,
    IN_TOTO,
    PAYLOAD,
    SIGN,
    Signer,
    b64,
    bundle_of,
    envelope_of,
    payload_of,
    statement_of,
)  # fmt: skip
from tests.unit.registry.serving import INDEX, MANIFEST, Served, digest_of

EMPTY = "application/vnd.oci.empty.v1+json"
SLSA = "https://slsa.dev/provenance/v1"
SPDX = "https://spdx.dev/Document"


class Place:
    """An image in a registry, and what is put beside it."""

    def __init__(self, root: Path) -> None:
        self.served = Served(root)
        self.digest = self.served.push_image("app", "v1", b"layer")
        self.registries = Registries(RegistrySettings())
        self.places: Places = self.registries.repository(self.reference)

    @property
    def reference(self) -> Reference:
        return Reference.parse(f"127.0.0.1:{self.served.port}/app:v1")

    def put(self, name: str, data: bytes, media_type: str, **more: Any) -> str:
        """An artifact of one layer; `notes` are the layer's annotations."""
        notes = more.pop("notes", {})
        config, layer = self.served.push_blob("app", b"{}"), self.served.push_blob("app", data)
        descriptor = {"mediaType": media_type, "digest": layer, "size": len(data), "annotations": notes}
        return self.served.push_manifest("app", name, {
            "schemaVersion": 2, "mediaType": MANIFEST, **more,
            "config": {"mediaType": EMPTY, "digest": config, "size": 2}, "layers": [descriptor],
        })  # fmt: skip

    def subject(self) -> dict[str, object]:
        return {"mediaType": MANIFEST, "digest": self.digest, "size": 1}

    def close(self) -> None:
        self.registries.close()
        self.served.stop()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path / "registry")
    try:
        yield made
    finally:
        made.close()


def rule(path: Path, signer: Signer) -> Signed:
    return Signed(keys=(signer.public_file(path / "key.pem"),))


def test_signatures_at_the_tag(place: Place, tmp_path: Path) -> None:
    signer = Signer()
    payload = payload_of(place.digest)
    notes = {"dev.cosignproject.cosign/signature": b64(signer.sign(payload))}
    assert finding.signatures(place.places, Digest(place.digest)).signatures == ()
    tag = place.digest.replace(":", "-") + ".sig"
    place.put(tag, payload, PAYLOAD, notes=notes)
    found = finding.signatures(place.places, Digest(place.digest)).signatures
    assert [one.source for one in found] == [tag]
    assert decide(rule(tmp_path, signer), "app", [place.digest], found).rule == "signed"


def test_signatures_among_the_referrers(place: Place, tmp_path: Path) -> None:
    signer = Signer()
    data = bundle_of(signer, statement_of(place.digest))
    place.put("junk", b"{}", BUNDLE, artifactType=BUNDLE, subject=place.subject())
    place.put("sig", data, BUNDLE, artifactType=BUNDLE, subject=place.subject())
    found = finding.signatures(place.places, Digest(place.digest)).signatures
    assert len(found) == 1
    assert decide(rule(tmp_path, signer), "app", [place.digest], found).rule == "signed"
    with pytest.raises(Forbidden):
        decide(rule(tmp_path, Signer()), "app", [place.digest], found)


def test_attestations_of_every_kind(place: Place, tmp_path: Path) -> None:
    signer = Signer()
    sbom = statement_of(place.digest, SPDX, {"packages": []})
    place.put(
        place.digest.replace(":", "-") + ".att", json.dumps(envelope_of(signer, sbom)).encode(),
        "application/vnd.dsse.envelope.v1+json", notes={"predicateType": SPDX},
    )  # fmt: skip
    signature = bundle_of(signer, statement_of(place.digest))
    place.put("sig", signature, BUNDLE, artifactType=BUNDLE, subject=place.subject(),
              annotations={"dev.sigstore.bundle.predicateType": SIGN})  # fmt: skip
    slsa = bundle_of(signer, statement_of(place.digest, SLSA, {"b": 1}))
    place.put("prov", slsa, BUNDLE, artifactType=BUNDLE, subject=place.subject(),
              annotations={"dev.sigstore.bundle.predicateType": SLSA})  # fmt: skip
    top = place.places.manifest("v1")
    found = attestations.attestations(place.places, top)
    assert [(one.kind, one.envelope) for one in found] == [("sbom", True), ("provenance", True)]
    assert attestations.statement(place.places, found[1])["predicate"] == {"b": 1}
    public = keys.load_keys(signer.public_file(tmp_path / "key"))
    assert all(attestations.verified(place.places, one, public) for one in found)
    other = keys.load_keys(Signer().public_file(tmp_path / "other"))
    assert not any(attestations.verified(place.places, one, other) for one in found)


def test_attestations_of_buildkit(place: Place) -> None:
    statement = statement_of(place.digest, SLSA)
    attested = place.put("att", statement, IN_TOTO, notes={"in-toto.io/predicate-type": SLSA})
    entries = [
        {"mediaType": MANIFEST, "digest": place.digest, "size": 1,
         "platform": {"architecture": "amd64", "os": "linux"}},
        {"mediaType": MANIFEST, "digest": attested, "size": 1,
         "platform": {"architecture": "unknown", "os": "unknown"},
         "annotations": {"vnd.docker.reference.type": "attestation-manifest",
                         "vnd.docker.reference.digest": place.digest}},
    ]  # fmt: skip
    place.served.push_manifest(
        "app", "multi", {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}, INDEX
    )
    found = attestations.attestations(place.places, place.places.manifest("multi"))
    assert [(one.kind, one.subject, one.envelope) for one in found] == [("provenance", place.digest, False)]
    assert attestations.statement(place.places, found[0])["predicateType"] == SLSA
    assert not attestations.verified(place.places, found[0], [])
    assert found[0].blob.digest == digest_of(statement)
