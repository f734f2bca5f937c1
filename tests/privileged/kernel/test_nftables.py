"""Our bytes mean what our words say: nft(8) reads the words, and both tables are then listed alike."""

import contextlib
import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator

import pytest

from lodge.kernel import netspaces
from lodge.kernel.netlink.socket import NETLINK_NETFILTER, NetlinkSocket, Refused
from lodge.kernel.nftables import watch
from lodge.kernel.nftables.batch import Batch
from lodge.kernel.nftables.ruleset import Element, Table, render
from lodge.network import ears
from lodge.network.firewall import plan
from lodge.network.firewall.facts import Bond, Guest, Opening, Side

NAME = "lodge-00000000"
SIDE = Side(index=1, masquerade4=True, masquerade6=True, prefixes4=("10.1.0.0/16",), prefixes6=("fd00::/64",))
FACTS = (
    SIDE,
    Guest(index=1, mac="02:42:0a:00:00:01", ipv4="10.1.0.2", ipv6="fd00::2"),
    Opening(version=4, protocol="tcp", host="", host_port=80, target="10.1.0.2", target_port=8080),
    Opening(version=4, protocol="tcp", host="127.0.0.1", host_port=81, target="10.1.0.2", target_port=8080),
    Opening(version=6, protocol="udp", host="2001:db8::1", host_port=80, target="fd00::2", target_port=53),
    Bond(first="10.1.0.2", second="10.1.0.3"),
)
HELD = Counter(item for fact in FACTS for item in plan.items(fact))
TABLES = (*plan.tables(NAME, HELD, [SIDE]), ears.table(1053, 1054))


@contextlib.contextmanager
def scratch() -> Iterator[None]:
    """A namespace without rules."""
    with netspaces.in_new() as fd:
        yield
    os.close(fd)


def nft(*arguments: str, text: str = "") -> str:
    if shutil.which("nft") is None:
        pytest.skip("nft is not installed")
    done = subprocess.run(["nft", *arguments], input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.family)
def test_nft_reads_our_words_and_lists_our_bytes_alike(table: Table) -> None:
    # The address in a neighbour advertisement has a word since nft 1.0.9 only.
    chains = tuple(
        chain._replace(rules=tuple(r for r in chain.rules if not any("taddr" in part.words for part in r)))
        for chain in table.chains
    )
    # Beside prefixes nft keeps a link's number in network order and turns it round in its rules; we do not.
    sets = tuple(each._replace(elements=()) if each.prefixes else each for each in table.sets)
    table = table._replace(chains=chains, sets=sets)
    with scratch(), NetlinkSocket(NETLINK_NETFILTER) as sock:
        Batch().replace_table(table).commit(sock)
        ours = nft("list", "table", table.family, table.name)
        Batch().remove_table(table.family, table.name).commit(sock)
        nft("-f", "-", text=render(table))
        assert nft("list", "table", table.family, table.name) == ours


def test_a_transaction_is_all_or_nothing() -> None:
    ports = plan.SETS["closed"]
    with scratch(), NetlinkSocket(NETLINK_NETFILTER) as sock:
        inet, bridge = TABLES[:2]
        Batch().replace_table(inet).replace_table(bridge).commit(sock)
        batch = Batch().add("inet", NAME, ports, [Element((1,))]).remove("inet", NAME, ports, [Element((2,))])
        with pytest.raises(Refused):
            batch.commit(sock)
        assert watch.elements(sock, "inet", NAME, "closed") == []
        Batch().add("inet", NAME, ports, [Element((n,)) for n in range(1, 3000)]).commit(sock)
        assert len(watch.elements(sock, "inet", NAME, "closed")) == 2999
        assert watch.count_rules(sock, "inet", NAME) == sum(len(chain.rules) for chain in inet.chains)
        Batch().remove_table("inet", NAME).remove_table("bridge", NAME).commit(sock)
        assert watch.tables(sock) == []


def test_one_hears_what_others_remove_and_not_what_oneself_does() -> None:
    with (
        scratch(),
        NetlinkSocket(NETLINK_NETFILTER) as own,
        NetlinkSocket(NETLINK_NETFILTER) as other,
        watch.listener(own.address()) as listener,
    ):
        Batch().replace_table(TABLES[0]).commit(own)
        Batch().replace_table(TABLES[0]).commit(own)
        Batch().remove_table("inet", NAME).commit(other)
        heard = {found for found in map(watch.removed_from, listener.events()) if found}
        assert heard == {("inet", NAME)}
