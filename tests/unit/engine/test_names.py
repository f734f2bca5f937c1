"""Names and ids."""

from __future__ import annotations

import pytest

from lodge.engine import names
from lodge.errors import InvalidArgument


@pytest.mark.parametrize("name", ["a1", "web", "/web", "a.b-c_d", "9z"])
def test_names_that_docker_takes(name: str) -> None:
    assert names.check_container_name(name) == name.removeprefix("/")


@pytest.mark.parametrize("name", ["a", "", "-x", "a b", "a/b", "../x", "//x", "ä1", "a\n"])
def test_names_that_docker_refuses(name: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        names.check_container_name(name)
    assert caught.value.message == (
        f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
    )


def test_ids_are_hex_and_never_begin_like_a_number() -> None:
    made = [names.new_id() for _ in range(200)]
    assert len(set(made)) == 200
    assert all(len(each) == 64 and int(each, 16) >= 0 and not each[:12].isdecimal() for each in made)


def test_a_new_name_is_free_and_lawful() -> None:
    taken: set[str] = set()
    for _ in range(300):
        name = names.new_name(taken.__contains__)
        assert names.check_container_name(name) == name
        assert name not in taken
        taken.add(name)


def test_a_name_is_found_even_when_all_are_taken() -> None:
    assert len(names.new_name(lambda _: True)) == 12
