"""The background thread: jobs in time, descriptors watched, an end."""

import logging
import os
import threading

import pytest

from lodge.network.keeper import Keeper

PATIENCE = 5


def test_jobs_run_in_the_order_of_their_times() -> None:
    keeper, seen, done = Keeper(), [], threading.Event()
    keeper.later(0.05, lambda: (seen.append("late"), done.set()))
    keeper.later(0.01, lambda: seen.append("soon"))
    keeper.later(0, lambda: seen.append("now"))
    assert done.wait(PATIENCE)
    assert seen == ["now", "soon", "late"]
    keeper.close()


def test_a_job_that_fails_is_logged_and_ends_only_itself(caplog: pytest.LogCaptureFixture) -> None:
    keeper, done = Keeper(), threading.Event()

    def fail() -> None:
        raise ValueError("of no use")

    with caplog.at_level(logging.ERROR):
        keeper.later(0, fail)
        keeper.later(0, done.set)
        assert done.wait(PATIENCE)
    keeper.close()
    assert "of no use" in caplog.text


def test_a_job_may_plan_another() -> None:
    keeper, done = Keeper(), threading.Event()
    keeper.later(0, lambda: keeper.later(0, done.set))
    assert done.wait(PATIENCE)
    keeper.close()


def test_a_descriptor_is_watched() -> None:
    keeper, heard = Keeper(), threading.Event()
    read, write = os.pipe()
    keeper.watch(read, lambda: (os.read(read, 1), heard.set()))
    os.write(write, b"x")
    assert heard.wait(PATIENCE)
    keeper.close()
    os.close(read)
    os.close(write)


def test_nothing_begins_before_the_first_job_and_nothing_after_the_end() -> None:
    before = threading.active_count()
    keeper = Keeper()
    keeper.close()
    keeper.later(0, lambda: pytest.fail("it has ended"))
    assert threading.active_count() == before
