from __future__ import annotations

import json
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lodge.distribution.abort import Abort, Aborted
from lodge.distribution.pulling import Pulled, Puller
from lodge.distribution.registries import Registries
from lodge.distribution.repository import SCHEMA_1
from lodge.distribution.settings import RegistryEntry, RegistrySettings
from lodge.distribution.transfers import Transfers
from lodge.distribution.transport import Broken
from lodge.errors import Corrupt, Forbidden, LodgeError, NotFound, Unsupported
from lodge.spec.descriptor import OCI_EMPTY, OCI_INDEX, OCI_LAYER_GZIP, OCI_MANIFEST
from lodge.spec.digest import Digest
from lodge.spec.platform import Platform
from lodge.spec.reference import Reference
from lodge.store import Store
from tests.registries.scripted import Asked, Scripted, Told, refusal, sha
from tests.unit.distribution.images import LAYER_TYPES, Image, layer, publish_index
from tests.unit.store.making import may_unpack


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    if not may_unpack(tmp_path):
        pytest.skip("this user can't make overlay's whiteouts here")
    with Store(tmp_path / "root", snapshotter="copy") as made:
        yield made


class Client:
    """Pulls from one scripted registry into one store, and keeps what it was told."""

    def __init__(self, registries: Registries, store: Store, registry: Scripted) -> None:
        self.registries = registries
        self.store = store
        self.registry = registry
        self.transfers = Transfers(3)
        self.said: list[tuple[str, str]] = []

    def pull(self, name: str = "a/b", abort: Abort | None = None, **options: Any) -> Pulled:
        reference = Reference.parse(f"{self.registry.address}/{name}")
        ending = abort or Abort()
        places = self.registries.repository(reference, abort=ending)
        puller = Puller(self.registries, self.store.reception, self.transfers)
        with self.store.lease():
            return puller.pull(reference, places, self._tell, ending, **options)

    def _tell(self, status: str, id: str, current: int, total: int) -> None:
        self.said.append((id, status))

    def count(self, status: str) -> int:
        return [said for _, said in self.said].count(status)

    def holds(self, pulled: Pulled, *names: str) -> None:
        """The image can be read, and has these files."""
        resolved = self.store.images.resolve(pulled.target)
        assert self.store.images.is_unpacked(resolved)
        found = set()
        for path in self.store.layers.lower_directories(resolved.chain_id):
            for _, _, files in os.walk(os.path.realpath(path)):
                found.update(files)
        assert found >= set(names)

    def nothing_is_named(self) -> None:
        assert self.store.references.list() == {}


@pytest.fixture
def client(registries: Registries, store: Store, registry: Scripted) -> Iterator[Client]:
    made = Client(registries, store, registry)
    yield made
    made.transfers.close()


@pytest.mark.parametrize("media_type", LAYER_TYPES)
def test_pull_and_pull_again(client: Client, registry: Scripted, media_type: str) -> None:
    Image([layer("one"), layer("two")], media_type).publish(registry, "a/b", "latest")
    pulled = client.pull()
    client.holds(pulled, "one", "two")
    assert pulled.fresh
    assert client.said[0] == ("latest", "Pulling from a/b")
    statuses = [status for _, status in client.said]
    assert statuses.count("Pull complete") == 2
    names = client.store.references.list()
    host = registry.address
    assert set(names) == {f"{host}/a/b:latest", f"{host}/a/b@{pulled.target.digest}"}
    client.said.clear()
    before = len(registry.asked)
    again = client.pull()
    assert not again.fresh
    assert client.said == [("latest", "Pulling from a/b")]
    assert [one.method for one in registry.asked[before:]] == ["HEAD"]


def test_only_the_layer_that_changed_moves(client: Client, registry: Scripted) -> None:
    layers = [layer(str(number)) for number in range(10)]
    Image(layers).publish(registry, "a/b", "latest")
    client.pull()
    Image([*layers[:-1], layer("new")]).publish(registry, "a/b", "latest")
    registry.asked.clear()
    client.said.clear()
    client.holds(client.pull(), "new", "3")
    assert len(registry.of("GET", "blobs")) == 2  # the configuration and one layer
    assert [status for _, status in client.said].count("Already exists") == 9


