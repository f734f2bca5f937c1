"""`lodge registry serve` as a process of its own, and a client of it."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import re
import signal
import ssl
import subprocess
import sys
import time
from pathlib import Path

PATIENCE = 20.0
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


class Program:
    """One run of the program over a directory. `start` again after `end`."""

    def __init__(self, root: Path, *options: str, tls: ssl.SSLContext | None = None) -> None:
        self.root = root
        self.options = options
        self.log = root.with_name(root.name + ".log")
        self.tls = tls
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "lodge", "registry", "serve", "--addr", "127.0.0.1:0", *self.options]
        said = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self.process = subprocess.Popen([*command, str(self.root)], stdout=log, stderr=log)
        end = time.monotonic() + PATIENCE
        while not (found := re.search(rb"listens on [^ ]*:(\d+)", self.log.read_bytes()[said:])):
            if self.process.poll() is not None or time.monotonic() > end:
                raise AssertionError(self.log.read_text()[-2000:])
            time.sleep(0.01)
        self.port = int(found[1])

    def end(self, number: int = signal.SIGTERM) -> int:
        """End it; its exit code."""
        assert self.process is not None
        process, self.process = self.process, None
        process.send_signal(number)
        return process.wait(PATIENCE)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        if self.tls is not None:
            client: http.client.HTTPConnection = http.client.HTTPSConnection(
                "127.0.0.1", self.port, timeout=20, context=self.tls
            )
        else:
            client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            client.request(method, path, body, headers or {})
            answer = client.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            client.close()

    def push_blob(self, name: str, data: bytes) -> int:
        """Push a blob; the status of the last answer."""
        status, headers, _ = self.ask("POST", f"/v2/{name}/blobs/uploads/")
        if status != 202:
            return status
        return self.ask("PUT", f"{headers['Location']}?digest={digest_of(data)}", data)[0]

    def push_image(self, name: str, tag: str, layer: bytes) -> int:
        """Push an image of one layer; the status of the last answer."""
        config = b'{"architecture":"amd64","os":"linux"}'
        for blob in (config, layer):
            status = self.push_blob(name, blob)
            if status != 201:
                return status
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": "application/x", "digest": digest_of(config), "size": len(config)},
            "layers": [{"mediaType": "application/x", "digest": digest_of(layer), "size": len(layer)}],
        }
        return self.ask(
            "PUT", f"/v2/{name}/manifests/{tag}", json.dumps(manifest).encode(), {"Content-Type": MANIFEST}
        )[0]

    def check(self) -> str:
        """What `lodge registry check` says of the directory, which nobody may serve now."""
        done = subprocess.run(
            [sys.executable, "-m", "lodge", "registry", "check", str(self.root)],
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        return done.stdout + done.stderr


def digest_of(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def free(path: Path) -> int:
    status = os.statvfs(path)
    return status.f_bavail * status.f_bsize
