"""One logical line -> one typed instruction, with Docker's words for what is wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from lodge.build.dockerfile import instructions as i
from lodge.build.dockerfile.flags import Flags
from lodge.build.dockerfile.health import read_health
from lodge.build.dockerfile.lines import Heredoc, Line, parse_heredoc, split_command
from lodge.build.dockerfile.problems import DockerfileError, nearest
from lodge.build.dockerfile.run_mounts import read_mount

_BLANKS = re.compile(r"[\t\v\f\r ]+")
_STAGE_NAME = re.compile(r"[a-z][a-z0-9\-_.]*", re.ASCII)
_NOT_TRIGGERS = ("MAINTAINER", "FROM")
NETWORKS = ("default", "none", "host")
SECURITIES = ("sandbox", "insecure")


def read_instruction(line: Line, escape: str = "\\") -> i.Instruction:
    """Read one line; DockerfileError, placed at its lines."""
    reader = _READERS.get(line.keyword)
    try:
        if reader is None:
            meant = nearest(line.keyword, tuple(_READERS)).upper()
            raise DockerfileError(
                f"unknown instruction: {line.word}" + (f" (did you mean {meant}?)" if meant else ""),
                column=1,
            )
        return reader(line, Flags(line.keyword, line.flags), escape)
    except DockerfileError as error:
        raise error.at(line.lines) from None


def json_words(text: str) -> tuple[str, ...] | None:
    """The words of a JSON array; None when it is none, an error for an array of something else."""
    text = text.lstrip()
    if not text.startswith("["):
        return None
    try:
        words = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not all(isinstance(word, str) for word in words):
        raise DockerfileError("when using JSON array syntax, arrays must be comprised of strings only")
    return tuple(words)


def split_quoted(text: str, escape: str) -> list[str]:
    """Cut at unquoted white space; quotes and escapes stay in the words, for later."""
    words: list[str] = []
    word: list[str] = []
    quote = ""
    begun = False
    place = 0
    while place < len(text):
        char = text[place]
        if not quote and char.isspace():
            if begun:
                words.append("".join(word))
            word, begun = [], False
        else:
            begun = True
            if char == escape and quote != "'":
                if place + 1 == len(text):
                    break
                word.append(char)
                place += 1
                char = text[place]
            elif char == quote:
                quote = ""
            elif not quote and char in "'\"":
                quote = char
            word.append(char)
        place += 1
    if begun and word:
        words.append("".join(word))
    return words


def _base(line: Line) -> dict[str, object]:
    return {"code": line.whole, "lines": line.lines, "word": line.word, "comments": line.comments}


def _words(line: Line) -> list[str]:
    return [word for word in _BLANKS.split(line.rest) if word] if line.rest else []


def _list(line: Line) -> list[str]:
    words = json_words(line.rest)
    return list(words) if words is not None else _words(line)


def _command(line: Line) -> i.Command:
    words = json_words(line.rest)
    if words is not None:
        return i.Command(words=words, shell=False)
    return i.Command(words=(line.rest,) if line.rest else (), shell=True, heredocs=line.heredocs)


def _pairs(line: Line, escape: str) -> tuple[tuple[i.Pair, ...], bool]:
    name = line.word.upper()
    words = split_quoted(line.rest, escape)
    if not words:
        raise DockerfileError(f"{name} requires at least one argument")
    if "=" not in words[0]:
        parts = _BLANKS.split(line.rest, maxsplit=1)
        if len(parts) < 2:
            raise DockerfileError(f"{name} must have two arguments", hint=f"{name} {parts[0]}=value")
        return ((parts[0], parts[1]),), True
    found: list[i.Pair] = []
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            raise DockerfileError(
                f'Syntax error - can\'t find = in "{word}". Must be of the form: name=value'
            )
        if not key:
            raise DockerfileError(f"{name} names can not be blank")
        found.append((key, value))
    return tuple(found), False


def _from(line: Line, flags: Flags, _: str) -> i.Instruction:
    words = _words(line)
    alias = as_word = ""
    if len(words) == 3 and words[1].lower() == "as":
        as_word, alias = words[1], words[2].lower()
        if not _STAGE_NAME.fullmatch(alias):
            raise DockerfileError(
                f'invalid name for build stage: "{words[2]}", name can\'t start with a number or contain '
                "symbols"
            )
    elif len(words) != 1:
        raise DockerfileError("FROM requires either one or three arguments", hint="FROM image [AS name]")
    return i.From(
        **_base(line),  # type: ignore[arg-type]
        base=words[0],
        alias=alias,
        alias_text=words[2] if alias else "",
        as_word=as_word,
        platform=flags.text("platform"),
    )


def _arg(line: Line, _: Flags, escape: str) -> i.Instruction:
    words = split_quoted(line.rest, escape)
    if not words:
        raise DockerfileError("ARG requires at least one argument")
    found: list[i.Argument] = []
    for word in words:
        name, equals, value = word.partition("=")
        if not name:
            raise DockerfileError("ARG names can not be blank")
        found.append(i.Argument(name, value if equals else None))
    return i.Arg(**_base(line), arguments=tuple(found))  # type: ignore[arg-type]


def _run(line: Line, flags: Flags, _: str) -> i.Instruction:
    network, security = flags.text("network").lower(), flags.text("security").lower()
    if network and network not in NETWORKS:
        raise DockerfileError(f'invalid network mode: "{network}"', hint=f"one of {', '.join(NETWORKS)}")
    if security and security not in SECURITIES:
        raise DockerfileError(f'security "{security}" is not valid', hint=f"one of {', '.join(SECURITIES)}")
    if flags.texts("device"):
        raise DockerfileError("RUN --device is not supported by this engine")
    command = _command(line)
    if not command.words and not command.heredocs:
        raise DockerfileError("RUN requires at least one argument")
    mounts = tuple(read_mount(text) for text in flags.texts("mount"))
    return i.Run(
        **_base(line),  # type: ignore[arg-type]
        command=command,
        mounts=mounts,
        network=network,
        security=security,
    )


def _cmd(line: Line, _: Flags, __: str) -> i.Instruction:
    return i.Cmd(**_base(line), command=_command(line))  # type: ignore[arg-type]


def _entrypoint(line: Line, _: Flags, __: str) -> i.Instruction:
    return i.Entrypoint(**_base(line), command=_command(line))  # type: ignore[arg-type]


def _env(line: Line, _: Flags, escape: str) -> i.Instruction:
    pairs, legacy = _pairs(line, escape)
    return i.Env(**_base(line), pairs=pairs, legacy=legacy)  # type: ignore[arg-type]


def _label(line: Line, _: Flags, escape: str) -> i.Instruction:
    pairs, legacy = _pairs(line, escape)
    return i.Label(**_base(line), pairs=pairs, legacy=legacy)  # type: ignore[arg-type]


def _maintainer(line: Line, _: Flags, __: str) -> i.Instruction:
    if not line.rest:
        raise DockerfileError("MAINTAINER requires exactly one argument")
    return i.Maintainer(**_base(line), author=line.rest)  # type: ignore[arg-type]


def _expose(line: Line, _: Flags, __: str) -> i.Instruction:
    words = _words(line)
    if not words:
        raise DockerfileError("EXPOSE requires at least one argument")
    return i.Expose(**_base(line), ports=tuple(sorted(words)))  # type: ignore[arg-type]


def _sources(line: Line) -> tuple[tuple[str, ...], tuple[Heredoc, ...], str]:
    words, name = _list(line), line.word.upper()
    if len(words) < 2:
        raise DockerfileError(
            f"{name} requires at least two arguments, but only one was provided. Destination could not be "
            "determined"
            if words
            else f"{name} requires at least two arguments",
            hint=f"{name} source... destination",
        )
    if parse_heredoc(words[-1]) is not None:
        raise DockerfileError(f"{name} cannot accept a heredoc as a destination")
    texts = {heredoc.name: heredoc for heredoc in line.heredocs}
    paths: list[str] = []
    inline: list[Heredoc] = []
    for word in words[:-1]:
        announced = parse_heredoc(word)
        if announced is not None and announced.name in texts:
            inline.append(texts[announced.name])
        else:
            paths.append(word)
    return tuple(paths), tuple(inline), words[-1]


def _transfer(line: Line, flags: Flags) -> dict[str, object]:
    sources, texts, target = _sources(line)
    return {
        **_base(line),
        "sources": sources,
        "texts": texts,
        "target": target,
        "chown": flags.text("chown"),
        "chmod": flags.text("chmod"),
        "link": bool(flags.switch("link")),
        "excludes": flags.texts("exclude"),
    }


def _add(line: Line, flags: Flags, _: str) -> i.Instruction:
    return i.Add(
        **_transfer(line, flags),  # type: ignore[arg-type]
        checksum=flags.text("checksum"),
        unpack=flags.switch("unpack"),
        keep_git_dir=flags.switch("keep-git-dir"),
    )


def _copy(line: Line, flags: Flags, _: str) -> i.Instruction:
    return i.Copy(
        **_transfer(line, flags),  # type: ignore[arg-type]
        source_stage=flags.text("from"),
        parents=bool(flags.switch("parents")),
    )


def _volume(line: Line, _: Flags, __: str) -> i.Instruction:
    places = tuple(place.strip() for place in _list(line))
    if not places:
        raise DockerfileError("VOLUME requires at least one argument")
    if not all(places):
        raise DockerfileError("VOLUME specified can not be an empty string")
    return i.Volume(**_base(line), places=places)  # type: ignore[arg-type]


def _one(line: Line) -> str:
    if not line.rest:
        raise DockerfileError(f"{line.word.upper()} requires exactly one argument")
    return line.rest


def _user(line: Line, _: Flags, __: str) -> i.Instruction:
    return i.User(**_base(line), user=_one(line))  # type: ignore[arg-type]


def _workdir(line: Line, _: Flags, __: str) -> i.Instruction:
    return i.Workdir(**_base(line), path=_one(line))  # type: ignore[arg-type]


def _stopsignal(line: Line, _: Flags, __: str) -> i.Instruction:
    return i.StopSignal(**_base(line), signal=_one(line))  # type: ignore[arg-type]


def _onbuild(line: Line, _: Flags, escape: str) -> i.Instruction:
    word, flags, rest = split_command(line.rest, escape)
    if not word:
        raise DockerfileError("ONBUILD requires at least one argument")
    upper = word.upper()
    if upper == "ONBUILD":
        raise DockerfileError("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
    if upper in _NOT_TRIGGERS:
        raise DockerfileError(f"{upper} isn't allowed as an ONBUILD trigger")
    # What is wrong with the trigger is said now, not in the images that are built on this one.
    read_instruction(
        Line(word=word, rest=rest, flags=flags, whole=line.rest, lines=line.lines, heredocs=line.heredocs),
        escape,
    )
    trigger = line.rest + "".join(f"\n{heredoc.content}{heredoc.name}" for heredoc in line.heredocs)
    return i.OnBuild(**_base(line), trigger=trigger)  # type: ignore[arg-type]


def _health(line: Line, flags: Flags, _: str) -> i.Instruction:
    return i.Health(**_base(line), check=read_health(line.rest, flags))  # type: ignore[arg-type]


def _shell(line: Line, _: Flags, __: str) -> i.Instruction:
    words = json_words(line.rest)
    if words is None and line.rest:
        raise DockerfileError(
            "SHELL requires the arguments to be in JSON form", hint='SHELL ["/bin/bash", "-c"]'
        )
    if not words:
        raise DockerfileError("SHELL requires at least one argument")
    return i.Shell(**_base(line), words=words)  # type: ignore[arg-type]


_READERS: dict[str, Callable[[Line, Flags, str], i.Instruction]] = {
    "add": _add,
    "arg": _arg,
    "cmd": _cmd,
    "copy": _copy,
    "entrypoint": _entrypoint,
    "env": _env,
    "expose": _expose,
    "from": _from,
    "healthcheck": _health,
    "label": _label,
    "maintainer": _maintainer,
    "onbuild": _onbuild,
    "run": _run,
    "shell": _shell,
    "stopsignal": _stopsignal,
    "user": _user,
    "volume": _volume,
    "workdir": _workdir,
}
