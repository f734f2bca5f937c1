"""Names of control groups."""

import pytest

from lodge.errors import Unsupported
from lodge.runtime.process.control_group import cgroup_path


def test_the_configs_name_or_the_identity() -> None:
    assert cgroup_path("/lodge/x", "box") == "/lodge/x"
    assert cgroup_path("", "box") == "/box"


def test_systemds_form_is_refused() -> None:
    with pytest.raises(Unsupported, match="systemd"):
        cgroup_path("system.slice:lodge:box", "box")
