"""What users do with a container beside running it: attach, exec, logs, copies, mounts, volumes, commits."""

from __future__ import annotations

import asyncio
import io
import os
import tarfile
from pathlib import Path

import pytest

from lodge.engine.models import AttachQuery, ExecWish
from lodge.errors import Conflict, Forbidden, InvalidArgument, NotFound, StartFailed, Unsupported
from lodge.spec.container import LogConfig, MountPoint, VolumeOptions
from tests.privileged.engine.conftest import Client, Scene, Stage


def archive(**files: bytes) -> io.BytesIO:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    buffer.seek(0)
    return buffer


def read_all(fd: int) -> bytes:
    with os.fdopen(fd, "rb") as pipe:
        return pipe.read()


def test_attaching_to_what_has_ended_tells_its_past_and_ends(stage: Stage) -> None:
    async def scene(on: Scene) -> None:
        box = await on.create("echo", "was here")
        await on.containers.start(box)
        await (await on.containers.wait(box, "not-running"))
        for logs, expected in ((True, b"was here\n"), (False, b"")):
            client = Client()
            query = AttachQuery(stdout=True, stderr=True, logs=logs, stream=False)
            (await on.containers.attach(box, query, framed=False))(client)
            assert (await client.output())[-len(b"was here\n") :] == expected

    stage.play(scene)


def test_input_and_output_of_an_attached_program(stage: Stage) -> None:
    async def scene(on: Scene) -> None:
        box = await on.create("cat", config={"open_stdin": True, "stdin_once": True})
        client = Client(sent=b"hello\n" * 1000)
        query = AttachQuery(stdin=True, stdout=True, stderr=True, stream=True)
        (await on.containers.attach(box, query, framed=False))(client)
        end = await on.containers.wait(box, "next-exit")
        await on.containers.start(box)
        assert (await end).exit_code == 0
        assert await client.output() == b"hello\n" * 1000

    stage.play(scene)


def test_a_client_that_never_saw_a_start_is_let_go(stage: Stage) -> None:
    async def scene(on: Scene) -> None:
        box = await on.create("true")
        query = AttachQuery(stdout=True, stream=True)
        client = Client()
        (await on.containers.attach(box, query, framed=True))(client)
        await on.containers.remove(box, force=False, volumes=False, link=False)
        assert await client.output() == b""

    stage.play(scene)


def test_a_terminal(stage: Stage) -> None:
    async def scene(on: Scene) -> None:
        code, text = await on.run(
            "sh", "-c", "tty; stty size; echo $TERM", config={"tty": True}, console_size=[33, 77]
        )
        assert code == 0
        assert text.splitlines() == ["/dev/pts/0", "33 77", "xterm"]

    stage.play(scene)


def test_execs(stage: Stage) -> None:
    async def scene(on: Scene) -> None:
        box = await on.started(config={"env": ["A=b"], "working_dir": "/tmp"})
        assert await on.exec(box, "sh", "-c", "echo $A$B; pwd; exit 6", env=["B=c"]) == (6, "bc\n/tmp\n")
        assert (await on.exec(box, "id", "-u", user="12"))[1] == "12\n"
        code, text = await on.exec(box, "nosuch")
        assert code == 127
        assert "OCI runtime exec failed: exec failed: unable to start container process" in text
        made = await on.execs.create(box, ExecWish(command=["touch", "/made"]))
        ended = on.execs.end_of(made.id)
        await on.execs.start(made.id, detach=True, terminal=None, window=None, framed=True)
        assert await ended == 0
        with pytest.raises(Conflict, match="has already run"):
            await on.execs.start(made.id, detach=True, terminal=None, window=None, framed=True)
        assert (await on.containers.stat_path(box, "/made")).size == 0
        bad = await on.execs.create(box, ExecWish(command=["nosuch"]))
        with pytest.raises(StartFailed):
            await on.execs.start(bad.id, detach=True, terminal=None, window=None, framed=True)
        assert (await on.execs.get(bad.id)).exit_code == 127
        with pytest.raises(NotFound, match="No such exec instance: zz"):
            await on.execs.get("zz")
        await on.containers.kill(box, "KILL")
        with pytest.raises(Conflict, match=f"container {box} is not running"):
            await on.execs.create(box, ExecWish(command=["true"]))

    stage.play(scene)


