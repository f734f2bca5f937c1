"""RUN: the program, its variables, its mounts."""

from __future__ import annotations

import posixpath

from lodge.build.dockerfile import instructions as i
from lodge.build.dockerfile import run_mounts as m
from lodge.build.dockerfile.lines import Heredoc
from lodge.build.dockerfile.problems import DockerfileError
from lodge.build.dockerfile.run_mounts import RunMount
from lodge.build.graph import Hidden, Limits, Node, Run, StepMount
from lodge.build.planning import arguments
from lodge.build.planning.nodes import Nodes
from lodge.build.planning.state import StageState
from lodge.build.planning.tools import Workshop, absolute
from lodge.errors import Forbidden

SCRIPT_DIRECTORY = "/dev/pipes"
_CACHE_MODE = 0o755


def complete_mounts(state: StageState, instruction: i.Run, shop: Workshop) -> list[RunMount]:
    """The mounts with their variables expanded."""
    values = state.values
    return [
        m.complete(mount, lambda text: shop.expand(text, values, instruction)) for mount in instruction.mounts
    ]


def run(
    state: StageState,
    instruction: i.Run,
    shop: Workshop,
    nodes: Nodes,
    mounts: list[tuple[RunMount, Node | None]],
) -> None:
    """Add the node. `mounts` come with the node that each takes its files from."""
    words, script = _program(state, instruction.command)
    inputs: list[Node] = [state.node or nodes.empty()]
    planned = tuple(_mount(state, shop, mount, node, inputs) for mount, node in mounts)
    env = dict(state.arguments)
    env.update(state.env)
    options = shop.options
    operation = Run(
        arguments=tuple(words),
        env=tuple(f"{name}={value}" for name, value in env.items()),
        directory=state.config.working_dir or "/",
        user=state.config.user,
        network=_network(instruction, shop),
        insecure=_insecure(instruction, shop),
        hostname=options.hostname,
        extra_hosts=options.extra_hosts,
        mounts=planned,
        epoch=options.source_date_epoch,
        script=script,
        hidden=Hidden(env=arguments.proxies(shop.given), limits=_limits(shop)),
    )
    code = _code(instruction)
    node = nodes.step(state, operation, tuple(inputs), code, instruction.lines)
    state.record(_history(state, words, script, instruction), layer=True)
    nodes.say(code, instruction.lines, node)


def _program(state: StageState, command: i.Command) -> tuple[list[str], bytes | None]:
    """The words to execute, and a script to show to them."""
    words = list(command.words)
    script: bytes | None = None
    if command.heredocs:
        if len(command.heredocs) == 1 and words[0].strip() == _mark(words[0], command.heredocs[0]):
            text = command.heredocs[0].text
            if text.startswith("#!"):
                path = f"{SCRIPT_DIRECTORY}/{posixpath.basename(command.heredocs[0].name)}"
                return [*state.shell, path] if command.shell else [path], text.encode()
            words = [text]
        else:
            words = [words[0] + "".join(f"\n{doc.content}{doc.name}" for doc in command.heredocs)]
    return ([*state.shell, *words] if command.shell else words), script


def _mark(words: str, heredoc: Heredoc) -> str:
    """The text itself when it is nothing but a heredoc's mark; else something that it never equals."""
    from lodge.build.dockerfile.lines import parse_heredoc

    found = parse_heredoc(words.strip())
    return words.strip() if found is not None and found.name == heredoc.name else "\0"


def _code(instruction: i.Run) -> str:
    code = " ".join(instruction.code.split())
    if instruction.command.heredocs:
        first = instruction.command.heredocs[0].content.strip().splitlines()
        code += f" ({first[0][:60]}...)" if first else ""
    return code


def _history(state: StageState, words: list[str], script: bytes | None, instruction: i.Run) -> str:
    values = state.values
    given = [f"{name}={values.get(name, '')}" for name in state.declared]
    prefix = f"|{len(given)} {' '.join(given)} " if given else ""
    shown = " ".join(words)
    if script is not None:
        shown = " ".join(instruction.command.words)
    return f"RUN {prefix}{shown} # buildkit"


def _network(instruction: i.Run, shop: Workshop) -> str:
    network = instruction.network or shop.options.network or "default"
    if network == "host" and "network.host" not in shop.options.entitlements:
        raise Forbidden("network.host is not allowed", hint="allow it for this build: --allow network.host")
    return network


def _insecure(instruction: i.Run, shop: Workshop) -> bool:
    if instruction.security != "insecure":
        return False
    if "security.insecure" not in shop.options.entitlements:
        raise Forbidden(
            "security.insecure is not allowed", hint="allow it for this build: --allow security.insecure"
        )
    return True


def _limits(shop: Workshop) -> Limits:
    options = shop.options
    return Limits(
        memory=options.memory,
        memory_swap=options.memory_swap,
        cpu_shares=options.cpu_shares,
        cpu_period=options.cpu_period,
        cpu_quota=options.cpu_quota,
        cpuset_cpus=options.cpuset_cpus,
        cpuset_mems=options.cpuset_mems,
        cgroup_parent=options.cgroup_parent,
        shm_size=options.shm_size,
        ulimits=tuple((limit.name, limit.soft, limit.hard) for limit in options.ulimits),
    )


def _mount(
    state: StageState, shop: Workshop, mount: RunMount, node: Node | None, inputs: list[Node]
) -> StepMount:
    place = absolute(_target(mount), state.config.working_dir).rstrip("/") or "/"
    if place == "/" and not (mount.type == m.SECRET and mount.env is not None):
        raise DockerfileError('invalid mount target: "/"', hint="mount it somewhere below the root")
    position = -1
    if node is not None:
        inputs.append(node)
        position = len(inputs) - 1
    identity = mount.id
    if mount.type == m.CACHE:
        namespace = shop.given.get("BUILDKIT_CACHE_MOUNT_NS", "")
        identity = f"{namespace}/{mount.id or place}"
    elif mount.type == m.SECRET:
        identity = mount.id or mount.source or posixpath.basename(mount.target)
    elif mount.type == m.SSH:
        identity = mount.id or "default"
    return StepMount(
        type=mount.type,
        target="" if mount.type == m.SECRET and mount.env is not None and not mount.target else place,
        input=position,
        source=mount.source if mount.type in (m.BIND, m.CACHE) else "",
        writable=mount.writable,
        id=identity,
        sharing=mount.sharing or "shared" if mount.type == m.CACHE else "",
        mode=mount.mode if mount.mode is not None else _default_mode(mount.type),
        uid=mount.uid or 0,
        gid=mount.gid or 0,
        size=mount.size,
        required=mount.required,
        env=_env_name(mount),
    )


_MODES: dict[str, int] = {m.CACHE: _CACHE_MODE, m.SECRET: 0o400, m.SSH: 0o600}


def _default_mode(type: str) -> int | None:
    return _MODES.get(type)


def _target(mount: RunMount) -> str:
    if mount.target:
        return mount.target
    if mount.type == m.SECRET:
        return f"/run/secrets/{posixpath.basename(mount.id or mount.source)}"
    return f"/run/buildkit/ssh_agent.{mount.id or 0}"


def _env_name(mount: RunMount) -> str | None:
    if mount.type != m.SECRET or mount.env is None:
        return None
    return mount.env or mount.id or posixpath.basename(mount.source or mount.target)
