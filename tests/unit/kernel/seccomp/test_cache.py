"""The cache: the same program again, and a new one for whatever is damaged or different."""

from pathlib import Path

import pytest

from lodge.kernel.seccomp import cache
from lodge.spec.runtime import Seccomp, SeccompRule


def profile(name: str) -> Seccomp:
    return Seccomp(
        default_action="SCMP_ACT_ERRNO", syscalls=[SeccompRule(names=[name], action="SCMP_ACT_ALLOW")]
    )


@pytest.fixture
def compilations(monkeypatch: pytest.MonkeyPatch) -> list[Seccomp]:
    seen: list[Seccomp] = []
    real = cache.compile_profile

    def count(profile: Seccomp, arches: tuple[str, ...] = ()) -> bytes:
        seen.append(profile)
        return real(profile, arches)

    monkeypatch.setattr(cache, "compile_profile", count)
    return seen


def test_a_profile_is_compiled_once(tmp_path: Path, compilations: list[Seccomp]) -> None:
    first = cache.compile_cached(profile("read"), str(tmp_path))
    assert cache.compile_cached(profile("read"), str(tmp_path)) == first
    assert len(compilations) == 1
    assert cache.compile_cached(profile("write"), str(tmp_path)) != first
    assert len(compilations) == 2


@pytest.mark.parametrize("damage", [b"", b"x", b"x" * 200])
def test_a_damaged_file_is_made_again(tmp_path: Path, compilations: list[Seccomp], damage: bytes) -> None:
    program = cache.compile_cached(profile("read"), str(tmp_path))
    (file,) = tmp_path.iterdir()
    file.write_bytes(damage)
    assert cache.compile_cached(profile("read"), str(tmp_path)) == program
    assert len(compilations) == 2
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_program_cut_short_is_made_again(tmp_path: Path, compilations: list[Seccomp]) -> None:
    program = cache.compile_cached(profile("read"), str(tmp_path))
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-8])
    assert cache.compile_cached(profile("read"), str(tmp_path)) == program
    assert len(compilations) == 2
