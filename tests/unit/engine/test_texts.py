"""Small texts: environment, files of /etc, merges with an image, log options."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from lodge.engine.planning import environment, files, logging, merge
from lodge.engine.settings import Settings
from lodge.errors import InvalidArgument, LodgeError, Unsupported
from lodge.runtime.logs import journald
from lodge.runtime.messages import LogSpec
from lodge.spec.container import ContainerConfig, HealthCheck, LogConfig
from tests.unit.engine.samples import container


def test_an_images_variables_come_after_the_users() -> None:
    assert environment.over_image(["A=1", "B=2"], ["B=3"]) == ["B=3", "A=1"]


def test_a_variable_without_a_value_is_never_taken_from_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "host")
    assert environment.merge(["PATH=/bin"], ["SECRET", "PATH"]) == []


def test_hosts() -> None:
    text = files.hosts(
        "box",
        "lan",
        ["db:10.0.0.5", "six:[::1]", "me=host-gateway"],
        addresses=["10.0.0.2", "fd00::2"],
        gateways=["10.0.0.1"],
        links=[("10.0.0.7", "foo web")],
    )
    assert text.splitlines()[-6:] == [
        "10.0.0.5\tdb",
        "::1\tsix",
        "10.0.0.1\tme",
        "10.0.0.7\tfoo web",
        "10.0.0.2\tbox.lan box",
        "fd00::2\tbox.lan box",
    ]
    assert text.startswith("127.0.0.1\tlocalhost\n")


def test_a_host_name_may_be_a_whole_one() -> None:
    text = files.hosts("box.lan", "", None, addresses=["10.0.0.2"])
    assert text.endswith("10.0.0.2\tbox.lan box\n")


def test_a_users_entrypoint_drops_the_images_command() -> None:
    image = ContainerConfig(entrypoint=["/e"], cmd=["c"], user="u", working_dir="/w", env=["A=1"])
    own = ContainerConfig(entrypoint=["/mine"])
    merge.over_image(own, image)
    assert (own.entrypoint, own.cmd, own.user, own.working_dir) == (["/mine"], None, "u", "/w")
    mine = ContainerConfig(cmd=["x"])
    merge.over_image(mine, image)
    assert merge.program(mine) == ("/e", ["x"])
    bare = ContainerConfig(entrypoint=[""], cmd=["sh"])
    merge.over_image(bare, image)
    assert merge.program(bare) == ("sh", [])


def test_nothing_to_run_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="no command specified"):
        merge.over_image(ContainerConfig(), ContainerConfig())


def test_volumes_labels_ports_and_health_are_joined() -> None:
    image = ContainerConfig(
        cmd=["c"],
        volumes={"/i": {}},
        labels={"a": "1", "b": "1"},
        exposed_ports={"80/tcp": {}},
        healthcheck=HealthCheck(test=["CMD", "x"], interval=5, retries=2),
    )
    own = ContainerConfig(volumes={"/o": {}}, labels={"b": "2"}, healthcheck=HealthCheck(retries=9))
    merge.over_image(own, image)
    assert own.volumes == {"/o": {}, "/i": {}}
    assert own.labels == {"a": "1", "b": "2"}
    assert own.healthcheck == HealthCheck(test=["CMD", "x"], interval=5, retries=9)
    assert image.healthcheck == HealthCheck(test=["CMD", "x"], interval=5, retries=2)


@pytest.mark.parametrize(
    ("kind", "driver", "options", "words"),
    [
        (InvalidArgument, "odd", {}, 'error looking up logging plugin odd: plugin "odd" not found'),
        (Unsupported, "gelf", {}, "logger: log driver gelf is not part of this engine yet"),
        (
            InvalidArgument,
            "json-file",
            {"colour": "red"},
            "unknown log opt 'colour' for json-file log driver",
        ),
        (InvalidArgument, "local", {"labels": "x"}, "unknown log opt 'labels' for local log driver"),
        (InvalidArgument, "json-file", {"max-size": "big"}, "invalid size: 'big'"),
        (InvalidArgument, "json-file", {"max-size": "1m", "max-file": "0"}, "max-file cannot be less than 1"),
        (InvalidArgument, "json-file", {"mode": "odd"}, "logger: logging mode not supported: odd"),
        (InvalidArgument, "json-file", {"compress": "perhaps"}, "invalid value for compress"),
    ],
)
def test_log_options_that_are_refused(
    kind: type[LodgeError], driver: str, options: dict[str, str], words: str
) -> None:
    with pytest.raises(kind) as caught:
        logging.complete(LogConfig(type=driver, config=options), Settings())
    assert caught.value.message.startswith(words)


def test_a_journal_is_refused_only_where_there_is_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    address = str(tmp_path / "socket")
    monkeypatch.setattr(journald, "SOCKET", address)
    with pytest.raises(Unsupported, match="journald is not enabled on this host"):
        logging.complete(LogConfig(type="journald"), Settings())
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.bind(address)
        log = LogConfig(type="journald")
        logging.complete(log, Settings())
    assert log.type == "journald"


def test_the_log_of_a_container() -> None:
    options = {
        "max-size": "10m",
        "max-file": "3",
        "compress": "true",
        "labels": "team",
        "env-regex": "^A",
        "tag": "{{.Name}}/{{.ID}}",
    }
    one = container(
        config={"labels": {"team": "x", "other": "y"}, "env": ["AB=1", "B=2"]},
        host={"log_config": LogConfig(type="json-file", config=options)},
        log_path="/logs/x",
    )
    assert logging.spec(one) == LogSpec(
        driver="json-file",
        path="/logs/x",
        max_size=10 << 20,
        max_files=3,
        compress=True,
        attributes={"team": "x", "AB": "1", "tag": "box/cccccccccccc"},
    )
    one.wish.host.log_config = LogConfig(type="none")
    assert logging.spec(one) is None


def test_the_engines_default_driver_and_options() -> None:
    log = LogConfig(config={"max-file": "2"})
    logging.complete(log, Settings(log_driver="local", log_options={"max-size": "1m"}))
    assert log == LogConfig(type="local", config={"max-size": "1m", "max-file": "2"})
    assert logging.path(log, "/d", "id") == "/d/local-logs/container.log"
