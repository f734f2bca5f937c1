from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lodge.distribution.trust.material import Found as Kept
from lodge.engine.images.admission import forget_signatures
from lodge.engine.images.trust import Gate
from lodge.errors import Forbidden, InvalidArgument
from lodge.spec.descriptor import OCI_MANIFEST, Descriptor
from tests.unit.distribution.trust.signing import Signer, digest_of, simple

DIGEST = digest_of(b"manifest")
NAME = "docker.io/library/app:1"


def descriptor(digest: str) -> Descriptor:
    return Descriptor(media_type=OCI_MANIFEST, digest=digest, size=1)


def image(*names: str) -> Any:
    resolved = SimpleNamespace(manifest_descriptor=descriptor(DIGEST))
    return SimpleNamespace(target=descriptor(DIGEST), resolved=resolved, names=list(names))


class Guarded:
    """A gate with a policy, and what names refer to."""

    def __init__(self, path: Path, policy: object) -> None:
        (path / "policy.json").write_text(json.dumps(policy))
        self.gate = Gate(str(path / "policy.json"), str(path))

    def runs(self, asked: str, *names: str) -> bool:
        try:
            self.gate.admit_run(asked, image(*names), {name: descriptor(DIGEST) for name in names})
        except Forbidden:
            return False
        return True


def test_the_name_that_was_asked_for_decides(tmp_path: Path) -> None:
    rules = {"docker.io/library/app": {"type": "refuse"}}
    guarded = Guarded(tmp_path, {"repositories": rules})
    assert not guarded.runs("app:1", NAME, "docker.io/library/other:1")
    assert guarded.runs("other:1", NAME, "docker.io/library/other:1")
    assert guarded.runs("sha256:" + "1" * 64, NAME, "docker.io/library/other:1")
    assert not guarded.runs("1" * 12, NAME)
    assert guarded.runs("1" * 12)  # without a name: the default


def test_kept_signatures_are_checked_again(tmp_path: Path) -> None:
    signer = Signer()
    rule = {"type": "signed", "keys": [signer.public_file(tmp_path / "key.pem")]}
    guarded = Guarded(tmp_path, {"default": rule})
    with pytest.raises(Forbidden) as caught:
        guarded.gate.admit_run("app:1", image(NAME), {NAME: descriptor(DIGEST)})
    assert "pull it again" in (caught.value.hint or "")
    guarded.gate._keep(Kept(DIGEST, (simple(signer, DIGEST),)))
    assert guarded.runs("app:1", NAME)
    Signer().public_file(tmp_path / "key.pem")
    assert not guarded.runs("app:1", NAME)


def test_a_policy_that_broke_lets_nothing_pass(tmp_path: Path) -> None:
    guarded = Guarded(tmp_path, {"default": {"type": "accept"}})
    assert guarded.runs("app:1", NAME)
    (tmp_path / "policy.json").write_text("{")
    with pytest.raises(InvalidArgument):
        guarded.runs("app:1", NAME)


def test_signatures_go_with_their_image(tmp_path: Path) -> None:
    gate = Gate("", str(tmp_path))
    gone = digest_of(b"gone")
    for digest in (DIGEST, gone):
        gate._keep(Kept(digest, ()))
    store: Any = SimpleNamespace(content=SimpleNamespace(exists=lambda digest: digest == DIGEST))
    forget_signatures(store, str(tmp_path))
    assert [one.name for one in (tmp_path / "trust").iterdir()] == [DIGEST.replace(":", "-") + ".json"]
    forget_signatures(store, str(tmp_path / "none"))
