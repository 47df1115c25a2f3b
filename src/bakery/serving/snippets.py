"""What a client writes to ask a server: a line for a terminal, and a few lines of Python."""

import json
import shlex
from collections.abc import Mapping
from typing import Any

_PYTHON = """\
from openai import OpenAI

client = OpenAI(base_url={base_url!r}, api_key="none")
reply = client.chat.completions.create(
    model={model!r},
    messages={messages!r},
    temperature=0,{more}
)
print(reply.choices[0].message.content)
"""
_OF_OPENAI = ("model", "messages", "tools", "tool_choice")
"""The parts of a request that OpenAI's client knows; others go into `extra_body`."""


def curl_snippet(url: str, request: Mapping[str, Any]) -> str:
    """A line for a shell that sends this request to the chat endpoint of a server."""
    body = json.dumps({**request, "temperature": 0}, ensure_ascii=False)
    return f"curl {url}/v1/chat/completions -H {shlex.quote('Content-Type: application/json')} -d {shlex.quote(body)}"


def openai_snippet(url: str, request: Mapping[str, Any]) -> str:
    """The same in Python with the package `openai`."""
    known = [f"\n    {name}={request[name]!r}," for name in _OF_OPENAI[2:] if name in request]
    others = {name: value for name, value in request.items() if name not in _OF_OPENAI}
    extra = f"\n    extra_body={others!r}," if others else ""
    return _PYTHON.format(
        base_url=f"{url}/v1", model=request["model"], messages=request["messages"], more="".join(known) + extra
    )
