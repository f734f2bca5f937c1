import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodge.errors import Corrupt
from lodge.spec.container import ContainerConfig
from lodge.spec.descriptor import DOCKER_MANIFEST, OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST
from lodge.spec.digest import Digest
from lodge.spec.image import (
    CONFIG_CAP,
    MANIFEST_CAP,
    History,
    ImageConfig,
    Index,
    Manifest,
    RootFS,
    chain_ids,
)

A, B, C = (str(Digest.of(letter)) for letter in (b"a", b"b", b"c"))


def manifest(**changes: object) -> bytes:
    fields: dict[str, object] = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": {"mediaType": OCI_CONFIG, "digest": A, "size": 1},
        "layers": [{"mediaType": OCI_LAYER, "digest": B, "size": 2}],
    }
    fields.update(changes)
    return json.dumps({key: value for key, value in fields.items() if value != "absent"}).encode()


def test_manifest_decodes_both_spellings() -> None:
    for media_type in (OCI_MANIFEST, DOCKER_MANIFEST, "absent"):
        found = Manifest.decode(manifest(mediaType=media_type))
        assert [layer.digest for layer in found.layers] == [B]
        assert found.config.digest == A
    assert Manifest.decode(Manifest.decode(manifest()).encode()) == Manifest.decode(manifest())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"nonsense",
        b"\xff\xfe",
        b'"x"',
        manifest(mediaType=OCI_INDEX),
        manifest(manifests=[]),
        manifest(config="absent"),
        manifest(schemaVersion=1),
        manifest(schemaVersion="2"),
        manifest(layers=[{"mediaType": "x", "digest": "sha256:../x", "size": 1}]),
        manifest(layers=[{"mediaType": "x", "digest": A, "size": -5}]),
        manifest(layers=[{"mediaType": "x", "digest": A, "size": 1}] * 501),
        b'{"a":' * 100_000,
        b"[" * 1_000_000,
        b" " * (MANIFEST_CAP + 1),
    ],
)
def test_manifest_refuses(data: bytes) -> None:
    with pytest.raises(Corrupt):
        Manifest.decode(data)


def test_index_decodes_and_refuses_a_manifest_in_disguise() -> None:
    entry = {
        "mediaType": OCI_MANIFEST,
        "digest": A,
        "size": 1,
        "platform": {"architecture": "arm64", "os": "linux"},
    }
    index = Index.decode(json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode())
    assert str(index.manifests[0].platform) == "linux/arm64"
    with pytest.raises(Corrupt, match="two kinds"):
        Index.decode(json.dumps({"schemaVersion": 2, "manifests": [entry], "layers": []}).encode())
    with pytest.raises(Corrupt):
        Index.decode(manifest())


DOCKER_CONFIG = {
    "architecture": "amd64",
    "os": "linux",
    "os.version": None,
    "created": "2024-05-01T10:00:00.123456789Z",
    "container": "abc",
    "docker_version": "20.10",
    "container_config": {"Hostname": "h"},
    "config": {
        "Hostname": None,
        "Env": ["PATH=/bin", "ODD"],
        "Cmd": ["sh"],
        "Healthcheck": {"Test": ["CMD", "true"], "Interval": 1000000000},
        "OnBuild": ["RUN x"],
        "Shell": ["/bin/bash", "-c"],
        "StopSignal": "SIGQUIT",
        "ArgsEscaped": True,
        "ExposedPorts": {"80/tcp": {}},
        "Volumes": {"/data": {}},
        "Labels": {"a": "b"},
        "Unheard": {"of": [1, 2]},
    },
    "rootfs": {"type": "layers", "diff_ids": [A, B]},
    "history": [{"created": "2024-05-01T10:00:00Z", "created_by": "x", "empty_layer": True}],
    "moby.buildkit.buildinfo.v1": "e30=",
}


def test_config_keeps_what_it_does_not_know() -> None:
    config = ImageConfig.decode(json.dumps(DOCKER_CONFIG).encode())
    assert config.config.env == ["PATH=/bin", "ODD"]
    assert config.config.healthcheck is not None
    assert config.config.healthcheck.interval == 1_000_000_000
    assert config.config.on_build == ["RUN x"]
    assert config.history[0].empty_layer
    again = json.loads(config.encode())
    expected = json.loads(json.dumps(DOCKER_CONFIG))
    del expected["os.version"], expected["config"]["Hostname"]
    for key, value in expected.items():
        if key != "config":
            assert again[key] == value, key
    assert again["config"]["Unheard"] == {"of": [1, 2]}
    assert again["config"]["Shell"] == ["/bin/bash", "-c"]
    assert "Hostname" not in again["config"]
    assert ImageConfig.decode(config.encode()) == config


def test_config_made_here_has_what_is_required() -> None:
    made = ImageConfig(
        architecture="amd64", os="linux", config=ContainerConfig(cmd=["x"]), history=(History(),)
    )
    assert json.loads(made.encode()) == {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Cmd": ["x"]},
        "rootfs": {"type": "layers", "diff_ids": []},
        "history": [{}],
    }


def test_config_of_an_older_docker_without_anything() -> None:
    config = ImageConfig.decode(b'{"config":null}')
    assert config.rootfs == RootFS()
    assert str(config.platform) == "linux"


@pytest.mark.parametrize(
    "data",
    [
        b"[]",
        b'{"config":[]}',
        b'{"config":{"Env":"x"}}',
        b'{"rootfs":{"diff_ids":["x"]}}',
        b'{"rootfs":{"diff_ids":["sha256:../../etc"]}}',
        b'{"config":{"Labels":%s}}' % json.dumps({str(n): "" for n in range(20_001)}).encode(),
        b'{"config":{"Env":%s}}' % json.dumps(["a=b"] * 20_001).encode(),
        b'{"x":' + b"[" * 5000 + b"]" * 5000 + b"}",
        b" " * (CONFIG_CAP + 1),
    ],
)
def test_config_refuses(data: bytes) -> None:
    with pytest.raises(Corrupt):
        ImageConfig.decode(data)


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_or_taken(data: bytes) -> None:
    for kind in (Manifest, Index, ImageConfig):
        try:
            kind.decode(data)
        except Corrupt:
            continue


def test_chain_ids_follow_the_specification() -> None:
    one = A
    two = "sha256:" + hashlib.sha256(f"{A} {B}".encode()).hexdigest()
    three = "sha256:" + hashlib.sha256(f"{two} {C}".encode()).hexdigest()
    assert chain_ids([A, B, C]) == [one, two, three]
    assert chain_ids([]) == []
    with pytest.raises(Corrupt):
        chain_ids(["x"])
