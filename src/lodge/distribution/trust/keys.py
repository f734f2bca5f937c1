"""Public keys and what they have signed: ECDSA, RSA and Ed25519, from PEM files and certificates.

The algorithm follows from the key alone, as cosign has it: SHA-256 with ECDSA and RSA (PKCS #1 v1.5 or PSS),
the curve's own hash with P-384 and P-521.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lodge.errors import InvalidArgument

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

_CAP = 1 << 20
_SMALLEST_RSA = 2048


def load_keys(path: str) -> list[Any]:
    """All public keys of a PEM file; of certificates in it theirs. Raises InvalidArgument."""
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        found = [load_pem_public_key(block) for block in _blocks(_read(path)) if b"PUBLIC KEY" in block[:40]]
    except ValueError as error:
        raise InvalidArgument(f"the key file {path} is not usable: {error}") from None
    found += [one.public_key() for one in load_certificates(path)]
    if not found:
        raise InvalidArgument(f"the key file {path} holds no public key")
    return found


def load_certificates(path: str) -> list[Certificate]:
    """All certificates of a PEM file. Raises InvalidArgument."""
    from cryptography import x509

    try:
        return [
            x509.load_pem_x509_certificate(block)
            for block in _blocks(_read(path))
            if block.startswith(b"-----BEGIN CERTIFICATE-----")
        ]
    except ValueError as error:
        raise InvalidArgument(f"the certificate file {path} is not usable: {error}") from None


def verifies(key: Any, signature: bytes, signed: bytes) -> bool:
    """Whether a signature over some bytes is by a key. Never raises for what it is given."""
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            try:
                key.verify(signature, signed, ec.ECDSA(hashes.SHA256()))
            except InvalidSignature:
                if key.curve.key_size <= 256:
                    raise
                key.verify(signature, signed, ec.ECDSA(_hash_of(key.curve.key_size)))
        elif isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, signed)
        elif isinstance(key, rsa.RSAPublicKey) and key.key_size >= _SMALLEST_RSA:
            try:
                key.verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
            except InvalidSignature:
                pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.AUTO)
                key.verify(signature, signed, pss, hashes.SHA256())
        else:
            return False
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
        return False
    return True


def _hash_of(bits: int) -> Any:
    from cryptography.hazmat.primitives import hashes

    return hashes.SHA384() if bits <= 384 else hashes.SHA512()


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(_CAP)
    except OSError as error:
        raise InvalidArgument(f"can't read the key file {path}: {error.strerror}") from None


def _blocks(data: bytes) -> list[bytes]:
    return [b"-----BEGIN " + block for block in data.split(b"-----BEGIN ")[1:]]


def verifies_digest(key: Any, signature: bytes, digest: bytes) -> bool:
    """The same for who has only the SHA-256 of the bytes. Ed25519 signs bytes, never a digest."""
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
    from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, digest, ec.ECDSA(Prehashed(hashes.SHA256())))
        elif isinstance(key, rsa.RSAPublicKey) and key.key_size >= _SMALLEST_RSA:
            key.verify(signature, digest, padding.PKCS1v15(), Prehashed(hashes.SHA256()))
        else:
            return False
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
        return False
    return True
