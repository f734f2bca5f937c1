"""Archives of Docker before 1.10: a directory for each layer, and `repositories`, which names the top ones.

`<id>/json` describes a layer and names the one below it, `<id>/layer.tar` is its content. The configuration
that images have had since is made from these, as Docker made it when it met such images (image/v1 in moby).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

import msgspec
from msgspec import Struct

from lodge.errors import Corrupt
from lodge.spec.image import LAYERS_CAP

_ID = re.compile(r"[0-9a-f]{64}")
_OF_A_LAYER = frozenset({"id", "parent", "Size", "parent_id", "layer_id", "throwaway"})


class AncientImage(Struct, frozen=True):
    """One image: its name, and the descriptions of its layers, the base first."""

    name: str
    layers: list[str]
    descriptions: list[dict[str, Any]]

    def config(self, diff_ids: Sequence[str]) -> bytes:
        """Return an image configuration, the same for the same archive."""
        top = {key: value for key, value in self.descriptions[-1].items() if key not in _OF_A_LAYER}
        top["rootfs"] = {"type": "layers", "diff_ids": list(diff_ids)}
        top["history"] = [_history(each) for each in self.descriptions]
        return msgspec.json.encode(top, order="deterministic")


def images(documents: Mapping[str, bytes]) -> list[AncientImage]:
    """Return all images that `repositories` names. Raises Corrupt."""
    repositories = _decode(documents["repositories"], dict[str, dict[str, str]], "repositories")
    return [
        _image(f"{repository}:{tag}", top, documents)
        for repository, tags in sorted(repositories.items())
        for tag, top in sorted(tags.items())
    ]


def _image(name: str, top: str, documents: Mapping[str, bytes]) -> AncientImage:
    found: list[tuple[str, dict[str, Any]]] = []
    id_: str | None = top
    while id_:
        if not _ID.fullmatch(id_) or f"{id_}/json" not in documents:
            raise Corrupt(f"the archive has no description of the layer {id_!r}")
        if len(found) == LAYERS_CAP:
            raise Corrupt("max depth exceeded: the layers have no end")
        description = _decode(documents[f"{id_}/json"], dict[str, Any], f"{id_}/json")
        found.append((f"{id_}/layer.tar", description))
        id_ = cast("str | None", description.get("parent"))
        if id_ is not None and not isinstance(id_, str):
            raise Corrupt("the archive has a layer whose parent is no name")
    found.reverse()
    return AncientImage(name, [path for path, _ in found], [description for _, description in found])


def _history(description: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a layer's description says of its making."""
    container = description.get("container_config")
    command = container.get("Cmd") if isinstance(container, dict) else None
    words = [str(word) for word in command] if isinstance(command, list) else []
    entry = {
        "created": description.get("created"),
        "author": description.get("author"),
        "comment": description.get("comment"),
        "created_by": " ".join(words),
    }
    return {key: value for key, value in entry.items() if value}


def _decode(data: bytes, kind: Any, name: str) -> Any:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Corrupt(f"the archive's {name} is invalid: {error}") from error
