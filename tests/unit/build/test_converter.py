"""Dockerfiles -> graphs and configurations."""

import asyncio

import pytest

from lodge.build.contract import Options
from lodge.build.dockerfile.lint import Lint, look
from lodge.build.dockerfile.problems import DockerfileError
from lodge.build.dockerfile.stages import parse
from lodge.build.graph import CopyAction, Fetch, Files, Git, Image, Local, Run, WriteAction
from lodge.build.planning.converter import MAIN, Converter, Named, Plan
from lodge.errors import Forbidden, NotFound
from tests.unit.build.fakes import FakeResolver, image


def plan(
    text: str, options: Options | None = None, *, lint: Lint | None = None, ignore: tuple[str, ...] = (),
    resolver: FakeResolver | None = None, contexts: dict[str, Named] | None = None,
) -> Plan:  # fmt: skip
    dockerfile = parse(text)
    every = {MAIN: Named("local", ignore=ignore), **(contexts or {})}
    converter = Converter(dockerfile, options or Options(), every, resolver or FakeResolver(), lint or Lint())
    return asyncio.run(converter.plan())


def runs(found: Plan) -> list[Run]:
    return [node.operation for node in found.nodes if isinstance(node.operation, Run)]


def copies(found: Plan) -> list[CopyAction]:
    return [
        action
        for node in found.nodes
        if isinstance(node.operation, Files)
        for action in node.operation.actions
        if isinstance(action, CopyAction)
    ]


def test_a_stage_that_nobody_needs_is_never_looked_at() -> None:
    resolver = FakeResolver()
    found = plan("FROM nothing AS unused\nRUN x\nFROM busybox\nRUN y\n", resolver=resolver)
    assert resolver.asked == ["busybox"]
    assert [node.step.name for node in found.nodes] == [
        "[stage-1 1/2] FROM docker.io/library/busybox:latest",
        "[stage-1 2/2] RUN y",
    ]


def test_configuration_and_history() -> None:
    found = plan(
        "FROM busybox\nENV A=1\nENV B=${A}2\nLABEL l=$B\nUSER me\nWORKDIR /w\nWORKDIR x\n"
        "EXPOSE 80 90-91/udp\n"
        'VOLUME ["/v"]\nSTOPSIGNAL SIGINT\nSHELL ["/bin/bash", "-c"]\nRUN echo hi\nENTRYPOINT run it\n'
    )
    config = found.config.config
    assert config.env == ["PATH=/bin", "A=1", "B=12"]
    assert config.labels == {"l": "12"}
    assert (config.user, config.working_dir, config.stop_signal) == ("me", "/w/x", "SIGINT")
    assert sorted(config.exposed_ports or ()) == ["80/tcp", "90/udp", "91/udp"]
    assert config.volumes == {"/v": {}}
    assert config.entrypoint == ["/bin/bash", "-c", "run it"]
    # A new entrypoint makes the base's command mean nothing.
    assert config.cmd is None
    assert [(entry.created_by, entry.empty_layer) for entry in found.config.history] == [
        ("the base", False),
        ("ENV A=1", True),
        ("ENV B=12", True),
        ("LABEL l=12", True),
        ("USER me", True),
        ("WORKDIR /w", False),
        ("WORKDIR /w/x", False),
        ("EXPOSE [80/tcp 90/udp 91/udp]", True),
        ("VOLUME [/v]", True),
        ("STOPSIGNAL SIGINT", True),
        ("SHELL [/bin/bash -c]", True),
        ("RUN /bin/bash -c echo hi # buildkit", False),
        ('ENTRYPOINT ["/bin/bash" "-c" "run it"]', True),
    ]


def test_arguments_and_their_scopes() -> None:
    text = (
        "ARG BASE=busybox\nARG G=global\nFROM $BASE\nRUN first $G\nARG G\nARG D=default\nARG U\nENV D=env\n"
        "ARG TARGETOS\nRUN second\n"
    )
    first, second = runs(plan(text, Options(arguments={"U": "user"})))
    assert first.env == ("PATH=/bin",)
    assert dict(entry.split("=") for entry in second.env) == {
        "PATH": "/bin", "G": "global", "D": "env", "U": "user", "TARGETOS": "linux",
    }  # fmt: skip


