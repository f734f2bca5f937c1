"""The start of the command is counted: what the verbs that scripts call in loops may import.

An interpreter starts in 10 ms here. `socket` would add 5, `json` (for its regular expressions) 8, `signal` 3,
`typing` 8. A module that is added to this list is a decision; measure it with `python -X importtime`.
"""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from lodge.wire.frames import STDOUT, encode
from tests.unit.fake_engine import FakeEngine, Reply

ID = "b" * 64
BUILT_IN = {"__future__", "_json", "_signal", "_socket", "select", "termios", "time"}
SHARED = {
    "lodge",
    "lodge.cli",
    "lodge.cli.command",
    "lodge.cli.container_flags",
    "lodge.cli.flags",
    "lodge.cli.main",
    "lodge.cli.session",
    "lodge.cli.settings",
    "lodge.cli.settings.kinds",
    "lodge.cli.signals",
    "lodge.cli.tree",
    "lodge.cli.verbs",
    "lodge.client",
    "lodge.client.address",
    "lodge.client.attach",
    "lodge.client.engine",
    "lodge.client.failures",
    "lodge.client.http1",
    "lodge.client.lean_json",
    "lodge.client.transport",
    "lodge.errors",
    "lodge.wire",
    "lodge.wire.frames",
}
RUN = {
    "lodge.cli.images",
    "lodge.cli.settings.container",
    "lodge.cli.settings.csv",
    "lodge.cli.settings.limits",
    "lodge.cli.settings.networks",
    "lodge.cli.verbs.run",
    "lodge.cli.waiting",
}
LISTS = {
    "lodge.cli.filters",
    "lodge.cli.formatting",
    "lodge.cli.human",
    "lodge.cli.table",
    "lodge.cli.verbs.ps",
}

PROBE = """
import sys
before = set(sys.modules)
from lodge.cli.main import run
code = run(sys.argv[1:])
print("\\n".join(sorted(set(sys.modules) - before)), file=sys.stderr)
raise SystemExit(code)
"""


@pytest.mark.parametrize(
    ("arguments", "more"),
    [
        (["run", "--rm", "busybox", "true"], RUN),
        (
            ["run", "--rm", "-i", "--network", "none", "-e", "A=b", "-v", "/a:/b", "busybox"],
            RUN | {"lodge.cli.settings.environment", "lodge.cli.settings.mounts"},
        ),
        (["exec", "web", "true"], {"lodge.cli.verbs.exec"}),
        (["ps"], LISTS),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_verb_imports_what_it_may_and_no_more(
    engine: FakeEngine, tmp_path: Path, arguments: list[str], more: set[str]
) -> None:
    says = Reply(status=101, hijack=lambda connection: connection.sendall(encode(STDOUT, b"")))
    for path in (f"/containers/{ID}/attach", f"/exec/{ID}/start"):
        engine.on("POST", path, says)
    engine.on("POST", "/containers/create", Reply({"Id": ID}, 201))
    engine.on("POST", f"/containers/{ID}/wait", Reply({"StatusCode": 0}))
    engine.on("POST", f"/containers/{ID}/start", Reply(status=204))
    engine.on("POST", "/containers/web/exec", Reply({"Id": ID}, 201))
    engine.on("GET", f"/exec/{ID}/json", Reply({"ExitCode": 0}))
    engine.on("GET", "/containers/json", Reply([]))
    done = subprocess.run(
        [sys.executable, "-I", "-c", PROBE, "-H", engine.host, *arguments],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        env={"DOCKER_CONFIG": "/nonexistent"},
    )
    assert done.returncode == 0, done.stderr
    imported = set(done.stderr.split())
    assert imported <= BUILT_IN | SHARED | more
    assert "lodge.cli.main" in imported
    assert threading.current_thread() is threading.main_thread()
