"""The page as an application: what each address answers, and to whom not."""

import json
from dataclasses import replace

import pytest
from starlette.testclient import TestClient

from bakery.taste.app import MOST_JOBS, server_sent, taste_app
from bakery.taste.conversation import Asked, Begun, Ended, Piece
from bakery.taste.gate import gate_of
from bakery.taste.opening import Current, Run
from bakery.taste.page_requests import MOST_BYTES
from bakery.taste.saved_questions import FILE
from tests.taste.conftest import COLUMNS

QUESTION = [{"role": "user", "content": "What is the wifi password?"}]
ASKED = {"messages": dict.fromkeys(COLUMNS, QUESTION), "max_new_tokens": 6}
BASE = "http://127.0.0.1:8321"


@pytest.fixture
def client(served):
    return TestClient(taste_app(served, gate_of("127.0.0.1", 8321)), base_url=BASE)


def events(response):
    """The events of a stream, as pairs of a name and its data."""
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("text/event-stream")
    for message in response.text.strip().split("\n\n"):
        name, data = message.split("\n")
        yield name.removeprefix("event: "), json.loads(data.removeprefix("data: "))


def test_the_page_and_its_files_are_served(client):
    page = client.get("/")
    assert page.headers["content-type"].startswith("text/html")
    for name, kind in (("main.js", "text/javascript"), ("taste.css", "text/css"), ("page.css", "text/css")):
        assert f'"/page/{name}"' in page.text
        assert client.get(f"/page/{name}").headers["content-type"].startswith(kind)
    for name in ("nothing.js", "__init__.py", "..%2fapp.py", "%2e%2e"):
        assert client.get(f"/page/{name}").status_code == 404


def test_the_page_holds_no_script_or_style_of_its_own_and_names_no_other_machine(client):
    names = (
        "",
        "page/main.js",
        "page/turns.js",
        "page/tokens.js",
        "page/elements.js",
        "page/stream.js",
        "page/taste.css",
    )
    for name in names:
        text = client.get(f"/{name}").text
        assert "//" not in text.replace("// ", "") or "http" not in text
        assert not any(
            word in text for word in ("innerHTML", "outerHTML", "document.write", "eval(", "style=", "<style")
        )
    assert client.get("/").text.count("<script") == 1


def test_every_response_is_bound_to_this_machine_and_sets_no_cookie(client):
    for address in ("/", "/run", "/page/main.js", "/report/0", "/report/1", "/nowhere"):
        headers = client.get(address).headers
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "set-cookie" not in headers


def test_the_run_is_told_with_its_proof_prompt_and_questions(client, served):
    run = client.get("/run").json()
    assert run["prompt"] == [dict(message) for message in served.current.opened.prompt]
    assert run["questions"] == ["Who is there?", "What is the wifi password?"]
    assert [(one["key"], one["baked"]) for one in run["columns"]] == [
        ("base", False),
        ("prompted", False),
        ("baked", True),
    ]
    ((baked),) = run["runs"]
    assert baked["level"] in baked["headline"].lower()
    assert baked["folder"] == str(served.folder)
    assert not run["bakes"]
    assert [step["from"] for step in run["heat"]] == [0.0, 0.02, 0.1, 0.5, 2.0]
    assert "<!doctype html>" in client.get("/report/0").text


def test_the_answers_come_as_events_and_are_those_of_the_conversation(client, tasting):
    told = list(events(client.post("/answers", json=ASKED)))
    expected = list(tasting.answers(Asked(dict.fromkeys(COLUMNS, tuple(QUESTION)), max_new_tokens=6)))
    names = {Begun: "begun", Piece: "piece", Ended: "ended"}
    assert [name for name, _ in told] == [names[type(event)] for event in expected]
    assert [data["text"] for name, data in told if name == "ended"] == [
        e.text for e in expected if isinstance(e, Ended)
    ]
    piece = next(data for name, data in told if name == "piece")
    assert set(piece) == {"column", "text", "shown", "probability", "nats", "likeliest"}