def test_the_same_layer_twice_in_one_image(client: Client, registry: Scripted) -> None:
    Image([layer("a"), layer("b"), layer("a")]).publish(registry, "a/b", "latest")
    client.holds(client.pull(), "a", "b")
    assert len(registry.of("GET", "blobs")) == 3


def test_platforms(client: Client, registry: Scripted) -> None:
    mine = Image([layer("mine")]).publish(registry, "a/b", "mine")
    theirs = Image([layer("theirs")], architecture="s390x").publish(registry, "a/b", "theirs")
    attestation = {**theirs, "annotations": {"vnd.docker.reference.type": "attestation-manifest"},
                   "platform": {"os": "unknown", "architecture": "unknown"}}  # fmt: skip
    publish_index(registry, "a/b", "latest", [attestation, theirs, mine])
    client.holds(client.pull(), "mine")
    assert len(registry.of("GET", "manifests")) == 2
    pulled = client.pull(platform=Platform.parse("linux/s390x"))
    assert client.store.images.resolve(pulled.target, Platform.parse("linux/s390x"))
    with pytest.raises(NotFound, match="no matching manifest for linux/riscv64 in the manifest list entries"):
        client.pull(platform=Platform.parse("linux/riscv64"))
    with pytest.raises(NotFound, match="does not match the specified platform"):
        client.pull("a/b:theirs", platform=Platform.parse("linux/riscv64"))


def test_every_platform(client: Client, registry: Scripted) -> None:
    entries = [
        Image([layer(name)], architecture=name).publish(registry, "a/b", name) for name in ("amd64", "s390x")
    ]
    publish_index(registry, "a/b", "latest", entries)
    pulled = client.pull(every_platform=True)
    for name in ("amd64", "s390x"):
        assert client.store.images.resolve(pulled.target, Platform.parse(f"linux/{name}"))


def test_by_digest(client: Client, registry: Scripted) -> None:
    manifest = Image([layer("x")]).publish(registry, "a/b", "latest")
    client.pull(f"a/b@{manifest['digest']}")
    assert set(client.store.references.list()) == {f"{registry.address}/a/b@{manifest['digest']}"}


def test_what_is_not_there(client: Client, registry: Scripted) -> None:
    with pytest.raises(NotFound, match=r"manifest for .*/a/b:latest not found: manifest unknown"):
        client.pull()
    registry.rules = [lambda asked: refusal(403, "DENIED", "requested access to the resource is denied")]
    with pytest.raises(NotFound, match=r"pull access denied for .*/a/b, repository does not exist or may"):
        client.pull()
    registry.rules = [lambda asked: refusal(404, "NAME_UNKNOWN", "unknown repository")]
    with pytest.raises(NotFound, match=r"repository .*/a/b not found: name unknown: unknown repository"):
        client.pull()


# ---- a registry that breaks off


