import io
import json

import pytest

from lodge.errors import Corrupt
from lodge.store import Store
from tests.unit.archive.making import entry, tar
from tests.unit.store.making import BASE, TOP, sha
from tests.unit.store.test_load import MERGED, shown

ONE, TWO = "1" * 64, "2" * 64


def archive(one: object, two: object, repositories: object) -> bytes:
    return tar(
        entry(TWO, kind="dir"),
        entry(f"{TWO}/VERSION", b"1.0"),
        entry(f"{TWO}/json", json.dumps(two).encode()),
        entry(f"{TWO}/layer.tar", TOP),
        entry(f"{ONE}/json", json.dumps(one).encode()),
        entry(f"{ONE}/layer.tar", BASE),
        entry("repositories", json.dumps(repositories).encode()),
    )


def test_images_of_before_docker_1_10(store: Store) -> None:
    one = {
        "id": ONE,
        "created": "2014-01-01T00:00:00Z",
        "container_config": {"Cmd": ["/bin/sh", "-c", "#(nop) ADD"]},
    }
    two = {
        "id": TWO,
        "parent": ONE,
        "created": "2014-01-02T00:00:00Z",
        "architecture": "amd64",
        "os": "linux",
        "config": {"Cmd": ["sh"], "Env": None},
        "Size": 3,
    }
    loaded = store.archives.load(io.BytesIO(archive(one, two, {"old": {"1": TWO, "latest": TWO}})))
    assert [image.names for image in loaded] == [["docker.io/library/old:1", "docker.io/library/old:latest"]]
    image = store.images.resolve(loaded[0].target)
    assert image.config.rootfs.diff_ids == (sha(BASE), sha(TOP))
    assert image.config.history[0].created_by == "/bin/sh -c #(nop) ADD"
    assert image.config.created == "2014-01-02T00:00:00Z"
    assert image.config.config.cmd == ["sh"]
    assert "id" not in image.config.unknown
    assert shown(store, "docker.io/library/old:1") == MERGED


@pytest.mark.parametrize(
    ("one", "two", "repositories"),
    [
        ({}, {"parent": ONE}, {"x": {"1": "../../etc"}}),
        ({}, {"parent": ONE}, {"x": {"1": "3" * 64}}),
        ({}, {"parent": ONE}, ["x"]),
        ({"parent": TWO}, {"parent": ONE}, {"x": {"1": TWO}}),
        ({}, {"parent": 7}, {"x": {"1": TWO}}),
        ([], {"parent": ONE}, {"x": {"1": TWO}}),
        ({}, {"parent": ONE}, {"UPPER": {"1": TWO}}),
    ],
)
def test_bad_ones_are_refused(store: Store, one: object, two: object, repositories: object) -> None:
    with pytest.raises(Corrupt):
        store.archives.load(io.BytesIO(archive(one, two, repositories)))
    assert store.references.list() == {}