def test_arguments_are_in_the_history_of_programs_and_proxies_are_not() -> None:
    options = Options(arguments={"V": "2", "HTTP_PROXY": "http://p"})
    found = plan("FROM busybox\nARG V=1\nRUN x\n", options)
    assert found.config.history[-1].created_by == "RUN |1 V=2 /bin/sh -c x # buildkit"
    (run,) = runs(found)
    assert run.hidden.env == ("HTTP_PROXY=http://p",)


def test_a_stage_on_a_stage_keeps_its_configuration_and_not_its_arguments() -> None:
    (first, second) = runs(plan("FROM busybox AS a\nARG X=1\nENV E=2\nRUN one\nFROM a\nRUN two\n"))
    assert "X=1" in first.env
    assert second.env == ("PATH=/bin", "E=2")


def test_copies_from_contexts_belong_to_root_and_those_from_stages_keep_owners() -> None:
    found = plan(
        "FROM busybox AS a\nFROM busybox\nCOPY x /y/\nCOPY --from=a /z /z\nCOPY --from=0 --chown=7 q /\n"
    )
    context, stage, owned = copies(found)
    assert context.owner is not None
    assert context.owner.user == "0"
    assert stage.owner is None
    assert owned.owner is not None
    assert owned.owner.user == "7"


def test_a_context_is_asked_only_for_what_is_copied() -> None:
    found = plan("FROM busybox\nCOPY a b/*.c /x/\nADD d /\nRUN --mount=target=/m,source=e y\n")
    (local,) = [node.operation for node in found.nodes if isinstance(node.operation, Local)]
    assert local.include == ("a", "b/*.c", "d", "e")
    everything = plan("FROM busybox\nCOPY . /\n")
    (whole,) = [node.operation for node in everything.nodes if isinstance(node.operation, Local)]
    assert whole.include == ()


def test_add_fetches_addresses_and_repositories() -> None:
    found = plan("FROM busybox\nADD https://x.test/a.tgz /d/\nADD https://x.test/r.git#v1 /r\n")
    kinds = [type(node.operation) for node in found.nodes]
    assert Fetch in kinds
    assert Git in kinds
    assert not copies(found)[0].unpack


def test_heredocs_become_files_with_variables() -> None:
    found = plan("FROM busybox\nENV X=1\nCOPY <<a <<'b' /t/\n$X\na\n$X\nb\n")
    written = [
        action
        for node in found.nodes
        if isinstance(node.operation, Files)
        for action in node.operation.actions
        if isinstance(action, WriteAction)
    ]
    assert [(each.path, each.data) for each in written] == [("/t/a", b"1\n"), ("/t/b", b"$X\n")]


def test_heredocs_of_programs() -> None:
    script, shebang, program = runs(
        plan("FROM busybox\nRUN <<EOF\na\nb\nEOF\nRUN <<EOF\n#!/bin/awk\nx\nEOF\nRUN cat <<EOF >/f\nc\nEOF\n")
    )
    assert script.arguments == ("/bin/sh", "-c", "a\nb\n")
    assert shebang.arguments == ("/bin/sh", "-c", "/dev/pipes/EOF")
    assert shebang.script == b"#!/bin/awk\nx\n"
    assert program.arguments == ("/bin/sh", "-c", "cat <<EOF >/f\nc\nEOF")


def test_triggers_of_the_base_run_first_and_are_gone() -> None:
    resolver = FakeResolver(onbuild=image(on_build=["ENV T=1", "RUN trigger $T"]))
    found = plan("FROM onbuild\nRUN own\nONBUILD RUN later\n", resolver=resolver)
    assert [run.arguments[-1] for run in runs(found)] == ["trigger $T", "own"]
    assert found.config.config.on_build == ["RUN later"]


def test_mounts_take_files_from_stages_and_stay_where_they_are_put() -> None:
    (run,) = runs(
        plan(
            "FROM busybox AS s\nFROM busybox\nWORKDIR /w\n"
            "RUN --mount=type=bind,from=s,target=rel --mount=type=cache,target=/c "
            "--mount=type=secret,id=k x\n"
        )
    )
    bind, cache, secret = run.mounts
    assert (bind.target, bind.input, bind.writable) == ("/w/rel", 1, False)
    assert (cache.id, cache.sharing, cache.mode, cache.writable) == ("//c", "shared", 0o755, True)
    assert (secret.target, secret.mode) == ("/run/secrets/k", 0o400)


