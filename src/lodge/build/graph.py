"""The graph that the solver works on: what is to be done, and on what. It knows no Dockerfile.

A node does one operation on the results of its inputs. A result is a root file system (`Rootfs`, layers on
each other) or a tree of files that no layer holds (`Tree`). What is named in `hidden` fields changes how a
thing is done and not what comes of it, so it is no part of a key.
"""

from __future__ import annotations

import hashlib

import msgspec
from msgspec import Struct

from lodge.build.contract import Step
from lodge.spec.descriptor import Descriptor


class LayerRef(Struct, frozen=True, kw_only=True):
    """One layer: what its tar is, bytes of its files, its blob where there is one, when it was made (ns)."""

    diff_id: str
    size: int = 0
    blob: Descriptor | None = None
    created: int = 0


class Rootfs(Struct, frozen=True, kw_only=True):
    """Layers on each other; `chain` names them together, "" for none."""

    chain: str = ""
    layers: tuple[LayerRef, ...] = ()


class Tree(Struct, frozen=True, kw_only=True):
    """A directory of this machine. `ignore` are patterns of what in it doesn't count."""

    directory: str
    ignore: tuple[str, ...] = ()
    name: str = ""


Result = Rootfs | Tree


class Image(Struct, frozen=True, kw_only=True, tag=True):
    """The files of an image, as it was resolved."""

    reference: str
    manifest: str
    platform: str


class Local(Struct, frozen=True, kw_only=True, tag=True):
    """Files of a context."""

    context: str
    include: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()


class Fetch(Struct, frozen=True, kw_only=True, tag=True):
    """A file by HTTP, in a tree of its own."""

    url: str
    checksum: str = ""
    name: str = ""


class Git(Struct, frozen=True, kw_only=True, tag=True):
    """A git repository's files."""

    url: str
    keep_git_dir: bool = False
    checksum: str = ""


class Owner(Struct, frozen=True, kw_only=True):
    """Who owns what is written: names are looked up in the root file system."""

    user: str = ""
    group: str = ""


class CopyAction(Struct, frozen=True, kw_only=True, tag=True):
    """Copy what `sources` (with wildcards) are in an input to `target`.

    `owner` None keeps the owners; `mode` is octal or symbolic, "" keeps. `parents` keeps the sources' paths.
    `unpack` extracts archives. `required` says that a source that matches nothing is an error.
    """

    input: int
    sources: tuple[str, ...]
    target: str
    owner: Owner | None = None
    mode: str = ""
    excludes: tuple[str, ...] = ()
    parents: bool = False
    unpack: bool = False
    follow: bool = True


class WriteAction(Struct, frozen=True, kw_only=True, tag=True):
    """Write a small file."""

    path: str
    data: bytes
    mode: str = ""
    owner: Owner | None = None
    directory: str = ""


class MakeDirectory(Struct, frozen=True, kw_only=True, tag=True):
    """Make a directory with its parents, unless it is there."""

    path: str
    owner: Owner | None = None


Action = CopyAction | WriteAction | MakeDirectory


class Files(Struct, frozen=True, kw_only=True, tag=True):
    """Change files: input 0 is what they are put on. `detached` makes them on nothing first."""

    actions: tuple[Action, ...]
    detached: bool = False
    epoch: int | None = None


class StepMount(Struct, frozen=True, kw_only=True):
    """A mount of a Run. `input` -1 stands for none; `id` is a cache's or a secret's or an agent's."""

    type: str
    target: str
    input: int = -1
    source: str = ""
    writable: bool = False
    id: str = ""
    sharing: str = ""
    mode: int | None = None
    uid: int = 0
    gid: int = 0
    size: int = 0
    required: bool = False
    env: str | None = None


class Limits(Struct, frozen=True, kw_only=True):
    """What the programs of a build may use; numbers as in Docker's HostConfig."""

    memory: int = 0
    memory_swap: int = 0
    cpu_shares: int = 0
    cpu_period: int = 0
    cpu_quota: int = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    cgroup_parent: str = ""
    shm_size: int = 0
    ulimits: tuple[tuple[str, int, int], ...] = ()


class Hidden(Struct, frozen=True, kw_only=True):
    """What is no part of a key: proxies, limits."""

    env: tuple[str, ...] = ()
    limits: Limits = Limits()


class Run(Struct, frozen=True, kw_only=True, tag=True):
    """Run a program on input 0. `network` is default, none or host."""

    arguments: tuple[str, ...]
    env: tuple[str, ...] = ()
    directory: str = "/"
    user: str = ""
    network: str = "default"
    insecure: bool = False
    hostname: str = ""
    extra_hosts: tuple[str, ...] = ()
    mounts: tuple[StepMount, ...] = ()
    epoch: int | None = None
    script: bytes | None = None
    hidden: Hidden = Hidden()

    def shown(self) -> str:
        """The command as people see it in an error."""
        return " ".join(self.arguments)


_MEANING = b"1"
"""Part of every key: goes up when an operation comes to mean something else, and old results no more."""

Operation = Image | Local | Fetch | Git | Files | Run


class Node(Struct, kw_only=True, eq=False):
    """One operation. `ignore_cache` does it in any case; `keep_blob`: its layer goes into an image."""

    operation: Operation
    inputs: tuple[Node, ...] = ()
    step: Step
    ignore_cache: bool = False
    keep_blob: bool = False


def definition_of(operation: Operation) -> bytes:
    """An operation as bytes that mean the same for the same thing: what a key is made of."""
    if isinstance(operation, Run):
        operation = msgspec.structs.replace(operation, hidden=Hidden())
    return _MEANING + msgspec.json.encode(operation, order="deterministic")


def node_id(operation: Operation, inputs: tuple[Node, ...], name: str) -> str:
    """The digest that names a node in events: of its definition, its inputs and its name."""
    made = hashlib.sha256(definition_of(operation))
    for each in inputs:
        made.update(each.step.id.encode())
    made.update(name.encode())
    return f"sha256:{made.hexdigest()}"