def test_logs_and_following_them(stage: Stage) -> None:
    async def scene(on: Scene) -> None:
        box = await on.started("sh", "-c", "echo one; echo two >&2; sleep 0.3; echo three")
        followed = await asyncio.wait_for(on.log(box, follow=True), 10)
        assert followed == (b"\x01\0\0\0\0\0\0\x04one\n\x02\0\0\0\0\0\0\x04two\n\x01\0\0\0\0\0\0\x06three\n")
        assert await on.log(box, tail=1, stdout=True, stderr=False) == b"\x01\0\0\0\0\0\0\x06three\n"
        with pytest.raises(InvalidArgument, match="you must choose at least one stream"):
            await on.log(box, stdout=False, stderr=False)
        silent = await on.create("true", log_config=LogConfig(type="none"))
        with pytest.raises(Unsupported, match="configured logging driver does not support reading"):
            await on.log(silent)

    stage.play(scene)


@pytest.mark.parametrize("running", [True, False])
def test_copies_in_and_out(stage: Stage, running: bool) -> None:
    async def scene(on: Scene) -> None:
        box = await (on.started() if running else on.create("true"))
        await on.containers.put_archive(
            box, "/tmp", archive(a=b"hello"), no_overwrite_dir_non_dir=False, copy_uid_gid=False
        )
        found, flow = await on.containers.get_archive(box, "/tmp/a")
        with tarfile.open(fileobj=io.BytesIO(await asyncio.to_thread(read_all, flow.fd))) as tar:
            assert tar.getnames() == ["a"]
        await flow.done
        assert (found.name, found.size, found.mode) == ("a", 5, 0o644)
        assert (await on.containers.stat_path(box, "/tmp")).mode & 1 << 31
        for call in (on.containers.stat_path(box, "/nope"), on.containers.get_archive(box, "/nope")):
            with pytest.raises(NotFound, match="Could not find the file /nope in container"):
                await call
        with pytest.raises(InvalidArgument):
            await on.containers.put_archive(
                box, "/etc/passwd", archive(a=b""), no_overwrite_dir_non_dir=False, copy_uid_gid=False
            )
        out = await on.containers.export(box)
        with tarfile.open(fileobj=io.BytesIO(await asyncio.to_thread(read_all, out.fd))) as tar:
            assert {"tmp/a", "bin/busybox"} <= set(tar.getnames())
        await out.done

    stage.play(scene)


def test_a_read_only_root_takes_no_copies(stage: Stage) -> None:
    async def scene(on: Scene) -> None:
        box = await on.create("true", readonly_rootfs=True)
        with pytest.raises(Forbidden, match="container rootfs is marked read-only"):
            await on.containers.put_archive(
                box, "/tmp", archive(a=b""), no_overwrite_dir_non_dir=False, copy_uid_gid=False
            )
        code, text = await on.run("touch", "/x", readonly_rootfs=True)
        assert code == 1
        assert "Read-only file system" in text

    stage.play(scene)


