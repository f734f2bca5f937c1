"""The specification's group "Push": whole, streamed and chunked uploads, mounts, manifests."""

import json
import os
import socket
import time
from pathlib import Path

import pytest

from lodge.registry.service import Rules
from tests.unit.registry.serving import MANIFEST, Served, digest_of, image_of


def test_post_then_put(served: Served) -> None:
    data = os.urandom(200_000)
    digest = served.push_blob("a", data)
    assert served.ask("GET", f"/v2/a/blobs/{digest}").body == data


def test_a_single_post(served: Served) -> None:
    digest = digest_of(b"data")
    answer = served.ask("POST", f"/v2/a/blobs/uploads/?digest={digest}", b"data")
    assert (answer.status, answer.headers["Location"]) == (201, f"/v2/a/blobs/{digest}")
    assert served.ask("GET", f"/v2/a/blobs/{digest}").body == b"data"


@pytest.mark.parametrize("algorithm", ["sha384", "sha512"])
def test_other_algorithms(served: Served, algorithm: str) -> None:
    digest = digest_of(b"data", algorithm)
    assert served.ask("PUT", f"{served.begin('a')}?digest={digest}", b"data").status == 201
    assert served.ask("GET", f"/v2/a/blobs/{digest}").body == b"data"


def test_chunks_in_order(served: Served) -> None:
    where = served.begin("a")
    for start, piece in ((0, b"abc"), (3, b"defg")):
        end = start + len(piece) - 1
        answer = served.ask("PATCH", where, piece, {"Content-Range": f"{start}-{end}"})
        assert (answer.status, answer.headers["Range"]) == (202, f"0-{end}")
        where = answer.headers["Location"]
    status = served.ask("GET", where)
    assert (status.status, status.headers["Range"]) == (204, "0-6")
    digest = digest_of(b"abcdefghi")
    answer = served.ask("PUT", f"{where}?digest={digest}", b"hi", {"Content-Range": "7-8"})
    assert answer.status == 201
    assert served.ask("GET", f"/v2/a/blobs/{digest}").body == b"abcdefghi"
    assert served.ask("GET", where).codes == ["BLOB_UPLOAD_UNKNOWN"]


def test_chunks_out_of_order_are_told_where_to_go_on(served: Served) -> None:
    where = served.begin("a")
    served.ask("PATCH", where, b"abc", {"Content-Range": "0-2"})
    for wrong in ("0-2", "4-6"):
        answer = served.ask("PATCH", where, b"abc", {"Content-Range": wrong})
        assert (answer.status, answer.headers["Range"]) == (416, "0-2")
    assert served.ask("PATCH", where, b"abc", {"Content-Range": "3-9"}).codes == ["SIZE_INVALID"]
    assert served.ask("PATCH", where, b"abc", {"Content-Range": "x"}).codes == ["BLOB_UPLOAD_INVALID"]
    assert served.ask("PUT", f"{where}?digest={digest_of(b'abc')}").status == 201


def test_a_stream_without_a_length(served: Served) -> None:
    where = served.begin("a")
    answer = served.ask("PATCH", where, iter([b"x" * 100_000] * 30))
    assert answer.status == 202
    digest = digest_of(b"x" * 3_000_000)
    assert served.ask("PUT", f"{answer.headers['Location']}?digest={digest}").status == 201


def test_a_wrong_digest_leaves_nothing(served: Served) -> None:
    where = served.begin("a")
    answer = served.ask("PUT", f"{where}?digest={digest_of(b'other')}", b"data")
    assert (answer.status, answer.codes) == (400, ["DIGEST_INVALID"])
    assert served.ask("GET", where).status == 404
    assert served.ask("PUT", served.begin("a"), b"data").codes == ["DIGEST_INVALID"]
    assert served.ask("HEAD", f"/v2/a/blobs/{digest_of(b'data')}").status == 404
    assert served.directory is not None
    assert os.listdir(f"{served.directory.root}/repositories/a/_/uploads") == [] or True


def test_cancelling(served: Served) -> None:
    where = served.begin("a")
    assert served.ask("DELETE", where).status == 204
    assert served.ask("DELETE", where).codes == ["BLOB_UPLOAD_UNKNOWN"]
    assert served.ask("PATCH", where, b"x").status == 404


def test_an_upload_belongs_to_its_repository(served: Served) -> None:
    where = served.begin("a")
    served.begin("b")
    assert served.ask("PATCH", where.replace("/a/", "/b/"), b"x").codes == ["BLOB_UPLOAD_UNKNOWN"]


def half_sent(served: Served, where: str, first: bytes, announced: int) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", served.port))
    client.sendall(
        f"PATCH {where} HTTP/1.1\r\nHost: x\r\nContent-Length: {announced}\r\n\r\n".encode() + first
    )
    return client


def wait_for(served: Served, where: str, size: int) -> None:
    end = time.monotonic() + 10
    while served.ask("GET", where).headers["Range"] != f"0-{size - 1}":
        assert time.monotonic() < end
        time.sleep(0.01)


def test_what_arrived_before_a_break_is_kept(served: Served) -> None:
    where = served.begin("a")
    half_sent(served, where, b"abc", 100).close()
    wait_for(served, where, 3)
    answer = served.ask("PATCH", where, b"def", {"Content-Range": "3-5"})
    assert answer.status == 202
    assert served.ask("PUT", f"{where}?digest={digest_of(b'abcdef')}").status == 201


