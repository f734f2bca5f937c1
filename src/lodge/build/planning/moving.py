"""Instructions that put files into the image: COPY, ADD, WORKDIR."""

from __future__ import annotations

import posixpath
import re
from urllib.parse import urlsplit

from lodge.build.dockerfile import instructions as i
from lodge.build.dockerfile.lines import Heredoc
from lodge.build.dockerfile.problems import DockerfileError
from lodge.build.giturl import is_git_url
from lodge.build.graph import Action, CopyAction, Fetch, Files, Git, MakeDirectory, Node, Owner, WriteAction
from lodge.build.planning.nodes import Nodes
from lodge.build.planning.state import StageState
from lodge.build.planning.tools import Workshop, absolute

ROOT = Owner(user="0", group="0")
_CHECKSUM = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)
_OCTAL = re.compile(r"[0-7]{1,5}", re.ASCII)
_SYMBOLIC = re.compile(r"[ugoa]*([-+=]([rwxXst]*|[ugo]))+(,[ugoa]*([-+=]([rwxXst]*|[ugo]))+)*", re.ASCII)


def workdir(state: StageState, instruction: i.Workdir, shop: Workshop, nodes: Nodes) -> None:
    """WORKDIR: made if it isn't there."""
    text = shop.expand(instruction.path, state.values, instruction)
    if not text.startswith("/") and not state.workdir_set:
        shop.lint.found("WorkdirRelativePath", instruction.lines, text)
    state.workdir_set = True
    path = absolute(text, state.config.working_dir)
    path = path.rstrip("/") or "/"
    state.config.working_dir = path
    code = f"WORKDIR {text}"
    if path == "/":
        # There is nothing to make.
        state.record(f"WORKDIR {path}", layer=False)
        state.total -= 1
        nodes.say(code, instruction.lines)
        return
    user, _, group = state.config.user.partition(":")
    owner = Owner(user=user, group=group) if user else None
    operation = Files(actions=(MakeDirectory(path=path, owner=owner),), epoch=shop.options.source_date_epoch)
    node = nodes.step(state, operation, (state.node or nodes.empty(),), code, instruction.lines)
    state.record(f"WORKDIR {path}", layer=True)
    nodes.say(code, instruction.lines, node)


