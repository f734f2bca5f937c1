import json
from pathlib import Path

import pytest

from lodge.distribution.trust.policy import Accept, Policy, Refuse, Signed, load
from lodge.errors import InvalidArgument


def write(path: Path, value: object) -> str:
    file = path / "policy.json"
    file.write_text(json.dumps(value))
    return str(file)


def test_the_longest_name_counts(tmp_path: Path) -> None:
    signed = {"type": "signed", "keys": ["/k.pem"]}
    policy = load(write(tmp_path, {
        "default": {"type": "refuse"},
        "repositories": {
            "docker.io": {"type": "accept"},
            "docker.io/library/busybox": {"type": "refuse"},
            "localhost:5000/team": signed,
        },
    }))  # fmt: skip
    assert policy.rule("docker.io/library/alpine") == Accept()
    assert policy.rule("docker.io/library/busybox") == Refuse()
    assert policy.rule("docker.io/library/busyboxes") == Accept()
    assert policy.rule("localhost:5000/team/app") == Signed(keys=("/k.pem",))
    assert policy.rule("localhost:5000/other") == Refuse()
    assert not policy.silent


def test_without_rules_everything_is_accepted() -> None:
    assert Policy().rule("a/b") == Accept()
    assert Policy().silent


@pytest.mark.parametrize(
    "value",
    [
        [], {"default": {}}, {"default": {"type": "maybe"}}, {"defualt": {"type": "refuse"}},
        {"default": {"type": "signed"}},
        {"default": {"type": "signed", "keys": ["relative.pem"]}},
        {"default": {"type": "signed", "identities": [{"subject": "a", "issuer": "b"}]}},
        {"default": {"type": "signed", "roots": ["/r"], "identities": [{"subject": "a"}]}},
        {"default": {"type": "signed", "roots": ["/r"], "identities": [{"issuer": "a"}]}},
        {"default": {"type": "signed", "roots": ["/r"],
                     "identities": [{"subject-regexp": "(", "issuer": "x"}]}},
        {"repositories": {"busybox": {"type": "refuse"}}},
        {"default": {"type": "accept", "keys": []}},
        {"repositories": {"busybox:latest": {"type": "refuse"}}},
        {"repositories": {"docker.io/Busybox": {"type": "refuse"}}},
    ],
)  # fmt: skip
def test_policies_that_can_not_be_meant(tmp_path: Path, value: object) -> None:
    with pytest.raises(InvalidArgument):
        load(write(tmp_path, value))


def test_a_policy_that_is_missing_lets_nothing_pass(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="can't read"):
        load(str(tmp_path / "none"))
