"""Flags and daemon.json: read, joined, refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodge.daemon import config, flags
from lodge.daemon.main import main
from lodge.daemon.options import BY_NAME, OPTIONS, usage
from lodge.errors import InvalidArgument, LodgeError


def load(*words: str, file: Path | None = None, content: Any = None) -> config.Config:
    arguments = list(words)
    if file is not None:
        file.write_text(content if isinstance(content, str) else json.dumps(content))
        arguments += ["--config-file", str(file)]
    else:
        arguments += ["--config-file", "/dev/null"]
    return config.load(flags.parse(arguments))


def test_every_spelling_of_a_flag() -> None:
    found = load("-H", "unix:///a", "-Htcp://127.0.0.1:1", "--host=fd://", "-D", "--init=false", "-l=warn")
    assert found.hosts == ["unix:///a", "tcp://127.0.0.1:1", "fd://"]
    assert found.debug
    assert not found.init
    assert found.log_level == "warn"
    assert found.level == "debug"


def test_kinds_of_values() -> None:
    found = load(
        "--default-ulimit", "nofile=1024:2048", "--default-shm-size", "64m", "--log-opt", "max-size=1m",
        "--add-runtime", "crun=/usr/bin/crun", "--label", "a=b", "--cgroup-parent=/x",
    )  # fmt: skip
    settings = found.settings()
    assert (settings.ulimits[0].name, settings.ulimits[0].hard) == ("nofile", 2048)
    assert settings.shm_size == 64 << 20
    assert settings.log_options == {"max-size": "1m"}
    assert settings.runtimes["crun"].path == "/usr/bin/crun"
    assert settings.cgroup_parent == "/x"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--nope"], "unknown flag: --nope"),
        (["--debg"], "unknown flag: --debg"),
        (["-Z"], "unknown shorthand flag: 'Z' in -Z"),
        (["x"], '"lodged" accepts no arguments.'),
        (["--data-root"], "flag needs an argument: --data-root"),
        (["--debug=maybe"], 'invalid argument "maybe" for "--debug" flag: strconv.ParseBool'),
        (["--default-ulimit", "nofile"], "invalid ulimit argument: nofile"),
        (["--default-shm-size", "x"], "invalid size: 'x'"),
        (["--add-runtime", "x"], "invalid runtime"),
        (["--bip", "10.0.0.300/24"], "invalid CIDR address: 10.0.0.300/24"),
        (["--bip", "10.0.0.1/24", "-b", "br0"], "you specified -b & --bip, mutually exclusive options."),
        (["--mtu=-1"], "invalid default MTU: -1"),
        (["--icc=false", "--iptables=false"], "you specified --iptables=false with --icc=false"),
        (["--publish-mode", "magic"], "invalid publish mode: magic"),
        (["--default-address-pool", "10.0.0.0/8"], "invalid pool, it is written as base="),
        (["--default-network-opt", "bridge"], "invalid key value pair format"),
        (["--userland-proxy-path", "/x"], "the proxy is part of this engine"),
        (["--authorization-plugin", "x"], "plugins are not offered"),
        (["--live-restore=false"], "live-restore=False can't be served"),
        (["--default-runtime", "crun"], 'specified default runtime "crun" does not exist'),
        (["--add-runtime", "runc=/usr/bin/runc"], "runtime name 'runc' is reserved"),
        (["--log-level", "loud"], "invalid logging level: loud"),
        (["--label", "x"], "bad attribute format: x"),
        (["--label", "a=1", "--label", "a=2"], "conflict labels for a=1 and a=2"),
        (["--data-root", "x"], "data-root must be an absolute path: x"),
        (["--min-api-version", "1.10"], "client version 1.10 is too old"),
    ],
)
def test_refused(words: list[str], message: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        config.load(flags.parse(["--config-file", "/dev/null", *words]))
    assert message in caught.value.message


def test_what_is_so_anyway_may_be_asked() -> None:
    load("--iptables=false", "--bridge=none", "--live-restore", "--storage-driver", "overlay2")
    load("--exec-opt", "native.cgroupdriver=cgroupfs", "--userland-proxy=false")


def test_networks() -> None:
    found = load(
        "--bip=10.1.0.1/16",
        "--fixed-cidr=10.1.2.0/24",
        "--default-address-pool=base=10.8.0.0/13,size=24",
        "--default-address-pool=base=10.16.0.0/13,size=24",
        "--default-network-opt=bridge=com.docker.network.driver.mtu=1400",
        "--icc=false",
        "--ip=127.0.0.1",
        "--userland-proxy=false",
        "--publish-mode=proxy",
    )
    network = found.settings().network
    assert (network.bip, network.fixed_cidr, network.bind_address) == (
        "10.1.0.1/16",
        "10.1.2.0/24",
        "127.0.0.1",
    )
    assert [(pool.base, pool.size) for pool in network.pools] == [("10.8.0.0/13", 24), ("10.16.0.0/13", 24)]
    assert network.options == {"bridge": {"com.docker.network.driver.mtu": "1400"}}
    assert (network.icc, network.proxy, network.publish) == (False, False, "proxy")


def test_networks_of_a_file(tmp_path: Path) -> None:
    content = {
        "default-address-pools": [{"base": "10.8.0.0/13", "size": 24}],
        "default-network-opts": {"bridge": {"a": "b"}},
        "bridge": "none",
    }
    network = load(file=tmp_path / "d.json", content=content).settings().network
    assert network.pools[0].base == "10.8.0.0/13"
    assert (network.options, network.bridge) == ({"bridge": {"a": "b"}}, "none")


def test_mistyped_flags_get_a_hint() -> None:
    with pytest.raises(InvalidArgument) as caught:
        flags.parse(["--debg"])
    assert caught.value.hint == "did you mean --debug?"


def test_file(tmp_path: Path) -> None:
    content = {
        "hosts": ["unix:///x"],
        "runtimes": {"crun": {"path": "/c", "runtimeArgs": ["-a"]}},
        "default-ulimits": {"nofile": {"Name": "nofile", "Hard": 5, "Soft": 4}},
        "default-shm-size": "1g",
        "features": {"buildkit": True},
    }
    found = load("--add-runtime", "youki=/r", file=tmp_path / "d.json", content=content)
    assert set(found.runtimes) == {"crun", "youki"}
    assert found.settings().shm_size == 1 << 30
    assert found.settings().runtimes["crun"].arguments == ("-a",)
    assert "buildkit" in found.warnings[0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"debgu": True}, "the following directives don't match any configuration option: debgu"),
        ({"validate": True}, "don't match any configuration option: validate"),
        ({"debug": "yes"}, "Expected `bool`, got `str` - at `$.debug`"),
        ({"ip": "nowhere"}, "IP address is not correctly formatted: nowhere"),
        ({"proxies": {"socks": "x"}}, "unknown setting in proxies: 'socks'"),
        ("{", "invalid JSON"),
        ("[]", "must be a JSON object"),
    ],
)
def test_bad_files(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        load(file=tmp_path / "d.json", content=content)
    assert message in caught.value.message
    assert "unable to configure the daemon with file" in caught.value.message


def test_flag_and_file_at_odds(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument) as caught:
        load(
            "--debug", "--label", "a=b", file=tmp_path / "d.json", content={"debug": False, "labels": ["c=d"]}
        )
    assert (
        "specified both as a flag and in the configuration file: debug: (from flag: True"
        in caught.value.message
    )


def test_missing_files() -> None:
    assert config.read_file("/nonexistent/daemon.json", must_exist=False) == {}
    with pytest.raises(LodgeError, match="no such file or directory"):
        config.load(flags.parse(["--config-file", "/nonexistent/daemon.json"]))


def test_program(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--validate", "--config-file", "/dev/null"]) == 0
    assert capsys.readouterr().out == "configuration OK\n"
    assert main(["--nope"]) == 125
    assert "unknown flag" in capsys.readouterr().err
    assert main(["--bip", "x", "--config-file", "/dev/null"]) == 1
    assert main(["--help"]) == 0
    assert "--data-root" in capsys.readouterr().out
    assert main(["-v"]) == 0


def test_table_is_consistent() -> None:
    assert len({option.name for option in OPTIONS}) == len(OPTIONS)
    shorts = [option.short for option in OPTIONS if option.short]
    assert len(set(shorts)) == len(shorts)
    served = {
        option.file_key
        for option in OPTIONS
        if not option.lacks and option.file_key not in config.NOT_IN_FILES
    }
    fields = {name.replace("_", "-") for name in config.Config.__struct_fields__} - {"warnings"}
    assert served - {"raw-logs"} == fields
    assert all(option.help for option in OPTIONS if not option.lacks)
    assert "--tlsverify" in usage()


@given(st.lists(st.text(max_size=12) | st.sampled_from([f"--{name}" for name in BY_NAME]), max_size=4))
def test_never_another_error(words: list[str]) -> None:
    try:
        flags.parse(words)
    except LodgeError:
        pass
