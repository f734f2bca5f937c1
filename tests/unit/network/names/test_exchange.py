from hypothesis import given, settings
from hypothesis import strategies as st

from lodge.network.names.exchange import Exchange, Verdict, servers
from lodge.network.names.question import FORMERR, REFUSED, SERVFAIL, read_question
from lodge.network.names.view import Upstream, View
from tests.unit.network.names import dns

ONE, TWO = Upstream(address="10.0.0.1"), Upstream(address="10.0.0.2")
ASKED = dns.query("example.ORG")


def exchange(*upstreams: Upstream) -> Exchange:
    return Exchange(ASKED, read_question(ASKED), upstreams or (ONE,), stream=False)


def test_servers_are_asked_in_turn_with_new_numbers() -> None:
    one = exchange(ONE, TWO)
    assert one.next() == ONE
    first = one.outgoing()
    assert one.next() == TWO
    second = one.outgoing()
    assert first[2:] == second[2:] == ASKED[2:]
    assert one.next() is None


def test_numbers_can_not_be_guessed() -> None:
    def number() -> bytes:
        one = exchange()
        one.next()
        return one.outgoing()[:2]

    assert len({number() for _ in range(200)}) > 150


def test_the_answer_is_the_clients() -> None:
    one = exchange()
    one.next()
    answer = dns.response(one.outgoing(), ["9.9.9.9"])
    assert one.judge(answer) is Verdict.BELIEVE
    said = dns.read(one.incoming(answer))
    assert said.id == 77
    assert said.data == ["9.9.9.9"]


def test_forged_answers_are_not_believed() -> None:
    one = exchange()
    one.next()
    out = one.outgoing()
    wrong_number = dns.response(out, ["6.6.6.6"], number=int.from_bytes(out[:2], "big") ^ 1)
    other_question = out[:2] + dns.response(dns.query("example.com"), ["6.6.6.6"])[2:]
    for forged in (wrong_number, other_question, out, b"", out[:11], out[:2] + b"\x81\x80" + bytes(8)):
        assert one.judge(forged) is Verdict.IGNORE


def test_a_server_may_write_the_question_in_lower_case() -> None:
    one = exchange()
    one.next()
    lowered = one.outgoing()[:12] + one.outgoing()[12:].lower()
    assert one.judge(dns.response(lowered, ["9.9.9.9"])) is Verdict.BELIEVE


def test_failures_are_the_next_servers_business() -> None:
    one = exchange()
    one.next()
    for code in (SERVFAIL, REFUSED):
        assert one.judge(dns.response(one.outgoing(), [], code)) is Verdict.ASK_NEXT
    assert one.judge(dns.response(one.outgoing(), [], 3)) is Verdict.BELIEVE
    silent = one.outgoing()[:2] + bytes([0x81, 0x80 | FORMERR]) + bytes(8)
    assert one.judge(silent) is Verdict.BELIEVE


def test_who_may_be_asked() -> None:
    inside = Upstream(address="10.0.0.3", inside=True)
    itself = Upstream(address="127.0.0.11", inside=True)
    outer = Upstream(address="127.0.0.11")
    assert servers(View(upstreams=(ONE, itself, inside, outer, TWO))) == [ONE, inside, outer]
    assert servers(View(upstreams=(ONE, inside), external=False)) == [inside]


@settings(deadline=None)
@given(st.binary(max_size=200), st.booleans())
def test_nothing_said_breaks_the_judge(noise: bytes, numbered: bool) -> None:
    one = exchange()
    one.next()
    assert one.judge(one.outgoing()[:2] + noise if numbered else noise) in Verdict
