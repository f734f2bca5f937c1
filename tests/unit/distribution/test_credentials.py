import base64

from lodge.distribution.credentials import Credentials


def test_auth_config() -> None:
    found = Credentials.of_auth_config({"username": "u", "password": "p", "serveraddress": "x"})
    assert found == Credentials(username="u", password="p")
    assert found is not None
    assert found.basic == "Basic " + base64.b64encode(b"u:p").decode()
    packed = base64.b64encode(b"u:p:q").decode()
    assert Credentials.of_auth_config({"auth": packed}) == Credentials(username="u", password="p:q")
    token = Credentials.of_auth_config({"identitytoken": "i", "username": 3})
    assert token == Credentials(identity_token="i")


def test_nothing_to_send() -> None:
    for empty in (None, {}, {"serveraddress": "x"}, {"auth": "%%%"}):
        assert Credentials.of_auth_config(empty) is None
    assert Credentials().basic == ""
