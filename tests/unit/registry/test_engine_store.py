import json
import os
from pathlib import Path

import pytest

from lodge.errors import InvalidArgument
from lodge.registry.engine_store import EngineStore
from tests.unit.registry.serving import INDEX, MANIFEST, Served, digest_of, image_of

NAME = "org.opencontainers.image.ref.name"


class Root:
    """A data root with an image layout in it, as lodged keeps one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.blobs = path / "content/blobs/sha256"
        self.blobs.mkdir(parents=True)
        self.entries: list[dict[str, object]] = []

    def put(self, data: bytes) -> str:
        (self.blobs / digest_of(data)[7:]).write_bytes(data)
        return digest_of(data)

    def name(self, name: str, digest: str, kind: str = MANIFEST) -> None:
        self.entries.append({"mediaType": kind, "digest": digest, "size": 1, "annotations": {NAME: name}})
        temporary = self.path / "content/index.json.new"
        temporary.write_text(json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": self.entries}))
        os.rename(temporary, self.path / "content/index.json")


def test_images_of_the_engine(tmp_path: Path) -> None:
    root = Root(tmp_path / "data")
    layer, config = root.put(b"layer"), root.put(b"{}")
    manifest = root.put(json.dumps(image_of(config, 2, b"layer")).encode())
    absent = digest_of(b"of another machine")
    entries = [{"mediaType": MANIFEST, "digest": d, "size": 1} for d in (manifest, absent)]
    index = root.put(json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).encode())
    served = Served(tmp_path, library=EngineStore(str(root.path)))
    try:
        assert json.loads(served.ask("GET", "/v2/_catalog").body) == {"repositories": []}
        root.name("docker.io/library/app:v1", index, INDEX)
        root.name("quay.io/team/app:v2", manifest)
        root.name(manifest, manifest)
        names = json.loads(served.ask("GET", "/v2/_catalog").body)["repositories"]
        assert names == ["library/app", "quay.io/team/app"]
        assert served.ask("GET", "/v2/library/app/manifests/v1").headers["Content-Type"] == INDEX
        assert served.ask("GET", f"/v2/library/app/manifests/{manifest}").status == 200
        assert served.ask("GET", f"/v2/library/app/manifests/{absent}").status == 404
        assert served.ask("GET", f"/v2/quay.io/team/app/blobs/{layer}").body == b"layer"
        assert served.ask("POST", "/v2/library/app/blobs/uploads/").codes == ["UNSUPPORTED"]
        assert served.ask("DELETE", "/v2/library/app/manifests/v1").codes == ["UNSUPPORTED"]
    finally:
        served.stop()


def test_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument):
        EngineStore(str(tmp_path))
