from lodge.store.leases import Leases


def test_what_is_touched_under_a_lease_is_protected_until_the_last_ends() -> None:
    leases = Leases()
    leases.touch("before")
    with leases.hold():
        leases.touch("a")
        with leases.hold():
            leases.touch("b")
        assert leases.protects("a")
        assert leases.protects("b")
        assert not leases.protects("before")
    assert not leases.protects("a")
    assert not leases.protects("b")
