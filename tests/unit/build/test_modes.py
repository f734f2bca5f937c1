import stat
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lodge.build.files.modes import Mode
from lodge.errors import InvalidArgument

FILE, DIRECTORY = stat.S_IFREG, stat.S_IFDIR


@pytest.mark.parametrize(
    ("text", "before", "after"),
    [
        ("644", FILE | 0o777, 0o644),
        ("04755", FILE | 0o644, 0o4755),
        ("u=rwX,go=rX", FILE | 0o600, 0o644),
        ("u=rwX,go=rX", FILE | 0o700, 0o755),
        ("u=rwX,go=rX", DIRECTORY | 0o600, 0o755),
        ("a-w", FILE | 0o666, 0o444),
        ("+x", FILE | 0o644, 0o755),
        ("g=u", FILE | 0o640, 0o660),
        ("u+s,+t", FILE | 0o755, 0o5755),
    ],
)
def test_modes(text: str, before: int, after: int) -> None:
    assert Mode(text).apply(before) == after


@pytest.mark.parametrize("text", ["", "9", "77777", "u", "u=q", "rwx", "u=rw,"])
def test_what_is_no_mode(text: str) -> None:
    with pytest.raises(InvalidArgument):
        Mode(text)


_clauses = st.lists(
    st.tuples(
        st.sampled_from(["u", "g", "o", "a", "ug", "go"]),
        st.sampled_from("+-="),
        st.lists(st.sampled_from("rwxX"), unique=True, max_size=4).map("".join),
    ).map("".join),
    min_size=1,
    max_size=3,
).map(",".join)


@settings(max_examples=25, deadline=None)
@given(_clauses, st.integers(0, 0o777))
def test_the_machine_s_own_chmod_agrees(
    tmp_path_factory: pytest.TempPathFactory, text: str, mode: int
) -> None:
    path: Path = tmp_path_factory.mktemp("mode") / "file"
    path.touch()
    path.chmod(mode)
    subprocess.run(["chmod", text, str(path)], check=True)
    assert Mode(text).apply(FILE | mode) == stat.S_IMODE(path.stat().st_mode)
