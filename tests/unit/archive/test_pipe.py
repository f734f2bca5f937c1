import threading

import pytest

from lodge.archive.pipe import Pipe
from lodge.errors import Unavailable


def test_pieces_arrive_in_order_and_end() -> None:
    pipe = Pipe(2)

    def write() -> None:
        for n in range(100):
            pipe.write(b"%d," % n)
        pipe.finish()

    thread = threading.Thread(target=write)
    thread.start()
    got = b"".join(iter(lambda: pipe.read(1), b""))
    thread.join()
    assert got == b"".join(b"%d," % n for n in range(100))
    assert pipe.read(1) == b""


def test_a_failure_of_the_writer_reaches_the_reader() -> None:
    pipe = Pipe()
    pipe.write(b"x")
    pipe.fail(ValueError("gone"))
    assert pipe.read(1) == b"x"
    with pytest.raises(Unavailable, match="gone"):
        pipe.read(1)
    assert pipe.read(1) == b""


def test_a_writer_goes_on_when_its_reader_has_given_up() -> None:
    pipe = Pipe(1)
    blocked = threading.Thread(target=lambda: [pipe.write(b"x") for _ in range(50)] and None)
    blocked.start()
    pipe.abandon()
    blocked.join(10)
    assert not blocked.is_alive()
    pipe.finish()
