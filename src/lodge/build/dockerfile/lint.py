"""The checks: what builds, and should be written otherwise. Docker's rules, names and texts.

`Lint` collects findings while a build is planned; `look` finds what the text alone shows. Which rules are
skipped, and whether a finding ends the build, the Dockerfile's `# check=` says.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from msgspec import Struct

from lodge.build.dockerfile import instructions as i
from lodge.build.dockerfile.problems import Lines, nearest
from lodge.build.dockerfile.stages import Dockerfile, Stage

_URL = "https://docs.docker.com/go/dockerfile/rule/"
_SECRET = re.compile(
    r"(?:^|_)(?:apikey|auth|credential|credentials|key|password|pword|passwd|secret|token)(?:_|$)",
    re.IGNORECASE,
)
_PUBLIC = re.compile(r"(?:^|_)public(?:_|$)", re.IGNORECASE)
_RESERVED = ("context", "scratch")
_ONCE = (i.Cmd, i.Entrypoint, i.Health)


class Rule(Struct, frozen=True):
    """One rule: `text` says what was found, `detail` what it is about."""

    detail: str
    text: str
    experimental: bool = False


RULES: dict[str, Rule] = {
    "StageNameCasing": Rule("Stage names should be lowercase", "Stage name '{0}' should be lowercase"),
    "FromAsCasing": Rule(
        "The 'as' keyword should match the case of the 'from' keyword",
        "'{1}' and '{0}' keywords' casing do not match",
    ),
    "NoEmptyContinuation": Rule(
        "Empty continuation lines will become errors in a future release", "Empty continuation line"
    ),
    "ConsistentInstructionCasing": Rule(
        "All commands within the Dockerfile should use the same casing (either upper or lower)",
        "Command '{0}' should match the case of the command majority ({1})",
    ),
    "DuplicateStageName": Rule(
        "Stage names should be unique", 'Duplicate stage name "{0}", stage names should be unique'
    ),
    "ReservedStageName": Rule(
        "Reserved words should not be used as stage names",
        'Stage name should not use the same name as reserved stage "{0}"',
    ),
    "JSONArgsRecommended": Rule(
        "JSON arguments recommended for ENTRYPOINT/CMD to prevent unintended behavior related to OS signals",
        "JSON arguments recommended for {0} to prevent unintended behavior related to OS signals",
    ),
    "MaintainerDeprecated": Rule(
        "The MAINTAINER instruction is deprecated, use a label instead to define an image author",
        "Maintainer instruction is deprecated in favor of using label",
    ),
    "UndefinedArgInFrom": Rule(
        "FROM command must use declared ARGs", "FROM argument '{0}' is not declared{1}"
    ),
    "WorkdirRelativePath": Rule(
        "Relative workdir without an absolute workdir declared within the build can have unexpected results "
        "if the base image changes",
        'Relative workdir "{0}" can have unexpected results if the base image changes',
    ),
    "UndefinedVar": Rule(
        "Variables should be defined before their use", "Usage of undefined variable '${0}'{1}"
    ),
    "MultipleInstructionsDisallowed": Rule(
        "Multiple instructions of the same type should not be used in the same stage",
        "Multiple {0} instructions should not be used in the same stage because only the last one will be "
        "used",
    ),
    "LegacyKeyValueFormat": Rule(
        "Legacy key/value format with whitespace separator should not be used",
        '"{0} key=value" should be used instead of legacy "{0} key value" format',
    ),
    "InvalidBaseImagePlatform": Rule(
        "Base image platform does not match expected target platform",
        'Base image {0} was pulled with platform "{1}", expected "{2}" for current build',
    ),
    "RedundantTargetPlatform": Rule(
        "Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior",
        "Setting platform to predefined {0} in FROM is redundant as this is the default behavior",
    ),
    "SecretsUsedInArgOrEnv": Rule(
        "Sensitive data should not be used in the ARG or ENV commands",
        'Do not use ARG or ENV instructions for sensitive data ({0} "{1}")',
    ),
    "InvalidDefaultArgInFrom": Rule(
        "Default value for global ARG results in an empty or invalid base image name",
        "Default value for ARG {0} results in empty or invalid base image name",
    ),
    "FromPlatformFlagConstDisallowed": Rule(
        "FROM --platform flag should not use a constant value",
        'FROM --platform flag should not use constant value "{0}"',
    ),
    "CopyIgnoredFile": Rule(
        "Attempting to Copy file that is excluded by .dockerignore",
        'Attempting to {0} file "{1}" that is excluded by .dockerignore',
    ),
    "InvalidDefinitionDescription": Rule(
        "Comment for build stage or argument should follow the format: `# <arg/stage name> <description>`. "
        "If this is not intended to be a description comment, add an empty line or comment between the "
        "instruction and the comment.",
        "Comment for {0} should follow the format: `# {1} <description>`",
        experimental=True,
    ),
    "ExposeProtoCasing": Rule(
        "Protocol in EXPOSE instruction should be lowercase",
        "Defined protocol '{0}' in EXPOSE instruction should be lowercase",
    ),
    "ExposeInvalidFormat": Rule(
        "IP address and host-port mapping should not be used in EXPOSE instruction. This will become an "
        "error in a future release",
        "EXPOSE instruction should not define an IP address or host-port mapping, found '{0}'",
    ),
}


class Finding(Struct, frozen=True):
    """One thing found."""

    rule: str
    message: str
    detail: str
    url: str
    lines: Lines


class Lint:
    """Collects findings; each once."""

    def __init__(self, skipped: frozenset[str] = frozenset()) -> None:
        self._skipped = skipped
        self.findings: dict[Finding, None] = {}

    def found(self, name: str, lines: Lines, *words: str) -> None:
        """Note a finding of a rule, unless the rule is skipped."""
        if "all" in self._skipped or name.lower() in self._skipped:
            return
        rule = RULES[name]
        if rule.experimental and "experimental" not in self._skipped:
            return
        slug = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", name).lower()
        finding = Finding(name, rule.text.format(*words), rule.detail, _URL + slug + "/", lines)
        self.findings[finding] = None

    def undefined(
        self, unknown: Iterable[str], values: Mapping[str, str], instruction: i.Instruction
    ) -> None:
        """Variables that nothing defines; PATH and kin come from the image when it runs."""
        for name in unknown:
            if name and (name[0].isalpha() or name[0] == "_"):
                self.found("UndefinedVar", instruction.lines, name, _meant(name, values, "$"))

    def undefined_in_from(self, unknown: Iterable[str], values: Mapping[str, str], lines: Lines) -> None:
        """Variables of a FROM that no ARG before it declares."""
        for name in unknown:
            self.found("UndefinedArgInFrom", lines, name, _meant(name, values, ""))

    def secret(self, instruction: str, name: str, lines: Lines) -> None:
        """A name that sounds like a secret's."""
        if _SECRET.search(name) and not _PUBLIC.search(name):
            self.found("SecretsUsedInArgOrEnv", lines, instruction, name)


