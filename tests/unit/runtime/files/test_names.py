"""Docker's rules for a path in a container; the expectations were taken from a real Docker Engine."""

import pytest

from lodge.runtime.files.names import Name, parse


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/d", Name("/", "d", "d")),
        ("d", Name("/", "d", "d")),
        ("/d/", Name("/d", "", "d")),
        ("/d/.", Name("/d", "", ".")),
        ("/d/f", Name("/d", "f", "f")),
        ("//d//f", Name("/d", "f", "f")),
        ("/d/sub/..", Name("/", "d", "d")),
        ("/../../d", Name("/", "d", "d")),
        ("/", Name("/", "", "/")),
        ("", Name("/", "", "/")),
        ("/.", Name("/", "", ".")),
        (".", Name("/", "", ".")),
        ("/..", Name("/", "", "/")),
    ],
)
def test_rules(path: str, name: Name) -> None:
    assert parse(path) == name
