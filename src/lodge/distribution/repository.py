"""One repository at one place, in the calls of the OCI distribution-spec: manifests, blobs, tags, referrers.

Nothing here is believed: digests, sizes and media types are compared with what was asked for. Uploads live
next door in `upload`; several places for one name in `registries`.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Self
from urllib.parse import quote, urlencode, urljoin, urlsplit

from msgspec import Struct

from lodge.distribution import answers
from lodge.distribution.abort import Abort
from lodge.distribution.endpoints import Endpoint
from lodge.distribution.tokens import Authorizer, Scopes
from lodge.distribution.transport import Answer, Broken, Transport
from lodge.errors import Corrupt, InvalidArgument
from lodge.spec.descriptor import DOCKER_INDEX, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, Descriptor
from lodge.spec.digest import Digest
from lodge.spec.image import MANIFEST_CAP, Index, Manifest

SCHEMA_1 = (
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
    "application/vnd.docker.distribution.manifest.v1+json",
)
_ACCEPT = ", ".join((OCI_INDEX, OCI_MANIFEST, DOCKER_INDEX, DOCKER_MANIFEST, *SCHEMA_1, "*/*;q=0.1"))
_TAGS_CAP = 16 << 20
_MOST_PAGES = 1000


class RemoteManifest(Struct, frozen=True):
    """A manifest or index as its registry has it. The descriptor's digest is of `data`, computed here."""

    descriptor: Descriptor
    data: bytes

    def index(self) -> Index:
        """Read it as an index; Corrupt when it is none."""
        return Index.decode(self.data)

    def manifest(self) -> Manifest:
        """Read it as the manifest of one image or artifact; Corrupt when it is none."""
        return Manifest.decode(self.data)


class BlobStream:
    """A blob, or the rest of it, on its way: a `Readable`, never longer than it was announced.

    `start` is where it begins, `ranged` whether the registry can send parts. The digest is for the reader to
    check.
    """

    def __init__(
        self, answer: Answer, start: int, size: int | None, end: int | None = None, *, ranged: bool
    ) -> None:
        self.start = start
        self.size = size
        self.ranged = ranged
        self._answer = answer
        self._left = None if size is None else (size if end is None else end) - start

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(self, size: int, /) -> bytes:
        """Return what has come; nothing at the end. Broken when that comes early, Corrupt when too late."""
        data = self._answer.read(size)
        if self._left is not None:
            self._left -= len(data)
            if self._left < 0:
                raise Corrupt(f"the registry sends more than the {self.size} bytes that were announced")
            if not data and self._left:
                raise Broken(f"unexpected EOF: {self._left} bytes are missing")
        return data

    def close(self) -> None:
        """End it. Idempotent."""
        self._answer.close()


