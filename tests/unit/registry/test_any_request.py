"""Whatever a client sends is answered, and never with 500."""

import http.client
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lodge.registry.service import Rules
from tests.unit.registry.serving import MANIFEST, Served, digest_of

DIGEST = digest_of(b"data")
words = st.sampled_from([
    "v2", "_catalog", "a", "b", "blobs", "uploads", "manifests", "tags", "list", "referrers", "..", ".", "",
    "%2e%2e",
    "%00", "A", "latest", DIGEST, "sha256:x", "sha512:" + "0" * 128, "0" * 32, "_", "a" * 300, "%ff", "a%0ab",
])  # fmt: skip
fields = st.sampled_from([
    "digest=" + DIGEST, "digest=x", "mount=" + DIGEST, "mount=", "from=a", "from=../x", "n=1", "n=-1", "n=x",
    "last=a",
    "tag=t", "tag=../t", "artifactType=x", "digest-algorithm=md5", "%", "a=%ff", "=" * 9,
])  # fmt: skip
headers = st.dictionaries(
    st.sampled_from(["Range", "Content-Range", "Content-Type", "Accept", "If-None-Match", "Authorization"]),
    st.sampled_from(["bytes=0-1", "bytes=9-1", "0-3", "3-0", "x", MANIFEST, "*", "Basic x", ""]),
    max_size=3,
)
bodies = st.sampled_from(
    [None, b"", b"data", b"{}", b'{"schemaVersion":2,"layers":[],"config":{}}', b"[" * 5000]
)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    served = Served(tmp_path_factory.mktemp("any"))
    served.push_image("a", "latest", b"data")
    try:
        yield served
    finally:
        served.stop()


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    method=st.sampled_from(["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS"]),
    path=st.lists(words, max_size=6),
    query=st.lists(fields, max_size=3),
    headers=headers,
    body=bodies,
)
def test_any_request_is_answered(
    registry: Served,
    method: str,
    path: list[str],
    query: list[str],
    headers: dict[str, str],
    body: bytes | None,
) -> None:
    target = "/v2/" + "/".join(path) + ("?" + "&".join(query) if query else "")
    answer = registry.ask(method, target, body, headers)
    assert 200 <= answer.status < 500, (method, target, answer)
    if answer.status >= 400 and method != "HEAD" and answer.headers.get("Content-Type") == "application/json":
        assert answer.codes[0]


def test_uploads_over_the_number_wait_for_their_turn(tmp_path: Path) -> None:
    served = Served(tmp_path, rules=Rules(uploads_at_once=0))
    try:
        where = served.begin("a")
        answer = served.ask("PUT", f"{where}?digest={DIGEST}", b"data")
        assert (answer.status, answer.codes) == (429, ["TOOMANYREQUESTS"])
        assert answer.headers["Retry-After"] == "2"
        assert served.ask("GET", where).status == 204  # it is not over
    finally:
        served.stop()


def test_a_hundred_requests_on_one_connection(registry: Served) -> None:
    client = http.client.HTTPConnection("127.0.0.1", registry.port, timeout=10)
    for number in range(100):
        client.request("GET", f"/v2/a/blobs/{DIGEST}" if number % 2 else "/v2/a/manifests/latest")
        answer = client.getresponse()
        assert answer.status == 200
        answer.read()
    client.close()
