"""Archives to load: the same bytes on every machine, of sizes that make a difference."""

import hashlib
import io
import json
import random
import tarfile
from pathlib import Path

TIME = 1_700_000_000
SMALL_FILES = 30_000
SMALL_TOTAL = 145 << 20
LARGE_FILES = 8
LARGE_TOTAL = 1 << 30


def small_files_layer(path: Path) -> None:
    """A tar of 30,000 small files, together 145 MB, in 300 folders; half of it compresses well."""
    chance = random.Random(1)
    noise = chance.randbytes(1 << 20)
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for number in range(SMALL_FILES):
            if number % 100 == 0:
                _add(tar, f"data/{number // 100:03}", tarfile.DIRTYPE, 0o755)
            # 4 KiB more or less; the header and padding of each member make up the rest
            size = chance.randrange(1, 2 * (SMALL_TOTAL // SMALL_FILES - 800))
            start = chance.randrange(len(noise) - size)
            content = noise[start : start + size // 2] + b"\n" * (size - size // 2)
            _add(tar, f"data/{number // 100:03}/file-{number:05}.txt", tarfile.REGTYPE, 0o644, content)


def large_files_layer(path: Path) -> None:
    """A tar of eight files, together 1 GiB, of bytes that do not compress."""
    size = LARGE_TOTAL // LARGE_FILES
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        _add(tar, "data", tarfile.DIRTYPE, 0o755)
        for number in range(LARGE_FILES):
            content = random.Random(number).randbytes(1 << 20) * (size >> 20)
            _add(tar, f"data/large-{number}.bin", tarfile.REGTYPE, 0o644, content)


def docker_archive(layer: Path, name: str, path: Path) -> None:
    """An image of one layer as `docker save` writes it: config, layer, manifest.json."""
    with open(layer, "rb") as file:
        diff_id = "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()
    config = {
        "architecture": "amd64",
        "os": "linux",
        "created": "2023-11-14T22:13:20Z",
        "config": {"Cmd": ["/bin/true"]},
        "rootfs": {"type": "layers", "diff_ids": [diff_id]},
        "history": [{"created": "2023-11-14T22:13:20Z", "created_by": "bench"}],
    }
    body = json.dumps(config).encode()
    config_name = hashlib.sha256(body).hexdigest() + ".json"
    manifest = [{"Config": config_name, "RepoTags": [f"{name}:latest"], "Layers": ["layer.tar"]}]
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        _add(tar, config_name, tarfile.REGTYPE, 0o644, body)
        tar.add(layer, "layer.tar", filter=_plain)
        _add(tar, "manifest.json", tarfile.REGTYPE, 0o644, json.dumps(manifest).encode())


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.mtime, member.uid, member.gid, member.uname, member.gname = TIME, 0, 0, "", ""
    return member


def _add(tar: tarfile.TarFile, name: str, kind: bytes, mode: int, content: bytes = b"") -> None:
    member = _plain(tarfile.TarInfo(name))
    member.type, member.mode, member.size = kind, mode, len(content)
    tar.addfile(member, io.BytesIO(content))
