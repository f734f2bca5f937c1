import contextlib
import os
from pathlib import Path

import pytest

from lodge.errors import Conflict, Corrupt, Exhausted, InvalidArgument, NotFound
from lodge.spec.digest import Digest
from lodge.store.content import Content
from lodge.store.durability import Durability
from lodge.store.leases import Leases

DATA = b"blob " * 1000
DIGEST = Digest.of(DATA)


@pytest.fixture
def content(tmp_path: Path) -> Content:
    return Content(str(tmp_path / "content"), Durability(str(tmp_path / "pending")), Leases())


def test_a_blob_comes_and_goes(content: Content) -> None:
    assert not content.exists(DIGEST)
    with content.ingest(DIGEST, len(DATA)) as ingest:
        ingest.write(DATA[:10])
        ingest.write(memoryview(DATA)[10:])
        assert not content.exists(DIGEST)
        assert ingest.commit() == DIGEST
    assert content.stat(DIGEST) == len(DATA)
    assert content.read(DIGEST, len(DATA)) == DATA
    assert list(content.walk()) == [(DIGEST, len(DATA))]
    assert os.stat(content.path(DIGEST)).st_mode & 0o777 == 0o400
    content.delete(DIGEST)
    content.delete(DIGEST)
    assert list(content.walk()) == []
    for ask in (content.stat, content.open):
        with pytest.raises(NotFound):
            ask(DIGEST)
    assert os.listdir(content.ingests) == []


def test_put_is_idempotent_and_checks(content: Content) -> None:
    assert content.put(DATA) == content.put(DATA, DIGEST) == DIGEST
    with pytest.raises(Corrupt):
        content.put(b"other", DIGEST)


def test_a_blob_without_a_commit_never_was(content: Content) -> None:
    with content.ingest() as ingest:
        ingest.write(DATA)
    with contextlib.suppress(RuntimeError), content.ingest() as ingest:
        ingest.write(DATA)
        raise RuntimeError
    assert list(content.walk()) == []
    assert os.listdir(content.ingests) == []


def test_an_expected_blob_is_resumed(content: Content) -> None:
    with content.ingest(DIGEST) as ingest:
        ingest.write(DATA[:1234])
    with content.ingest(DIGEST) as ingest:
        assert ingest.offset() == 1234
        ingest.write(DATA[1234:])
        ingest.commit()
    assert content.read(DIGEST, 1 << 20) == DATA
    assert os.listdir(content.ingests) == []


def test_a_sender_that_starts_anew(content: Content) -> None:
    with content.ingest(DIGEST) as ingest:
        ingest.write(DATA[:1234])
    with content.ingest(DIGEST) as ingest:
        ingest.restart()
        ingest.write(DATA)
        assert ingest.commit() == DIGEST


def test_wrong_bytes_are_refused_and_not_resumed(content: Content) -> None:
    with content.ingest(DIGEST) as ingest:
        ingest.write(b"wrong")
        with pytest.raises(Corrupt, match="has the digest"):
            ingest.commit()
    with content.ingest(DIGEST, len(DATA)) as ingest, pytest.raises(Corrupt, match="longer"):
        ingest.write(DATA + b"!")
    with content.ingest(Digest.of(b"x"), 7) as ingest:
        ingest.write(b"x")
        with pytest.raises(Corrupt, match="instead of"):
            ingest.commit()
    with content.ingest(DIGEST) as ingest:
        assert ingest.offset() == 0
    assert list(content.walk()) == []


def test_two_at_a_time_do_not_disturb_each_other(content: Content) -> None:
    with content.ingest(DIGEST) as one, content.ingest(DIGEST) as two:
        one.write(DATA[:100])
        two.write(DATA)
        two.commit()
        one.write(DATA[100:])
        one.commit()
    assert content.read(DIGEST, 1 << 20) == DATA


def test_a_finished_ingest_is_finished(content: Content) -> None:
    with content.ingest() as ingest:
        ingest.commit()
        with pytest.raises(Conflict):
            ingest.commit()
    with pytest.raises(Conflict):
        ingest.commit()


def test_damage_on_the_disk_is_noticed_by_readers(content: Content) -> None:
    content.put(DATA)
    os.chmod(content.path(DIGEST), 0o600)
    with open(content.path(DIGEST), "r+b") as file:
        file.write(b"X")
    with pytest.raises(Corrupt):
        content.read(DIGEST, 1 << 20)
    assert not content.verify(DIGEST)
    assert not content.verify(Digest.of(b"missing"))


def test_reading_has_a_cap(content: Content) -> None:
    content.put(DATA)
    with pytest.raises(Corrupt, match="longer than 99"):
        content.read(DIGEST, 99)
    assert len(content.read(DIGEST, len(DATA))) == len(DATA)


def test_only_digests_become_paths(content: Content) -> None:
    with pytest.raises(InvalidArgument):
        content.path("sha256:../../../etc/passwd")  # type: ignore[arg-type]


def test_other_algorithms(content: Content) -> None:
    import hashlib

    digest = Digest("sha512:" + hashlib.sha512(DATA).hexdigest())
    with content.ingest(digest) as ingest:
        ingest.write(DATA)
        assert ingest.commit() == digest
    assert content.read(digest, 1 << 20) == DATA


def test_a_full_disk_is_said(content: Content, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno

    def full(fd: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with content.ingest(DIGEST) as ingest:
        monkeypatch.setattr(os, "write", full)
        with pytest.raises(Exhausted, match="no space left"):
            ingest.write(DATA)


def test_what_nobody_goes_on_with_expires(content: Content) -> None:
    other = Digest.of(b"other")
    for digest in (DIGEST, other):
        with content.ingest(digest, len(DATA)) as ingest:
            ingest.write(DATA[:100])
    old = os.path.join(content.ingests, f"sha256-{DIGEST.hex}")
    os.utime(old, (1, 1))
    with content.ingest(DIGEST, len(DATA)) as ingest:
        os.utime(old, (1, 1))
        content.expire()
        assert ingest.offset() == 100
    os.utime(old, (1, 1))
    content.expire()
    assert os.listdir(content.ingests) == [f"sha256-{other.hex}"]
