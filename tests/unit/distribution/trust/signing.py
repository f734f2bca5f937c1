"""Signs images as cosign does: keys, a small authority, a transparency log, both forms of signatures."""

from __future__ import annotations

import base64
import datetime
import hashlib
import json
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from lodge.distribution.trust.material import Entry, Signature

NOW = datetime.datetime.now(datetime.UTC)
MINUTE = datetime.timedelta(minutes=1)
SIGN = "https://sigstore.dev/cosign/sign/v1"
IN_TOTO = "application/vnd.in-toto+json"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
PAYLOAD = "application/vnd.dev.cosign.simplesigning.v1+json"


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def pem_of(public: Any) -> bytes:
    data: bytes = public.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return data


class Signer:
    """A private key of one kind."""

    def __init__(self, kind: str = "ecdsa") -> None:
        self.key: Any
        if kind == "rsa":
            self.key = rsa.generate_private_key(65537, 2048)
        elif kind == "ed25519":
            self.key = ed25519.Ed25519PrivateKey.generate()
        else:
            self.key = ec.generate_private_key(ec.SECP384R1() if kind == "p384" else ec.SECP256R1())

    def sign(self, data: bytes) -> bytes:
        if isinstance(self.key, ec.EllipticCurvePrivateKey):
            hash_ = hashes.SHA384() if self.key.key_size == 384 else hashes.SHA256()
            return self.key.sign(data, ec.ECDSA(hash_))
        if isinstance(self.key, rsa.RSAPrivateKey):
            return self.key.sign(data, padding.PKCS1v15(), hashes.SHA256())
        signature: bytes = self.key.sign(data)
        return signature

    def public_file(self, path: Path) -> str:
        path.write_bytes(pem_of(self.key.public_key()))
        return str(path)


def payload_of(digest: str, **changes: Any) -> bytes:
    critical = {
        "identity": {"docker-reference": "example.com/app"},
        "image": {"docker-manifest-digest": digest},
        "type": "cosign container image signature",
        **changes,
    }
    return json.dumps({"critical": critical, "optional": {"by": "test"}}).encode()


def simple(signer: Signer, digest: str, **more: Any) -> Signature:
    payload = payload_of(digest)
    return Signature(form="simple", signed=payload, claim=payload, signature=signer.sign(payload), **more)


def statement_of(digest: str, predicate: str = SIGN, content: object = None) -> bytes:
    algorithm, _, value = digest.partition(":")
    return json.dumps({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "", "digest": {algorithm: value}}],
        "predicateType": predicate,
        "predicate": content or {},
    }).encode()  # fmt: skip


def envelope_of(signer: Signer, statement: bytes) -> dict[str, Any]:
    signed = b"DSSEv1 %d %b %d %b" % (len(IN_TOTO), IN_TOTO.encode(), len(statement), statement)
    return {
        "payload": b64(statement), "payloadType": IN_TOTO, "signatures": [{"sig": b64(signer.sign(signed))}],
    }  # fmt: skip


def bundle_of(signer: Signer, statement: bytes, certificate: x509.Certificate | None = None) -> bytes:
    proof: dict[str, Any] = {"publicKey": {"hint": "x"}}
    if certificate is not None:
        proof = {"certificate": {"rawBytes": b64(der(certificate))}}
    return json.dumps({
        "mediaType": BUNDLE, "verificationMaterial": proof, "dsseEnvelope": envelope_of(signer, statement),
    }).encode()  # fmt: skip


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


class Authority:
    """A root, an authority between, and certificates for signers, as Fulcio issues them."""

    def __init__(self, *, path_length: int | None = 1, between_ca: bool = True) -> None:
        self.root_key, self.between_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        far = NOW + datetime.timedelta(days=100)
        self.root = self._issue(
            "root", self.root_key.public_key(), "root", self.root_key, far, ca=True, length=path_length
        )
        self.between = self._issue(
            "between",
            self.between_key.public_key(),
            "root",
            self.root_key,
            far,
            ca=between_ca,
            length=0 if between_ca else None,
        )

    def certify(
        self,
        signer: Signer,
        subject: str = "me@example.com",
        issuer: str = "https://accounts.example.com",
        *,
        until: datetime.datetime = NOW + 10 * MINUTE,
        code_signing: bool = True,
    ) -> x509.Certificate:
        extra: list[tuple[x509.ExtensionType, bool]] = [
            (x509.SubjectAlternativeName([x509.RFC822Name(subject)]), True),
            (x509.UnrecognizedExtension(ObjectIdentifier("1.3.6.1.4.1.57264.1.1"), issuer.encode()), False),
        ]
        usage = ExtendedKeyUsageOID.CODE_SIGNING if code_signing else ExtendedKeyUsageOID.SERVER_AUTH
        extra.append((x509.ExtendedKeyUsage([usage]), False))
        return self._issue(
            "",
            signer.key.public_key(),
            "between",
            self.between_key,
            until,
            extra=extra,
            start=until - 20 * MINUTE,
        )

    def _issue(
        self, name: str, public: Any, issuer: str, key: Any, until: datetime.datetime, *, ca: bool = False,
        length: int | None = None, extra: Any = (),
        start: datetime.datetime = NOW - datetime.timedelta(days=1),
    ) -> x509.Certificate:  # fmt: skip
        def called(text: str) -> x509.Name:
            return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)] if text else [])

        builder = (
            x509.CertificateBuilder().subject_name(called(name)).issuer_name(called(issuer)).public_key(public)
            .serial_number(x509.random_serial_number()).not_valid_before(start).not_valid_after(until)
            .add_extension(x509.BasicConstraints(ca, length), critical=True)
        )  # fmt: skip
        for extension, critical in extra:
            builder = builder.add_extension(extension, critical=critical)
        return builder.sign(key, hashes.SHA256())

    def root_file(self, path: Path) -> str:
        path.write_bytes(self.root.public_bytes(serialization.Encoding.PEM))
        return str(path)


class Log:
    """A transparency log that promises."""

    def __init__(self) -> None:
        self.signer = Signer()

    def entry(self, signature: bytes, moment: datetime.datetime) -> Entry:
        body = b64(json.dumps({
            "kind": "hashedrekord", "spec": {"signature": {"content": b64(signature)}},
        }).encode())  # fmt: skip
        fields = {"body": body, "integratedTime": int(moment.timestamp()), "logID": "00", "logIndex": 7}
        canonical = json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()
        return Entry(body, int(moment.timestamp()), "00", 7, self.signer.sign(canonical))


def digest_of(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()
