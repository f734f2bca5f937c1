import pytest

from lodge.build.dockerfile.problems import DockerfileError
from lodge.build.dockerfile.run_mounts import RunMount, complete, read_mount


def mount(text: str) -> RunMount:
    return complete(read_mount(text), lambda value: value.replace("$X", "expanded"))


def test_a_cache_with_everything() -> None:
    found = mount("type=cache,id=$X,target=/c,sharing=locked,mode=0700,uid=1,gid=2,from=base,source=s")
    assert found == RunMount(
        type="cache", id="expanded", target="/c", sharing="locked", mode=0o700, uid=1, gid=2,
        source_stage="base", source="s",
    )  # fmt: skip
    assert found.writable


def test_a_bind_is_read_only_unless_it_says_so() -> None:
    assert not mount("target=/x").writable
    assert mount("target=/x,rw").writable
    assert mount("dst=/x,readwrite=true").writable
    assert not mount("type=tmpfs,target=/x,ro").writable


def test_a_tmpfs_has_a_size() -> None:
    assert mount("type=tmpfs,target=/t,size=1.5m").size == 3 << 19


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("type=nfs,target=/x", 'unsupported mount type "nfs"'),
        ("type=cahce,target=/x", 'unsupported mount type "cahce" (did you mean cache?)'),
        ("type=cache,target=/x,sharing=mine", 'unsupported sharing value "mine"'),
        ("target=/x,size=3", "unexpected key 'size' for mount type 'bind'"),
        ("target=/x,required", "unexpected key 'required' for mount type 'bind'"),
        ("target=/x,mode=0644", 'mode not allowed for "bind" type mounts'),
        ("type=cache,target=/x,mode=9", "invalid value 9 for mode"),
        ("type=cache,target=/x,uid=-1", "invalid value -1 for uid"),
        ("type=cache,target=/x,ro=maybe", "invalid value for ro: maybe"),
        ("type=secret", "invalid secret mount. one of source, target required"),
        ("type=secret,id=a,source=b", "both source and id can't be set"),
        ("type=secret,id=a,from=b", "secret mount should not have a from"),
        ("type=cache", "invalid mount: a cache mount needs a target"),
        ("target", "invalid field 'target' must be a key=value pair"),
        ("tarrget=/x", "unexpected key 'tarrget' in 'tarrget=/x' (did you mean target?)"),
        ("from=$stage,target=/x", "'from' doesn't support variable expansion, define alias stage instead"),
    ],
)
def test_what_can_not_be_meant(text: str, message: str) -> None:
    with pytest.raises(DockerfileError) as caught:
        mount(text)
    assert caught.value.what == message
