"""Whatever bytes a container sends to its name server, it answers or keeps silent: no crash, no growth.

LODGE_FUZZ_EXAMPLES says how long.
"""

from __future__ import annotations

import os
import random
import socket
import struct

from hypothesis import given, settings
from hypothesis import strategies as st

from lodge.network.loop import Loop
from lodge.network.names.asking import Quota
from lodge.network.names.book import Book
from lodge.network.names.exchange import Exchange, Verdict
from lodge.network.names.question import Question, is_query, read_question
from lodge.network.names.resolver import Resolver
from lodge.network.names.sandbox import NameServer
from lodge.network.names.view import Attachment, Member, Upstream, View
from tests.unit.network.names import dns
from tests.unit.network.turning import turn_until

EXAMPLES = int(os.environ.get("LODGE_FUZZ_EXAMPLES", "300"))
FUZZ = settings(max_examples=EXAMPLES, deadline=None)

VIEW = View(
    networks=(Attachment(network="n", name="net", links={"alias": "c"}),),
    upstreams=(Upstream(address="192.0.2.1"),),
)

LABEL = st.sampled_from(
    [b"web", b"WEB", b"many", b"net", b"alias", b"", b"\0", b"\xff" * 63, b"a.b", b"in-addr"]
)
HEADERS = st.tuples(
    st.integers(0, 65535),
    st.sampled_from([0x0100, 0, 0x8180, 0x2800, 0xFFFF]) | st.integers(0, 65535),
    st.sampled_from([1, 1, 1, 0, 2, 65535]),
    st.sampled_from([0, 0, 1]),
    st.sampled_from([0, 0, 1]),
    st.sampled_from([0, 1, 65535]),
).map(lambda words: struct.pack("!HHHHHH", *words))
NAMES = st.lists(LABEL, max_size=140).map(
    lambda labels: b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
)
TAILS = st.tuples(st.integers(0, 300), st.sampled_from([1, 255, 3])).map(
    lambda pair: struct.pack("!HH", *pair)
)
RECORDS = st.binary(max_size=40) | st.integers(0, 65535).map(
    lambda size: struct.pack("!BHHIH", 0, 41, size, 0, 0)
)
MESSAGES = st.binary(max_size=600) | st.tuples(HEADERS, NAMES, TAILS, RECORDS).map(b"".join)


def book() -> Book:
    book = Book()
    book.join("n", Member(endpoint="e", container="c", names=("web",), ipv4="10.1.0.2", ipv6="fd00::2"))
    for number in range(60):
        book.join("n", Member(endpoint=f"m{number}", container="x", names=("many",), ipv4=f"10.1.1.{number}"))
    return book


@FUZZ
@given(MESSAGES, st.booleans())
def test_an_answer_can_be_read_and_fits(message: bytes, stream: bool) -> None:
    resolver = Resolver(book(), VIEW)
    if not is_query(message):
        return
    answer = resolver.answer(message, stream=stream)
    if isinstance(answer, Question):
        assert answer == read_question(message)
        return
    said = dns.read(answer)
    assert answer[:2] == message[:2]
    assert said.flags & 0x8000
    limit = 65535 if stream else max(512, read_question(message).limit if said.code == 0 else 512)
    assert len(answer) <= limit
    ready = resolver.ready(message)
    assert ready is None or dns.read(ready).code == 0


@FUZZ
@given(MESSAGES, st.binary(max_size=300))
def test_an_answer_from_an_upstream_is_believed_only_for_its_question(message: bytes, noise: bytes) -> None:
    asked = dns.query("example.org")
    exchange = Exchange(asked, read_question(asked), VIEW.upstreams, stream=False)
    exchange.next()
    for said in (message, noise, exchange.outgoing()[:2] + message[2:]):
        if exchange.judge(said) is Verdict.BELIEVE:
            assert said[:2] == exchange.outgoing()[:2]
            assert said[2] & 0x80


def test_a_server_survives_noise_on_both_sockets() -> None:
    """One after the other, on real sockets; afterwards it answers as before, and holds nothing."""
    noise = random.Random(7)
    loop, quota = Loop(), Quota(64)
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("127.0.0.1", 0))
    tcp = socket.create_server(("127.0.0.1", 0))
    address, stream_address = udp.getsockname(), tcp.getsockname()
    server = NameServer(loop, quota, book(), View(networks=VIEW.networks), udp, tcp)
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.connect(address)
    client.setblocking(False)
    for _ in range(EXAMPLES):
        piece = bytearray(dns.query("web")) + noise.randbytes(noise.randrange(40))
        for _ in range(noise.randrange(6)):
            piece[noise.randrange(len(piece))] = noise.randrange(256)
        client.send(piece)
        with socket.create_connection(stream_address) as stream:
            stream.send(noise.choice([b"", len(piece).to_bytes(2, "big")]) + piece)
            loop.later(0, lambda: None)
            loop.turn()
    while True:
        try:
            client.recv(4096)
        except BlockingIOError:
            break

    def answered() -> bool:
        client.send(dns.query("web", number=4711))
        loop.later(0.001, lambda: None)
        loop.turn()
        try:
            return dns.read(client.recv(4096)).id == 4711
        except BlockingIOError:
            return False

    turn_until(loop, answered)
    assert quota.used == 0
    server.close()
    client.close()
    loop.close()
