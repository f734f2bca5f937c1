import contextlib
import http.client
import json
import os
import threading
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from lodge.errors import Conflict
from lodge.http.exchange import Exchange
from lodge.registry.checking import check
from lodge.registry.pull_through import PullThrough
from lodge.registry.service import Service
from tests.unit.registry.serving import Served, digest_of


def cache_of(source: Served, root: Path, *, fresh: float = 60.0) -> Served:
    def prepare(service: Service) -> None:
        assert service.directory is not None
        url = f"http://127.0.0.1:{source.port}"
        service.upstream = PullThrough(url, service.directory, service, fresh=fresh)

    return Served(root, prepare=prepare)


@pytest.fixture
def cache(served: Served, tmp_path: Path) -> Iterator[Served]:
    registry = cache_of(served, tmp_path / "cache")
    try:
        yield registry
    finally:
        registry.stop()


def test_an_image_comes_through_and_stays(served: Served, cache: Served) -> None:
    layer = os.urandom(3_000_000)
    digest = served.push_image("team/app", "v1", layer)
    got = cache.ask("GET", "/v2/team/app/manifests/v1")
    assert got.headers["Docker-Content-Digest"] == digest
    path = f"/v2/team/app/blobs/{digest_of(layer)}"
    head = cache.ask("HEAD", path)
    assert (head.status, head.headers["Content-Length"]) == (200, "3000000")
    assert cache.ask("GET", path).body == layer
    served.ask("DELETE", f"/v2/team/app/manifests/{digest}")
    served.ask("DELETE", path)
    assert cache.ask("GET", path, headers={"Range": "bytes=5-9"}).body == layer[5:10]
    assert cache.ask("GET", f"/v2/team/app/manifests/{digest}").body == got.body


def test_many_at_once_share_one_download(served: Served, cache: Served) -> None:
    layer = os.urandom(5_000_000)
    path = f"/v2/a/blobs/{served.push_blob('a', layer)}"
    bodies: list[bytes] = []
    clients = [threading.Thread(target=lambda: bodies.append(cache.ask("GET", path).body)) for _ in range(6)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert bodies == [layer] * 6


def test_what_the_other_side_has_not_is_not_here(served: Served, cache: Served) -> None:
    served.push_image("a", "v1", b"layer")
    assert cache.ask("GET", "/v2/a/manifests/v2").codes == ["MANIFEST_UNKNOWN"]
    assert cache.ask("GET", "/v2/b/manifests/v1").codes == ["MANIFEST_UNKNOWN"]
    missing = digest_of(b"missing")
    assert cache.ask("GET", f"/v2/a/blobs/{missing}").codes == ["BLOB_UNKNOWN"]
    assert cache.ask("HEAD", f"/v2/a/blobs/{missing}").status == 404
    assert json.loads(cache.ask("GET", "/v2/_catalog").body)["repositories"] == []
    assert cache.ask("POST", "/v2/a/blobs/uploads/").codes == ["UNSUPPORTED"]


def test_a_tag_that_moved_is_noticed(served: Served, tmp_path: Path) -> None:
    cache = cache_of(served, tmp_path / "cache", fresh=0)
    try:
        old = served.push_image("a", "v1", b"old")
        assert cache.ask("GET", "/v2/a/manifests/v1").headers["Docker-Content-Digest"] == old
        new = served.push_image("a", "v1", b"new")
        assert cache.ask("GET", "/v2/a/manifests/v1").headers["Docker-Content-Digest"] == new
    finally:
        cache.stop()


def test_what_is_here_is_served_when_the_other_side_is_gone(tmp_path: Path) -> None:
    source = Served(tmp_path / "source")
    digest = source.push_image("a", "v1", b"layer")
    cache = cache_of(source, tmp_path / "cache", fresh=0)
    try:
        cache.ask("GET", "/v2/a/manifests/v1")
        source.stop()
        assert cache.directory is not None
        assert list(check(cache.directory, repair=False)) == []  # what a cache lacks is no damage
        assert cache.ask("GET", "/v2/a/manifests/v1").headers["Docker-Content-Digest"] == digest
        assert cache.ask("GET", f"/v2/a/blobs/{digest_of(b'layer')}").status >= 500
    finally:
        cache.stop()


def test_a_forged_blob_is_never_whole(served: Served, cache: Served) -> None:
    """The last bytes are held back until the digest is right."""
    layer = os.urandom(2_000_000)
    digest = served.push_blob("a", layer)
    assert served.directory is not None
    repository = served.directory.find("a")
    assert repository is not None
    path = repository.blobs.path(digest)  # type: ignore[arg-type]
    os.chmod(path, 0o600)
    Path(path).write_bytes(b"forged" + layer[6:])
    try:
        answer = cache.ask("GET", f"/v2/a/blobs/{digest}")
    except Exception:  # the connection was broken off
        pass
    else:
        assert answer.status >= 500
    assert cache.directory is not None
    found = cache.directory.find("a")
    assert found is None or found.blobs.size(digest) is None  # type: ignore[arg-type]


def test_what_was_pushed_is_never_in_a_cache(served: Served) -> None:
    served.push_blob("a", b"x")
    assert served.directory is not None
    with pytest.raises(Conflict, match="pushed"):
        served.directory.make_cache("elsewhere")


def test_a_download_goes_on_where_an_earlier_life_left_it(served: Served, tmp_path: Path) -> None:
    layer = os.urandom(3_000_000)
    digest = served.push_blob("a", layer)
    root = tmp_path / "cache"
    first = cache_of(served, root)
    first.ask("GET", f"/v2/a/blobs/{served.push_blob('a', b'small')}")
    first.stop()
    partial = root / "repositories/a/_/uploads" / digest[7:39]
    partial.write_bytes(layer[:1_000_000])
    cache = cache_of(served, root)
    asked: list[str | None] = []
    begin = served.server.handler

    def spy(exchange: Exchange) -> Coroutine[Any, Any, None] | None:
        asked.append(exchange.head.headers.get("range"))
        return begin(exchange)

    served.server.handler = spy
    try:
        assert cache.ask("GET", f"/v2/a/blobs/{digest}").body == layer
        assert "bytes=1000000-" in asked
        assert not partial.exists()
    finally:
        cache.stop()


def test_what_an_earlier_life_left_may_be_wrong(served: Served, tmp_path: Path) -> None:
    layer = os.urandom(300_000)
    digest = served.push_blob("a", layer)
    root = tmp_path / "cache"
    first = cache_of(served, root)
    first.ask("GET", f"/v2/a/blobs/{served.push_blob('a', b'small')}")
    first.stop()
    (root / "repositories/a/_/uploads" / digest[7:39]).write_bytes(b"junk" * 1000)
    cache = cache_of(served, root)
    try:
        with contextlib.suppress(http.client.HTTPException, OSError):
            cache.ask("GET", f"/v2/a/blobs/{digest}")
        assert cache.ask("GET", f"/v2/a/blobs/{digest}").body == layer  # the junk is gone
    finally:
        cache.stop()