@pytest.mark.parametrize("target", ["../../../etc", "/../..//etc", "/a/../../etc/."])
def test_mount_targets_never_leave_the_root(target: str) -> None:
    (run,) = runs(plan(f"FROM busybox\nRUN --mount=type=tmpfs,target={target} x\n"))
    assert run.mounts[0].target == "/etc"


def test_the_root_is_no_target() -> None:
    with pytest.raises(DockerfileError, match="invalid mount target"):
        plan("FROM busybox\nRUN --mount=type=tmpfs,target=/x/.. y\n")


def test_privileges_need_leave() -> None:
    with pytest.raises(Forbidden, match=r"network\.host is not allowed"):
        plan("FROM busybox\nRUN --network=host x\n")
    with pytest.raises(Forbidden, match=r"security\.insecure is not allowed"):
        plan("FROM busybox\nRUN --security=insecure x\n")
    allowed = Options(entitlements=frozenset(("security.insecure",)))
    assert runs(plan("FROM busybox\nRUN --security=insecure x\n", allowed))[0].insecure


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("FROM a AS x\nCOPY --from=x y z", 1, "circular dependency detected on stage: x"),
        (
            "FROM busybox\nCOPY --from=$S y z",
            2,
            "'--from' doesn't support variable expansion, define alias stage instead",
        ),
        ("FROM busybox\nCOPY --from=7 y z", 2, "invalid stage index 7"),
        ("FROM $NOTHING", 1, "base name ($NOTHING) should not be blank"),
        (
            "FROM busybox\nCOPY a b /c",
            2,
            ("When using COPY with more than one source file, the destination must be a directory and end "
            "with a /"),
        ),
        (
            "FROM busybox\nCOPY --chmod=99 a b",
            2,
            ("invalid chmod parameter: '99'. it should be octal string or symbolic mode and between 0 and "
            "07777"),
        ),
        ("FROM busybox\nADD --checksum=md5:1 http://x/y /", 2, "invalid checksum digest format: md5:1"),
        (
            "FROM busybox\nADD --checksum=sha256:1 y /",
            2,
            "checksum can't be specified for non-HTTP(S) sources",
        ),
        ("FROM busybox\nEXPOSE a", 2, "invalid containerPort: a"),
        ("FROM busybox\nEXPOSE 80/http", 2, "invalid proto: http"),
        ("FROM busybox\nSTOPSIGNAL not!", 2, "invalid signal: not!"),
    ],
)  # fmt: skip
def test_mistakes_have_a_place(text: str, line: int, message: str) -> None:
    with pytest.raises(DockerfileError) as caught:
        plan(text, resolver=FakeResolver(a=image()))
    assert caught.value.what == message
    assert caught.value.lines is not None
    assert caught.value.lines[0] == line


def test_a_target_that_is_not_there() -> None:
    with pytest.raises(NotFound, match='target stage "bild" could not be found \\(did you mean build\\?\\)'):
        plan("FROM busybox AS build\n", Options(target="bild"))


def test_named_contexts_take_the_place_of_images_and_stages() -> None:
    contexts = {"alpine": Named("image", "busybox"), "src": Named("local")}
    found = plan("FROM alpine\nCOPY --from=src a /\n", contexts=contexts)
    assert [type(node.operation) for node in found.nodes] == [Image, Local, Files]


def test_the_cache_can_be_left_out_for_a_stage() -> None:
    text = "FROM busybox AS a\nRUN x\nFROM a AS b\nRUN y\n"
    found = plan(text, Options(no_cache_filter=("b",)))
    assert [node.ignore_cache for node in found.nodes] == [False, False, True]


def test_checks_find_what_only_planning_shows() -> None:
    lint = Lint()
    text = (
        "ARG V\nFROM busybox:$W AS s\nENV API_TOKEN=x\nWORKDIR a\nCOPY ignored /\nRUN x\nCMD echo $NOPE\n"
        "USER $USRE\n"
    )
    dockerfile = parse(text)
    look(dockerfile, lint)
    resolver = FakeResolver(**{"busybox:": image()})
    plan(text, lint=lint, ignore=("ignored",), resolver=resolver)
    assert {(each.rule, each.lines[0]) for each in lint.findings} == {
        ("UndefinedArgInFrom", 2),
        ("SecretsUsedInArgOrEnv", 3),
        ("WorkdirRelativePath", 4),
        ("CopyIgnoredFile", 5),
        ("JSONArgsRecommended", 7),
        ("UndefinedVar", 8),
    }
