"""Orders are read no further than needed, and wrong ones are refused."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from lodge.errors import InvalidArgument
from lodge.runtime.messages import SealedLaunch
from lodge.runtime.monitor.order import config_of, decode_extras, outline_of


def order(bundle: Path | str = "/nowhere", config: Any = None) -> SealedLaunch:
    text = msgspec.Raw(msgspec.json.encode(config))
    return SealedLaunch(request=1, id="x", bundle=str(bundle), state_dir="/s", config=text)


CONFIG = {
    "ociVersion": "1.2.0",
    "linux": {
        "cgroupsPath": "/a/b",
        "resources": {"memory": {"limit": 5}},
        "namespaces": [{"type": "pid"}, {"type": "user", "path": "/proc/1/ns/user"}],
    },
}


def test_outline() -> None:
    outline = outline_of(order(config=CONFIG))
    assert outline.cgroups_path == "/a/b"
    assert outline.limits_memory
    assert outline.joins_user_namespace
    bare = outline_of(order(config={"ociVersion": "1.2.0"}))
    assert bare.cgroups_path == ""
    assert not bare.limits_memory
    assert not bare.joins_user_namespace


def test_config_comes_from_the_bundle_when_it_is_not_in_the_order(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(msgspec.json.encode(CONFIG))
    assert config_of(order(tmp_path)).oci_version == "1.2.0"
    assert outline_of(order(tmp_path)).cgroups_path == "/a/b"


@pytest.mark.parametrize("read", [config_of, outline_of])
def test_wrong_configs_are_refused(tmp_path: Path, read: Any) -> None:
    with pytest.raises(InvalidArgument, match=r"config\.json"):
        read(order())
    with pytest.raises(InvalidArgument, match=r"config\.json"):
        read(order(config={"linux": {"cgroupsPath": 3}}))
    (tmp_path / "config.json").write_bytes(b"{")
    with pytest.raises(InvalidArgument, match=r"config\.json"):
        read(order(tmp_path))


def test_extras() -> None:
    assert decode_extras(msgspec.Raw()) is None
    assert decode_extras(msgspec.Raw(b"null")) is None
    extras = decode_extras(msgspec.Raw(b'{"user":"me"}'))
    assert extras is not None
    assert extras.user == "me"
    with pytest.raises(InvalidArgument, match="extras"):
        decode_extras(msgspec.Raw(b'{"user":3}'))
