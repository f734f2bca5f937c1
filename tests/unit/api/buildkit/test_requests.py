"""Attributes of a client of BuildKit as a request to the build room."""

from __future__ import annotations

from typing import Any

import pytest

from lodge.api.buildkit.requests import build_request, remote, uploaded
from lodge.build.contract import Context, ImageSource, Ulimit, UrlSource, Wanted
from lodge.errors import InvalidArgument, Unsupported


class Tree:
    """A client's tree of this name."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def open(self, wanted: Wanted) -> str:
        raise NotImplementedError

    async def read(self, name: str, limit: int) -> bytes | None:
        raise NotImplementedError


def made(
    attributes: dict[str, str], exporters: list[Any] | None = None, allow: list[str] | None = None
) -> Any:
    return build_request(attributes, exporters or [], allow or [], Tree)


def test_the_usual_build() -> None:
    request = made(
        {
            "filename": "Dockerfile.dev",
            "target": "app",
            "build-arg:A": "1",
            "build-arg:SOURCE_DATE_EPOCH": "5",
            "label:x": "y",
            "platform": "linux/amd64,linux/arm64",
            "add-hosts": "a=1.2.3.4,b=::1",
            "ulimit": "nofile=1:2,core=3",
            "shm-size": "64",
            "force-network-mode": "host",
            "image-resolve-mode": "pull",
        },
        [{"Type": "moby", "Attrs": {"name": "a:1,b:2", "push": "true"}}],
        ["network.host"],
    )
    assert isinstance(request.context, Tree)
    assert (request.context.name, request.dockerfile_context.name) == ("context", "dockerfile")
    assert request.filename == "Dockerfile.dev"
    options = request.options
    assert options.arguments == {"A": "1", "SOURCE_DATE_EPOCH": "5"}
    assert (options.target, options.labels, options.source_date_epoch) == ("app", {"x": "y"}, 5)
    assert options.platforms == ("linux/amd64", "linux/arm64")
    assert options.extra_hosts == ("a:1.2.3.4", "b:::1")
    assert options.ulimits == (Ulimit("nofile", 1, 2), Ulimit("core", 3, 3))
    assert (options.shm_size, options.network, options.pull) == (64, "host", True)
    assert options.entitlements == {"network.host"}
    (output,) = request.outputs
    assert (output.kind, output.names, output.push) == ("image", ("a:1", "b:2"), True)


@pytest.mark.parametrize(
    ("given", "all_of_it", "stages"), [(None, False, ()), ("", True, ()), ("a,b", False, ("a", "b"))]
)
def test_no_cache(given: str | None, all_of_it: bool, stages: tuple[str, ...]) -> None:
    options = made({} if given is None else {"no-cache": given}).options
    assert (options.no_cache, options.no_cache_filter) == (all_of_it, stages)


def test_named_contexts() -> None:
    contexts = made(
        {
            "context:base": "docker-image://busybox:1",
            "context:src": "local:src",
            "context:repo": "https://example.com/x.git",
        }
    ).contexts
    assert contexts["base"] == ImageSource("busybox:1")
    assert contexts["src"].name == "src"
    assert contexts["repo"] == UrlSource("https://example.com/x.git")


def test_contexts_that_are_no_tree() -> None:
    stream = {"context": "http://buildkit-session/abc"}
    web = {"context": "https://example.com/x.git#main"}
    assert (uploaded(stream), remote(stream)) == ("abc", "")
    assert (uploaded(web), remote(web)) == ("", "https://example.com/x.git#main")
    assert made(web).context is None


@pytest.mark.parametrize(
    ("attributes", "exporters", "kind"),
    [
        ({"new-thing": "1"}, [], Unsupported),
        ({"attest:sbom": ""}, [], Unsupported),
        ({"context:x": "oci-layout://y"}, [], Unsupported),
        ({"force-network-mode": "moon"}, [], InvalidArgument),
        ({"ulimit": "nofile=x"}, [], InvalidArgument),
        ({}, [{"Type": "gha", "Attrs": {}}], Unsupported),
    ],
)
def test_what_is_not_offered(attributes: dict[str, str], exporters: list[Any], kind: type[Exception]) -> None:
    with pytest.raises(kind):
        made(attributes, exporters)


def test_a_tree_is_a_context() -> None:
    tree: Context = Tree("x")
    assert tree is not None