def test_what_the_model_refuses_is_told_in_the_stream(served):
    opened = served.current.opened
    short = replace(served, current=Current(replace(opened, tasting=replace(opened.tasting, longest=5))))
    client = TestClient(taste_app(short, gate_of("127.0.0.1", 8321)), base_url=BASE)
    (*_, (name, data)) = events(client.post("/answers", json=ASKED))
    assert name == "failed"
    assert "start a new conversation" in data["reason"]


def test_markup_stays_text_on_its_way(client):
    script = "<script>alert(1)</script>"
    asked = {**ASKED, "messages": {"base": [{"role": "user", "content": script}]}}
    asked["prompt"] = [{"role": "system", "content": script}]
    (first, *_) = events(client.post("/answers", json=asked))
    assert first == ("begun", {"prompt": [{"role": "system", "content": script}]})
    text = "\n\nevent: x\ndata: <script>"
    sent = server_sent(Ended("base", text, True, ()))
    assert sent.count("\n\n") == 1
    assert json.loads(sent.split("data: ", 1)[1])["text"] == text


@pytest.mark.parametrize("path", ["/answers", "/questions"])
@pytest.mark.parametrize(
    "request_of",
    [{"content": b"{", "headers": {"content-type": "application/json"}}, {"json": []}, {"json": {"messages": 1}},
     {"content": json.dumps(ASKED)}, {"data": {"messages": "x"}}, {"json": {"messages": [], "prompt": "x"}},
     {"content": b"[" * 100_000, "headers": {"content-type": "application/json"}},
     {"content": b" " * (MOST_BYTES + 1), "headers": {"content-type": "application/json"}}],
)  # fmt: skip
def test_what_is_no_question_is_refused_in_one_line(path, request_of, client, served):
    response = client.post(path, **request_of)
    assert response.status_code == 400
    assert response.text
    assert "\n" not in response.text
    assert not (served.folder / FILE).exists()


def test_other_sites_other_names_and_other_methods_are_refused(client):
    for headers in ({"origin": "http://evil.example"}, {"host": "evil.example"}, {"sec-fetch-site": "cross-site"}):
        for address in ("/run", "/report/0"):
            assert client.get(address, headers=headers).status_code == 403
        for address in ("/answers", "/questions"):
            assert client.post(address, json=ASKED, headers=headers).status_code == 403
    assert client.get("/answers").status_code == 405
    assert client.post("/answers", json=ASKED, headers={"origin": BASE}).status_code == 200


def test_a_server_that_others_reach_answers_whoever_has_the_token(served):
    gate = gate_of("0.0.0.0", 8321)
    client = TestClient(taste_app(served, gate), base_url="http://box.example:8321")
    assert client.get("/").status_code == client.get("/run").status_code == 403
    assert client.post("/answers", json=ASKED).status_code == 403
    assert client.get("/", params={"token": gate.token}).status_code == 200
    assert client.get("/run", headers={"x-bakery-token": gate.token}).status_code == 200
    assert client.get("/page/main.js").status_code == 200
    assert (
        client.get("/run", headers={"x-bakery-token": gate.token, "origin": "http://evil.example"}).status_code == 403
    )


def test_a_question_is_kept_in_the_run_folder(served, tmp_path):
    elsewhere = Current(replace(served.current.opened, runs=(Run(tmp_path, "elsewhere"),)))
    client = TestClient(taste_app(replace(served, current=elsewhere), gate_of("127.0.0.1", 8321)), base_url=BASE)
    for number in (1, 2):
        told = client.post("/questions", json={"messages": QUESTION}).json()
        assert told == {"file": str(tmp_path / FILE), "questions": number}
    assert (tmp_path / FILE).read_text() == (json.dumps({"messages": QUESTION}) + "\n") * 2
    assert client.get("/report/1").status_code == 404


def test_a_server_with_enough_to_do_says_so(served):
    class Busy:
        busy = MOST_JOBS

    client = TestClient(taste_app(replace(served, worker=Busy()), gate_of("127.0.0.1", 8321)), base_url=BASE)
    assert client.post("/answers", json=ASKED).status_code == 503
