"""Options of the driver `local`."""

import pytest

from lodge.errors import InvalidArgument
from lodge.volume.options import check_options


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"type": "tmpfs", "device": "tmpfs", "o": "size=64m"},
        {"type": "none", "device": "/srv", "o": "bind"},
        {"type": "nfs", "device": ":/export", "o": "addr=host,rw"},
        {"type": "cifs", "device": "//host/share", "o": "username=u"},
        {"size": "0"},
    ],
)
def test_good_options(options: dict[str, str]) -> None:
    check_options("vol", options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"colour": "red"}, 'create vol: invalid option: "colour"'),
        ({"type": "tmpfs"}, 'missing required option: "device"'),
        ({"device": "/x"}, 'missing required option: "type"'),
        ({"o": "bind"}, 'missing required option: "device"'),
        ({"size": "1g"}, "quota size requested but no quota support"),
        ({"type": "cifs", "device": "//host:445/share"}, "port not allowed in CIFS device URL"),
        ({"type": "cifs", "device": "//host:x/share"}, "error parsing mount device url"),
    ],
)
def test_bad_options(options: dict[str, str], words: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        check_options("vol", options)
    assert words in caught.value.message