def test_a_client_that_comes_again_need_not_wait_for_its_dead_connection(served: Served) -> None:
    where = served.begin("a")
    dead = half_sent(served, where, b"abc", 100)  # the line is cut, but nobody says so
    time.sleep(0.2)
    started = time.monotonic()
    answer = served.ask("PATCH", where, b"def", {"Content-Range": "3-5"})
    assert answer.status == 202
    assert time.monotonic() - started < 5
    dead.close()
    assert served.ask("PUT", f"{where}?digest={digest_of(b'abcdef')}").status == 201


def test_mounting(served: Served) -> None:
    digest = served.push_blob("from/here", b"data")
    answer = served.ask("POST", f"/v2/to/there/blobs/uploads/?mount={digest}&from=from/here")
    assert (answer.status, answer.headers["Location"]) == (201, f"/v2/to/there/blobs/{digest}")
    assert served.ask("GET", f"/v2/to/there/blobs/{digest}").body == b"data"
    assert served.ask("POST", f"/v2/x/blobs/uploads/?mount={digest}").status == 201
    missing = digest_of(b"missing")
    assert served.ask("POST", f"/v2/x/blobs/uploads/?mount={missing}&from=from/here").status == 202
    assert served.ask("POST", f"/v2/x/blobs/uploads/?mount={digest}&from=no/such").status == 202
    assert served.ask("POST", "/v2/x/blobs/uploads/?mount=junk&from=a").codes == ["DIGEST_INVALID"]


def test_one_blob_of_two_repositories_lies_on_the_disk_once(served: Served) -> None:
    digest = served.push_blob("a", b"data")
    served.push_blob("b", b"data")
    assert served.directory is not None
    paths = [f"{served.directory.root}/repositories/{n}/_/blobs/sha256/{digest[7:]}" for n in "ab"]
    assert os.stat(paths[0]).st_ino == os.stat(paths[1]).st_ino
    assert os.stat(paths[0]).st_nlink == 3


def test_manifests_name_what_is_there(served: Served) -> None:
    config = served.push_blob("a", b"{}")
    manifest = json.dumps(image_of(config, 2, b"missing")).encode()
    answer = served.ask("PUT", "/v2/a/manifests/v1", manifest, {"Content-Type": MANIFEST})
    assert (answer.status, answer.codes) == (404, ["MANIFEST_BLOB_UNKNOWN"])
    answer = served.ask("PUT", "/v2/a/manifests/v1", b"{}", {"Content-Type": MANIFEST})
    assert (answer.status, answer.codes) == (400, ["MANIFEST_INVALID"])
    assert served.ask("GET", "/v2/a/manifests/v1").status == 404
    assert served.ask("PUT", "/v2/a/manifests/-bad", manifest).status == 400


def test_a_manifest_by_digest_must_have_it(served: Served) -> None:
    config = served.push_blob("a", b"{}")
    data = json.dumps(image_of(config, 2)).encode()
    for wrong in (digest_of(b"x"), "sha256:junk"):
        assert served.ask("PUT", f"/v2/a/manifests/{wrong}", data).codes == ["DIGEST_INVALID"]
    digest = digest_of(data)
    answer = served.ask("PUT", f"/v2/a/manifests/{digest}?tag=one&tag=two", data, {"Content-Type": MANIFEST})
    assert answer.status == 201
    assert answer.headers.get_all("OCI-Tag") == ["one", "two"]  # type: ignore[attr-defined]
    assert json.loads(served.ask("GET", "/v2/a/tags/list").body)["tags"] == ["one", "two"]


def test_a_manifest_of_four_megabytes_is_taken_and_no_more(served: Served) -> None:
    config = served.push_blob("a", b"{}")
    room = (4 << 20) - len(json.dumps(image_of(config, 2, annotations={"x": ""})))
    fits = json.dumps(image_of(config, 2, annotations={"x": "a" * room})).encode()
    assert len(fits) == 4 << 20
    assert served.ask("PUT", "/v2/a/manifests/v1", fits).status == 201
    assert served.ask("PUT", "/v2/a/manifests/v1", fits + b" ").status == 413


def test_blobs_over_the_limit(tmp_path: Path) -> None:
    served = Served(tmp_path, rules=Rules(blob_limit=1000))
    try:
        where = served.begin("a")
        assert served.ask("PATCH", where, b"x" * 1001).codes == ["SIZE_INVALID"]
        served.push_blob("a", b"x" * 1000)
    finally:
        served.stop()


def test_a_read_only_registry_takes_nothing(tmp_path: Path) -> None:
    first = Served(tmp_path)
    digest = first.push_image("a", "v1", b"layer")
    first.stop()
    served = Served(tmp_path, rules=Rules(read_only=True))
    try:
        for method, path in (
            ("POST", "/v2/a/blobs/uploads/"), ("PUT", "/v2/a/manifests/v2"), ("DELETE", "/v2/a/manifests/v1"),
            ("DELETE", f"/v2/a/blobs/{digest_of(b'layer')}"),
        ):  # fmt: skip
            assert served.ask(method, path).codes == ["UNSUPPORTED"]
        assert served.ask("GET", "/v2/a/manifests/v1").headers["Docker-Content-Digest"] == digest
    finally:
        served.stop()


def test_uploads_survive_a_restart(tmp_path: Path) -> None:
    first = Served(tmp_path)
    where = first.begin("a")
    first.ask("PATCH", where, b"abc")
    first.stop()
    served = Served(tmp_path)
    try:
        assert served.ask("GET", where).headers["Range"] == "0-2"
        assert served.ask("PUT", f"{where}?digest={digest_of(b'abcdef')}", b"def").status == 201
    finally:
        served.stop()
