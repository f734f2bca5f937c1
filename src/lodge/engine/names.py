"""Names and ids: made, checked, and found by a beginning.

Pure. An id is 64 hex digits, of which people use the first few; a name follows Docker's grammar.
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Callable, Iterable

from lodge.errors import InvalidArgument

_NAME = re.compile(r"/?[a-zA-Z0-9][a-zA-Z0-9_.-]+")
_ALL_DIGITS = re.compile(r"[0-9]+")

_MOODS = (
    "able airy alert ample apt awake bold brave breezy bright brisk calm candid careful cheery civil "
    "clear clever cordial cosy crisp curious deft dainty dapper daring dear eager early earnest easy "
    "elated epic exact fair famous fancy fearless festive fine firm fleet fluent fond frank free "
    "fresh friendly frugal funny gallant gentle genial glad gleeful golden good grand great green "
    "happy hardy hearty helpful honest hopeful humble ideal jolly jovial joyful keen kind lively "
    "loyal lucid lucky magical mellow merry mild modest neat nice nimble noble odd open patient "
    "placid plucky polite prime prompt proud quaint quick quiet quirky rapid ready robust rosy serene "
    "sharp shiny silly simple sleek smart smooth snug sober solid sound spry stable steady still "
    "stoic sunny sure sweet swift tender tidy tough tranquil trim true trusty upbeat valiant vast "
    "vivid warm wise witty wry zany zesty "
)
_BUILDERS = (
    "aalto ando arup bawa behrens berlage bo_bardi borromini bramante breuer brunel brunelleschi "
    "burle_marx candela chillida correa doshi drew eames eiffel eyck fathy foster fuller gaudi gehry "
    "gray gropius hadid hejduk horta imhotep isozaki jacobsen jones kahn kere khan lasdun legorreta "
    "lutyens mackintosh maki mayne mendes mies moneo moore murcutt neutra niemeyer nervi otto "
    "palladio pei perret piano ponti prouve pugin rewal rietveld rogers rudofsky saarinen safdie "
    "scarpa scharoun schindler schutte sejima shchusev sinan siza soane soleri sullivan tange taut "
    "terragni utzon vasari vauban viollet vitruvius voysey wagner wren wright zumthor "
)


def new_id() -> str:
    """64 random hex digits; the first twelve never read as a number, which some tools would take for one."""
    while True:
        made = os.urandom(32).hex()
        if not _ALL_DIGITS.fullmatch(made[:12]):
            return made


def new_name(taken: Callable[[str], bool]) -> str:
    """A name that people can say and nobody has yet."""
    for attempt in range(64):
        made = f"{random.choice(_MOODS.split())}_{random.choice(_BUILDERS.split())}"
        if attempt >= 5:
            made += str(random.randrange(10**6))
        if not taken(made):
            return made
    return new_id()[:12]


def check_container_name(name: str) -> str:
    """The name without a leading slash; InvalidArgument in Docker's words."""
    if not _NAME.fullmatch(name):
        raise InvalidArgument(f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")
    return name.removeprefix("/")


def by_beginning(beginning: str, ids: Iterable[str]) -> list[str]:
    """All ids that start so."""
    return [each for each in ids if each.startswith(beginning)]
