import base64
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from lodge.errors import InvalidArgument
from lodge.registry.access import keys, passwords
from lodge.registry.access.passwords import Passwords
from lodge.registry.access.tokens import Tokens
from tests.unit.registry.serving import Served


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


@pytest.fixture(scope="module")
def joe() -> str:
    return passwords.line("joe", "secret")


def test_passwords(tmp_path: Path, joe: str) -> None:
    file = tmp_path / "users"
    file.write_text(f"# people\n\n{joe}\n")
    served = Served(tmp_path / "r", gate=Passwords(str(file)))
    try:
        for headers in ({}, basic("joe", "wrong"), basic("eve", "secret"), {"Authorization": "Bearer x"},
                        {"Authorization": "Basic !"}, basic("joe", "secret" * 20)):  # fmt: skip
            answer = served.ask("GET", "/v2/", headers=headers)
            assert (answer.status, answer.codes) == (401, ["UNAUTHORIZED"])
            assert answer.headers["WWW-Authenticate"].startswith('Basic realm="')
        first, again = (served.ask("GET", "/v2/", headers=basic("joe", "secret")).status for _ in range(2))
        assert (first, again) == (200, 200)
        assert served.ask("POST", "/v2/a/blobs/uploads/", headers=basic("joe", "secret")).status == 202
        time.sleep(0.01)
        file.write_text(passwords.line("joe", "changed") + "\n")
        assert served.ask("GET", "/v2/", headers=basic("joe", "secret")).status == 401
        assert served.ask("GET", "/v2/", headers=basic("joe", "changed")).status == 200
    finally:
        served.stop()


def test_strangers_may_pull_when_wished(tmp_path: Path, joe: str) -> None:
    file = tmp_path / "users"
    file.write_text(joe)
    served = Served(tmp_path / "r", gate=Passwords(str(file), anonymous_pull=True))
    try:
        assert served.ask("GET", "/v2/").status == 401  # so that `login` knows whether a password is right
        assert served.ask("GET", "/v2/a/tags/list").status == 404
        assert served.ask("POST", "/v2/a/blobs/uploads/").status == 401
        assert served.ask("DELETE", "/v2/a/manifests/x").status == 401
    finally:
        served.stop()


@pytest.mark.parametrize("text", [b"joe", b"joe:secret", b":x", b"joe:{SHA}x", b"joe:$2y$10$short"])
def test_files_with_other_than_bcrypt_are_refused(text: bytes) -> None:
    with pytest.raises(InvalidArgument):
        passwords.parse(text)


def test_lines_that_can_be_none() -> None:
    for user, password in (("a:b", "x"), ("", "x"), ("joe", ""), ("joe", "x" * 73)):
        with pytest.raises(InvalidArgument):
            passwords.line(user, password)


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


Sign = Callable[[bytes], bytes]


class Issuer:
    """Signs tokens, as an authorization server does."""

    def __init__(self, algorithm: str, sign: Sign) -> None:
        self.algorithm, self.sign = algorithm, sign

    def token(self, *access: tuple[str, str, list[str]], **changes: Any) -> dict[str, str]:
        header = {"typ": "JWT", "alg": self.algorithm, **changes.pop("header", {})}
        claims = {
            "iss": "issuer", "aud": "service", "exp": time.time() + 100, "nbf": time.time() - 10,
            "access": [{"type": t, "name": n, "actions": a} for t, n, a in access], **changes,
        }  # fmt: skip
        signed = b64(json.dumps(header).encode()) + "." + b64(json.dumps(claims).encode())
        return {"Authorization": f"Bearer {signed}.{b64(self.sign(signed.encode()))}"}


