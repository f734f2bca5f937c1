"""What every verb refuses before it touches anything, and the documents."""

import json
from pathlib import Path

import pytest

from lodge.errors import InvalidArgument
from lodge.runtime.command.container import load_bundle
from lodge.runtime.command.main import main
from lodge.spec.runtime import OCI_VERSION, decode_config


def run(capsys: pytest.CaptureFixture[str], root: Path, *line: str) -> tuple[int, str, str]:
    code = main(["--root", str(root), *line])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (("fly",), "no such command: fly"),
        (("state", "nope"), "container does not exist"),
        (("start", "nope"), "container does not exist"),
        (("kill", "nope"), "container does not exist"),
        (("delete", "nope"), "container does not exist"),
        (("pause", "nope"), "container does not exist"),
        (("exec", "nope", "true"), "container does not exist"),
        (("state",), "exactly one container is needed"),
        (("state", "../x"), "invalid container ID format"),
        (("checkpoint", "x"), "checkpoints are not offered"),
        (("--systemd-cgroup", "list"), "cgroupfs"),
        (("list", "--format", "xml"), "invalid format option"),
        (("--log-format", "xml", "list"), "invalid log-format"),
    ],
)
def test_refusals(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, line: tuple[str, ...], message: str
) -> None:
    code, out, err = run(capsys, tmp_path, *line)
    assert code == 1
    assert message in err
    assert out == ""


def test_errors_are_logged_as_callers_read_them(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    log = tmp_path / "log"
    for fmt in ("json", "text"):
        run(capsys, tmp_path, "--log", str(log), "--log-format", fmt, "state", "nope")
    first, second = log.read_text().splitlines()
    entry = json.loads(first)
    assert (entry["level"], entry["msg"]) == ("error", "container does not exist")
    assert 'level=error msg="container does not exist"' in second


def test_delete_by_force_of_nothing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(capsys, tmp_path, "delete", "--force", "nope") == (0, "", "")


def test_an_empty_list(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(capsys, tmp_path, "list")[1].split() == ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]
    assert run(capsys, tmp_path, "list", "-f", "json")[1] == "[]\n"


def test_help_and_version(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert OCI_VERSION in run(capsys, tmp_path, "--version")[1]
    text = run(capsys, tmp_path, "--help")[1]
    assert all(verb in text for verb in ("create", "exec", "features"))


def test_a_config_to_start_from(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(capsys, tmp_path, "spec", "--bundle", str(tmp_path))[0] == 0
    config = decode_config((tmp_path / "config.json").read_bytes())
    assert config.process is not None
    assert config.process.args == ["sh"]
    code, _, err = run(capsys, tmp_path, "spec", "--bundle", str(tmp_path))
    assert code == 1
    assert "exists. Remove it first" in err


def test_a_config_for_users_without_rights(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    run(capsys, tmp_path, "spec", "--rootless", "--bundle", str(tmp_path))
    linux = decode_config((tmp_path / "config.json").read_bytes()).linux
    assert linux is not None
    kinds = {space.type for space in linux.namespaces}
    assert "user" in kinds
    assert "network" not in kinds
    assert len(linux.uid_mappings) == 1


def test_features(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    features = json.loads(run(capsys, tmp_path, "features")[1])
    assert features["ociVersionMax"] == OCI_VERSION
    assert "rro" in features["mountOptions"]
    assert features["linux"]["cgroup"]["v2"]


@pytest.mark.parametrize("text", ["{", '{"ociVersion": 1}', '{"ociVersion": "2.0.0"}'])
def test_a_config_that_is_none(capsys: pytest.CaptureFixture[str], tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(InvalidArgument, match=r"config\.json"):
        load_bundle(str(tmp_path))