def test_a_connection_that_breaks_at_any_byte(client: Client, registry: Scripted) -> None:
    image = Image([layer("big", random.Random(1).randbytes(5000))])
    image.publish(registry, "a/b", "latest")
    size = len(image.blobs[0])
    # The configuration is asked for once more in vain; then the layer breaks here and there.
    registry.cuts = [10**9, *(size // 7 for _ in range(12))]
    client.holds(client.pull(), "big")
    starts = [one.headers.get("range") for one in registry.of("GET", image.layers[0]["digest"])]
    assert starts[:3] == [None, f"bytes={size // 7}-", f"bytes={2 * (size // 7)}-"]


def test_a_connection_that_breaks_at_every_byte(client: Client, registry: Scripted) -> None:
    image = Image([layer("small")])
    described = image.publish(registry, "a/b", "latest")
    config = json.loads(registry.manifests["a/b", described["digest"]][1])["config"]["digest"]

    def drops(asked: Asked) -> Told | None:
        """Sends one byte more of a layer, and is gone."""
        if "blobs" not in asked.path or config in asked.path:
            return None
        registry.cuts = [1]
        return None

    registry.rules = [drops]
    client.holds(client.pull(), "small")
    assert len(registry.of("GET", image.layers[0]["digest"])) == image.layers[0]["size"]


def test_a_registry_without_ranges_begins_again(client: Client, registry: Scripted) -> None:
    image = Image([layer("big", random.Random(1).randbytes(5000))])
    image.publish(registry, "a/b", "latest")
    registry.ranges = False
    registry.cuts = [10**9, 2000, 3000]
    client.holds(client.pull(), "big")
    assert len(registry.of("GET", image.layers[0]["digest"])) == 3


def test_it_is_taken_up_again_by_the_next_pull_and_by_the_next_process(
    client: Client, registry: Scripted, tmp_path: Path
) -> None:
    image = Image([layer("big", random.Random(1).randbytes(90_000))])
    image.publish(registry, "a/b", "latest")
    digest = image.layers[0]["digest"]
    registry.cuts = [10**9, 60_000, 0, 0, 0, 0]
    with pytest.raises(Broken):
        client.pull()
    client.nothing_is_named()
    # Another process would open the store anew: what is kept lies in the file.
    client.store.content.recover()
    registry.asked.clear()
    client.holds(client.pull(), "big")
    assert [one.headers.get("range") for one in registry.of("GET", digest)] == ["bytes=60000-"]


def test_many_connections_when_one_is_slow(
    client: Client, registry: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lodge.distribution.ranged.SEGMENT", 10_000)
    monkeypatch.setattr("lodge.distribution.download._WORTH", 20_000)
    monkeypatch.setattr("lodge.distribution.download._TRIAL", -1.0)
    monkeypatch.setattr("lodge.distribution.download._LONG", -1.0)
    image = Image([layer("big", random.Random(1).randbytes(500_000))])
    image.publish(registry, "a/b", "latest")
    monkeypatch.setattr("lodge.distribution.download._PIECE", 4096)
    registry.cuts = [10**9, 10**9, 10**9, 5000]
    client.holds(client.pull(), "big")
    ranges = [one.headers.get("range", "") for one in registry.of("GET", image.layers[0]["digest"])]
    assert sum(bool(one) for one in ranges) > 20
    registry.ranges = False


# ---- a registry that lies


def test_another_layer_than_was_named(client: Client, registry: Scripted) -> None:
    image = Image([layer("x")])
    image.publish(registry, "a/b", "latest")
    digest = image.layers[0]["digest"]
    registry.blobs[digest] = bytes(len(registry.blobs[digest]))
    with pytest.raises(Corrupt, match="the content has the digest"):
        client.pull()
    client.nothing_is_named()
    assert not client.store.content.exists(Digest(digest))
    assert os.listdir(client.store.content.ingests) == []


def test_another_tar_than_the_configuration_says(client: Client, registry: Scripted) -> None:
    image = Image([layer("x")])
    image.config["rootfs"]["diff_ids"] = [sha(b"other")]
    image.publish(registry, "a/b", "latest")
    with pytest.raises(Corrupt, match="failed to register layer"):
        client.pull()
    client.nothing_is_named()


def test_a_body_without_end_is_cut_off(client: Client, registry: Scripted) -> None:
    image = Image([layer("x")])
    image.publish(registry, "a/b", "latest")
    digest = image.layers[0]["digest"]
    long = registry.blobs[digest] + bytes(1 << 20)
    registry.rules = [lambda asked: Told(200, long) if digest in asked.path else None]
    with pytest.raises(Corrupt, match="announces"):
        client.pull()
    client.nothing_is_named()


@pytest.mark.parametrize(
    ("field", "value", "kind"),
    [
        ("layers", [{"mediaType": OCI_LAYER_GZIP, "digest": sha(b""), "size": 1}] * 501, Corrupt),
        ("mediaType", OCI_INDEX, Corrupt),
        ("schemaVersion", 3, Corrupt),
        ("manifests", [], Corrupt),
        ("layers", [{"mediaType": OCI_LAYER_GZIP, "digest": "sha256:../x", "size": 1}], Corrupt),
        ("layers", [{"mediaType": OCI_LAYER_GZIP, "digest": sha(b""), "size": -1}], Corrupt),
        ("layers", [], Corrupt),
        ("layers", [{"mediaType": "text/x", "digest": sha(b""), "size": 0}], Unsupported),
    ],
)
def test_manifests_that_are_refused(
    client: Client, registry: Scripted, field: str, value: Any, kind: type[LodgeError]
) -> None:
    image = Image([layer("x")])
    image.manifest[field] = value
    described = image.publish(registry, "a/b", "latest")
    data = registry.manifests["a/b", "latest"][1]
    registry.add("a/b", "latest", data, OCI_MANIFEST)
    del described
    with pytest.raises(kind):
        client.pull()
    client.nothing_is_named()


def test_a_manifest_of_very_many_layers(client: Client, registry: Scripted) -> None:
    one = {"mediaType": OCI_LAYER_GZIP, "digest": sha(b""), "size": 1}
    for count in (20_000, 100_000):
        image = Image([layer("x")])
        image.manifest["layers"] = [one] * count
        image.publish(registry, "a/b", "latest")
        with pytest.raises(Corrupt):
            client.pull()
    client.nothing_is_named()


def test_json_that_is_too_deep(client: Client, registry: Scripted) -> None:
    registry.add("a/b", "latest", b'{"schemaVersion":2,"a":' + b"[" * 200_000 + b"]" * 200_000 + b"}")
    with pytest.raises(Corrupt):
        client.pull()


def test_foreign_layers_are_refused_with_a_reason(
    client: Client, registry: Scripted, other: Scripted
) -> None:
    image = Image([layer("x")])
    image.layers[0]["urls"] = [f"http://{other.address}/x"]
    image.publish(registry, "a/b", "latest")
    with pytest.raises(Forbidden, match="foreign layer"):
        client.pull()
    image = Image([layer("x")])
    image.layers[0]["mediaType"] = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
    image.publish(registry, "a/b", "latest")
    with pytest.raises(Forbidden, match="foreign layer"):
        client.pull()
    assert other.asked == []


def test_artifacts_and_old_images_are_refused(client: Client, registry: Scripted) -> None:
    image = Image([layer("x")])
    image.manifest["artifactType"] = "application/spdx+json"
    image.manifest["config"] = {"mediaType": OCI_EMPTY, "digest": sha(b"{}"), "size": 2}
    image.publish(registry, "a/b", "latest")
    with pytest.raises(Unsupported, match="application/spdx"):
        client.pull()
    registry.add("a/b", "latest", json.dumps({"schemaVersion": 1}).encode(), SCHEMA_1[0])
    with pytest.raises(Unsupported, match="schema 1 support has been removed"):
        client.pull()


def test_an_index_that_lies_about_its_manifest(client: Client, registry: Scripted) -> None:
    entry = Image([layer("x")]).publish(registry, "a/b", "one")
    publish_index(registry, "a/b", "latest", [{**entry, "size": entry["size"] + 1}])
    with pytest.raises(Corrupt):
        client.pull()
    publish_index(registry, "a/b", "latest", [{**entry, "mediaType": OCI_INDEX}])
    with pytest.raises(LodgeError):
        client.pull()
    client.nothing_is_named()


def test_an_index_that_holds_itself_again_and_again(client: Client, registry: Scripted) -> None:
    entry = Image([layer("x")], architecture="mips").publish(registry, "a/b", "one")
    for level in range(6):
        digest = publish_index(registry, "a/b", str(level), [entry])
        size = len(registry.manifests["a/b", digest][1])
        entry = {"mediaType": OCI_INDEX, "digest": digest, "size": size}
    with pytest.raises(Corrupt, match="nested too deeply"):
        client.pull("a/b:5")


# ---- several at once, and nobody


def _until(true: Callable[[], object]) -> None:
    end = time.monotonic() + 5
    while not true():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_two_pulls_share_the_work(client: Client, registry: Scripted) -> None:
    image = Image([layer("one", bytes(100_000)), layer("two")])
    image.publish(registry, "a/b", "latest")
    image.publish(registry, "c/d", "latest")
    both, gate = threading.Barrier(3), threading.Event()

    def hold(asked: Asked) -> Told | None:
        if image.layers[0]["digest"] in asked.path:
            gate.wait(5)
        return None

    registry.rules = [hold]
    done: list[Pulled] = []

    def pull(name: str) -> None:
        both.wait()
        done.append(client.pull(name))

    threads = [threading.Thread(target=pull, args=(name,)) for name in ("a/b", "c/d")]
    for thread in threads:
        thread.start()
    both.wait()
    _until(lambda: client.count("Pulling fs layer") == 4)
    gate.set()
    for thread in threads:
        thread.join()
    for pulled in done:
        client.holds(pulled, "one", "two")
    assert len(done) == 2
    assert len(registry.of("GET", image.layers[0]["digest"])) == 1


def test_a_pull_that_nobody_wants_ends_and_one_that_is_shared_goes_on(
    client: Client, registry: Scripted
) -> None:
    image = Image([layer("one", random.Random(1).randbytes(100_000))])
    image.publish(registry, "a/b", "latest")
    gate = threading.Event()
    digest = image.layers[0]["digest"]
    registry.rules = [lambda asked: gate.wait(5) and None if digest in asked.path else None]
    first = Abort()
    failures: list[BaseException] = []

    def give_up() -> None:
        try:
            client.pull(abort=first)
        except Aborted as error:
            failures.append(error)

    one = threading.Thread(target=give_up)
    one.start()
    _until(lambda: registry.of("GET", digest))
    done: list[Pulled] = []
    two = threading.Thread(target=lambda: done.append(client.pull()))
    two.start()
    _until(lambda: client.count("Pulling fs layer") == 2)
    first.set()
    one.join(5)
    assert len(failures) == 1
    gate.set()
    two.join(5)
    client.holds(done[0], "one")
    assert len(registry.of("GET", digest)) == 1


def test_mirrors_first_and_the_registry_for_the_rest(
    store: Store, registry: Scripted, other: Scripted
) -> None:
    image = Image([layer("x")])
    image.publish(registry, "a/b", "latest")
    image.publish(other, "mirrored/a/b", "latest")
    del other.blobs[image.layers[0]["digest"]]
    entry = RegistryEntry(mirrors=("http://127.0.0.1:1", f"http://{other.address}/mirrored"))
    settings = RegistrySettings(registries={registry.address: entry}, certificate_directories=())
    with Registries(settings) as registries:
        client = Client(registries, store, registry)
        client.holds(client.pull(), "x")
        client.transfers.close()
    assert len(registry.of("GET", "blobs")) == 1
    assert not registry.of("GET", "manifests")


def test_a_mirror_that_lies_is_asked_no_more(store: Store, registry: Scripted, other: Scripted) -> None:
    image = Image([layer("x"), layer("y")])
    for each in (registry, other):
        image.publish(each, "a/b", "latest")
    digest = image.layers[0]["digest"]
    other.blobs[digest] = bytes(len(other.blobs[digest]))
    entry = RegistryEntry(mirrors=(f"http://{other.address}",))
    settings = RegistrySettings(registries={registry.address: entry}, certificate_directories=())
    with Registries(settings) as registries:
        client = Client(registries, store, registry)
        client.holds(client.pull(), "x", "y")
        client.transfers.close()
    assert [one.path.rpartition("/")[2] for one in registry.of("GET", "blobs")] == [digest]


def test_kept_bytes_that_are_wrong_are_fetched_again(client: Client, registry: Scripted) -> None:
    image = Image([layer("x", random.Random(1).randbytes(9000))])
    image.publish(registry, "a/b", "latest")
    digest = Digest(image.layers[0]["digest"])
    for kept in (b"\0" * 4000, b"\0" * image.layers[0]["size"], b"\0" * 50_000, image.blobs[0]):
        with open(os.path.join(client.store.content.ingests, f"sha256-{digest.hex}"), "wb") as file:
            file.write(kept)
        client.holds(client.pull(), "x")
        for name in list(client.store.references.list()):
            client.store.references.remove(name)
        client.store.collect()


def test_a_token_that_runs_out_early_is_bought_again(client: Client, registry: Scripted) -> None:
    Image([layer("x")]).publish(registry, "a/b", "latest")
    asked: list[str] = []

    def changes(asked_now: Asked) -> Told | None:
        """Every token is good for one request."""
        if asked_now.path == "/token":
            asked.append(f"t{len(asked)}")
            return Told(200, json.dumps({"token": asked[-1], "expires_in": 3600}).encode())
        header = asked_now.headers.get("authorization", "")
        if asked and header == f"Bearer {asked[-1]}" and header not in used:
            used.add(header)
            return None
        challenge = f'Bearer realm="http://{registry.address}/token"'
        return refusal(401, "UNAUTHORIZED", "authentication required", WWW_Authenticate=challenge)

    used: set[str] = set()
    registry.rules = [changes]
    client.holds(client.pull(), "x")
    assert len(asked) == 3
