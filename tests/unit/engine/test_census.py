"""Finding containers by what people write."""

from __future__ import annotations

import pytest

from lodge.engine.census import Census, Resident
from lodge.errors import AlreadyExists, InvalidArgument, NotFound
from tests.unit.engine.samples import container


@pytest.fixture
def census() -> Census:
    made = Census()
    made.add(Resident(container("one", id="aa" + "0" * 62)))
    made.add(Resident(container("two", id="ab" + "0" * 62)))
    made.add(Resident(container("ab", id="cc" + "0" * 62)))
    return made


@pytest.mark.parametrize(
    ("name", "found"),
    [("one", "one"), ("/one", "one"), ("aa", "one"), ("aa" + "0" * 62, "one"), ("ab0", "two"), ("ab", "ab")],
)
def test_by_name_id_and_beginning(census: Census, name: str, found: str) -> None:
    assert census.find(name).container.name == found


def test_a_beginning_of_several_is_refused(census: Census) -> None:
    with pytest.raises(InvalidArgument, match="Multiple IDs found with provided prefix: a"):
        census.find("a")


def test_nobody_of_that_name(census: Census) -> None:
    with pytest.raises(NotFound, match="No such container: zz"):
        census.find("zz")


def test_a_name_is_given_once(census: Census) -> None:
    with pytest.raises(AlreadyExists) as caught:
        census.reserve("one")
    assert caught.value.message == (
        f'Conflict. The container name "/one" is already in use by container "{"aa" + "0" * 62}". '
        "You have to remove (or rename) that container to be able to reuse that name."
    )
    census.reserve("new")
    with pytest.raises(AlreadyExists):
        census.reserve("new")
    census.release("new")
    census.reserve("new")


def test_a_renamed_one_is_found_by_its_new_name_only(census: Census) -> None:
    resident = census.find("one")
    resident.container.name = "uno"
    census.renamed(resident, "one")
    assert census.find("uno") is resident
    with pytest.raises(NotFound):
        census.find("one")


def test_who_went_is_gone(census: Census) -> None:
    census.drop(census.find("one"))
    census.drop(Resident(container("one")))
    assert [each.container.name for each in census] == ["two", "ab"]
    assert len(census) == 2
    assert not census.taken("one")
