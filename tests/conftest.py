"""What every test has: the rule of who may run where, and paths of the project.

Fixtures of one suite live in that suite's own conftest; makers of images live in tests/images.
"""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.images.fixtures"]

PROJECT = Path(__file__).resolve().parent.parent
NEEDS_ROOT = ("privileged", "clients")

settings.register_profile(
    "lodge", max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("lodge")
"""Examples of a property where its test names no number. No deadline: machines of tests are busy ones."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that change the machine are for root; elsewhere they are skipped with that reason."""
    if os.geteuid() == 0:
        return
    for item in items:
        if item.path.relative_to(PROJECT / "tests").parts[0] in NEEDS_ROOT:
            item.add_marker(pytest.mark.skip(reason="needs root"))


@pytest.fixture(scope="session")
def project() -> Path:
    """The root of the checkout."""
    return PROJECT
