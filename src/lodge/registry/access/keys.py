"""Public keys that verify tokens: PEM keys, PEM certificates, JSON Web Keys (RFC 7517), from files.

One `Key` verifies by the algorithms of its own kind only. `cryptography` is imported at first use.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lodge.errors import InvalidArgument

_CURVES = {
    "secp256r1": ("ES256", "SHA256", 32),
    "secp384r1": ("ES384", "SHA384", 48),
    "secp521r1": ("ES512", "SHA512", 66),
}


@dataclass(frozen=True, slots=True)
class Key:
    """A public key; `names` are the key ids by which tokens may call it."""

    names: frozenset[str]
    algorithms: dict[str, Callable[[bytes, bytes], None]]

    def verify(self, algorithm: str, signature: bytes, signed: bytes) -> bool:
        """Whether the signature is by this key and algorithm."""
        from cryptography.exceptions import InvalidSignature

        check = self.algorithms.get(algorithm)
        if check is None:
            return False
        try:
            check(signature, signed)
        except (InvalidSignature, ValueError):
            return False
        return True


def unbase64(text: str) -> bytes:
    """Base64 for URLs without padding (RFC 7515, appendix C); ValueError."""
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def load(path: str) -> list[Key]:
    """All public keys of a file: a JWK set, a JWK, or PEM keys and certificates. InvalidArgument."""
    try:
        with open(path, "rb") as file:
            data = file.read(1 << 20)
    except OSError as error:
        raise InvalidArgument(f"can't read the key file {path}: {error.strerror}") from None
    try:
        found = _json_keys(data) if data.lstrip()[:1] == b"{" else _pem_keys(data)
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidArgument(f"the key file {path} is not usable: {error}") from None
    if not found:
        raise InvalidArgument(f"the key file {path} holds no public key")
    return found


def _pem_keys(data: bytes) -> list[Key]:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    found = []
    for block in data.split(b"-----BEGIN ")[1:]:
        block = b"-----BEGIN " + block
        if b"BEGIN CERTIFICATE-" in block:
            found.append(_key(x509.load_pem_x509_certificate(block).public_key()))
        elif b"BEGIN PUBLIC KEY-" in block or b"BEGIN RSA PUBLIC KEY-" in block:
            found.append(_key(load_pem_public_key(block)))
    return found


def _json_keys(data: bytes) -> list[Key]:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    document = json.loads(data)
    found = []
    for entry in document.get("keys", [document]):
        kind = entry["kty"]
        public: Any
        if kind == "RSA":
            public = rsa.RSAPublicNumbers(_number(entry["e"]), _number(entry["n"])).public_key()
        elif kind == "EC":
            curves: dict[str, Any] = {"P-256": ec.SECP256R1, "P-384": ec.SECP384R1, "P-521": ec.SECP521R1}
            curve = curves[entry["crv"]]()
            public = ec.EllipticCurvePublicNumbers(
                _number(entry["x"]), _number(entry["y"]), curve
            ).public_key()
        elif kind == "OKP" and entry["crv"] == "Ed25519":
            public = ed25519.Ed25519PublicKey.from_public_bytes(unbase64(entry["x"]))
        else:
            raise ValueError(f"unsupported key type {kind!r}")
        found.append(_key(public, entry.get("kid", "")))
    return found


def _number(text: str) -> int:
    return int.from_bytes(unbase64(text), "big")


def _key(public: Any, name: str = "") -> Key:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    names = frozenset(filter(None, (name, _libtrust_id(public))))
    if isinstance(public, rsa.RSAPublicKey):
        if public.key_size < 2048:
            raise ValueError("an RSA key of less than 2048 bits")
        return Key(names, {f"RS{bits}": _rsa_check(public, bits) for bits in (256, 384, 512)})
    if isinstance(public, ec.EllipticCurvePublicKey):
        algorithm, hash_name, size = _CURVES[public.curve.name]
        chosen = ec.ECDSA(getattr(hashes, hash_name)())

        def check(signature: bytes, signed: bytes) -> None:
            if len(signature) != 2 * size:
                raise ValueError("wrong length of a signature")
            r, s = int.from_bytes(signature[:size], "big"), int.from_bytes(signature[size:], "big")
            public.verify(encode_dss_signature(r, s), signed, chosen)

        return Key(names, {algorithm: check})
    if isinstance(public, ed25519.Ed25519PublicKey):
        return Key(names, {"EdDSA": public.verify})
    raise ValueError("unsupported kind of public key")


def _rsa_check(public: Any, bits: int) -> Callable[[bytes, bytes], None]:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding

    chosen = getattr(hashes, f"SHA{bits}")()

    def check(signature: bytes, signed: bytes) -> None:
        public.verify(signature, signed, padding.PKCS1v15(), chosen)

    return check


def _libtrust_id(public: Any) -> str:
    """The key id that Docker's token servers use: groups of base32 of a cut SHA-256 of the key."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    data = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    text = base64.b32encode(hashlib.sha256(data).digest()[:30]).decode()
    return ":".join(text[at : at + 4] for at in range(0, 48, 4))
