"""The record: written whole, read back, refused when it is not ours."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lodge.errors import Corrupt
from lodge.volume import record as r

TEXT = st.text(st.characters(codec="utf-8"), max_size=10)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
@given(st.dictionaries(TEXT, TEXT, max_size=3), st.dictionaries(TEXT, TEXT, max_size=3), st.booleans())
def test_what_is_written_is_read(
    tmp_path: Path, options: dict[str, str], labels: dict[str, str], anonymous: bool
) -> None:
    volume = r.new_volume(str(tmp_path), "vol", options, labels, anonymous)
    (tmp_path / "vol").mkdir(exist_ok=True)
    r.write_record(str(tmp_path / "vol"), volume)
    assert r.read_record(str(tmp_path / "vol"), "vol") == volume
    assert os.listdir(tmp_path / "vol") == [r.FILE]


def test_anonymous_volumes_carry_dockers_label() -> None:
    volume = r.new_volume("/v", "x1", None, {"a": "b"}, True)
    assert volume.labels == {"a": "b", r.ANONYMOUS_LABEL: ""}
    assert r.new_volume("/v", "x1", {}, {}, False).labels is None


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"name": "other"}', b'{"name": 5}', b'{"name": "vol", "version": 2}']
)
def test_what_is_no_record_of_this_volume(tmp_path: Path, content: bytes) -> None:
    (tmp_path / r.FILE).write_bytes(content)
    with pytest.raises(Corrupt, match="vol"):
        r.read_record(str(tmp_path), "vol")


def test_fields_of_a_later_lodge_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / r.FILE).write_bytes(b'{"name": "vol", "colour": "red", "created_at": 5}')
    assert r.read_record(str(tmp_path), "vol").created_at == 5
