"""What scripts read off the docker command: exact words, exit codes, names in lists, the order of events.

Each was a difference to Docker Engine once, found by running the same command against both.
"""

from __future__ import annotations

import json
import time

import pytest

from tests.clients.daemon import Lodged

RUN = ("run", "--rm", "--network", "none")
FAILED = (
    "failed to create task for container: failed to create shim task: OCI runtime create failed: "
    "runc create failed: unable to start container process: error during container init: "
)
LINKS = "can't be used with links. This would result in undefined behavior"


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (
            ("--network", "container:nobody"),
            "joining network namespace of container: No such container: nobody",
        ),
        (("--link", "nobody"), "could not get container for nobody: No such container: nobody"),
        (("--pid", "container:nobody"), "No such container: nobody"),
        (("--ipc", "container:nobody"), "No such container: nobody"),
        (("--volumes-from", "nobody"), "No such container: nobody"),
        (("--network", "host", "--link", "x"), f"conflicting options: host type networking {LINKS}"),
        (("--tmpfs", "/x:bogus"), 'invalid tmpfs option "bogus"'),
        (("--tmpfs", "rel"), "invalid mount path: 'rel' mount path must be absolute"),
        (("--isolation", "bogus"), "invalid isolation (bogus): linux only supports 'default'"),
        (("--log-driver", "bogus"), 'error looking up logging plugin bogus: plugin "bogus" not found'),
    ],
)
def test_a_wish_that_is_refused_pulls_nothing(lodged: Lodged, words: tuple[str, ...], text: str) -> None:
    done = lodged.docker("run", "--rm", *words, "busybox", "true", check=False)
    assert done.returncode == 125
    assert done.stderr.decode().splitlines()[0] == f"docker: Error response from daemon: {text}"


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        ("nosuch", 127, 'exec: "nosuch": executable file not found in $PATH'),
        ("/nosuch", 127, 'exec: "/nosuch": stat /nosuch: no such file or directory'),
        ("/etc", 126, 'exec: "/etc": is a directory: permission denied'),
        ("/etc/passwd", 126, 'exec: "/etc/passwd": permission denied'),
    ],
)
def test_programs_that_do_not_start(lodged: Lodged, name: str, words: str, code: int, text: str) -> None:
    done = lodged.docker(*RUN, "busybox", words, check=False)
    assert (done.returncode, done.stderr.decode().splitlines()[0]) == (
        code,
        f"docker: Error response from daemon: {FAILED}{text}",
    )
    lodged.docker("run", "-d", "--name", name, "--network", "none", "busybox", "sleep", "100")
    said = f"OCI runtime exec failed: exec failed: unable to start container process: {text}"
    attached = lodged.docker("exec", name, words, check=False)
    assert (attached.returncode, attached.stdout.decode().strip()) == (code, said)
    detached = lodged.docker("exec", "-d", name, words, check=False)
    assert detached.stderr.decode().strip() == f"Error response from daemon: {said}"


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (
            ("ps", "-f", "status=bogus"),
            "invalid filter 'status=bogus': invalid value for state (bogus): must be one of",
        ),
        (
            ("ps", "-f", "health=bogus"),
            "invalid filter 'health=bogus': invalid value for health (bogus): must be one",
        ),
        (("images", "-f", "dangling=maybe"), "invalid filter 'dangling=[maybe]'"),
        (("images", "-f", "until=bogus"), 'failed to parse value as time or duration: "bogus"'),
        (("kill", "nobody"), "cannot kill container: nobody: No such container: nobody"),
        (("volume", "create", "x"), "create x: volume name is too short, names should be at least two"),
        (
            ("image", "inspect", "--platform", "linux/s390x", "busybox"),
            "image with reference busybox:latest was found but its platform (linux/amd64) does not match",
        ),
    ],
)
def test_errors(lodged: Lodged, words: tuple[str, ...], text: str) -> None:
    done = lodged.docker(*words, check=False)
    assert done.returncode == 1
    assert f"Error response from daemon: {text}" in done.stderr.decode()


