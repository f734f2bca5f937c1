"""The keeper's last resort; all else of it is in tests/contract/runtime."""

import shutil
from pathlib import Path

import pytest

from lodge.runtime.exit_record import read_exit_record
from lodge.runtime.messages import SealedLaunch
from lodge.runtime.monitor.keeper import Keeper
from lodge.runtime.monitor.loop import Loop


class Dwelling:
    """One in which nothing can be made."""

    def __init__(self, removed: list[bool]) -> None:
        self.removed = removed

    def create(self, _stdio: object) -> None:
        raise KeyboardInterrupt

    def oom_kills(self) -> int:
        return 0

    def remove(self) -> None:
        self.removed.append(True)


def test_a_monitor_whose_directory_is_gone_still_ends(tmp_path: Path) -> None:
    loop = Loop()
    state_dir = tmp_path / "state"
    keeper = Keeper(loop, lambda _order: Dwelling([]))  # type: ignore[arg-type,return-value]
    order = SealedLaunch(request=1, id="x", bundle=str(tmp_path), state_dir=str(state_dir))
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(KeyboardInterrupt):
        keeper.handle(None, order, [])  # type: ignore[arg-type]
    shutil.rmtree(state_dir)
    with pytest.raises(FileNotFoundError) as caught:
        keeper.give_up(ValueError("a defect"))
    keeper.give_up(caught.value)
    loop.run()
    assert not state_dir.exists()


def test_defect_of_the_monitor_is_recorded(tmp_path: Path) -> None:
    loop = Loop()
    removed: list[bool] = []
    keeper = Keeper(loop, lambda _order: Dwelling(removed))  # type: ignore[arg-type,return-value]
    order = SealedLaunch(request=1, id="x", bundle=str(tmp_path), state_dir=str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    # No error of a request, which would be answered: it goes through everything.
    with pytest.raises(KeyboardInterrupt):
        keeper.handle(None, order, [])  # type: ignore[arg-type]
    keeper.give_up(ValueError("a defect"))
    loop.run()
    record = read_exit_record(str(tmp_path))
    assert record is not None
    assert record.code == 128
    assert record.error == "the container's monitor failed: ValueError: a defect"
    assert removed == [True]
    assert not (tmp_path / "monitor.sock").exists()
