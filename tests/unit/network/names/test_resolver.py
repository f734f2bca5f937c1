import pytest

from lodge.network.names.book import Book, name_key, reverse_key
from lodge.network.names.question import (
    AAAA,
    ANY,
    FORMERR,
    NOERROR,
    NOTIMP,
    PTR,
    RECURSION_AVAILABLE,
    RESPONSE,
    SERVFAIL,
    TRUNCATED,
    A,
    Question,
)
from lodge.network.names.resolver import Resolver
from lodge.network.names.view import Attachment, Member, Upstream, View
from tests.unit.network.names import dns

FRONT, BACK = "front-id", "back-id"
WEB = Member(
    endpoint="e1",
    container="c1",
    names=("web", "0123456789ab", "Shop"),
    ipv4="10.1.0.2/16",
    ipv6="fd01::2/64",
)
OTHER = Member(endpoint="e2", container="c2", names=("web2", "shop"), ipv4="10.1.0.3")
DB = Member(endpoint="e3", container="c3", names=("db", "my.db"), ipv4="10.2.0.9/16")
UPSTREAMS = (Upstream(address="10.9.9.9"),)
VIEW = View(
    networks=(
        Attachment(
            network=FRONT, name="front", links={"store": "c3", "peer": "c2", "db": "c2", "named": "WEB"}
        ),
        Attachment(network=BACK, name="the.back"),
    ),
    upstreams=UPSTREAMS,
)


@pytest.fixture
def book() -> Book:
    book = Book()
    book.join(FRONT, WEB)
    book.join(FRONT, OTHER)
    book.join(BACK, DB)
    return book


@pytest.fixture
def resolver(book: Book) -> Resolver:
    return Resolver(book, VIEW)


def ask(resolver: Resolver, name: str, kind: int = A, **options: int) -> dns.Message:
    answer = resolver.answer(dns.query(name, kind, **options))
    assert isinstance(answer, bytes), f"{name} is forwarded"
    return dns.read(answer)


def forwarded(resolver: Resolver, name: str, kind: int = A) -> bool:
    return isinstance(resolver.answer(dns.query(name, kind)), Question)


@pytest.mark.parametrize(
    ("name", "addresses"),
    [
        ("web", ["10.1.0.2"]),
        ("WEB", ["10.1.0.2"]),
        ("0123456789ab", ["10.1.0.2"]),
        ("my.db", ["10.2.0.9"]),
        ("web.front", ["10.1.0.2"]),
        ("Web.FRONT", ["10.1.0.2"]),
        ("my.db.the.back", ["10.2.0.9"]),
        ("peer", ["10.1.0.3"]),
        ("peer.front", ["10.1.0.3"]),
        ("named", ["10.1.0.2"]),
    ],
)
def test_names_in_all_their_forms(resolver: Resolver, name: str, addresses: list[str]) -> None:
    answer = ask(resolver, name)
    assert answer.data == addresses
    assert answer.answers[0].ttl == 600
    assert answer.answers[0].name == name
    assert answer.questions == [(name, A)]
    assert answer.id == 77
    assert answer.flags == RESPONSE | RECURSION_AVAILABLE | 0x0100


def test_a_link_stands_before_a_name(resolver: Resolver) -> None:
    assert ask(resolver, "db").data == ["10.1.0.3"]
    assert ask(resolver, "db.the.back").data == ["10.2.0.9"]


def test_a_link_to_nobody_in_this_network_is_not_known(resolver: Resolver) -> None:
    assert forwarded(resolver, "store")


def test_what_a_name_has_not_is_nothing(resolver: Resolver) -> None:
    for kind in (AAAA, 15, 16, 65):
        answer = ask(resolver, "web2", kind)
        assert answer.code == NOERROR
        assert answer.answers == []
    assert ask(resolver, "web", AAAA).data == ["fd01::2"]
    assert ask(resolver, "web", ANY).data == ["10.1.0.2", "fd01::2"]


@pytest.mark.parametrize(
    "name", ["nobody", "web.back", "web.elsewhere", "example.org", "", "web.the.back", "."]
)
def test_other_names_are_somebody_elses(resolver: Resolver, name: str) -> None:
    assert forwarded(resolver, name)


def test_other_classes_are_somebody_elses(resolver: Resolver) -> None:
    message = dns.query("web")[:-1] + b"\x03"
    assert isinstance(resolver.answer(message), Question)


def test_reverse(resolver: Resolver) -> None:
    assert ask(resolver, "2.0.1.10.in-addr.arpa", PTR).data == ["web.front"]
    assert ask(resolver, "9.0.2.10.in-addr.arpa", PTR).data == ["db.the.back"]
    six = reverse_key(bytes.fromhex("fd010000000000000000000000000002")).decode()
    assert six.startswith("2.0.0.0.")
    assert ask(resolver, six, PTR).data == ["web.front"]
    assert forwarded(resolver, "8.8.8.8.in-addr.arpa", PTR)
    assert forwarded(resolver, "web", PTR)


def test_several_addresses_take_turns(book: Book, resolver: Resolver) -> None:
    message = dns.query("shop")
    first = resolver.answer(message)
    assert isinstance(first, bytes)
    assert resolver.ready(message) is None
    resolver.answer(message)
    seen = [dns.read(resolver.ready(message) or b"").data for _ in range(4)]
    assert seen[0] != seen[1]
    assert seen[0] == seen[2]
    assert sorted(seen[0]) == ["10.1.0.2", "10.1.0.3"]