def test_errors_of_names(lodged: Lodged, name: str) -> None:
    lodged.docker("create", "--name", name, "--network", "none", "busybox", "true")
    taken = lodged.docker("rename", name, "bad name", check=False)
    assert b"Error when allocating new name: Invalid container name" in taken.stderr
    link = lodged.docker("rm", "-f", "--link", name, check=False)
    assert (link.returncode, b"cannot remove the default link name of the container" in link.stderr) == (
        1,
        True,
    )


def test_namespaces_of_a_container_that_does_not_run(lodged: Lodged, name: str) -> None:
    made = lodged.out("create", "--name", name, "--network", "none", "busybox", "true")
    for kind, text in (
        ("network", f"cannot join network namespace of a non running container: container {name} is created"),
        ("pid", f"failed to join PID namespace: container {made} is not running"),
    ):
        done = lodged.docker("run", "--rm", f"--{kind}", f"container:{name}", "busybox", "true", check=False)
        first = done.stderr.decode().splitlines()[0]
        assert (done.returncode, first) == (125, f"docker: Error response from daemon: {text}")


def test_an_image_whose_name_went_on_is_listed_by_its_id(lodged: Lodged, name: str) -> None:
    made = lodged.out(
        "import",
        "-c",
        "CMD sleep 100",
        "-",
        f"{name}:1",
        input=lodged.docker("export", _busy(lodged, name)).stdout,
    )
    lodged.docker("rm", name)
    lodged.docker("create", "--name", name, "--network", "none", f"{name}:1")
    try:
        assert lodged.out("ps", "-a", "-f", f"name={name}", "--format", "{{.Image}}") == f"{name}:1"
        assert "ArgsEscaped" not in json.loads(lodged.out("inspect", "-f", "{{json .Config}}", f"{name}:1"))
        lodged.docker("tag", "busybox", f"{name}:1")
        short = made.removeprefix("sha256:")[:12]
        assert lodged.out("ps", "-a", "-f", f"name={name}", "--format", "{{.Image}}") == short
        assert lodged.out("ps", "-aq", "-f", f"name={name}", "-f", f"ancestor={name}:1") == ""
        assert lodged.out("ps", "-aq", "-f", f"name={name}", "-f", f"ancestor={short}") != ""
    finally:
        lodged.docker("rm", "-f", name)
        lodged.docker("rmi", f"{name}:1", made, check=False)


def _busy(lodged: Lodged, name: str) -> str:
    lodged.docker("create", "--name", name, "--network", "none", "busybox", "true")
    return name


def test_events_of_volumes_and_images(lodged: Lodged, name: str) -> None:
    since = str(time.time())
    lodged.docker("run", "--name", name, "--network", "none", "-v", f"{name}:/x", "busybox", "true")
    image = lodged.out("commit", name, f"{name}:made")
    lodged.docker("load", input=lodged.docker("save", f"{name}:made").stdout)
    lodged.docker("rmi", f"{name}:made")
    shape = "{{.Type}} {{.Action}} {{json .Actor}}"
    lines = lodged.out(
        "events", "--since", since, "--until", str(time.time()), "--format", shape
    ).splitlines()
    seen = [tuple(line.split(" ", 2)) for line in lines]
    mine = [(kind, action) for kind, action, actor in seen if name in actor or image in actor]
    assert [one for one in mine if one[0] == "volume"] == [
        ("volume", "create"),
        ("volume", "mount"),
        ("volume", "unmount"),
    ]
    order = [
        mine.index(one)
        for one in (("volume", "mount"), ("container", "start"), ("volume", "unmount"), ("container", "die"))
    ]
    assert order == sorted(order)
    mounted = next(json.loads(actor) for kind, action, actor in seen if (kind, action) == ("volume", "mount"))
    assert mounted["Attributes"] | {"container": ""} == {
        "container": "", "destination": "/x", "driver": "local", "propagation": "", "read/write": "true",
    }  # fmt: skip
    assert [action for kind, action in mine if kind == "image"] == [
        "create",
        "tag",
        "save",
        "load",
        "untag",
        "delete",
    ]


def test_figures_of_a_container_that_does_not_run(lodged: Lodged, name: str) -> None:
    lodged.docker("create", "--name", name, "--network", "none", "busybox", "true")
    line = lodged.out(
        "stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}} {{.BlockIO}} {{.PIDs}}", name
    )
    assert line == f"{name} 0B / 0B 0B / 0B 0"
