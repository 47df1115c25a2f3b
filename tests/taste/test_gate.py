"""Who may use the page."""

import pytest

from bakery.taste.gate import HEADERS, Gate, gate_of

LOCAL = gate_of("127.0.0.1", 8321)
HOST = {"host": "127.0.0.1:8321"}


@pytest.mark.parametrize("host", ["127.0.0.1:8321", "localhost:8321", "[::1]:8321", "LOCALHOST:8321"])
def test_this_machine_needs_no_token(host):
    assert LOCAL.refusal("/answers", {"host": host, "origin": f"http://{host}"}, "") is None


@pytest.mark.parametrize("host", ["evil.example:8321", "127.0.0.1:80", "127.0.0.1", "", "localhost.evil.example:8321"])
def test_foreign_names_are_refused(host):
    assert "that name" in LOCAL.refusal("/", {"host": host}, "")


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "", "http://127.0.0.1:80", "https://127.0.0.1"])
def test_other_sites_are_refused(origin):
    assert "no other site" in LOCAL.refusal("/answers", {**HOST, "origin": origin}, "")


def test_what_the_browser_says_of_another_site_is_believed():
    for said, refused in (("cross-site", True), ("same-site", True), ("same-origin", False), ("none", False)):
        assert (LOCAL.refusal("/run", {**HOST, "sec-fetch-site": said}, "") is not None) == refused
    assert LOCAL.refusal("/", {**HOST, "sec-fetch-site": "cross-site"}, "") is None  # a link to the page itself


@pytest.mark.parametrize(("host", "asked"), [("0.0.0.0", "box:80"), ("::", "[::1]:80"), ("192.0.2.7", "192.0.2.7:80")])
def test_a_server_that_others_reach_needs_its_token(host, asked):
    gate = gate_of(host, 80)
    assert len(gate.token) >= 32
    assert gate.token != gate_of(host, 80).token
    for path in ("/", "/run", "/answers", "/questions", "/report"):
        for given in ("", "wrong", gate.token[:-1], "ä"):
            assert "token" in gate.refusal(path, {"host": asked}, given)
        assert gate.refusal(path, {"host": asked}, gate.token) is None
        assert gate.refusal(path, {"host": asked, "x-bakery-token": gate.token}, "") is None
    assert gate.refusal("/page/main.js", {"host": asked}, "") is None


def test_a_bound_name_is_the_only_one():
    gate = gate_of("192.0.2.7", 80)
    assert "that name" in gate.refusal("/", {"host": "evil.example:80"}, gate.token)


def test_nothing_is_loaded_from_elsewhere_and_no_text_is_run():
    policy = dict(part.strip().split(" ", 1) for part in HEADERS["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert "unsafe" not in HEADERS["content-security-policy"]
    assert Gate(frozenset()).refusal("/", {"host": "x"}, "") is None
