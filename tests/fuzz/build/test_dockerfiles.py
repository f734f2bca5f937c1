"""Whole Dockerfiles out of good and bad pieces: planned, or refused with a reason, and never anything else.

What is planned stays inside: no target of a mount and no directory of a program has a `..`.
"""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from lodge.build.contract import Options
from lodge.build.dockerfile.lint import Lint, look
from lodge.build.dockerfile.stages import parse
from lodge.build.graph import CopyAction, Files, MakeDirectory, Run, WriteAction, definition_of
from lodge.build.planning.converter import MAIN, Converter, Named, Plan
from lodge.errors import LodgeError
from tests.unit.build.fakes import FakeResolver, image

_VALUES = st.sampled_from(
    ["a", "../..", "/x/../../etc", "${A:-/b}", "${A//a/..}", "$PATH", '"q r"', "'s", "\\", "=", "", "{}",
     "[", '["x"]', "http://h/f", "git@h:r.git", "scratch", "base", "0", "9" * 30, "é\0", "a:b",
     "sha256:00", "-"]
)  # fmt: skip
_FLAGS = st.sampled_from(
    ["--from={}", "--chown={}", "--chmod={}", "--link", "--parents", "--exclude={}",
     "--mount=type=cache,target={}", "--mount=type=bind,source={},target={}", "--mount=type=secret,id={}",
     "--mount=type=tmpfs,target={},size=1m",
     "--mount={}", "--network={}", "--security=insecure", "--platform={}", "--checksum={}", "--interval={}"]
)  # fmt: skip
_NAMES = st.sampled_from(
    ["FROM", "RUN", "COPY", "ADD", "ENV", "ARG", "LABEL", "WORKDIR", "USER", "VOLUME", "EXPOSE", "CMD",
     "ENTRYPOINT", "HEALTHCHECK", "ONBUILD", "SHELL", "STOPSIGNAL", "MAINTAINER", "run", "NOPE"]
)  # fmt: skip


@st.composite
def _lines(draw: st.DrawFn) -> str:
    flags = [draw(_FLAGS).replace("{}", draw(_VALUES)) for _ in range(draw(st.integers(0, 2)))]
    values = [draw(_VALUES) for _ in range(draw(st.integers(0, 4)))]
    line = " ".join([draw(_NAMES), *flags, *values])
    ending = draw(st.sampled_from(["", "", "", " \\", " <<EOF\nbody $A\nEOF", " <<EOF"]))
    return line + ending


_files = st.tuples(
    st.sampled_from(["FROM busybox AS base\n", "FROM busybox\n", "ARG A=1\nFROM trigger\n",
                     "# escape=`\nFROM busybox\n", ""]),
    st.lists(_lines(), max_size=8).map("\n".join),
).map("".join)  # fmt: skip


@settings(max_examples=250, deadline=None)
@given(_files)
def test_every_text_is_planned_or_refused(text: str) -> None:
    triggers = ["COPY . /t", "RUN --mount=type=cache,target=/c x", "ENV T=$A"]
    resolver = FakeResolver(trigger=image(on_build=triggers))
    lint = Lint()
    try:
        dockerfile = parse(text)
        look(dockerfile, lint)
        options = Options(arguments={"A": "../../a"}, labels={"l": "v"})
        plan = asyncio.run(Converter(dockerfile, options, {MAIN: Named("local")}, resolver, lint).plan())
    except LodgeError:
        return
    _check(plan)


def _check(plan: Plan) -> None:
    for node in plan.nodes:
        assert definition_of(node.operation)
        paths: list[str] = []
        if isinstance(node.operation, Run):
            paths = [mount.target for mount in node.operation.mounts] + [node.operation.directory]
        elif isinstance(node.operation, Files):
            for action in node.operation.actions:
                assert isinstance(action, (CopyAction, WriteAction, MakeDirectory))
                paths.append(action.target if isinstance(action, CopyAction) else action.path)
        assert all(".." not in path.split("/") for path in paths)
    layers = sum(not entry.empty_layer for entry in plan.config.history)
    made, node_now = 0, plan.node
    while node_now is not None and isinstance(node_now.operation, (Run, Files)):
        made += 1
        node_now = node_now.inputs[0]
    base = 1 if node_now is not None and node_now.operation.manifest else 0  # type: ignore[union-attr]
    assert layers == made + base