class Repository:
    """Asks for one repository. `abort` ends all that waits; `attempts` bounds what is tried again."""

    def __init__(
        self,
        transport: Transport,
        endpoint: Endpoint,
        authorizer: Authorizer,
        *,
        abort: Abort | None = None,
        attempts: int = 5,
        actions: str = "pull",
    ) -> None:
        self.endpoint = endpoint
        self._transport = transport
        self._authorizer = authorizer
        self._abort = abort
        self._attempts = attempts
        self._scopes: Scopes = (f"repository:{endpoint.repository}:{actions}",)

    @property
    def name(self) -> str:
        """The repository's name at this place."""
        return self.endpoint.repository

    def for_mount(self, source: str) -> Repository:
        """Return the same repository, with the right to read another one of this registry."""
        other = self.bound(self._abort)
        other._scopes = (f"repository:{source}:pull", *self._scopes)
        return other

    def bound(self, abort: Abort | None) -> Repository:
        """Return the same repository, for work that another `abort` ends."""
        other = copy.copy(self)
        other._abort = abort
        return other

    def request(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str] | None = None,
        *,
        body: bytes | Callable[[], Iterable[bytes]] | None = None,
        expected: tuple[int, ...] = (200,),
        attempts: int | None = None,
    ) -> Answer:
        """Send a request, answer a 401 once, and raise what any status but the expected ones means.

        Credentials go only to the registry's own address, wherever `target` leads. A long body is made anew
        for each time that it is sent.
        """
        tries = self._attempts if attempts is None else attempts
        own = "://" not in target or urlsplit(target).netloc.lower() == self.endpoint.host.lower()
        for final in (False, True):
            sent = self._authorizer.header(self._scopes) if own else ""
            all_headers = {**(headers or {}), **({"Authorization": sent} if sent else {})}
            data = body() if callable(body) else body
            answer = self._transport.send(
                self.endpoint, method, target, all_headers, body=data, abort=self._abort, attempts=tries
            )
            if answer.status in expected:
                return answer
            try:
                ask_again = answer.status == 401 and own and not final
                if ask_again and self._authorizer.satisfy(answer, sent, self._scopes, self._abort):
                    continue
                raise self._refused(method, answer)
            finally:
                answer.close()
        raise AssertionError("the second attempt is the last")

    def _refused(self, method: str, answer: Answer) -> Exception:
        refusal = answer.refusal()
        if refusal.status == 401 and refusal.code == "UNAUTHORIZED" and method == "HEAD":
            refusal.message = refusal.message or "authentication required"
        known = refusal.code in ("MANIFEST_UNKNOWN", "NAME_UNKNOWN", "DENIED")
        return answers.error_of(refusal, "" if known else f'{method.capitalize()} "{answer.url}"')

    # ---- manifests

    def resolve(self, reference: str) -> Descriptor | None:
        """Return what a tag or digest points to by HEAD; None when the registry doesn't say enough."""
        answer = self.request("HEAD", self._manifest_path(reference), {"Accept": _ACCEPT})
        with answer:
            digest, media_type = answer.headers.get("docker-content-digest"), _media_type(answer)
            if not digest or not media_type or answer.length is None:
                return None
            return Descriptor(media_type=media_type, digest=_checked(digest), size=answer.length)

    def manifest(self, reference: str) -> RemoteManifest:
        """Return what a tag or digest points to. Corrupt when it isn't what it claims to be."""
        answer = self.request("GET", self._manifest_path(reference), {"Accept": _ACCEPT})
        with answer:
            if (answer.length or 0) > MANIFEST_CAP:
                raise Corrupt(f"the manifest of {self.name} is larger than {MANIFEST_CAP >> 20} MiB")
            data = answer.read_all(MANIFEST_CAP)
            announced = answer.headers.get("docker-content-digest")
            media_type = _media_type(answer)
        named = Digest(reference) if ":" in reference else _checked(announced) if announced else None
        found = Digest.of(data)
        if named is not None:
            hasher = named.hasher()
            hasher.update(data)
            found = Digest.finish(hasher, named.algorithm)
            if found != named:
                raise Corrupt(f"manifest verification failed for digest {named}: it has {found}")
        return RemoteManifest(
            Descriptor(media_type=_told(media_type, data), digest=found, size=len(data)), data
        )

    def _manifest_path(self, reference: str) -> str:
        return f"/v2/{self.name}/manifests/{quote(reference, safe=':')}"

    def put_manifest(self, reference: str, data: bytes, media_type: str) -> Digest:
        """Store a manifest under a tag or its digest. Idempotent."""
        digest = Digest.of(data)
        answer = self.request(
            "PUT", self._manifest_path(reference), {"Content-Type": media_type}, body=data,
            expected=(200, 201, 202),
        )  # fmt: skip
        with answer:
            said = answer.headers.get("docker-content-digest")
        if said and said.startswith("sha256:") and said != digest:
            raise Corrupt(f"the registry stored {said} instead of the manifest {digest}")
        return digest

    # ---- blobs

    def blob_path(self, digest: Digest) -> str:
        """Return the path of a blob."""
        return f"/v2/{self.name}/blobs/{digest}"

    def blob_size(self, digest: Digest) -> int | None:
        """Return a blob's size in bytes; None when the registry hasn't got it. -1 when it doesn't say."""
        with self.request("HEAD", self.blob_path(digest), expected=(200, 404)) as answer:
            if answer.status == 404:
                return None
            return -1 if answer.length is None else answer.length

    def blob(
        self, digest: Digest, size: int | None = None, *, start: int = 0, end: int | None = None
    ) -> BlobStream:
        """Begin to read a blob of `size` bytes, from `start` up to `end` where the registry can do that.

        Look at `start` of what is returned: it is 0 when the registry sends all of it anyway. Corrupt when
        the registry announces another size.
        """
        headers = {}
        if start or end is not None:
            headers["Range"] = f"bytes={start}-{'' if end is None else end - 1}"
        answer = self.request("GET", self.blob_path(digest), headers, expected=(200, 206))
        try:
            if answer.status == 206:
                begin, stop, total = _content_range(answer.headers.get("content-range", ""))
                if begin != start or (size is not None and total not in (None, size)):
                    raise Corrupt(f"{digest}: the registry sends another part than it was asked for")
                if end is not None and stop != end:
                    raise Corrupt(f"{digest}: the registry sends another part than it was asked for")
                return BlobStream(answer, start, size or total, stop, ranged=True)
            if size is not None and answer.length not in (None, size):
                raise Corrupt(f"{digest}: the registry announces {answer.length} bytes instead of {size}")
        except BaseException:
            answer.close()
            raise
        ranged = "bytes" in answer.headers.get("accept-ranges", "")
        return BlobStream(answer, 0, size if size is not None else answer.length, ranged=ranged)

    # ---- lists

    def tags(self) -> Iterator[str]:
        """Yield all tags, page after page."""
        for page in self._pages(f"/v2/{self.name}/tags/list?n=1000", "tags"):
            for tag in page:
                if isinstance(tag, str):
                    yield tag

    def referrers(self, digest: Digest, artifact_type: str = "") -> list[Descriptor]:
        """Return the manifests whose subject is `digest` (signatures, SBOMs, provenance).

        Where the registry lacks the call, the index under the tag `sha256-<hex>` is read (distribution-spec,
        "Unavailable Referrers API").
        """
        query = "?" + urlencode({"artifactType": artifact_type}) if artifact_type else ""
        found: list[Descriptor] = []
        path = f"/v2/{self.name}/referrers/{digest}{query}"
        answer = self.request("GET", path, {"Accept": OCI_INDEX}, expected=(200, 400, 404, 405))
        if answer.status == 200 and _media_type(answer) == OCI_INDEX:
            answer_url, link = answer.url, answer.headers.get("link", "")
            found += Index.decode(answer.read_all(MANIFEST_CAP)).manifests
            while (following := _following(answer_url, link)) and len(found) < _MOST_PAGES:
                with self.request("GET", following, {"Accept": OCI_INDEX}) as answer:
                    answer_url, link = answer.url, answer.headers.get("link", "")
                    found += Index.decode(answer.read_all(MANIFEST_CAP)).manifests
        else:
            answer.close()
            found += self._tagged_referrers(digest)
        if artifact_type:
            found = [one for one in found if one.artifact_type == artifact_type]
        return found

    def _tagged_referrers(self, digest: Digest) -> tuple[Descriptor, ...]:
        try:
            return self.manifest(f"{digest.algorithm}-{digest.hex}").index().manifests
        except answers.RegistryError as error:
            if error.refusal.status == 404:
                return ()
            raise

    def _pages(self, target: str, key: str) -> Iterator[list[Any]]:
        for _ in range(_MOST_PAGES):
            with self.request("GET", target) as answer:
                url, link = answer.url, answer.headers.get("link", "")
                body = answer.read_all(_TAGS_CAP)
            try:
                page = json.loads(body).get(key) or []
            except (ValueError, RecursionError, AttributeError):
                raise Corrupt(
                    f"{self.endpoint.host}: the answer is not the list that was asked for"
                ) from None
            yield page if isinstance(page, list) else []
            following = _following(url, link)
            if following is None:
                return
            target = following


