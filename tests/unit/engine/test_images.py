"""Images: what removing them does, how lists choose them, how instructions change them."""

from __future__ import annotations

from typing import Any, cast

import pytest

from lodge.engine.images import changes, listing, removal
from lodge.engine.images.catalog import Found, moment
from lodge.engine.models import Image, ImageDeletion
from lodge.errors import Conflict, InvalidArgument, NotFound
from lodge.spec.container import ContainerConfig, HealthCheck
from lodge.spec.image import History, ImageConfig
from lodge.spec.reference import Reference
from tests.unit.engine.samples import container

ID = "sha256:" + "1" * 64
HUB = "docker.io/library/"
DIGEST = "@sha256:" + "a" * 64


class Resolved:
    chain_ids = ("sha256:" + "b" * 64, "sha256:" + "c" * 64)


def found(
    *names: str, id: str = ID, created: int = 5, labels: dict[str, str] | None = None, **config: Any
) -> Found:
    tags = [Reference.parse_name(name).familiar() for name in names if "@" not in name]
    digests = [Reference.parse_name(name).familiar() for name in names if "@" in name]
    return Found(
        image=Image(id=id, target="t", tags=tags, digests=digests, created_at=created),
        config=ImageConfig(config=ContainerConfig(labels=labels), **config),
        chain_id=None,
        resolved=cast(Any, Resolved()),
        target=cast(Any, None),
        names=list(names),
    )


def test_one_of_two_names_is_only_untagged() -> None:
    one = found(HUB + "a:1", HUB + "b:1")
    plan = removal.plan(one, "a:1", [], force=False)
    assert plan == removal.Removal(names=[HUB + "a:1"], delete=False)
    assert removal.report(one, plan) == [ImageDeletion(untagged="a:1")]


def test_the_last_name_takes_the_image_along_with_digests_and_layers() -> None:
    one = found(HUB + "a:1", HUB + "a" + DIGEST)
    lines = removal.report(one, removal.plan(one, "a:1", [], force=False))
    assert lines == [
        ImageDeletion(untagged="a:1"),
        ImageDeletion(untagged="a" + DIGEST),
        ImageDeletion(deleted=ID),
        ImageDeletion(deleted="sha256:" + "c" * 64),
        ImageDeletion(deleted="sha256:" + "b" * 64),
    ]


def test_a_container_that_uses_it_forbids_the_last_name() -> None:
    one = found(HUB + "a:1")
    user = container(status="exited")
    with pytest.raises(Conflict) as caught:
        removal.plan(one, "a:1", [user], force=False)
    assert caught.value.message == (
        'conflict: unable to remove repository reference "a:1" (must force) - container cccccccccccc is '
        "using its referenced image 111111111111"
    )
    assert removal.plan(one, "a:1", [user], force=True).delete


def test_by_id() -> None:
    one = found(HUB + "a:1", HUB + "b:1")
    with pytest.raises(Conflict, match=r"\(must be forced\) - image is referenced in multiple repositories"):
        removal.plan(one, "111111111111", [], force=False)
    assert removal.plan(one, "1111", [], force=True) == removal.Removal(names=one.names, delete=True)
    single = found(HUB + "a:1")
    with pytest.raises(Conflict, match=r"\(must be forced\) - image is being used by stopped container"):
        removal.plan(single, ID, [container(status="exited")], force=False)
    with pytest.raises(Conflict, match=r"\(cannot be forced\) - image is being used by running container"):
        removal.plan(single, ID, [container(status="running")], force=True)


def test_filters_of_the_list() -> None:
    old = found(HUB + "old:1", id="sha256:" + "2" * 64, created=1, labels={"a": "b"})
    new = found("quay.io/x/new:2", created=9)
    bare = found(id="sha256:" + "3" * 64, created=5)

    def find(name: str) -> Found:
        if name == "old:1":
            return old
        raise NotFound(name)

    def chosen(**filters: list[str]) -> list[Found]:
        return listing.select([old, new, bare], filters, find)

    assert chosen() == [new, bare, old]
    assert chosen(dangling=["true"]) == [bare]
    assert chosen(dangling=["false"]) == [new, old]
    assert chosen(label=["a=b"]) == [old]
    assert chosen(since=["old:1"]) == [new, bare]
    assert chosen(before=["old:1"]) == []
    assert chosen(reference=["old"]) == chosen(reference=["o*:1"]) == [old]
    assert chosen(reference=["quay.io/*/new"]) == [new]
    assert chosen(reference=["*"]) == [old]
    with pytest.raises(InvalidArgument, match="invalid filter 'odd'"):
        chosen(odd=["x"])


def test_history_gives_sizes_to_steps_with_layers() -> None:
    one = found(
        HUB + "a:1",
        history=(
            History(created="2024-01-01T00:00:00Z", created_by="ADD"),
            History(created_by="CMD", empty_layer=True),
            History(created_by="RUN", comment="x"),
        ),
    )
    entries = listing.history(one, [10, 20])
    assert [(e.id, e.created_by, e.size) for e in entries] == [
        (ID, "RUN", 20),
        ("<missing>", "CMD", 0),
        ("<missing>", "ADD", 10),
    ]
    assert entries[0].tags == ["a:1"]
    assert entries[-1].created_at == 1_704_067_200 * 10**9


@pytest.mark.parametrize("text", ["", None, "yesterday"])
def test_no_time_is_0(text: str | None) -> None:
    assert moment(text) == 0


def test_times_with_nine_digits() -> None:
    assert moment("2024-01-01T00:00:00.123456789Z") // 1000 == 1_704_067_200_123_456


def test_instructions() -> None:
    base = ContainerConfig(env=["A=1"], working_dir="/w", labels={"x": "y"})
    made = changes.apply(
        base,
        [
            'CMD ["a", "b"]',
            "ENTRYPOINT run it",
            "ENV A=2 B='c d'",
            "ENV C old way",
            "LABEL k=v",
            "EXPOSE 80 53/udp",
            'VOLUME ["/d"]',
            "WORKDIR sub",
            "USER web",
            "STOPSIGNAL SIGINT",
            "ONBUILD RUN x",
            "HEALTHCHECK --interval=5s --retries=2 CMD curl x",
        ],
    )
    assert made.cmd == ["a", "b"]
    assert made.entrypoint == ["/bin/sh", "-c", "run it"]
    assert made.env == ["A=2", "B=c d", "C=old way"]
    assert made.labels == {"x": "y", "k": "v"}
    assert made.exposed_ports == {"80/tcp": {}, "53/udp": {}}
    assert made.volumes == {"/d": {}}
    assert (made.working_dir, made.user, made.stop_signal) == ("/w/sub", "web", "SIGINT")
    assert made.on_build == ["RUN x"]
    assert made.healthcheck == HealthCheck(test=["CMD-SHELL", "curl x"], interval=5 * 10**9, retries=2)
    assert base.env == ["A=1"]


@pytest.mark.parametrize("change", ["RUN x", "", "FROM a", "LABEL", "SHELL sh", "HEALTHCHECK --odd=1 CMD x"])
def test_instructions_that_are_refused(change: str) -> None:
    with pytest.raises(InvalidArgument):
        changes.apply(None, [change])
