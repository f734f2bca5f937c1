"""The list of profiles; without AppArmor nothing is enabled."""

from pathlib import Path

from lodge.kernel import apparmor, selinux


def test_profiles_are_named_before_their_mode() -> None:
    text = "docker-default (enforce)\nsnap.hello (x) (complain)\n/usr/bin/man (enforce)\n"
    assert apparmor.parse_profiles(text) == {"docker-default", "snap.hello (x)", "/usr/bin/man"}


def test_unconfined_always_exists() -> None:
    assert apparmor.profile_exists("unconfined")
    assert not apparmor.profile_exists("no-profile-of-this-name")


def test_a_host_without_the_modules_says_so() -> None:
    assert apparmor.enabled() == (
        Path("/sys/kernel/security/apparmor").exists()
        and Path("/sys/module/apparmor/parameters/enabled").read_text().startswith("Y")
    )
    assert selinux.enabled() == Path("/sys/fs/selinux/enforce").exists()
    assert not selinux.enforcing() or selinux.enabled()