def _following(url: str, link: str) -> str | None:
    """Return the next page's URL of a Link header (RFC 8288); None at the end, or when it leads elsewhere."""
    address, _, relation = link.partition(">")
    if not address.startswith("<") or 'rel="next"' not in relation.replace("rel=next", 'rel="next"'):
        return None
    following = urljoin(url, address[1:])
    return following if urlsplit(following).netloc == urlsplit(url).netloc else None


def _media_type(answer: Answer) -> str:
    return answer.headers.get("content-type", "").partition(";")[0].strip().lower()


def _told(media_type: str, data: bytes) -> str:
    """Return the media type of a manifest: what the header says, or the document, where that is clearer."""
    if media_type in (OCI_INDEX, OCI_MANIFEST, DOCKER_INDEX, DOCKER_MANIFEST, *SCHEMA_1):
        return media_type
    try:
        document = json.loads(data)
        said = document.get("mediaType")
        if isinstance(said, str) and said:
            return said
        if document.get("schemaVersion") == 1:
            return SCHEMA_1[0]
        return OCI_INDEX if "manifests" in document else OCI_MANIFEST
    except (ValueError, RecursionError, AttributeError):
        raise Corrupt(f"the registry sends {media_type or 'something'} instead of a manifest") from None


def _content_range(text: str) -> tuple[int, int, int | None]:
    """Read `bytes 10-19/20` as start, end behind the last byte, and total where it is known."""
    unit, _, rest = text.partition(" ")
    span, _, total = rest.partition("/")
    first, _, last = span.partition("-")
    try:
        if unit != "bytes":
            raise ValueError
        return int(first), int(last) + 1, None if total == "*" else int(total)
    except ValueError:
        raise Corrupt(f"the registry sends an invalid Content-Range: {text[:100]!r}") from None


def _checked(digest: str) -> Digest:
    try:
        return Digest(digest)
    except InvalidArgument as error:
        raise Corrupt(f"the registry names an invalid digest: {error}") from error
