"""Words for the kernel are checked before anything is made."""

import resource

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodge.errors import InvalidArgument
from lodge.runtime.process.attributes import RLIMITS, check_process, parse_list
from lodge.spec.runtime import ExecCpuAffinity, Process, Rlimit, User


def limited(*limits: Rlimit) -> Process:
    return Process(cwd="/", rlimits=list(limits))


@pytest.mark.parametrize("name", ["NOFILE", "NPROC", "CORE", "AS", "MEMLOCK", "RTPRIO", "SIGPENDING"])
def test_limits_have_the_kernels_numbers(name: str) -> None:
    assert RLIMITS[f"RLIMIT_{name}"] == getattr(resource, f"RLIMIT_{name}")


@pytest.mark.parametrize(
    "process",
    [
        limited(Rlimit(type="RLIMIT_FOO", hard=1, soft=1)),
        limited(Rlimit(type="RLIMIT_CPU", hard=1, soft=1), Rlimit(type="RLIMIT_CPU", hard=2, soft=2)),
        Process(cwd="/", oom_score_adj=1001),
        Process(cwd="/", user=User(umask=0o10000)),
        Process(cwd="/", exec_cpu_affinity=ExecCpuAffinity(initial="a")),
    ],
)
def test_nonsense_is_refused(process: Process) -> None:
    with pytest.raises(InvalidArgument):
        check_process(process)


def test_lists() -> None:
    assert parse_list("0-2, 7") == {0, 1, 2, 7}
    assert parse_list("") == set()


@pytest.mark.parametrize("text", ["a", "1-", "-1", "3-1", "0-99999999", "1--2", "٣"])
def test_what_is_no_list(text: str) -> None:
    with pytest.raises(InvalidArgument):
        parse_list(text)


@given(st.sets(st.integers(0, 300), max_size=20))
def test_every_list_comes_back(numbers: set[int]) -> None:
    assert parse_list(",".join(map(str, sorted(numbers)))) == numbers
