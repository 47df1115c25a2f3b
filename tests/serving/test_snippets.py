"""The snippets hold the request whatever is in it, and parse."""

import ast
import json
import shlex

from hypothesis import given
from hypothesis import strategies as st

from bakery.serving.snippets import curl_snippet, openai_snippet

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
REQUESTS = st.fixed_dictionaries(
    {"model": TEXT, "messages": st.lists(st.fixed_dictionaries({"content": TEXT}), min_size=1)},
    optional={"tools": st.just([{"type": "function"}]), "tool_choice": st.just("none"), "lora": st.just([{"id": 0}]),
              "chat_template_kwargs": st.dictionaries(TEXT, TEXT)},
)  # fmt: skip
URL = "http://127.0.0.1:8000"


@given(REQUESTS)
def test_curl_sends_the_request(request):
    program, address, *rest = shlex.split(curl_snippet(URL, request))
    assert (program, address) == ("curl", f"{URL}/v1/chat/completions")
    assert rest[:3] == ["-H", "Content-Type: application/json", "-d"]
    assert json.loads(rest[3]) == {**request, "temperature": 0}


@given(REQUESTS)
def test_python_sends_the_request(request):
    tree = ast.parse(openai_snippet(URL, request))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    (client,) = [call for call in calls if ast.unparse(call.func) == "OpenAI"]
    assert ast.literal_eval(client.keywords[0].value) == f"{URL}/v1"
    (create,) = [call for call in calls if ast.unparse(call.func).endswith("completions.create")]
    sent = {keyword.arg: ast.literal_eval(keyword.value) for keyword in create.keywords}
    sent |= sent.pop("extra_body", {})
    assert sent == {**request, "temperature": 0}
