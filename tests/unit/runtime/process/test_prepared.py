"""The pure part of what the keeper prepares."""

from lodge.runtime.process.prepared import host_root, is_remapped, layers
from lodge.spec.runtime import IdMapping, Linux, Namespace


def mapping(container: int, host: int) -> list[IdMapping]:
    return [IdMapping(container_id=container, host_id=host, size=10)]


def test_layers_are_split_at_colons_that_nothing_escapes() -> None:
    assert layers("/a:/b\\:c:/d") == ["/a", "/b\\:c", "/d"]
    assert layers("/a\\\\:/b") == ["/a\\\\", "/b"]
    assert layers("/one") == ["/one"]


def test_who_the_containers_root_is_on_the_host() -> None:
    both = Linux(uid_mappings=mapping(0, 5), gid_mappings=mapping(0, 6))
    assert host_root(both) == (5, 6)
    assert host_root(Linux()) is None
    assert host_root(Linux(uid_mappings=mapping(1, 5), gid_mappings=mapping(0, 6))) is None


def test_remapped_is_who_has_another_user_namespace() -> None:
    assert is_remapped(Linux(namespaces=[Namespace(type="user", path="/x")]))
    assert not is_remapped(Linux(namespaces=[Namespace(type="mount")]))
