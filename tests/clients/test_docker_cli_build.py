"""Building with the docker command's classic builder, and with `lodge build`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.daemon import Lodged


@pytest.fixture(autouse=True)
def _classic(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_BUILDKIT", "0")


@pytest.fixture
def context(tmp_path: Path) -> Path:
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.txt").write_text("a\n")
    (tmp_path / "sub/b.txt").write_text("b\n")
    return tmp_path


@pytest.fixture
def tag(lodged: Lodged, request: pytest.FixtureRequest) -> Iterator[str]:
    name = "b-" + "".join(c if c.isalnum() else "-" for c in request.node.name)[:40].strip("-").lower()
    yield name
    lodged.docker("rmi", "-f", name, check=False)


def build(lodged: Lodged, context: Path, dockerfile: str, *words: str, check: bool = True) -> str:
    (context / "Dockerfile").write_text(dockerfile)
    done = lodged.docker("build", *words, str(context), check=check)
    return (done.stdout + (b"" if check else done.stderr)).decode()


def lodge(lodged: Lodged, *words: str, input: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "lodge", "-H", lodged.host, *words]
    return subprocess.run(
        command, input=input, capture_output=True, env=lodged.environment, timeout=60, check=False
    )


def test_an_image_comes_out_and_runs(lodged: Lodged, context: Path, tag: str) -> None:
    said = build(
        lodged, context,
        "FROM busybox\nENV WHO=world\nRUN echo hello $WHO > /greeting\nCOPY a.txt sub /files/\n"
        "WORKDIR /files\n"
        'CMD ["sh", "-c", "cat /greeting; ls"]\n',
        "-t", tag,
    )  # fmt: skip
    assert "Step 3/6 : RUN echo hello $WHO > /greeting" in said
    assert f"Successfully tagged {tag}:latest" in said
    assert lodged.out("run", "--rm", "--network", "none", tag) == "hello world\na.txt\nb.txt"
    history = lodged.out("history", "--no-trunc", "--format", "{{.CreatedBy}}", tag).splitlines()
    assert history[:5] == [
        'CMD ["sh" "-c" "cat /greeting; ls"]',
        "WORKDIR /files",
        "COPY a.txt sub /files/ # buildkit",
        "RUN /bin/sh -c echo hello $WHO > /greeting # buildkit",
        "ENV WHO=world",
    ]


def test_the_same_again_is_cached_and_the_same_image(lodged: Lodged, context: Path, tag: str) -> None:
    text = "FROM busybox\nCOPY a.txt /\nRUN date +%N > /x\n"
    build(lodged, context, text, "-t", tag)
    first = lodged.out("image", "inspect", "-f", "{{.Id}}", tag)
    os.utime(context / "a.txt", (5, 5))
    said = build(lodged, context, text, "-t", tag)
    assert said.count("Using cache") == 2
    assert lodged.out("image", "inspect", "-f", "{{.Id}}", tag) == first
    (context / "a.txt").write_text("changed\n")
    assert "Using cache" not in build(lodged, context, text, "-t", tag)


def test_a_failing_program_is_told_with_its_code(lodged: Lodged, context: Path) -> None:
    said = build(lodged, context, "FROM busybox\nRUN echo out; echo err >&2; exit 7\n", check=False)
    assert "The command '/bin/sh -c echo out; echo err >&2; exit 7' returned a non-zero code: 7" in said
    assert "out\n" in said
    done = lodge(lodged, "build", str(context))
    assert done.returncode == 1
    assert b"   2 | >>> RUN echo out" in done.stderr
    assert b"exit code: 7" in done.stderr


def test_a_mistake_has_a_line_and_a_proposal(lodged: Lodged, context: Path) -> None:
    said = build(lodged, context, "FROM busybox\nCPOY a b\n", check=False)
    assert "dockerfile parse error on line 2: unknown instruction: CPOY (did you mean COPY?)" in said


def test_a_cache_mount_lasts_and_leaves_nothing_in_the_image(lodged: Lodged, context: Path, tag: str) -> None:
    text = (
        f"FROM busybox\nARG N\nRUN --mount=type=cache,id={tag},target=/deep/er/cache "
        "echo $N >> /deep/er/cache/log && cat /deep/er/cache/log\n"
    )
    build(lodged, context, text, "-t", tag, "--build-arg", "N=1")
    said = build(lodged, context, text, "-t", tag, "--build-arg", "N=2")
    assert "1\n2\n" in said
    assert lodged.docker("run", "--rm", "--network", "none", tag, "ls", "/deep", check=False).returncode


def test_two_builds_use_one_cache_mount_one_after_the_other(lodged: Lodged, tmp_path: Path) -> None:
    said: list[str] = []
    base = "RUN --mount=type=cache,id=lockd,sharing=locked,target=/c "
    program = "test ! -e /c/busy && touch /c/busy && sleep 0.5 && rm /c/busy"

    def one(number: int) -> None:
        place = tmp_path / str(number)
        place.mkdir()
        said.append(build(lodged, place, f"FROM busybox\nENV N={number}\n{base}{program}\n", "-q"))

    threads = [threading.Thread(target=one, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [text.startswith("sha256:") for text in said] == [True, True]


def test_a_private_cache_mount_is_not_shared_at_the_same_time(lodged: Lodged, tmp_path: Path) -> None:
    said: list[str] = []
    text = (
        "FROM busybox\nENV N={}\nRUN --mount=type=cache,id=priv,sharing=private,target=/c "
        "test ! -e /c/busy && touch /c/busy && sleep 0.5 && rm /c/busy\n"
    )

    def one(number: int) -> None:
        place = tmp_path / str(number)
        place.mkdir()
        said.append(build(lodged, place, text.format(number), "-q"))

    begun = time.monotonic()
    threads = [threading.Thread(target=one, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(each.startswith("sha256:") for each in said)
    assert time.monotonic() - begun < 30


def test_secrets_reach_programs_and_no_layer(lodged: Lodged, context: Path, tag: str) -> None:
    (context / "secret").write_text("geheim")
    (context / "Dockerfile").write_text(
        'FROM busybox\nRUN --mount=type=secret,id=s test "$(cat /run/secrets/s)" = geheim\n'
        'RUN --mount=type=secret,id=s,env=S test "$S" = geheim && env > /env\n'
        "RUN ! grep -r geheim /run /etc && rm /env\n"
    )
    done = lodge(lodged, "build", "-t", tag, "--secret", f"id=s,src={context / 'secret'}", str(context))
    assert done.returncode == 0, done.stderr
    missing = "FROM busybox\nRUN --mount=type=secret,id=gone,required true\n"
    assert "secret gone: not found" in build(lodged, context, missing, check=False)


def test_stages_files_and_owners(lodged: Lodged, context: Path, tag: str) -> None:
    build(
        lodged, context,
        "FROM busybox AS one\nRUN mkdir -p /etc; echo me:x:7:8::/:/bin/sh > /etc/passwd\n"
        "RUN echo x > /x && chown 7 /x\nFROM busybox\n"
        "COPY --from=one /etc/passwd /etc/\nCOPY --from=one /x /kept\n"
        "COPY --chown=me --chmod=u=rw,go= a.txt /mine\n"
        "COPY --link sub /linked/\nCOPY <<EOF /text\nfrom the file\nEOF\n",
        "-t", tag,
    )  # fmt: skip
    listed = lodged.out(
        "run",
        "--rm",
        "--network",
        "none",
        tag,
        "stat",
        "-c",
        "%n %u %a",
        "/kept",
        "/mine",
        "/linked",
        "/text",
    )
    assert listed.splitlines() == ["/kept 7 644", "/mine 7 600", "/linked 0 755", "/text 0 644"]


def test_a_hostile_context_stays_inside(lodged: Lodged, context: Path) -> None:
    (context / "passwd").symlink_to("/etc/passwd")
    (context / "root").symlink_to("/")
    for source in ("passwd", "root/etc/passwd", "../../../../etc/passwd"):
        said = build(lodged, context, f"FROM busybox\nCOPY {source} /stolen\n", check=False)
        assert "not found" in said or "no such file" in said.lower(), said


def test_a_build_ends_with_its_client(lodged: Lodged, context: Path) -> None:
    (context / "Dockerfile").write_text("FROM busybox\nRUN echo begun; sleep 77\n")
    command = [sys.executable, "-m", "lodge", "-H", lodged.host, "build", "--progress=plain", str(context)]
    client = subprocess.Popen(command, stderr=subprocess.PIPE, env=lodged.environment)
    assert client.stderr is not None
    for line in client.stderr:
        if b"begun" in line and b"RUN" not in line:
            break
    client.send_signal(signal.SIGKILL)
    client.wait()
    client.stderr.close()
    deadline = time.monotonic() + 10
    while _sleeping() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _sleeping()


def _sleeping() -> bool:
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if entry.read_bytes() == b"sleep\x0077\x00":
                return True
        except OSError:
            continue
    return False


def test_outputs_of_the_lodge_command(lodged: Lodged, context: Path, tmp_path: Path) -> None:
    (context / "Dockerfile").write_text("FROM scratch\nCOPY a.txt /only\n")
    out = tmp_path / "out"
    assert lodge(lodged, "build", "-q", "-o", str(out), str(context)).returncode == 0
    assert (out / "only").read_text() == "a\n"
    archive = tmp_path / "image.tar"
    assert lodge(lodged, "build", "-q", "-o", f"type=docker,dest={archive}", str(context)).returncode == 0
    assert "Loaded image" in lodged.out("load", "-i", str(archive))


def test_source_date_epoch_makes_the_same_image_twice(lodged: Lodged, context: Path, tag: str) -> None:
    text = "FROM busybox\nCOPY a.txt /x/\nRUN echo hi > /y && mkdir /z\nWORKDIR /w\n"
    ids = []
    for _ in range(2):
        words = ("-q", "--no-cache", "--build-arg", "SOURCE_DATE_EPOCH=1700000000", "-t", tag)
        ids.append(build(lodged, context, text, *words).strip())
        os.utime(context / "a.txt")
    assert ids[0] == ids[1]
    assert json.loads(lodged.out("image", "inspect", tag))[0]["Created"].startswith("2023-11-14T22:13:20")


def test_the_cache_is_listed_and_pruned(lodged: Lodged, context: Path) -> None:
    said = build(lodged, context, "FROM busybox\nRUN dd if=/dev/zero of=/big bs=1M count=3\n", "-q").strip()
    lodged.docker("rmi", said)
    assert "Build Cache" in lodged.out("system", "df")
    done = lodge(lodged, "builder", "prune", "-a", "-f")
    assert b"Total reclaimed space" in done.stdout
    assert b"Total reclaimed space: 0B" not in done.stdout
    usage = lodged.out("system", "df", "--format", "{{.Type}} {{.TotalCount}}")
    assert "Build Cache 0" in usage


def test_checks(lodged: Lodged, context: Path) -> None:
    (context / "Dockerfile").write_text("FROM busybox as x\nCMD echo\n")
    done = lodge(lodged, "build", "--check", str(context))
    assert done.returncode == 1
    assert b"FromAsCasing" in done.stdout
    assert b"JSONArgsRecommended" in done.stdout


def test_cache_mounts_are_carried_around(lodged: Lodged, context: Path, tmp_path: Path) -> None:
    text = "FROM busybox\nARG N\nRUN --mount=type=cache,id=carried,target=/c echo $N >> /c/log; cat /c/log\n"
    build(lodged, context, text, "--build-arg", "N=first")
    assert b"carried" in lodge(lodged, "builder", "mounts").stdout
    archive = tmp_path / "cache.tar"
    assert lodge(lodged, "builder", "export", "-o", str(archive), "carried").returncode == 0
    assert lodge(lodged, "builder", "prune", "-af").returncode == 0
    assert b"carried" not in lodge(lodged, "builder", "mounts").stdout
    assert lodge(lodged, "builder", "import", "-i", str(archive), "carried").returncode == 0
    assert "first\nsecond\n" in build(lodged, context, text, "--build-arg", "N=second")
    missing = lodge(lodged, "builder", "export", "-o", str(archive), "nothing")
    assert b"there is no cache with the id" in missing.stderr
    assert lodge(lodged, "builder", "import", "carried", input=b"no tar" * 200).returncode == 1
    assert "second\nthird\n" in build(lodged, context, text, "--build-arg", "N=third")


def test_cached_steps_travel_in_an_image(lodged: Lodged, context: Path, tmp_path: Path, tag: str) -> None:
    text = "FROM busybox\nRUN date +%N > /first\nCOPY a.txt /\nRUN date +%N > /second\nENV A=1\n"
    build(lodged, context, text, "-t", tag, "--build-arg", "BUILDKIT_INLINE_CACHE=1")
    archive = tmp_path / "image.tar"
    lodged.docker("save", "-o", str(archive), tag)
    lodged.docker("rmi", tag)
    lodge(lodged, "builder", "prune", "-af")
    assert "Using cache" not in build(lodged, context, text.replace("first", "other"), "-q", "-t", tag)
    lodged.docker("rmi", tag)
    lodge(lodged, "builder", "prune", "-af")
    lodged.docker("load", "-i", str(archive))
    (context / "Dockerfile").write_text(text)
    done = lodge(lodged, "build", "--progress=plain", "--cache-from", tag, "-t", "again", str(context))
    assert done.stderr.count(b"CACHED") == 3, done.stderr
    names = lodged.out("run", "--rm", "--network", "none", "again", "cat", "/first", "/second")
    assert names == lodged.out("run", "--rm", "--network", "none", tag, "cat", "/first", "/second")
    (context / "a.txt").write_text("changed")
    done = lodge(lodged, "build", "--progress=plain", "--cache-from", tag, str(context))
    assert done.stderr.count(b"CACHED") == 1
    assert lodge(lodged, "build", "-q", "--cache-from", "nothing:here", str(context)).returncode == 0
    lodged.docker("rmi", "again")
