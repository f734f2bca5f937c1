"""The classic builder's stream out of events."""

from lodge.api.shapes_build import Classic
from lodge.build import contract as c
from lodge.build.failures import StepFailed
from lodge.spec.image import ImageConfig

CHAIN = "sha256:" + "c" * 64


def step(name: str) -> c.Step:
    return c.Step(id=f"sha256:{name * 8}", name=name)


def planned() -> c.Planned:
    names = [("FROM busybox", "a"), ("ENV X=1", ""), ("RUN one", "b"), ("RUN  \n two", "d")]
    return c.Planned(
        steps=[],
        instructions=[c.Instruction(code=code, step=step(name).id if name else "") for code, name in names],
    )


def built() -> c.Built:
    image = c.BuiltImage(platform="linux/amd64", config_digest=CHAIN, config=ImageConfig())
    return c.Built(images=[image], names=("docker.io/library/x:latest",))


def finished(name: str) -> c.Finished:
    return c.Finished(step=step(name).id, result=CHAIN)


def play(*events: c.BuildEvent, quiet: bool = False) -> str:
    classic = Classic(quiet=quiet)
    lines = [line for event in events for line in classic.lines(event)]
    return "".join(line.get("stream", f"{line}\n") for line in lines)


def test_steps_are_told_in_order_whatever_runs_first() -> None:
    said = play(
        planned(),
        c.Started(step=step("d")),
        c.Working(step=step("d").id),
        c.Log(step=step("d").id, stream=1, data=b"early\n"),
        finished("a"),
        c.Working(step=step("b").id),
        c.Log(step=step("b").id, stream=2, data=b"one\n"),
        finished("b"),
        finished("d"),
        built(),
    )
    short = "c" * 12
    assert said == (
        f"Step 1/4 : FROM busybox\n ---> {short}\nStep 2/4 : ENV X=1\n ---> {short}\n"
        f"Step 3/4 : RUN one\n ---> Running in {'b' * 8}\n\x1b[91mone\n\x1b[0m"
        f" ---> Removed intermediate container {'b' * 8}\n ---> {short}\n"
        f"Step 4/4 : RUN two\n ---> Running in {'d' * 8}\nearly\n"
        f" ---> Removed intermediate container {'d' * 8}\n ---> {short}\n"
        f"{{'aux': {{'ID': '{CHAIN}'}}}}\nSuccessfully built {short}\nSuccessfully tagged x:latest\n"
    )


def test_cached_steps_and_the_configuration_before_them() -> None:
    said = play(
        planned(), finished("a"), c.Cached(step=step("b").id), finished("b"), c.Cached(step=step("d").id),
        finished("d"),
    )  # fmt: skip
    assert said.count(" ---> Using cache\n") == 3


def test_quiet_says_only_the_id() -> None:
    assert play(planned(), finished("a"), built(), quiet=True) == f"{CHAIN}\n"


def test_a_failure_is_told_with_its_code() -> None:
    classic = Classic()
    for event in (planned(), finished("a"), c.Working(step=step("b").id)):
        list(classic.lines(event))
    failure = StepFailed(
        "process failed", step=step("b").id, name="RUN one", command="/bin/sh -c one", exit_code=3
    )
    (last,) = classic.failed(failure)
    assert last["errorDetail"] == {
        "code": 3,
        "message": "The command '/bin/sh -c one' returned a non-zero code: 3",
    }