class Transfer:
    """One COPY or ADD on its way into the graph. `source` is what COPY copies from."""

    def __init__(
        self,
        state: StageState,
        instruction: i.Copy | i.Add,
        shop: Workshop,
        nodes: Nodes,
        source: Node | None,
    ) -> None:
        self._state = state
        self._instruction = instruction
        self._shop = shop
        self._nodes = nodes
        self._context = source
        self._values = state.values
        self._inputs: list[Node] = [state.node or nodes.empty()]
        self._actions: list[Action] = []

    def plan(self) -> None:
        """Add the node. Raises DockerfileError."""
        instruction, state = self._instruction, self._state
        target = self._expand(instruction.target)
        sources = [self._expand(source) for source in instruction.sources]
        count = len(sources) + len(instruction.texts)
        place = absolute(target, state.config.working_dir)
        if count > 1 and not place.endswith("/"):
            raise DockerfileError(
                f"When using {instruction.name} with more than one source file, the destination must be a "
                "directory and end with a /"
            )
        self._owner = self._parsed_owner()
        self._mode = self._parsed_mode()
        self._excludes = tuple(self._expand(pattern) for pattern in instruction.excludes)
        for text in instruction.texts:
            self._text(text, place)
        self._add_sources(sources, place)
        operation = Files(
            actions=tuple(self._actions),
            detached=instruction.link,
            epoch=self._shop.options.source_date_epoch,
        )
        names = [f"<<{text.name}" for text in instruction.texts]
        code = self._code([*sources, *names], target)
        node = self._nodes.step(state, operation, tuple(self._inputs), code, instruction.lines)
        given = (("chown", instruction.chown), ("chmod", instruction.chmod))
        flags = "".join(f" --{name}={value}" for name, value in given if value)
        words = " ".join([*sources, *names, target])
        state.record(f"{instruction.name}{flags} {words} # buildkit", layer=True)
        self._nodes.say(code, instruction.lines, node)

    def _code(self, sources: list[str], target: str) -> str:
        flags = "".join(f" --{flag}" for flag in self._shown_flags())
        return f"{self._instruction.name}{flags} {' '.join([*sources, target])}"

    def _shown_flags(self) -> list[str]:
        instruction = self._instruction
        shown = [
            f"{name}={value}"
            for name, value in (
                ("chown", instruction.chown),
                ("chmod", instruction.chmod),
                ("from", getattr(instruction, "source_stage", "")),
                ("checksum", getattr(instruction, "checksum", "")),
            )
            if value
        ]
        if instruction.link:
            shown.append("link")
        if getattr(instruction, "parents", False):
            shown.append("parents")
        return shown + [f"exclude={pattern}" for pattern in instruction.excludes]

    def _expand(self, text: str) -> str:
        return self._shop.expand(text, self._values, self._instruction)

    def _parsed_owner(self) -> Owner | None:
        text = self._expand(self._instruction.chown)
        if not text:
            return None
        user, _, group = text.partition(":")
        if not user and not group:
            raise DockerfileError(f"invalid chown value: {text}")
        return Owner(user=user, group=group)

    def _parsed_mode(self) -> str:
        text = self._expand(self._instruction.chmod)
        if text and not _OCTAL.fullmatch(text) and not _SYMBOLIC.fullmatch(text):
            raise DockerfileError(
                f"invalid chmod parameter: '{text}'. it should be octal string or symbolic mode and between "
                "0 and 07777",
                hint="--chmod=644, --chmod=u=rwX,go=rX",
            )
        return text

    def _text(self, text: Heredoc, place: str) -> None:
        content = text.text
        if text.expand:
            content = self._shop.text_lexer.word(content, self._values)
        path = place + text.name if place.endswith("/") else place
        self._actions.append(
            WriteAction(
                path=path, data=content.encode("utf-8", "surrogateescape"), mode=self._mode, owner=self._owner
            )
        )

    def _add_sources(self, sources: list[str], place: str) -> None:
        plain: list[str] = []
        for source in sources:
            if isinstance(self._instruction, i.Add) and is_git_url(source):
                self._git(source, place)
            elif isinstance(self._instruction, i.Add) and source.lower().startswith(("http://", "https://")):
                self._url(source, place)
            else:
                plain.append(source)
        if plain:
            self._copy(plain, place)

    def _copy(self, sources: list[str], place: str) -> None:
        instruction = self._instruction
        assert self._context is not None
        from_context = not (isinstance(instruction, i.Copy) and instruction.source_stage)
        unpack = isinstance(instruction, i.Add) and instruction.unpack is not False
        if isinstance(instruction, i.Add) and instruction.checksum:
            raise DockerfileError("checksum can't be specified for non-HTTP(S) sources")
        self._actions.append(
            CopyAction(
                input=self._input(self._context),
                sources=tuple(sources),
                target=place,
                owner=self._owner or (ROOT if from_context else None),
                mode=self._mode,
                excludes=self._excludes,
                parents=isinstance(instruction, i.Copy) and instruction.parents,
                unpack=unpack,
            )
        )

    def _url(self, url: str, place: str) -> None:
        instruction = self._instruction
        assert isinstance(instruction, i.Add)
        checksum = self._expand(instruction.checksum)
        if checksum and not _CHECKSUM.fullmatch(checksum):
            raise DockerfileError(
                f"invalid checksum digest format: {checksum}", hint="sha256:<64 hex digits>"
            )
        name = posixpath.basename(urlsplit(url).path)
        if not name and place.endswith("/"):
            raise DockerfileError(f"cannot determine filename for source {url}")
        fetch = self._nodes.source(Fetch(url=url, checksum=checksum, name=name or "file"), url)
        self._actions.append(
            CopyAction(
                input=self._input(fetch),
                sources=(name or "file",),
                target=place,
                owner=self._owner or ROOT,
                mode=self._mode,
                unpack=bool(instruction.unpack),
            )
        )

    def _git(self, url: str, place: str) -> None:
        instruction = self._instruction
        assert isinstance(instruction, i.Add)
        repository = Git(
            url=url,
            keep_git_dir=bool(instruction.keep_git_dir),
            checksum=self._expand(instruction.checksum),
        )
        node = self._nodes.source(repository, url)
        self._actions.append(
            CopyAction(
                input=self._input(node),
                sources=("/",),
                target=place if place.endswith("/") else place + "/",
                owner=self._owner or ROOT,
                mode=self._mode,
                excludes=self._excludes,
            )
        )

    def _input(self, node: Node) -> int:
        if node not in self._inputs[1:]:
            self._inputs.append(node)
        return self._inputs.index(node, 1)
