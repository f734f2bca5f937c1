import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodge.registry import targets
from lodge.registry.refusals import Refusal
from lodge.registry.targets import Target


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/v2/", Target("base")),
        ("/v2", Target("base")),
        ("/v2/_catalog", Target("catalog")),
        ("/v2/a/blobs/uploads/", Target("uploads", "a")),
        ("/v2/a/blobs/uploads", Target("uploads", "a")),
        ("/v2/a/blobs/uploads/1f", Target("upload", "a", "1f")),
        ("/v2/a/b/c/blobs/sha256:00", Target("blob", "a/b/c", "sha256:00")),
        ("/v2/a/manifests/latest", Target("manifest", "a", "latest")),
        ("/v2/a/tags/list", Target("tags", "a")),
        ("/v2/tags/list/tags/list", Target("tags", "tags/list")),
        ("/v2/blobs/uploads/blobs/uploads/", Target("uploads", "blobs/uploads")),
        ("/v2/a/referrers/sha256:00", Target("referrers", "a", "sha256:00")),
    ],
)
def test_paths_of_the_specification(path: str, target: Target) -> None:
    assert targets.find(path) == target


@pytest.mark.parametrize(
    "path",
    ["/", "/v1/", "/v2/a", "/v2/a/tags", "/v2//tags/list", "/v2/A/tags/list", "/v2/a/../b/tags/list",
     "/v2/_a/tags/list", "/v2/.a/tags/list", "/v2/a/manifests/", f"/v2/{'a' * 256}/tags/list",
     "/v3/a/tags/list", "/v2/a\n/tags/list"],
)  # fmt: skip
def test_other_paths_are_refused(path: str) -> None:
    with pytest.raises(Refusal):
        targets.find(path)


@given(st.text(alphabet="ab/._-A0\n", max_size=20))
def test_a_name_that_passes_can_be_a_path_below_a_directory(name: str) -> None:
    if targets.is_name(name):
        parts = name.split("/")
        assert all(part and part[0] not in "._-" and part == part.lower() for part in parts)
        assert "\n" not in name


@given(st.text(max_size=200))
def test_any_path_is_answered_or_refused(text: str) -> None:
    try:
        found = targets.find("/v2/" + text)
    except Refusal:
        return
    assert found.kind in ("base", "catalog") or targets.is_name(found.name)


def test_uploads_and_digests_can_be_no_paths() -> None:
    for text in ("../../etc/passwd", "", "0" * 31, "0" * 33, "0" * 31 + "G"):
        with pytest.raises(Refusal):
            targets.check_upload(text)
    for text in ("sha256:../../x", "sha256:", "md5:" + "0" * 32, "sha256:" + "0" * 63, "latest"):
        with pytest.raises(Refusal) as caught:
            targets.check_digest(text)
        assert caught.value.code == "DIGEST_INVALID"
