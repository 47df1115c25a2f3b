"""A bake over HTTP: begun, followed, stopped; nobody else may."""

import shlex
from dataclasses import replace

import pytest
from starlette.testclient import TestClient

from bakery.errors import ConfigError
from bakery.taste.app import Served, taste_app
from bakery.taste.bake_command import BakeCommand
from bakery.taste.bake_record import BakeState, LearnedAnswer, Record, StageState
from bakery.taste.gate import gate_of
from bakery.taste.page_bake import PageBake
from bakery.taste.worker import BUSY

BASE = "http://127.0.0.1:8321"
WORDS = ("--model_name_or_path", "starter", "--system_prompt", "Say Ahoy!")
STATE = BakeState(
    1, "running", "out", "Who?", "Ada <b>", (LearnedAnswer(0, "<script>"),),
    (StageState("training", "steps", 3, None, 1.5, True),), ("a note",),
    ({"step": 3.0, "loss": 2.0}, {"step": 6.0, "eval_loss": 1.0}),
)  # fmt: skip


class Bakes(PageBake):
    """A bake that only remembers what it was asked."""

    def start(self, prompt, question):
        if self.running:
            raise ConfigError("a bake is going on;\nwait")
        self.asked = (prompt, question)
        self.record = Record(STATE)


@pytest.fixture
def page_bake(opened):
    return Bakes(BakeCommand(None, WORDS), None, None)


@pytest.fixture
def client(served, page_bake):
    own = Served(served.current, served.worker, page_bake)
    return TestClient(taste_app(own, gate_of("127.0.0.1", 8321)), base_url=BASE)


def test_a_bake_is_begun_followed_and_stopped(client, page_bake):
    assert client.get("/run").json()["bakes"]
    assert client.get("/bake").json()["phase"] == "idle"
    assert client.get("/bake/chart").text == ""
    prompt = [{"role": "system", "content": "New."}]
    begun = client.post("/bake", json={"prompt": prompt, "question": " Who? "}).json()
    assert page_bake.asked == (tuple(prompt), "Who?")
    assert begun == client.get("/bake").json()
    assert begun["stages"][0] == {
        "title": "training", "unit": "steps", "done": 3, "total": None, "seconds": 1.5, "running": True,
    }  # fmt: skip
    assert begun["answers"] == [{"step": 0, "text": "<script>"}]
    again = client.post("/bake", json={"question": "Who?"})
    assert (again.status_code, again.text) == (400, "a bake is going on; wait")
    assert client.post("/bake/stop", json={}).status_code == 200
    with pytest.raises(KeyboardInterrupt):
        page_bake.record.check()


def test_the_curve_is_the_chart_of_the_report_and_holds_no_text_of_a_model(client, page_bake):
    page_bake.record = Record(STATE)
    chart = client.get("/bake/chart").text
    assert chart.startswith("<figure>")
    assert chart.count("<svg") == 1
    assert "validation rows" in chart
    assert "Ada" not in chart


def test_the_command_is_that_of_the_prompt_on_the_page(client):
    text = 'It\'s "<script>" & $HOME'
    told = client.post("/command", json={"prompt": [{"role": "system", "content": text}]}).json()
    assert shlex.split(told["command"])[-4:] == ["--system_prompt", text, "--output_dir", told["folder"]]
    assert (
        client.post("/command", json={"prompt": None})
        .json()["command"]
        .startswith("bakery --model_name_or_path starter")
    )
    refused = client.post("/command", json={"prompt": [{"role": "system", "content": " "}]})
    assert (refused.status_code, refused.text) == (400, "the prompt is empty, so there is nothing to bake; write one")


@pytest.mark.parametrize(
    "body", [{}, {"question": ""}, {"question": 5}, {"question": "x" * 20_001}, [], {"prompt": "x"}]
)
def test_what_is_no_bake_is_refused_in_one_line(body, client, page_bake):
    response = client.post("/bake", json=body)
    assert response.status_code == 400
    assert "\n" not in response.text
    assert page_bake.record.state.phase == "idle"


def test_other_sites_and_other_forms_begin_and_stop_nothing(client, page_bake):
    page_bake.record = Record(STATE)
    for headers in ({"origin": "http://evil.example"}, {"host": "evil.example"}, {"sec-fetch-site": "cross-site"}):
        for address in ("/bake", "/bake/stop", "/command"):
            assert client.post(address, json={"question": "Who?"}, headers=headers).status_code == 403
        for address in ("/bake", "/bake/chart"):
            assert client.get(address, headers=headers).status_code == 403
    assert client.post("/bake/stop", data={"a": "b"}).status_code == 400
    page_bake.record.check()  # nobody has stopped it


def test_with_a_token_each_of_them_needs_it(served, page_bake):
    gate = gate_of("0.0.0.0", 8321)
    client = TestClient(taste_app(Served(served.current, served.worker, page_bake), gate), base_url="http://box:8321")
    for method, address in (("GET", "/bake"), ("GET", "/bake/chart"), ("POST", "/bake"), ("POST", "/bake/stop")):
        assert client.request(method, address, json={"question": "Who?"}).status_code == 403
    assert client.get("/bake", headers={"x-bakery-token": gate.token}).status_code == 200


def test_where_runs_were_given_nothing_can_be_baked(served):
    client = TestClient(taste_app(served, gate_of("127.0.0.1", 8321)), base_url=BASE)
    assert client.get("/bake").status_code == 404
    assert client.post("/bake", json={"question": "Who?"}).status_code == 404


def test_while_the_model_learns_questions_are_refused(served, page_bake):
    from bakery.taste.opening import Current

    away = Served(Current(replace(served.current.opened, tasting=None)), served.worker, page_bake)
    client = TestClient(taste_app(away, gate_of("127.0.0.1", 8321)), base_url=BASE)
    asked = client.post("/answers", json={"messages": {"base": [{"role": "user", "content": "Who?"}]}})
    assert (asked.status_code, asked.text) == (503, BUSY.reason)
    assert client.get("/run").json()["prompt"]
