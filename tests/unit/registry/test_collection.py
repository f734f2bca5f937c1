import os
import threading
import time
from pathlib import Path

from lodge.registry import collection
from lodge.registry.checking import check
from lodge.registry.collection import Freed, Rules
from lodge.registry.directory import Directory
from lodge.registry.uploads import Uploads
from lodge.spec.digest import Digest
from tests.unit.registry.serving import INDEX, MANIFEST, Served, digest_of, image_of

NOW = Rules(grace=0)


def collect(served: Served, rules: Rules = NOW) -> Freed:
    assert served.directory is not None
    return collection.collect(served.directory, served.service.uploads, rules)


def has(served: Served, data: bytes, name: str = "a") -> bool:
    return served.ask("HEAD", f"/v2/{name}/blobs/{digest_of(data)}").status == 200


def test_what_no_manifest_needs_goes_and_gives_its_space_back(served: Served) -> None:
    served.push_image("a", "v1", b"needed")
    served.push_blob("a", b"garbage")
    freed = collect(served)
    assert (freed.blobs, freed.size) == (1, len(b"garbage"))
    assert (has(served, b"needed"), has(served, b"garbage")) == (True, False)
    assert served.ask("GET", "/v2/a/manifests/v1").status == 200


def test_a_blob_stays_on_the_disk_while_another_repository_has_it(served: Served) -> None:
    served.push_image("a", "v1", b"layer")
    served.push_blob("b", b"layer")
    assert collect(served).size == 0
    assert (has(served, b"layer", "a"), has(served, b"layer", "b")) == (True, False)


def test_what_was_just_pushed_or_asked_for_stays(served: Served) -> None:
    served.push_blob("a", b"coming")
    rules = Rules(grace=1.0)
    assert collect(served, rules).blobs == 0
    time.sleep(0.6)
    assert has(served, b"coming")  # asked for: a client may skip its upload now
    time.sleep(0.6)
    assert collect(served, rules).blobs == 0
    assert has(served, b"coming")


def test_manifests_without_a_tag_go_when_wished(served: Served) -> None:
    lost = served.push_image("a", "v1", b"one")
    child = served.push_image("a", "child", b"two")
    config = served.push_blob("a", b"{}")
    entry = {"mediaType": MANIFEST, "digest": child, "size": 1}
    index = served.push_manifest(
        "a", "multi", {"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}, INDEX
    )
    subject = {"mediaType": INDEX, "digest": index, "size": 1}
    signature = served.push_manifest("a", "sig", image_of(config, 2, subject=subject))
    for tag in ("v1", "child", "sig"):
        served.ask("DELETE", f"/v2/a/manifests/{tag}")
    assert collect(served).manifests == 0
    assert collect(served, Rules(grace=0, untagged=True)).manifests == 1
    status = {d: served.ask("GET", f"/v2/a/manifests/{d}").status for d in (lost, child, index, signature)}
    assert status == {lost: 404, child: 200, index: 200, signature: 200}
    assert (has(served, b"one"), has(served, b"two")) == (False, True)


def test_uploads_that_nobody_continues_go(served: Served) -> None:
    where, fresh = served.begin("a"), served.begin("a")
    assert served.directory is not None
    path = f"{served.directory.root}/repositories/a/_/uploads/{where.rpartition('/')[2]}"
    os.utime(path, (1, 1))
    assert collect(served).uploads == 1
    assert served.ask("GET", where).status == 404
    assert served.ask("GET", fresh).status == 204


def test_a_damaged_manifest_stops_the_collection_of_its_repository(served: Served) -> None:
    digest = served.push_image("a", "v1", b"layer")
    served.push_blob("a", b"garbage")
    assert served.directory is not None
    repository = served.directory.find("a")
    assert repository is not None
    os.unlink(repository.blobs.path(Digest(digest)))
    assert collect(served).blobs == 0


def test_nothing_is_lost_while_pushes_go_on(served: Served) -> None:
    stop = threading.Event()
    failures: list[BaseException] = []

    def sweep() -> None:
        try:
            while not stop.is_set():
                collect(served, Rules(grace=5.0, untagged=True))
        except BaseException as error:
            failures.append(error)

    sweeper = threading.Thread(target=sweep)
    sweeper.start()
    try:
        for number in range(13):
            served.push_image("a", f"v{number}", b"layer %d" % number, b"shared")
            if number % 3 == 0:
                served.ask("DELETE", f"/v2/a/manifests/v{number}")
    finally:
        stop.set()
        sweeper.join()
    assert not failures
    for number in range(13):
        status = served.ask("GET", f"/v2/a/manifests/v{number}").status
        assert status == (404 if number % 3 == 0 else 200)
        assert has(served, b"layer %d" % number)


def test_a_cache_forgets_what_nobody_asks_for(served: Served) -> None:
    served.push_image("a", "v1", b"layer")
    assert collect(served, Rules(grace=0, cache=True)).blobs == 2
    assert served.ask("GET", "/v2/a/manifests/v1").status == 200


def test_check_finds_and_removes_what_is_damaged(tmp_path: Path) -> None:
    served = Served(tmp_path)
    good, bad = served.push_image("a", "good", b"good"), served.push_image("a", "bad", b"bad")
    served.stop()
    directory = Directory(str(tmp_path))
    repository = directory.find("a")
    assert repository is not None
    assert list(check(directory, repair=False)) == []
    path = repository.blobs.path(Digest(digest_of(b"bad")))
    os.chmod(path, 0o600)
    Path(path).write_bytes(b"???")
    assert len(list(check(directory, repair=False))) == 1
    assert len(list(check(directory, repair=True))) == 2  # the blob, and then the manifest that lacks it
    assert set(repository.contents.manifests) == {good}
    assert bad not in repository.contents.manifests
    collection.collect(directory, Uploads(), NOW)
    assert list(check(directory, repair=False)) == []
    directory.close()
