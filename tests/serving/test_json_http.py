"""What a server says comes back as data, and what goes wrong as one line; no proxy is asked."""

import pytest

from bakery.errors import ModelError
from bakery.serving.json_http import is_healthy, post
from tests.serving.support import answering


def test_answers_come_back_and_refusals_are_one_line(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    answers = {
        "/echo": lambda body: (200, body),
        "/no": lambda _: (400, {"error": "LoRA rank"}),
        "/x": lambda _: (200, b"x"),
    }
    with answering(lambda path, body: answers[path](body)) as url:
        assert post(f"{url}/echo", {"a": [1]}) == {"a": [1]}
        with pytest.raises(ModelError, match=r"refuses .*/no with 400: .*LoRA rank"):
            post(f"{url}/no", {})
        with pytest.raises(ModelError, match="gives no answer"):
            post(f"{url}/x", {})
    with pytest.raises(ModelError, match="gives no answer"):
        post(f"{url}/echo", {})


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False)])
def test_health_is_success_alone(status, healthy):
    with answering(lambda path, _: (status if path == "/health" else 404, {})) as url:
        assert is_healthy(url) == healthy
    assert not is_healthy(url)
