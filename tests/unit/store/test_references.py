import json
from pathlib import Path

import pytest

from lodge.errors import Corrupt, InvalidArgument, NotFound
from lodge.spec.descriptor import OCI_MANIFEST, Descriptor
from lodge.spec.digest import Digest
from lodge.store.leases import Leases
from lodge.store.references import NAME, References

ONE = Descriptor(media_type=OCI_MANIFEST, digest=Digest.of(b"1"), size=1)
TWO = Descriptor(media_type=OCI_MANIFEST, digest=Digest.of(b"2"), size=2, annotations={"k": "v"})
A, B = "docker.io/library/a:latest", "docker.io/library/b:latest"


def opened(where: Path) -> References:
    return References(str(where), Leases())


def test_names_come_and_go_and_last(tmp_path: Path) -> None:
    names = opened(tmp_path)
    assert names.list() == {}
    names.set(A, ONE)
    names.set(B, TWO)
    names.set(f"docker.io/library/a@{ONE.digest}", ONE)
    names.set(TWO.digest, TWO)
    assert names.get(A) == ONE
    assert opened(tmp_path).list() == names.list()
    assert len(names.list()) == 4
    names.remove(A)
    names.remove(A)
    with pytest.raises(NotFound):
        names.get(A)
    assert A not in opened(tmp_path).list()


def test_the_index_is_one_that_other_tools_read(tmp_path: Path) -> None:
    names = opened(tmp_path)
    names.set(A, TWO)
    names.set(ONE.digest, ONE)
    index = json.loads((tmp_path / "index.json").read_bytes())
    assert index["schemaVersion"] == 2
    by_digest = {each["digest"]: each for each in index["manifests"]}
    assert by_digest[TWO.digest]["annotations"] == {"k": "v", NAME: A}
    assert "annotations" not in by_digest[ONE.digest]
    assert json.loads((tmp_path / "oci-layout").read_bytes()) == {"imageLayoutVersion": "1.0.0"}


@pytest.mark.parametrize(
    "name",
    ["a", "a:latest", "docker.io/library/a", "", "../x", "docker.io/library/A:1", str(Digest.of(b"3"))],
)
def test_only_canonical_names(tmp_path: Path, name: str) -> None:
    names = opened(tmp_path)
    with pytest.raises(InvalidArgument):
        names.set(name, ONE)
    with pytest.raises(InvalidArgument):
        names.assign(name, ONE)
    assert names.list() == {}


def test_assign_loses_no_image(tmp_path: Path) -> None:
    names = opened(tmp_path)
    names.assign(A, ONE)
    names.assign(B, ONE)
    names.assign(A, TWO)
    assert names.list() == {A: TWO, B: ONE}
    names.assign(B, TWO)
    assert names.list() == {A: TWO, B: TWO, ONE.digest: ONE}
    names.assign(A, ONE)
    assert names.list() == {A: ONE, B: TWO}


def test_a_damaged_index_is_said_and_not_overwritten(tmp_path: Path) -> None:
    opened(tmp_path).set(A, ONE)
    (tmp_path / "index.json").write_bytes(b"{")
    with pytest.raises(Corrupt, match="damaged"):
        opened(tmp_path)
    assert (tmp_path / "index.json").read_bytes() == b"{"
