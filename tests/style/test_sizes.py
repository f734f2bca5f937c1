"""Modules and functions stay small enough to be read at one sitting."""

import statistics

from tests.style.source import modules

MODULE_CAP = 500
MODULE_MEDIAN = 200
FUNCTION_CAP = 80
FUNCTION_P90 = 40

LONG_MODULES: dict[str, str] = {}
"""Modules above the cap, each with the reason."""

LONG_FUNCTIONS: dict[str, str] = {}
"""Functions above the cap (`module:function`), each with the reason."""


def test_no_module_is_longer_than_the_cap() -> None:
    long = {str(module): module.lines for module in modules() if module.lines > MODULE_CAP}
    assert long.keys() == LONG_MODULES.keys(), f"longer than {MODULE_CAP} lines, or no longer so: {long}"


def test_the_median_module_is_short() -> None:
    median = statistics.median(module.lines for module in modules())
    assert median < MODULE_MEDIAN


def test_no_function_is_longer_than_the_cap() -> None:
    long = {
        f"{module}:{function.name}": function.length
        for module in modules()
        for function in module.functions()
        if function.length > FUNCTION_CAP
    }
    assert long.keys() == LONG_FUNCTIONS.keys(), f"longer than {FUNCTION_CAP} lines, or no longer so: {long}"


def test_nine_of_ten_functions_are_short() -> None:
    lengths = sorted(function.length for module in modules() for function in module.functions())
    assert lengths[len(lengths) * 9 // 10] < FUNCTION_P90