def pem(public: Any) -> bytes:
    return public.public_bytes(  # type: ignore[no-any-return]
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def rsa_issuer() -> tuple[Issuer, bytes]:
    key = rsa.generate_private_key(65537, 2048)
    sign = lambda data: key.sign(data, padding.PKCS1v15(), hashes.SHA256())  # noqa: E731
    numbers = key.public_key().public_numbers()
    jwk = {
        "kty": "RSA",
        "kid": "one",
        "e": b64(numbers.e.to_bytes(3, "big")),
        "n": b64(numbers.n.to_bytes(256, "big")),
    }
    return Issuer("RS256", sign), json.dumps({"keys": [jwk]}).encode()


def ec_issuer() -> tuple[Issuer, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())

    def sign(data: bytes) -> bytes:
        r, s = decode_dss_signature(key.sign(data, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    return Issuer("ES256", sign), pem(key.public_key())


def ed_issuer() -> tuple[Issuer, bytes]:
    key = ed25519.Ed25519PrivateKey.generate()
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": b64(key.public_key().public_bytes_raw())}
    return Issuer("EdDSA", key.sign), json.dumps(jwk).encode()


def gate(path: Path, key: bytes) -> Tokens:
    path.write_bytes(key)
    return Tokens([str(path)], realm="https://auth/token", service="service", issuer="issuer")


@pytest.mark.parametrize("make", [rsa_issuer, ec_issuer, ed_issuer])
def test_tokens_by_every_kind_of_key(tmp_path: Path, make: Callable[[], tuple[Issuer, bytes]]) -> None:
    issuer, key = make()
    served = Served(tmp_path / "r", gate=gate(tmp_path / "key", key))
    try:
        push = issuer.token(("repository", "a", ["pull", "push"]))
        pull = issuer.token(("repository", "a", ["pull"]))
        assert served.ask("GET", "/v2/", headers=pull).status == 200
        assert served.ask("GET", "/v2/a/tags/list", headers=pull).status == 404
        assert served.ask("POST", "/v2/a/blobs/uploads/", headers=push).status == 202
        refused = served.ask("POST", "/v2/a/blobs/uploads/", headers=pull)
        assert refused.status == 401
        challenge = refused.headers["WWW-Authenticate"]
        assert 'scope="repository:a:pull,push"' in challenge
        assert 'error="insufficient_scope"' in challenge
        assert served.ask("DELETE", "/v2/a/manifests/x", headers=push).status == 401
        assert served.ask("GET", "/v2/_catalog", headers=push).status == 401
        every = issuer.token(("registry", "catalog", ["*"]))
        assert served.ask("GET", "/v2/_catalog", headers=every).status == 200
    finally:
        served.stop()


def test_a_challenge_names_what_is_wanted(tmp_path: Path) -> None:
    served = Served(tmp_path / "r", gate=gate(tmp_path / "key", ed_issuer()[1]))
    try:
        answer = served.ask("GET", "/v2/team/app/manifests/v1")
        assert answer.headers["WWW-Authenticate"] == (
            'Bearer realm="https://auth/token",service="service",scope="repository:team/app:pull"'
        )
    finally:
        served.stop()


def test_tokens_that_must_not_pass(tmp_path: Path) -> None:
    issuer, key = ec_issuer()
    other = ec_issuer()[0]
    public = key
    hmac = Issuer("HS256", lambda data: __import__("hmac").digest(public, data, "sha256"))
    none = Issuer("none", lambda _: b"")
    access = ("repository", "a", ["pull"])
    served = Served(tmp_path / "r", gate=gate(tmp_path / "key", key))
    try:
        good = issuer.token(access)
        assert served.ask("GET", "/v2/a/tags/list", headers=good).status == 404
        broken = {"Authorization": good["Authorization"][:-6] + "AAAAAA"}
        for headers in (
            other.token(access), hmac.token(access), none.token(access), broken,
            issuer.token(access, aud="other"), issuer.token(access, iss="other"),
            issuer.token(access, exp=time.time() - 100), issuer.token(access, nbf=time.time() + 100),
            issuer.token(access, header={"alg": "RS256"}), issuer.token(access, header={"crit": ["x"]}),
            {"Authorization": "Bearer a.b"}, {"Authorization": "Bearer " + "x" * 40_000},
        ):  # fmt: skip
            assert served.ask("GET", "/v2/a/tags/list", headers=headers).status == 401
    finally:
        served.stop()


def test_mounting_needs_the_right_to_pull_from_there(tmp_path: Path) -> None:
    issuer, key = ed_issuer()
    served = Served(tmp_path / "r", gate=gate(tmp_path / "key", key))
    try:
        both = issuer.token(("repository", "a", ["pull", "push"]), ("repository", "b", ["pull", "push"]))
        digest = "sha256:3a6eb0790f39ac87c94f3856b2dd2c5d110e6811602261a9a923d3bb23adc8b7"
        assert served.ask("POST", f"/v2/a/blobs/uploads/?digest={digest}", b"data", both).status == 201
        only_b = issuer.token(("repository", "b", ["pull", "push"]))
        for source in (f"?mount={digest}&from=a", f"?mount={digest}"):
            assert served.ask("POST", f"/v2/b/blobs/uploads/{source}", headers=only_b).status == 202
        assert served.ask("POST", f"/v2/b/blobs/uploads/?mount={digest}&from=a", headers=both).status == 201
    finally:
        served.stop()


def test_key_files(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    private = ec.generate_private_key(ec.SECP384R1())
    name = x509.Name([])
    import datetime

    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(private.public_key())
    builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + datetime.timedelta(1))
    certificate = builder.sign(private, hashes.SHA384()).public_bytes(serialization.Encoding.PEM)
    file.write_bytes(certificate + pem(ed25519.Ed25519PrivateKey.generate().public_key()))
    assert [set(key.algorithms) for key in keys.load(str(file))] == [{"ES384"}, {"EdDSA"}]
    for junk in (b"", b"{}", b'{"keys":[{"kty":"oct","k":"AAAA"}]}', b"-----BEGIN PUBLIC KEY-----\nx\n"):
        file.write_bytes(junk)
        with pytest.raises(InvalidArgument):
            keys.load(str(file))
    with pytest.raises(InvalidArgument):
        keys.load(str(tmp_path / "none"))
