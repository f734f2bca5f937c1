import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodge.errors import InvalidArgument
from lodge.spec.digest import Digest
from lodge.spec.reference import Reference

HEX = "a" * 64
DIGEST = f"sha256:{HEX}"


@pytest.mark.parametrize(
    ("text", "canonical", "familiar"),
    [
        ("busybox", "docker.io/library/busybox:latest", "busybox:latest"),
        ("busybox:1.36", "docker.io/library/busybox:1.36", "busybox:1.36"),
        ("user/app", "docker.io/user/app:latest", "user/app:latest"),
        ("a/b/c:1", "docker.io/a/b/c:1", "a/b/c:1"),
        ("docker.io/busybox", "docker.io/library/busybox:latest", "busybox:latest"),
        ("index.docker.io/busybox", "docker.io/library/busybox:latest", "busybox:latest"),
        ("docker.io/library/a/b", "docker.io/library/a/b:latest", "library/a/b:latest"),
        ("localhost/x", "localhost/x:latest", "localhost/x:latest"),
        ("localhost:5000/x", "localhost:5000/x:latest", "localhost:5000/x:latest"),
        ("example.com/x/y:z", "example.com/x/y:z", "example.com/x/y:z"),
        ("Example/x", "Example/x:latest", "Example/x:latest"),
        ("[::1]:5000/x", "[::1]:5000/x:latest", "[::1]:5000/x:latest"),
        (f"busybox@{DIGEST}", f"docker.io/library/busybox@{DIGEST}", f"busybox@{DIGEST}"),
        (f"a.io/b:t@{DIGEST}", f"a.io/b:t@{DIGEST}", f"a.io/b:t@{DIGEST}"),
        ("a__b--c.d_e:T-1_.x", "docker.io/library/a__b--c.d_e:T-1_.x", "a__b--c.d_e:T-1_.x"),
    ],
)
def test_parse_completes_as_docker_does(text: str, canonical: str, familiar: str) -> None:
    reference = Reference.parse(text)
    assert str(reference) == canonical
    assert reference.familiar() == familiar
    assert Reference.parse(canonical) == reference


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "invalid reference format"),
        (":latest", "invalid reference format"),
        ("x:", "invalid reference format"),
        ("x@", "invalid reference format"),
        ("-x", "invalid reference format"),
        ("x..y", "invalid reference format"),
        ("a//b", "invalid reference format"),
        ("../x", "invalid reference format"),
        ("x:" + "t" * 129, "invalid reference format"),
        ("x:a/b", "invalid reference format"),
        ("x y", "invalid reference format"),
        ("x\n", "invalid reference format"),
        ("Foo", "invalid reference format: repository name (library/Foo) must be lowercase"),
        ("library/Foo", "invalid reference format: repository name (library/Foo) must be lowercase"),
        ("a.io/B/c:T", "invalid reference format: repository name (B/c) must be lowercase"),
        (HEX, f"invalid repository name ({HEX}), cannot specify 64-byte hexadecimal strings"),
        ("a.io/" + "a/" * 128 + "b", "repository name must not be more than 255 characters"),
        ("x@sha256:abc", "invalid reference format"),
        ("x@md5:" + "a" * 32, "unsupported digest algorithm"),
        ("x@sha256:" + "a" * 40, "invalid checksum digest length"),
    ],
)
def test_parse_fails_with_dockers_words(text: str, message: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        Reference.parse(text)
    assert message in str(caught.value)


@given(st.text())
def test_any_text_is_refused_or_round_trips(text: str) -> None:
    try:
        reference = Reference.parse(text)
    except InvalidArgument:
        return
    assert Reference.parse(str(reference)) == reference
    assert Reference.parse(reference.familiar()) == reference
    assert ".." not in reference.path.split("/")


_part = st.from_regex(r"[a-z0-9]{1,8}([._-][a-z0-9]{1,8})?", fullmatch=True)


@given(
    st.sampled_from(["", "localhost/", "a.example/", "host:80/"]),
    st.lists(_part, min_size=1, max_size=3),
    st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}", fullmatch=True),
)
def test_well_formed_names_are_taken(domain: str, parts: list[str], tag: str) -> None:
    reference = Reference.parse(f"{domain}{'/'.join(parts)}:{tag}")
    assert reference.tag == tag
    assert reference.path.endswith("/".join(parts)[-1])


def test_derived_names() -> None:
    reference = Reference.parse("busybox:1")
    assert reference.familiar_name == "busybox"
    assert str(reference.with_tag("2")) == "docker.io/library/busybox:2"
    assert str(reference.with_digest(Digest(DIGEST))) == f"docker.io/library/busybox@{DIGEST}"
    assert Reference.parse_name("busybox").tag is None
    with pytest.raises(InvalidArgument, match="invalid tag format"):
        reference.with_tag("a/b")
