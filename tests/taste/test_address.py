"""Where the page is served."""

import socket

import pytest

from bakery.errors import ConfigError
from bakery.taste import address as module
from bakery.taste.address import address, is_loopback, listen


@pytest.mark.parametrize(
    ("host", "own"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("localhost", True), ("::1", True), ("0.0.0.0", False), ("::", False),
     ("192.0.2.7", False), ("box", False), ("", False)],
)  # fmt: skip
def test_which_addresses_only_this_machine_reaches(host, own):
    assert is_loopback(host) == own


def test_what_to_open():
    assert address("127.0.0.1", 8321, None) == "http://127.0.0.1:8321/"
    assert address("::1", 80, "abc") == "http://[::1]:80/?token=abc"


def test_a_port_that_is_taken_is_told_and_the_usual_one_gives_way(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        with pytest.raises(ConfigError, match=f"--port {taken}: .*; give another --port"):
            listen("127.0.0.1", taken)
        monkeypatch.setattr(module, "PORT", taken)
        with listen("127.0.0.1", None) as listening:
            assert listening.getsockname()[1] not in (0, taken)


def test_an_address_of_elsewhere_is_refused():
    with pytest.raises(ConfigError, match=r"--host 192\.0\.2\.7"):
        listen("192.0.2.7", 0)
