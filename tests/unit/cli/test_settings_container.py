"""The body of a container's creation, flag by flag, against what Docker's own command sends.

`docker_bodies.json` holds bodies (and refusals) of docker 28.2, recorded behind a socket that refuses all;
each holds only what differs from the body of `docker run busybox`.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from lodge.cli.flags import UsageError
from lodge.cli.settings.container import creation_body
from lodge.cli.settings.mounts import parse_secret
from lodge.cli.verbs.run import CREATE, RUN
from lodge.errors import InvalidArgument

CASES = json.loads((Path(__file__).parent / "docker_bodies.json").read_text())
ENVIRON = {"FROM_ENV": "inherited", "PATH": "/bin"}
MEANINGFUL_EMPTY = {"MaskedPaths", "ReadonlyPaths", "Init", "MemorySwappiness", "StopTimeout"}
SETS = {"CapAdd", "CapDrop", "Ulimits", "Env"}

# Docker's command checks these itself; here the engine does, which knows the rules for names.
# Refused by the verb, not by the translation; or known to newer docker commands.
NEWER_OR_LATER = (
    "--pull foo",
    "--platform foo",
    "/nonexistent/dir",
    "--tmpfs b",
    "bind-create-src",
    "content-trust",
)
LEFT_TO_THE_ENGINE = {"BUSYBOX", "busybox@sha256:abc"}
REFUSED_HERE = {"--kernel-memory", "--io-maxbandwidth", "--disable-content-trust=false"}


def normal(value: Any, key: str = "") -> Any:
    """Without what means "not set" in the API, and without the order of what is a set."""
    if isinstance(value, dict):
        if key in ("Volumes", "ExposedPorts", "EndpointsConfig"):
            return {name: normal(inner) for name, inner in value.items()}
        found = {name: normal(inner, name) for name, inner in value.items()}
        return {
            name: inner
            for name, inner in found.items()
            if inner is not None and (inner not in ("", 0, False, [], {}) or name in MEANINGFUL_EMPTY)
        }
    if isinstance(value, list):
        items = [normal(item) for item in value]
        return sorted(items, key=str) if key in SETS else items
    return value


def ours(argv: list[str]) -> dict[str, Any]:
    command = RUN if argv[0] == "run" else CREATE
    values, positional = command.parse(argv[1:])
    detach = argv[0] == "run" and values["detach"]
    body = creation_body(values, positional[0], positional[1:], ENVIRON, detach=detach)
    if positional[0] == "busybox":
        body.pop("Image")
    return body


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "env.list").write_text(
        "# a comment\nA=1\nB=two words\nFROM_ENV\nMISSING\n  C=trimmed left\n\nD=\n"
    )
    (tmp_path / "labels.list").write_text("l1=one\n# no\nl2\n")
    (tmp_path / "seccomp.json").write_text('{"defaultAction":"SCMP_ACT_ALLOW"}\n')
    monkeypatch.chdir(tmp_path)
    return tmp_path


def name_of(case: dict[str, Any]) -> str:
    return " ".join(case["argv"])


@pytest.mark.parametrize("case", [case for case in CASES if "body" in case], ids=name_of)
def test_the_body_is_what_docker_sends(case: dict[str, Any], folder: Path) -> None:
    argv = case["argv"]
    if any(flag in argv for flag in REFUSED_HERE):
        with pytest.raises(UsageError, match="--"):
            ours(argv)
        return
    expected = normal(json.loads(json.dumps(case["body"]).replace("/cwd", str(folder))))
    body = normal(ours(argv))
    if body.get("HostConfig", {}).get("NetworkMode") == "default":
        del body["HostConfig"]["NetworkMode"]
    body = {key: value for key, value in body.items() if value != {}}
    for stream in ("AttachStdout", "AttachStderr"):  # true in the plainest body, so only absence was recorded
        assert body.pop(stream, False) == case["body"].get(stream, True)
    assert body == expected


REFUSALS = [
    case
    for case in CASES
    if "stderr" in case
    and not LEFT_TO_THE_ENGINE & set(case["argv"])
    and not any(text in name_of(case) for text in NEWER_OR_LATER)
]


@pytest.mark.parametrize("case", REFUSALS, ids=name_of)
def test_what_docker_refuses_is_refused_in_its_words(case: dict[str, Any]) -> None:
    expected = re.sub(r"^docker: ", "", case["stderr"])
    with pytest.raises((UsageError, InvalidArgument)) as caught:
        ours(case["argv"])
    if not any(flag in case["argv"] for flag in REFUSED_HERE):
        assert str(caught.value).strip() == expected


def test_every_flag_of_docker_is_in_the_table() -> None:
    text = " ".join(word for case in CASES for word in case["argv"])
    names = {flag.name for flag in RUN.flags}
    assert set(re.findall(r"--([a-z0-9][a-z0-9-]+)", text)) <= names


@pytest.mark.parametrize(
    ("text", "mount"),
    [
        ("db", {"Type": "secret", "Source": "db", "Target": "/run/secrets/db"}),
        ("source=db,target=pw", {"Type": "secret", "Source": "db", "Target": "/run/secrets/pw"}),
        (
            "db,target=/etc/pw,mode=0400,uid=5",
            {
                "Type": "secret",
                "Source": "db",
                "Target": "/etc/pw",
                "TmpfsOptions": {"Mode": 0o400, "Options": [["uid", "5"]]},
            },
        ),
    ],
)
def test_a_secret_is_a_mount(text: str, mount: dict[str, Any]) -> None:
    assert parse_secret(text) == mount


@pytest.mark.parametrize("text", ["target=/x", "db,size=1", "db,type=env", "db,mode=rw"])
def test_a_secret_that_makes_no_sense(text: str) -> None:
    with pytest.raises(ValueError, match=r"source|size|mounted|invalid literal"):
        parse_secret(text)
