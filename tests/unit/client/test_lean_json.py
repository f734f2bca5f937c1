"""The lean JSON reader and writer against the standard library's."""

import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodge.client.lean_json import dumps, loads

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_it_reads_and_writes_what_json_does(value: Any) -> None:
    assert loads(json.dumps(value, indent=1)) == value
    assert json.loads(dumps(value)) == value
    assert loads(dumps(value).encode()) == value


@given(st.text(max_size=30))
def test_what_is_no_json_is_a_value_error(text: str) -> None:
    try:
        expected = json.loads(text, parse_constant=int)
    except ValueError:
        with pytest.raises(ValueError, match=r".*"):
            loads(text)
    else:
        assert loads(text) == expected


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {1, 2}])
def test_what_json_has_no_word_for_is_refused(value: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        dumps(value)


def test_reading_broken_json_works_in_a_process_that_has_not_imported_json() -> None:
    script = (
        "import sys; from lodge.client.lean_json import loads\n"
        "assert 'json' not in sys.modules\n"
        "try: loads('{')\n"
        "except ValueError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "Expecting property name" in done.stdout
