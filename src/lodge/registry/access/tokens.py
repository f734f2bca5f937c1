"""Bearer tokens: JSON Web Tokens that an authorization server signs (RFC 7519, and Docker's "access" claim).

Offline: keys come from files. A token says what its holder may do; this gate checks the signature, for whom
it is, when it is valid, and whether it covers the request. Which algorithm may verify is decided by the key,
never by the token alone ("none", and HMAC with a public key, are impossible).
"""

from __future__ import annotations

import time
from typing import Any

import msgspec

from lodge.errors import InvalidArgument
from lodge.http.head import Head
from lodge.registry.access import keys
from lodge.registry.access.contract import Need
from lodge.registry.refusals import Refusal

_LEEWAY = 60.0
_KEPT = 4096
_LONGEST = 32 * 1024


class _Header(msgspec.Struct):
    alg: str
    kid: str = ""
    crit: list[str] | None = None


class _Access(msgspec.Struct):
    type: str
    name: str
    actions: list[str] | None = None


class _Claims(msgspec.Struct):
    iss: str = ""
    aud: str | list[str] = ""
    exp: float = 0
    nbf: float = 0
    access: list[_Access] | None = None


class Tokens:
    """A gate with tokens of one issuer for one service."""

    def __init__(self, key_files: list[str], *, realm: str, service: str, issuer: str) -> None:
        self._keys = [key for path in key_files for key in keys.load(path)]
        if not self._keys or not (realm and service and issuer):
            raise InvalidArgument("token authentication needs a realm, a service, an issuer and a key")
        self._realm = realm
        self._service = service
        self._issuer = issuer
        self._verified: dict[str, _Claims] = {}

    def admit(self, head: Head, needs: tuple[Need, ...]) -> None:
        """See Gate."""
        claims = self._claims(head, needs)
        for need in needs:
            if not _covers(claims, need):
                raise self._challenge(
                    "insufficient_scope", "requested access to the resource is denied", needs
                )

    def allows(self, head: Head, need: Need) -> bool:
        """See Gate."""
        try:
            return _covers(self._claims(head, ()), need)
        except Refusal:
            return False

    def _claims(self, head: Head, needs: tuple[Need, ...]) -> _Claims:
        scheme, _, token = head.headers.get("authorization", "").partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token or len(token) > _LONGEST:
            raise self._challenge("", "authentication required", needs)
        claims = self._verified.get(token)
        if claims is None:
            claims = self._verify(token)
            if claims is None:
                raise self._challenge("invalid_token", "invalid token", needs)
            if len(self._verified) >= _KEPT:
                self._verified.clear()
            self._verified[token] = claims
        now = time.time()
        if not claims.nbf - _LEEWAY <= now < claims.exp + _LEEWAY:
            raise self._challenge("invalid_token", "token has expired", needs)
        return claims

    def _verify(self, token: str) -> _Claims | None:
        """The claims of a token that this issuer signed for this service; None for any other."""
        try:
            first, second, third = token.split(".")
            header = msgspec.json.decode(keys.unbase64(first), type=_Header)
            if header.crit:
                return None
            signature = keys.unbase64(third)
            signed = f"{first}.{second}".encode("ascii")
            candidates = [key for key in self._keys if not header.kid or header.kid in key.names]
            if not any(key.verify(header.alg, signature, signed) for key in candidates or self._keys):
                return None
            claims = msgspec.json.decode(keys.unbase64(second), type=_Claims)
        except (ValueError, RecursionError):
            return None
        audience = [claims.aud] if isinstance(claims.aud, str) else claims.aud
        return claims if claims.iss == self._issuer and self._service in audience else None

    def _challenge(self, error: str, why: str, needs: tuple[Need, ...]) -> Refusal:
        parts = [f'realm="{self._realm}"', f'service="{self._service}"']
        scopes: dict[tuple[str, str], list[str]] = {}
        for need in needs:
            scopes.setdefault((need.type, need.name), []).append(need.action)
        if scopes:
            text = " ".join(f"{kind}:{name}:{','.join(acts)}" for (kind, name), acts in scopes.items())
            parts.append(f'scope="{text}"')
        if error:
            parts.append(f'error="{error}"')
        header = (("WWW-Authenticate", f"Bearer {','.join(parts)}"),)
        detail: Any = [{"Type": n.type, "Name": n.name, "Action": n.action} for n in needs]
        return Refusal("UNAUTHORIZED", why, 401, headers=header, detail=detail)


def _covers(claims: _Claims, need: Need) -> bool:
    return any(
        each.type == need.type
        and each.name == need.name
        and (need.action in (each.actions or ()) or "*" in (each.actions or ()))
        for each in claims.access or ()
    )