def _meant(name: str, values: Mapping[str, str], sign: str) -> str:
    meant = nearest(name, tuple(values))
    return f" (did you mean {sign}{meant}?)" if meant else ""


def look(dockerfile: Dockerfile, lint: Lint) -> None:
    """What the text alone shows."""
    for lines in dockerfile.empty_continuations:
        lint.found("NoEmptyContinuation", lines)
    _casing(dockerfile, lint)
    names: set[str] = set()
    for stage in dockerfile.stages:
        _stage_name(stage, names, lint)
        _stage_body(stage, lint)


def _casing(dockerfile: Dockerfile, lint: Lint) -> None:
    every: list[i.Instruction] = [*dockerfile.arguments]
    for stage in dockerfile.stages:
        every += [stage.start, *stage.body]
    lower = sum(each.word.islower() for each in every)
    upper = sum(each.word.isupper() for each in every)
    majority = "lowercase" if lower > upper else "uppercase"
    for each in every:
        fits = each.word.islower() if majority == "lowercase" else each.word.isupper()
        if not fits:
            lint.found("ConsistentInstructionCasing", each.lines, each.word, majority)


def _stage_name(stage: Stage, names: set[str], lint: Lint) -> None:
    start = stage.start
    if not start.alias:
        return
    if start.alias_text != start.alias:
        lint.found("StageNameCasing", start.lines, start.alias_text)
    if start.alias in names:
        lint.found("DuplicateStageName", start.lines, start.alias_text)
    if start.alias in _RESERVED:
        lint.found("ReservedStageName", start.lines, start.alias_text)
    if start.as_word.islower() != start.word.islower():
        lint.found("FromAsCasing", start.lines, start.word, start.as_word)
    names.add(start.alias)


def _stage_body(stage: Stage, lint: Lint) -> None:
    if stage.start.platform:
        _platform(stage.start, lint)
    last: dict[type[i.Instruction], i.Instruction] = {}
    for each in stage.body:
        if isinstance(each, i.Maintainer):
            lint.found("MaintainerDeprecated", each.lines)
        elif isinstance(each, (i.Env, i.Label)) and each.legacy:
            lint.found("LegacyKeyValueFormat", each.lines, each.name)
        elif isinstance(each, _ONCE):
            if type(each) in last:
                before = last[type(each)]
                lint.found("MultipleInstructionsDisallowed", before.lines, each.name)
            last[type(each)] = each


def _platform(start: i.From, lint: Lint) -> None:
    if start.platform in ("$TARGETPLATFORM", "${TARGETPLATFORM}"):
        lint.found("RedundantTargetPlatform", start.lines, start.platform)
    elif "$" not in start.platform and not (start.alias and start.platform in start.alias):
        lint.found("FromPlatformFlagConstDisallowed", start.lines, start.platform)
