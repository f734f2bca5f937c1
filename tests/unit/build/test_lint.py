import pytest

from lodge.build.dockerfile.lint import RULES, Lint, look
from lodge.build.dockerfile.stages import parse


def rules(text: str) -> list[tuple[str, int]]:
    dockerfile = parse(text)
    lint = Lint(dockerfile.directives.skipped_checks)
    look(dockerfile, lint)
    return [(each.rule, each.lines[0]) for each in lint.findings]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("FROM a\nRUN x", []),
        ("FROM a AS Big", [("StageNameCasing", 1)]),
        ("FROM a as x", [("FromAsCasing", 1)]),
        ("FROM a AS x\nFROM b AS x", [("DuplicateStageName", 2)]),
        ("FROM a AS scratch", [("ReservedStageName", 1)]),
        ("FROM a\nRUN x \\\n\n y", [("NoEmptyContinuation", 4)]),
        ("FROM a\nRUN x\nrun y", [("ConsistentInstructionCasing", 3)]),
        ("from a\nrun x\nRUN y", [("ConsistentInstructionCasing", 3)]),
        ("FROM a\nMAINTAINER me", [("MaintainerDeprecated", 2)]),
        ("FROM a\nENV x y", [("LegacyKeyValueFormat", 2)]),
        ('FROM a\nCMD ["a"]\nCMD ["b"]', [("MultipleInstructionsDisallowed", 2)]),
        ("FROM --platform=$TARGETPLATFORM a", [("RedundantTargetPlatform", 1)]),
        ("FROM --platform=linux/amd64 a", [("FromPlatformFlagConstDisallowed", 1)]),
        ("# check=skip=all\nFROM a AS Big", []),
        ("# check=skip=StageNameCasing\nFROM a AS Big", []),
    ],
)
def test_what_the_text_alone_shows(text: str, found: list[tuple[str, int]]) -> None:
    assert rules(text) == found


def test_every_rule_of_docker_is_here_with_a_page() -> None:
    assert len(RULES) == 22
    lint = Lint()
    lint.found("JSONArgsRecommended", (1, 1), "CMD")
    (finding,) = lint.findings
    assert finding.url == "https://docs.docker.com/go/dockerfile/rule/json-args-recommended/"
