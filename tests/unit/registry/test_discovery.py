"""The specification's groups "Content Discovery" and "Content Management"."""

import json
from pathlib import Path

import pytest

from lodge.registry.service import Rules
from tests.unit.registry.serving import CONFIG, INDEX, MANIFEST, Served, digest_of, image_of


def tags(served: Served, query: str = "") -> tuple[list[str], str | None]:
    answer = served.ask("GET", f"/v2/a/tags/list{query}")
    assert answer.status == 200
    return json.loads(answer.body)["tags"], answer.headers.get("Link")


def test_tags_in_order_and_in_pages(served: Served) -> None:
    config = served.push_blob("a", b"{}")
    for tag in ("c", "a", "B", "d", "10"):
        served.push_manifest("a", tag, image_of(config, 2))
    assert tags(served) == (["10", "B", "a", "c", "d"], None)
    first, link = tags(served, "?n=2")
    assert (first, link) == (["10", "B"], '</v2/a/tags/list?n=2&last=B>; rel="next"')
    assert tags(served, "?n=2&last=B")[0] == ["a", "c"]
    assert tags(served, "?n=2&last=c") == (["d"], None)
    assert tags(served, "?last=bb")[0] == ["c", "d"]
    assert tags(served, "?n=0") == ([], None)
    assert served.ask("GET", "/v2/a/tags/list?n=-1").status == 400
    assert served.ask("GET", "/v2/none/tags/list").codes == ["NAME_UNKNOWN"]


def test_the_catalog_names_what_holds_something(served: Served) -> None:
    served.push_image("b/c", "v1", b"x")
    served.push_image("a", "v1", b"x")
    served.push_blob("empty", b"x")
    assert json.loads(served.ask("GET", "/v2/_catalog").body) == {"repositories": ["a", "b/c"]}
    page = served.ask("GET", "/v2/_catalog?n=1")
    assert json.loads(page.body) == {"repositories": ["a"]}
    assert page.headers["Link"] == '</v2/_catalog?n=1&last=a>; rel="next"'


def subject_of(digest: str) -> dict[str, object]:
    return {"mediaType": MANIFEST, "digest": digest, "size": 1}


def test_referrers(served: Served) -> None:
    image = served.push_image("a", "v1", b"layer")
    config = served.push_blob("a", b"{}")
    answer = served.ask(
        "PUT", "/v2/a/manifests/sig",
        json.dumps(image_of(config, 2, subject=subject_of(image), artifactType="application/sig",
                            annotations={"by": "me"})).encode(),
    )  # fmt: skip
    assert answer.headers["OCI-Subject"] == image
    served.push_manifest("a", "sbom", image_of(config, 2, subject=subject_of(image)))
    every = served.ask("GET", f"/v2/a/referrers/{image}")
    assert (every.status, every.headers["Content-Type"]) == (200, INDEX)
    found = {entry["artifactType"]: entry for entry in json.loads(every.body)["manifests"]}
    assert set(found) == {"application/sig", CONFIG}
    assert found["application/sig"]["annotations"] == {"by": "me"}
    some = served.ask("GET", f"/v2/a/referrers/{image}?artifactType=application/sig")
    assert some.headers["OCI-Filters-Applied"] == "artifactType"
    assert [one["digest"] for one in json.loads(some.body)["manifests"]] == [
        answer.headers["Docker-Content-Digest"]
    ]
    assert json.loads(served.ask("GET", f"/v2/a/referrers/{digest_of(b'?')}").body)["manifests"] == []
    assert served.ask("GET", "/v2/a/referrers/junk").status == 400


def test_referrers_outlive_a_restart_and_may_come_first(tmp_path: Path) -> None:
    served = Served(tmp_path)
    config = served.push_blob("a", b"{}")
    later = digest_of(b"not there yet")
    served.push_manifest("a", "sig", image_of(config, 2, subject=subject_of(later)))
    served.stop()
    served = Served(tmp_path)
    try:
        assert len(json.loads(served.ask("GET", f"/v2/a/referrers/{later}").body)["manifests"]) == 1
    finally:
        served.stop()


def test_many_referrers_come_in_pages(served: Served) -> None:
    config = served.push_blob("a", b"{}")
    subject = digest_of(b"subject")
    for number in range(3):
        notes = {"note": str(number) * 2_000_000}
        served.push_manifest(
            "a", f"s{number}", image_of(config, 2, subject=subject_of(subject), annotations=notes)
        )
    path, seen, pages = f"/v2/a/referrers/{subject}", set(), 0
    while path:
        answer = served.ask("GET", path)
        seen |= {one["digest"] for one in json.loads(answer.body)["manifests"]}
        pages += 1
        path = answer.headers.get("Link", "").partition(">")[0].lstrip("<")
    assert (len(seen), pages) == (3, 2)


def test_deleting_a_tag_leaves_the_manifest(served: Served) -> None:
    digest = served.push_image("a", "v1", b"layer")
    assert served.ask("DELETE", "/v2/a/manifests/v1").status == 202
    assert served.ask("GET", "/v2/a/manifests/v1").status == 404
    assert served.ask("GET", f"/v2/a/manifests/{digest}").status == 200
    assert served.ask("DELETE", "/v2/a/manifests/v1").codes == ["MANIFEST_UNKNOWN"]


def test_deleting_a_manifest_takes_its_tags(served: Served) -> None:
    digest = served.push_image("a", "v1", b"layer")
    assert served.ask("DELETE", f"/v2/a/manifests/{digest}").status == 202
    assert served.ask("GET", f"/v2/a/manifests/{digest}").status == 404
    assert tags(served)[0] == []
    assert served.ask("DELETE", f"/v2/a/manifests/{digest}").status == 404


def test_deleting_a_blob(served: Served) -> None:
    digest = served.push_blob("a", b"data")
    assert served.ask("DELETE", f"/v2/a/blobs/{digest}").status == 202
    assert served.ask("GET", f"/v2/a/blobs/{digest}").status == 404
    assert served.ask("DELETE", f"/v2/a/blobs/{digest}").codes == ["BLOB_UNKNOWN"]
    manifest = served.push_image("a", "v1", b"layer")
    assert served.ask("DELETE", f"/v2/a/blobs/{manifest}").codes == ["UNSUPPORTED"]


@pytest.mark.parametrize("path", ["manifests/v1", f"blobs/{digest_of(b'layer')}"])
def test_a_registry_may_delete_nothing(tmp_path: Path, path: str) -> None:
    served = Served(tmp_path, rules=Rules(delete=False))
    try:
        served.push_image("a", "v1", b"layer")
        assert served.ask("DELETE", f"/v2/a/{path}").status == 405
    finally:
        served.stop()


def test_an_index_of_children(served: Served) -> None:
    child = served.push_image("a", "child", b"layer")
    entry = {"mediaType": MANIFEST, "digest": child, "size": 1}
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}
    served.push_manifest("a", "multi", index, INDEX)
    assert served.ask("GET", "/v2/a/manifests/multi").headers["Content-Type"] == INDEX
    entry["digest"] = digest_of(b"missing")
    answer = served.ask("PUT", "/v2/a/manifests/bad", json.dumps(index).encode(), {"Content-Type": INDEX})
    assert answer.codes == ["MANIFEST_BLOB_UNKNOWN"]
