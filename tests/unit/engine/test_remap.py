"""User namespaces: ranges, and what goes together with them."""

from __future__ import annotations

from typing import Any

import pytest

from lodge.engine.planning import checks, launch, remap
from lodge.engine.planning.launch import Found
from lodge.engine.settings import Settings
from lodge.errors import InvalidArgument, LodgeError
from lodge.spec.container import HostConfig
from lodge.spec.runtime import IdMapping
from tests.unit.engine.samples import container, facts, wish

FILE = "# comment\nann:100000:65536\nbob:300000:1000\nbob:400000:64536\nbroken\n"


def line(inside: int, outside: int, size: int) -> IdMapping:
    return IdMapping(container_id=inside, host_id=outside, size=size)


def test_a_users_ranges_follow_each_other() -> None:
    found = remap.read("bob:ann", FILE, FILE)
    assert found.uids == (line(0, 300000, 1000), line(1000, 400000, 64536))
    assert found.gids == (line(0, 100000, 65536),)
    assert found.root == (300000, 100000)
    assert found.by_default


@pytest.mark.parametrize(("setting", "by_default"), [("", False), ("default", True)])
def test_the_default_takes_nobody_elses_ids(setting: str, by_default: bool) -> None:
    found = remap.read(setting, FILE, "")
    assert found == remap.Mappings(
        uids=(line(0, 464536, 65536),), gids=(line(0, 231072, 65536),), by_default=by_default
    )
    given = remap.read(setting, "dockremap:7000:10\n", "dockremap:8000:10\n")
    assert given.root == (7000, 8000)


def test_a_user_without_ranges_is_told() -> None:
    with pytest.raises(InvalidArgument, match="no subordinate ids are given to 'eve' in /etc/subuid"):
        remap.read("eve", FILE, FILE)


@pytest.mark.parametrize(
    ("mode", "by_default", "wanted"),
    [("", False, False), ("", True, True), ("host", True, False), ("remap", False, True)],
)
def test_who_is_remapped(mode: str, by_default: bool, wanted: bool) -> None:
    mappings = remap.read("default" if by_default else "", FILE, FILE)
    assert remap.wanted(HostConfig(userns_mode=mode), mappings) is wanted
    assert not remap.wanted(HostConfig(userns_mode=mode), remap.Mappings())


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"privileged": True}, "privileged mode is incompatible with user namespaces"),
        ({"network_mode": "host"}, "cannot share the host's network namespace when user namespaces"),
        ({"pid_mode": "host"}, "cannot share the host PID namespace when user namespaces are enabled"),
        ({"ipc_mode": "container:x"}, "a container with remapped users can't join"),
    ],
)
def test_what_it_can_not_have(given: dict[str, Any], words: str) -> None:
    remapped = facts(mappings=remap.read("default", FILE, FILE))
    with pytest.raises(LodgeError) as caught:
        checks.check(wish(**given), Settings(), remapped)
    assert caught.value.message.startswith(words)


def test_the_config_of_a_remapped_container() -> None:
    remapped = facts(mappings=remap.read("", FILE, FILE))
    one = container(host={"network_mode": "none", "userns_mode": "remap"})
    checks.check(one.wish, Settings(), remapped)
    config = launch.runtime_config(one, Found(), Settings(), remapped)
    assert config.linux is not None
    assert config.linux.namespaces[0].type == "user"
    assert config.linux.uid_mappings == list(remapped.mappings.uids)
    assert "net.ipv4.ping_group_range" not in config.linux.sysctl
    (cgroup,) = [mount for mount in config.mounts if mount.type == "cgroup"]
    assert "ro" not in cgroup.options
