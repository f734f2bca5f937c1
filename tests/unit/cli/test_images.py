"""Images: the list, the history, names, removal, and getting them."""

import time

import pytest

from lodge.cli.images import missing_image_hint, split_reference
from tests.unit.cli.conftest import Lodge
from tests.unit.fake_engine import FakeEngine, Reply, refusal

ID = "sha256:" + "a" * 64
DIGEST = "sha256:" + "d" * 64


@pytest.fixture
def stored(engine: FakeEngine) -> FakeEngine:
    created = int(time.time()) - 3600 * 50
    base = {"Created": created, "Size": 2_063_333, "SharedSize": -1, "Containers": -1, "Labels": None}
    engine.on(
        "GET",
        "/images/json",
        Reply(
            [
                {
                    **base,
                    "Id": ID,
                    "RepoTags": ["app:1", "reg:5000/me/app:2"],
                    "RepoDigests": [f"app@{DIGEST}"],
                },
                {**base, "Id": "sha256:" + "b" * 64, "RepoTags": [], "RepoDigests": []},
            ]
        ),
    )
    return engine


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("app", ("app", "")),
        ("app:1", ("app", "1")),
        ("reg:5000/app", ("reg:5000/app", "")),
        ("reg:5000/me/app:1", ("reg:5000/me/app", "1")),
        (f"app@{DIGEST}", ("app", DIGEST)),
    ],
)
def test_names(name: str, parts: tuple[str, str]) -> None:
    assert split_reference(name) == parts


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("debian:bookworm", "without a registry: lodge image bootstrap debian:bookworm"),
        ("busybox", "without a registry: lodge image bootstrap busybox"),
        (
            "docker.io/library/ubuntu:noble",
            "without a registry: lodge image bootstrap docker.io/library/ubuntu:noble",
        ),
        ("postgres", None),
    ],
)
def test_which_images_can_be_made(name: str, hint: str | None) -> None:
    assert missing_image_hint(name) == hint


def test_the_table(lodge: Lodge, stored: FakeEngine) -> None:
    lines = lodge("images").out.splitlines()
    assert lines[0].split() == ["REPOSITORY", "TAG", "IMAGE", "ID", "CREATED", "SIZE"]
    assert [line.split()[:3] for line in lines[1:]] == [
        ["app", "1", "a" * 12],
        ["reg:5000/me/app", "2", "a" * 12],
        ["<none>", "<none>", "b" * 12],
    ]
    assert "2 days ago" in lines[1]
    assert lines[1].endswith("2.06MB")


@pytest.mark.parametrize(
    ("words", "out"),
    [
        (["-q"], f"{'a' * 12}\n{'a' * 12}\n{'b' * 12}\n"),
        (["--format", "{{.Repository}}:{{.Tag}}"], "app:1\nreg:5000/me/app:2\n<none>:<none>\n"),
        (["--digests", "--format", "{{.Tag}} {{.Digest}}"], f"1 {DIGEST}\n2 <none>\n<none> <none>\n"),
    ],
)
def test_formats(lodge: Lodge, stored: FakeEngine, words: list[str], out: str) -> None:
    assert lodge("images", *words).out == out


def test_a_name_is_a_filter(lodge: Lodge, stored: FakeEngine) -> None:
    lodge("images", "-f", "dangling=true", "app")
    assert stored.requests[0].query["filters"] == '{"dangling":["true"],"reference":["app"]}'


def test_history(lodge: Lodge, engine: FakeEngine) -> None:
    layers = [
        {
            "Id": ID,
            "Created": 1_000_000,
            "CreatedBy": "RUN x" + "y" * 60,
            "Size": 1234,
            "Comment": "c",
            "Tags": None,
        },
        {"Id": "<missing>", "Created": 0, "CreatedBy": "a\tb", "Size": 0, "Comment": ""},
    ]
    engine.on("GET", "/images/app/history", Reply(layers))
    lines = lodge("history", "app").out.splitlines()
    assert lines[0].split() == ["IMAGE", "CREATED", "CREATED", "BY", "SIZE", "COMMENT"]
    assert "yyy…" in lines[1]
    assert "1.23kB" in lines[1]
    assert lines[2].startswith("<missing>")
    assert "N/A" in lines[2]
    assert lodge("history", "-q", "app").out == f"{'a' * 12}\n<missing>\n"
    assert lodge("history", "--no-trunc", "--format", "{{.CreatedBy}}", "app").out.splitlines()[1] == "a b"


def test_tagging(lodge: Lodge, engine: FakeEngine) -> None:
    engine.on("POST", "/images/app/tag", Reply(status=201))
    assert lodge("tag", "app", "reg:5000/other:2").code == 0
    assert engine.requests[0].query == {"repo": "reg:5000/other", "tag": "2"}
    assert "digest reference" in lodge("tag", "app", f"x@{DIGEST}").err


def test_removal(lodge: Lodge, engine: FakeEngine) -> None:
    engine.on("DELETE", "/images/app", Reply([{"Untagged": "app:1"}, {"Deleted": ID}]))
    engine.on("DELETE", "/images/nope", refusal(404, "No such image: nope"))
    result = lodge("rmi", "app", "nope")
    assert (result.code, result.out) == (1, f"Untagged: app:1\nDeleted: {ID}\n")
    assert result.err == "Error response from daemon: No such image: nope\n"
    assert lodge("rmi", "-f", "nope").code == 0


def test_pull(lodge: Lodge, engine: FakeEngine) -> None:
    engine.on("POST", "/images/create", Reply(raw=b'{"status":"Pulling","id":"latest"}\n'))
    result = lodge("pull", "me/app")
    assert result.out == "Using default tag: latest\nlatest: Pulling\ndocker.io/me/app:latest\n"
    assert lodge("pull", "-q", f"busybox@{DIGEST}").out == f"docker.io/library/busybox@{DIGEST}\n"
    assert engine.requests[-1].query == {"fromImage": "busybox", "tag": DIGEST}
    engine.on("POST", "/images/create", Reply(raw=b'{"errorDetail":{"message":"no such host"}}\n'))
    result = lodge("pull", "debian:trixie")
    assert result.code == 1
    assert result.err.endswith("no such host\nwithout a registry: lodge image bootstrap debian:trixie\n")


def test_bootstrap(lodge: Lodge, engine: FakeEngine) -> None:
    lines = b'{"status":"Fetching packages"}\n{"aux":{"ID":"sha256:x"}}\n'
    engine.on("POST", "/lodge/images/bootstrap", Reply(raw=lines))
    assert lodge("image", "bootstrap", "debian:bookworm").out == "Fetching packages\n"
    assert lodge("image", "bootstrap", "-q", "--mirror", "http://m", "--suite", "s", "d").out == "sha256:x\n"
    assert engine.requests[1].query == {"image": "d", "suite": "s", "mirror": "http://m"}
