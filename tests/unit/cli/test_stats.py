"""What samples mean: CPU, memory, networks, blocks; and the table."""

import json

import pytest

from lodge.cli.verbs.stats import block_bytes, cpu_percent, memory, network_bytes
from tests.unit.cli.conftest import Lodge
from tests.unit.fake_engine import FakeEngine, Reply, refusal

SAMPLE = {
    "id": "a" * 64,
    "name": "/web",
    "cpu_stats": {"cpu_usage": {"total_usage": 300}, "system_cpu_usage": 2000, "online_cpus": 2},
    "precpu_stats": {"cpu_usage": {"total_usage": 100}, "system_cpu_usage": 1000},
    "memory_stats": {"usage": 3 << 20, "limit": 64 << 20, "stats": {"inactive_file": 1 << 20}},
    "networks": {"eth0": {"rx_bytes": 1000, "tx_bytes": 20}, "eth1": {"rx_bytes": 500, "tx_bytes": 1}},
    "blkio_stats": {
        "io_service_bytes_recursive": [
            {"op": "Read", "value": 4096},
            {"op": "write", "value": 10},
            {"op": "Sync", "value": 9},
        ]
    },
    "pids_stats": {"current": 3},
}


def test_cpu_is_in_per_cent_of_one() -> None:
    assert cpu_percent(SAMPLE) == pytest.approx(40.0)
    assert cpu_percent({**SAMPLE, "precpu_stats": SAMPLE["cpu_stats"]}) == 0.0
    assert cpu_percent({}) == 0.0


@pytest.mark.parametrize(
    ("details", "used"),
    [
        ({}, 100),
        ({"inactive_file": 30}, 70),
        ({"total_inactive_file": 40, "inactive_file": 1}, 60),
        ({"inactive_file": 200}, 100),
    ],
)
def test_memory_is_without_cache_that_can_be_taken_back(details: dict[str, int], used: int) -> None:
    assert memory({"memory_stats": {"usage": 100, "limit": 500, "stats": details}}) == (used, 500)


def test_bytes() -> None:
    assert network_bytes(SAMPLE) == (1500, 21)
    assert block_bytes(SAMPLE) == (4096, 10)
    assert network_bytes({}) == block_bytes({}) == (0, 0)


def test_one_sample(lodge: Lodge, engine: FakeEngine) -> None:
    engine.on("GET", "/containers/json", Reply([{"Id": "a" * 64}]))
    engine.on("GET", f"/containers/{'a' * 64}/stats", Reply(SAMPLE))
    result = lodge("stats", "--no-stream")
    row = "aaaaaaaaaaaa web 40.00% 2MiB / 64MiB 3.12% 1.5kB / 21B 4.1kB / 10B 3"
    assert " ".join(result.out.splitlines()[1].split()) == row
    row = json.loads(lodge("stats", "--no-stream", "--format", "json").out)
    assert (row["PIDs"], row["ID"]) == ("3", "aaaaaaaaaaaa")


def test_a_stream_is_drawn_until_it_ends(lodge: Lodge, engine: FakeEngine) -> None:
    lines = (json.dumps(SAMPLE) + "\n").encode()
    engine.on("GET", "/containers/web/stats", Reply(raw=lines))
    assert lodge("stats", "web").code == 0


def test_a_missing_container(lodge: Lodge, engine: FakeEngine) -> None:
    engine.on("GET", "/containers/nope/stats", refusal(404, "No such container: nope"))
    result = lodge("stats", "--no-stream", "nope")
    assert (result.code, result.out) == (1, "")
    assert result.err == "Error response from daemon: No such container: nope\n"
