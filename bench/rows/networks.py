"""Networks: what they cost a start, what goes through them, and whether anything is left of many."""

import contextlib
import json
import os
import subprocess
import time
from collections.abc import Iterator
from functools import partial

from bench.engine_client import EngineClient
from bench.frame import Measured, Target, interleave, milliseconds, row
from bench.networked import Town, end, has, towns
from bench.subjects import Subjects

_PORTS = ("-p", "18081:81", "-p", "18082:82", "-p", "18083:83/udp")
_STREAMS = (1, 32)
_CHURN = 300


def _spawn(town: Town, words: list[str]) -> None:
    done = subprocess.run(
        [*town.engine.command, *words], env=town.engine.environment, capture_output=True, check=False
    )
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr.decode()}"


def _wanted(subjects: Subjects) -> set[str]:
    return set(subjects.engines())


def _runs(found: dict[str, Town], options: list[str], rounds: int) -> dict[str, list[float]]:
    words = ["run", "--rm", *options, "busybox", "true"]
    return interleave(
        {name: partial(milliseconds, _spawn, town, words) for name, town in found.items()}, rounds, warm_up=2
    )


@row("network-run")
def network_run(subjects: Subjects) -> list[Measured]:
    """The default bridge, and two networks with three ports, as whole commands."""
    rounds = subjects.rounds * 5
    with towns(subjects.scratch, _wanted(subjects)) as found:
        for town in found.values():
            for name in ("one", "two"):
                _spawn(town, ["network", "create", name])
        bridge = _runs(found, [], rounds)
        several = _runs(found, ["--network", "one", "--network", "two", *_PORTS], rounds)
        ours = {name: town for name, town in found.items() if name == "lodge"}
        alone = interleave(
            {
                "bridge": partial(_run_once, ours, []),
                "none": partial(_run_once, ours, ["--network", "none"]),
            },
            rounds if ours else 0,
            warm_up=2 if ours else 0,
        )
    extra = [with_it - without for with_it, without in zip(alone["bridge"], alone["none"], strict=True)]
    return [
        Measured("`run --rm busybox true` on the default bridge", "ms", Target(1 / 8), "docker", bridge),
        Measured("the same above `--network none`", "ms", Target(value=8), "docker", {"lodge": extra}),
        Measured("`run` with two networks and three ports", "ms", Target(1 / 8), "docker", several),
    ]


def _run_once(found: dict[str, Town], options: list[str]) -> float:
    return milliseconds(_spawn, found["lodge"], ["run", "--rm", *options, "busybox", "true"])


@contextlib.contextmanager
def _pair(town: Town) -> Iterator[tuple[int, int, str]]:
    """Two containers on the default bridge: their pids, and the first one's address."""
    client = town.engine.client()
    made: list[str] = []
    try:
        for _ in range(2):
            ports = {} if made else {"5201/tcp": [{"HostPort": "15201"}]}
            # Docker publishes only what is exposed too.
            body = {
                "Image": "busybox",
                "Cmd": ["sleep", "3600"],
                "ExposedPorts": {port: {} for port in ports},
                "HostConfig": {"NetworkMode": "bridge", "PortBindings": ports},
            }
            made.append(client.call("POST", "/containers/create", body)["Id"])
            client.start(made[-1])
        shown = [client.call("GET", f"/containers/{one}/json") for one in made]
        address = shown[0]["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]
        yield shown[0]["State"]["Pid"], shown[1]["State"]["Pid"], address
    finally:
        for one in made:
            client.remove(one, force=True)
        client.close()


def _iperf(command: list[str]) -> float:
    """Gigabits a second that the receiver saw."""
    done = subprocess.run(command, capture_output=True, check=True, timeout=60)
    said = json.loads(done.stdout)
    assert "sum_received" in said["end"], said.get("error", said)
    return float(said["end"]["sum_received"]["bits_per_second"]) / 1e9


@row("network-throughput")
def throughput(subjects: Subjects) -> list[Measured]:
    """iperf3 of the host inside the containers' networks: between two, and through a published port."""
    if not has("iperf3"):
        raise RuntimeError("iperf3 is not installed here (apt-get install iperf3)")
    lines: list[Measured] = []
    with contextlib.ExitStack() as stack:
        found = stack.enter_context(towns(subjects.scratch, _wanted(subjects)))
        pairs = {name: stack.enter_context(_pair(town)) for name, town in found.items()}
        for name, town in found.items():
            server = subprocess.Popen(
                town.inside("iperf3", "-s", pid=pairs[name][0]), stdout=subprocess.DEVNULL
            )
            stack.callback(end, server)
        time.sleep(0.3)
        for streams in _STREAMS:
            measure = ["iperf3", "-J", "-t", "2", "-P", str(streams), "-c"]
            inner = {
                name: partial(_iperf, town.inside(*measure, pairs[name][2], pid=pairs[name][1]))
                for name, town in found.items()
            }
            outer = {
                name: partial(_iperf, town.inside(*measure, "127.0.0.1", "-p", "15201"))
                for name, town in found.items()
            }
            target = Target(ratio=1, more_is_better=True)
            for what, actions in (("container to container", inner), ("through a published port", outer)):
                samples = interleave(actions, max(3, subjects.rounds))
                lines.append(Measured(f"{what}, {streams} streams", "Gbit/s", target, "docker", samples))
    return lines


@row("network-churn")
def churn(subjects: Subjects) -> list[Measured]:
    """Networked containers made, run and removed; the last hundred against the first, and what is left."""
    with towns(subjects.scratch, {"lodge"}) as found:
        town = found["lodge"]
        client = town.engine.client()
        # The first one makes what stays: the bridge, the tables, what is pooled.
        milliseconds(_one_life, client)
        time.sleep(1)
        before = _things(town)
        times = [milliseconds(_one_life, client) for _ in range(_CHURN * subjects.rounds)]
        client.close()
        time.sleep(1)
        after = _things(town)
    left = {name: after[name] - before[name] for name in after}
    assert max(left.values()) <= 8, f"left behind: {left}"
    notes = f"left: {left}"
    return [
        Measured("a networked container made and removed, first 100", "ms", Target(), "docker",
                 {"lodge": times[:100]}, notes),
        Measured("the same, last 100", "ms", Target(), "docker", {"lodge": times[-100:]}, notes),
    ]  # fmt: skip


def _one_life(client: EngineClient) -> None:
    box = client.create(["true"], NetworkMode="bridge")
    client.start(box)
    client.call("POST", f"/containers/{box}/wait")
    client.remove(box)


def _things(town: Town) -> dict[str, int]:
    """How many links, rules and descriptors there are."""
    listed = subprocess.run(town.inside("ip", "-o", "link"), capture_output=True, check=True).stdout
    rules = subprocess.run(town.inside("nft", "list", "ruleset"), capture_output=True, check=False).stdout
    return {
        "links": len(listed.splitlines()),
        "rules": len(rules.splitlines()),
        "descriptors": len(os.listdir(f"/proc/{town.engine.pid}/fd")),
    }