def test_binds_tmpfs_and_volumes(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("host")

    async def scene(on: Scene) -> None:
        code, text = await on.run("cat", "/m/file", binds=[f"{tmp_path}:/m"])
        assert (code, text) == (0, "host")
        code, text = await on.run("touch", "/m/x", binds=[f"{tmp_path}:/m:ro"])
        assert (code, "Read-only" in text) == (1, True)
        await on.run("touch", "/m/made", binds=[f"{tmp_path}/new:/m"])
        assert (tmp_path / "new" / "made").exists()
        with pytest.raises(InvalidArgument, match="bind source path does not exist: /nonexistent"):
            await on.create("true", mounts=[MountPoint(type="bind", source="/nonexistent", target="/m")])
        _, text = await on.run("sh", "-c", "grep ' /t ' /proc/mounts", tmpfs={"/t": "size=1m"})
        assert "tmpfs" in text
        assert "size=1024k" in text
        await on.run("sh", "-c", "echo kept > /d/f", binds=["data:/d"])
        assert await on.run("cat", "/d/f", binds=["data:/d"]) == (0, "kept\n")
        volume = await on.engine.volumes.get("data")
        assert Path(volume.mountpoint, "f").read_text() == "kept\n"
        filled = await on.create("true", binds=["fresh:/etc"])
        await on.containers.start(filled)
        with pytest.raises(Conflict, match=r"remove fresh: volume is in use - \["):
            await on.engine.volumes.remove("fresh", force=False)
        assert Path((await on.engine.volumes.get("fresh")).mountpoint, "passwd").exists()
        empty = MountPoint(
            type="volume", source="empty", target="/etc", volume_options=VolumeOptions(no_copy=True)
        )
        await on.run("true", mounts=[empty])
        assert "passwd" not in os.listdir((await on.engine.volumes.get("empty")).mountpoint)

    stage.play(scene)


def test_anonymous_volumes_go_with_their_container_and_are_inherited_before(stage: Stage) -> None:
    async def scene(on: Scene) -> None:
        box = await on.create("sh", "-c", "echo x > /v/f", name="owner", config={"volumes": {"/v": {}}})
        end = await on.containers.wait(box, "next-exit")
        await on.containers.start(box)
        await end
        assert await on.run("cat", "/v/f", volumes_from=["owner:ro"]) == (0, "x\n")
        (mount,) = (await on.containers.get(box)).mounts
        assert (mount.type, mount.destination, mount.read_write) == ("volume", "/v", True)
        await on.containers.remove(box, force=False, volumes=True, link=False)
        with pytest.raises(NotFound):
            await on.engine.volumes.get(mount.name)

    stage.play(scene)


def test_namespaces_are_shared_when_asked(stage: Stage) -> None:
    async def scene(on: Scene) -> None:
        await on.started(name="host", ipc_mode="shareable", config={"hostname": "first"})
        _, text = await on.run("sh", "-c", "ps | grep -c '[s]leep 1000'; hostname", pid_mode="container:host")
        assert text.splitlines()[0] == "1"
        code, text = await on.run("hostname", network_mode="container:host")
        assert (code, text) == (0, "first\n")
        await on.exec("host", "sh", "-c", "echo shared > /dev/shm/f")
        assert await on.run("cat", "/dev/shm/f", ipc_mode="container:host") == (0, "shared\n")
        private = await on.started()
        other = await on.create("true", ipc_mode=f"container:{private}")
        with pytest.raises(StartFailed, match="non-shareable IPC"):
            await on.containers.start(other)

    stage.play(scene)


def test_a_commit_makes_an_image_that_runs_and_goes(stage: Stage) -> None:
    async def scene(on: Scene) -> None:
        box = await on.started("sh", "-c", "echo made > /made; sleep 1000")
        await asyncio.sleep(0.3)
        changes = await on.containers.changes(box)
        assert (1, "/made") in [(change.kind, change.path) for change in changes]
        image = await on.containers.commit(
            box,
            reference="mine:1",
            comment="why",
            author="me",
            pause=True,
            changes=['CMD ["cat", "/made"]'],
            config=None,
        )
        assert (await on.engine.images.get("mine:1")).id == image
        assert (await on.containers.get(box)).state.status == "running"
        assert await on.run(config={"image": "mine:1"}) == (0, "made\n")
        user = await on.create(name="user", config={"image": "mine:1"})
        with pytest.raises(Conflict, match='unable to remove repository reference "mine:1"'):
            await on.engine.images.remove("mine:1", force=False, prune=True)
        await on.containers.remove(user, force=False, volumes=False, link=False)
        lines = await on.engine.images.remove("mine:1", force=False, prune=True)
        assert [line.untagged for line in lines if line.untagged] == ["mine:1"]
        assert image in [line.deleted for line in lines]
        with pytest.raises(NotFound, match="No such image: mine:1"):
            await on.create(config={"image": "mine:1"})

    stage.play(scene)


def test_save_and_load_again(stage: Stage) -> None:
    async def scene(on: Scene) -> None:
        await on.engine.images.tag("busybox", "copy:1")
        flow = await on.engine.images.save(["copy:1"], None)
        data = await asyncio.to_thread(read_all, flow.fd)
        await flow.done
        before = (await on.engine.images.get("copy:1")).id
        await on.engine.images.remove("copy:1", force=False, prune=True)
        lines = [line async for line in await on.engine.images.load(io.BytesIO(data), quiet=True)]
        assert [line.stream for line in lines] == ["Loaded image: copy:1\n"]
        assert (await on.engine.images.get("copy:1")).id == before

    stage.play(scene)


def test_init_reaps_and_passes_signals(stage: Stage) -> None:
    async def scene(on: Scene) -> None:
        box = await on.started("sh", "-c", "trap 'exit 3' TERM; while :; do sleep 0.05; done", init=True)
        code, text = await on.exec(box, "sh", "-c", "tr '\\0' ' ' </proc/1/cmdline")
        assert (code, text.split()[:4]) == (0, ["/sbin/docker-init", "--", "sh", "-c"])
        await asyncio.sleep(0.3)
        await on.containers.stop(box, signal=None, timeout=5)
        assert (await on.containers.get(box)).state.exit_code == 3

    stage.play(scene)


def test_top_and_info_and_disk_usage(stage: Stage) -> None:
    async def scene(on: Scene) -> None:
        box = await on.started()
        table = await on.containers.top(box, "-eo pid,args")
        assert table.titles == ["PID", "COMMAND"]
        assert [row[1] for row in table.processes] == ["sleep 1000"]
        info = await on.engine.system.info()
        assert (info["Containers"], info["ContainersRunning"]) == (1, 1)
        usage = await on.engine.system.disk_usage({"container", "image"})
        assert set(usage) == {"containers", "images", "layers_size"}

    stage.play(scene)


def test_remapped_users(stage: Stage) -> None:
    async def scene(on: Scene) -> None:
        script = "id -u; cat /proc/self/uid_map; touch /v/mine; stat -c %u /v/mine /bin /root /etc/hosts"
        code, text = await on.run("sh", "-c", script, userns_mode="remap", binds=["remapped:/v"])
        root = on.engine.parts.facts.mappings.root[0]
        assert (code, text.split()) == (0, ["0", "0", str(root), "65536", "0", "0", "0", "0"])
        volume = await on.engine.volumes.get("remapped")
        assert Path(volume.mountpoint, "mine").stat().st_uid == root
        box = await on.started("sh", "-c", "touch /made; sleep 1000", userns_mode="remap")
        await on.containers.put_archive(
            box, "/tmp", archive(a=b"x"), no_overwrite_dir_non_dir=False, copy_uid_gid=False
        )
        assert await on.exec(box, "stat", "-c", "%u", "/tmp/a") == (0, "0\n")

    stage.play(scene)


def test_what_the_engine_mounts_is_no_change_of_the_container(stage: Stage) -> None:
    async def scene(on: Scene) -> None:
        box = await on.create("true")
        ended = await on.containers.wait(box, "next-exit")
        await on.containers.start(box)
        assert (await ended).exit_code == 0
        assert await on.containers.changes(box) == []
        flow = await on.containers.export(box)
        with tarfile.open(fileobj=io.BytesIO(await asyncio.to_thread(read_all, flow.fd))) as tar:
            points = {name: tar.getmember(name) for name in (".dockerenv", "dev/console", "etc/hosts")}
            assert {point.size for point in points.values()} == {0}
            assert tar.getmember("etc/mtab").linkname == "/proc/mounts"
        await flow.done

    stage.play(scene)