def test_what_is_ready_is_never_out_of_date(book: Book, resolver: Resolver) -> None:
    message = dns.query("web")
    for _ in range(2):
        resolver.ready(message)
        resolver.answer(message)
    assert dns.read(resolver.ready(b"\x12\x34" + message[2:]) or b"").id == 0x1234
    book.leave(FRONT, "e1")
    assert resolver.ready(message) is None
    assert isinstance(resolver.answer(message), Question)
    book.join(FRONT, WEB)
    resolver.change(View(upstreams=UPSTREAMS))
    assert resolver.ready(message) is None
    assert isinstance(resolver.answer(message), Question)


def test_readiness_is_bounded(resolver: Resolver) -> None:
    resolver.ready(b"")
    for number in range(2000):
        resolver.answer(dns.query("web", edns=number))
        resolver.answer(dns.query("web") + bytes(300 + number))
    assert len(resolver._ready) == 256
    assert max(map(len, resolver._ready)) < 320


def test_what_is_not_there_is_ready_too(resolver: Resolver) -> None:
    resolver.ready(b"")
    for message in (dns.query("web2", AAAA), dns.query("2.0.1.10.in-addr.arpa", PTR)):
        assert resolver.ready(message) is None
        said = resolver.answer(message)
        assert resolver.ready(message) == said


def test_many_addresses_take_turns_without_being_kept(book: Book) -> None:
    for number in range(40):
        address = f"10.3.0.{number}"
        book.join(FRONT, Member(endpoint=f"m{number}", container="x", names=("many",), ipv4=address))
    resolver = Resolver(book, VIEW)
    first = {ask(resolver, "many").data[0] for _ in range(40)}
    assert len(first) == 40
    assert resolver.ready(dns.query("many")) is None


def test_long_answers_are_cut_to_what_the_client_takes(book: Book) -> None:
    for number in range(100):
        book.join(
            FRONT, Member(endpoint=f"m{number}", container="x", names=("many",), ipv4=f"10.3.0.{number}")
        )
    resolver = Resolver(book, VIEW)
    short = ask(resolver, "many")
    assert short.flags & TRUNCATED
    assert len(short.answers) == (512 - 12 - 10) // 16
    wide = ask(resolver, "many", edns=1232)
    assert wide.flags & TRUNCATED
    assert wide.edns == 1232
    assert len(ask(resolver, "many", edns=4096).answers) == 100
    stream = resolver.answer(dns.query("many"), stream=True)
    assert isinstance(stream, bytes)
    assert len(dns.read(stream).answers) == 100


def test_without_anybody_to_ask(book: Book) -> None:
    """Hostile.md, row 30: a sandbox of internal networks asks nobody."""
    for view in (
        View(networks=VIEW.networks),
        View(networks=VIEW.networks, upstreams=UPSTREAMS, external=False),
    ):
        resolver = Resolver(book, view)
        assert ask(resolver, "example.org").code == SERVFAIL
        assert ask(resolver, "web").data == ["10.1.0.2"]
    inside = View(upstreams=(Upstream(address="10.9.9.9", inside=True),), external=False)
    assert forwarded(Resolver(book, inside), "example.org")


def test_ndots_keeps_dotless_names_at_home(book: Book) -> None:
    resolver = Resolver(book, View(upstreams=UPSTREAMS, ndots=True))
    assert ask(resolver, "nobody").code == NOERROR
    assert ask(resolver, "nobody", AAAA).answers == []
    assert forwarded(resolver, "nobody", 16)
    assert forwarded(resolver, "example.org")


def test_bad_questions_get_an_error(resolver: Resolver) -> None:
    assert ask(resolver, "web", flags=0x2900).code == NOTIMP
    broken = resolver.answer(dns.query("web")[:-3])
    assert isinstance(broken, bytes)
    assert dns.read(broken).code == FORMERR


def test_a_member_is_replaced(book: Book, resolver: Resolver) -> None:
    book.join(FRONT, Member(endpoint="e1", container="c1", names=("new",), ipv4="10.1.0.77"))
    assert ask(resolver, "new").data == ["10.1.0.77"]
    assert forwarded(resolver, "web")
    assert forwarded(resolver, "2.0.1.10.in-addr.arpa", PTR)
    assert book.members() == {(FRONT, "e1"), (FRONT, "e2"), (BACK, "e3")}
    for network, endpoint in book.members():
        book.leave(network, endpoint)
        book.leave(network, endpoint)
    assert book.members() == set()
    assert book.table(FRONT) is None


def test_one_address_of_two_members_is_said_once(book: Book, resolver: Resolver) -> None:
    book.join(FRONT, Member(endpoint="e9", container="c9", names=("shop",), ipv4="10.1.0.3"))
    assert sorted(ask(resolver, "shop").data) == ["10.1.0.2", "10.1.0.3"]


def test_an_address_that_is_none_is_refused(book: Book) -> None:
    with pytest.raises(ValueError, match="is no address"):
        book.join(FRONT, Member(endpoint="x", container="x", names=("x",), ipv4="10.1"))


def test_keys() -> None:
    assert name_key("Web.Front.") == b"web.front"
    assert reverse_key(bytes([10, 1, 0, 2])) == b"2.0.1.10.in-addr.arpa"


def test_names_that_dns_can_not_hold_are_cut(book: Book) -> None:
    book.join(FRONT, Member(endpoint="l", container="l", names=("n" * 90,), ipv4="10.1.0.99"))
    long = Resolver(book, View(networks=(Attachment(network=FRONT, name="x" * 90),)))
    assert ask(long, "99.0.1.10.in-addr.arpa", PTR).data == ["n" * 63 + "." + "x" * 63]
