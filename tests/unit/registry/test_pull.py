"""The specification's group "Pull", and what lies around it."""

import json
import os
from pathlib import Path

import pytest

from tests.unit.registry.serving import MANIFEST, Served, digest_of

MISSING = "sha256:" + "0" * 64


def test_the_base_says_that_it_is_a_registry(served: Served) -> None:
    answer = served.ask("GET", "/v2/")
    assert (answer.status, answer.body) == (200, b"{}")
    assert answer.headers["Docker-Distribution-Api-Version"] == "registry/2.0"


@pytest.mark.parametrize("size", [0, 1, 70_000, 3_000_000])
def test_blobs_whole_in_part_and_by_their_heads(served: Served, size: int) -> None:
    data = os.urandom(size)
    path = f"/v2/team/app/blobs/{served.push_blob('team/app', data)}"
    whole, head = served.ask("GET", path), served.ask("HEAD", path)
    assert (whole.status, whole.body) == (200, data)
    assert (head.status, head.body, head.headers["Content-Length"]) == (200, b"", str(size))
    for answer in (whole, head):
        assert answer.headers["Docker-Content-Digest"] == digest_of(data)
        assert answer.headers["Accept-Ranges"] == "bytes"
        assert answer.headers["Content-Type"] == "application/octet-stream"
    if size > 10:
        part = served.ask("GET", path, headers={"Range": "bytes=3-"})
        assert (part.status, part.body) == (206, data[3:])
        assert part.headers["Content-Range"] == f"bytes 3-{size - 1}/{size}"
    assert served.ask("GET", path, headers={"Range": f"bytes={size}-"}).status == 416
    assert served.ask("GET", path, headers={"If-None-Match": whole.headers["ETag"]}).status == 304


def test_manifests_by_tag_and_digest(served: Served) -> None:
    digest = served.push_image("team/app", "v1", b"layer")
    for reference in ("v1", digest):
        got = served.ask("GET", f"/v2/team/app/manifests/{reference}")
        head = served.ask("HEAD", f"/v2/team/app/manifests/{reference}")
        assert (got.status, head.status) == (200, 200)
        assert digest_of(got.body) == digest
        assert head.headers["Content-Length"] == str(len(got.body))
        assert got.headers["Content-Type"] == head.headers["Content-Type"] == MANIFEST
        assert got.headers["Docker-Content-Digest"] == digest


def test_what_is_not_there(served: Served) -> None:
    served.push_blob("a", b"x")
    assert served.ask("GET", f"/v2/a/blobs/{MISSING}").codes == ["BLOB_UNKNOWN"]
    assert served.ask("GET", f"/v2/a/manifests/{MISSING}").codes == ["MANIFEST_UNKNOWN"]
    assert served.ask("GET", "/v2/a/manifests/nope").codes == ["MANIFEST_UNKNOWN"]
    assert served.ask("GET", f"/v2/b/blobs/{MISSING}").codes == ["NAME_UNKNOWN"]
    assert served.ask("GET", "/v2/b/manifests/nope").codes == ["NAME_UNKNOWN"]
    assert served.ask("HEAD", "/v2/a/manifests/nope").status == 404
    assert served.ask("GET", "/v2/a/blobs/sha256:xyz").codes == ["DIGEST_INVALID"]
    assert served.ask("GET", "/v2/A/manifests/nope").codes == ["NAME_INVALID"]
    assert served.ask("GET", "/nothing").status == 404
    assert served.ask("BREW", "/v2/").status in (400, 405)


def test_a_blob_of_another_repository_is_not_there(served: Served) -> None:
    digest = served.push_blob("secret", b"secret")
    served.push_blob("public", b"other")
    assert served.ask("GET", f"/v2/public/blobs/{digest}").status == 404


def test_a_manifest_that_rotted_is_not_served(served: Served) -> None:
    digest = served.push_image("a", "v1", b"layer")
    assert served.directory is not None
    repository = served.directory.find("a")
    assert repository is not None
    path = repository.blobs.path(digest)  # type: ignore[arg-type]
    os.chmod(path, 0o600)
    with open(path, "r+b") as file:
        file.write(b"X")
    assert served.ask("GET", "/v2/a/manifests/v1").status == 502


def test_the_directory_is_an_image_layout(served: Served) -> None:
    digest = served.push_image("team/app", "v1", b"layer")
    assert served.directory is not None
    layout = f"{served.directory.root}/repositories/team/app/_"
    index = json.loads(Path(f"{layout}/index.json").read_text())
    assert json.loads(Path(f"{layout}/oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    entry = next(one for one in index["manifests"] if one["digest"] == digest)
    assert entry["annotations"]["org.opencontainers.image.ref.name"] == "v1"
    assert os.path.exists(f"{layout}/blobs/sha256/{digest_of(b'layer')[7:]}")
