import pytest

from lodge.build.giturl import GitAddress, is_git_url, parse_git_url
from lodge.errors import InvalidArgument


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://x.test/a.git", True),
        ("https://x.test/a.git#main:dir", True),
        ("https://x.test/a.tgz", False),
        ("git@github.com:a/b.git", True),
        ("git://x/y", True),
        ("ssh://git@x/y", True),
        ("github.com/a/b", True),
        ("a/b", False),
        ("./github.com", False),
    ],
)
def test_what_is_a_repository(text: str, expected: bool) -> None:
    assert is_git_url(text) is expected


def test_fragments_and_queries() -> None:
    assert parse_git_url("https://x.test/a.git#v1:sub/dir") == GitAddress(
        remote="https://x.test/a.git", ref="v1", subdir="sub/dir"
    )
    found = parse_git_url("https://x.test/a.git?branch=b&subdir=/s&checksum=abc&keep-git-dir=1&submodules=0")
    assert (found.ref, found.subdir, found.checksum) == ("b", "s", "abc")
    assert found.keep_git_dir
    assert not found.submodules


@pytest.mark.parametrize(
    "text", ["--upload-pack=x", "https://x.test/a.git#--option", "https://x.test/a.git?what=1"]
)
def test_what_could_mean_something_else_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument):
        parse_git_url(text)
