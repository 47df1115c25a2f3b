"""Plain JSON over HTTP to a server of this machine; no proxy is asked."""

import json
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

from bakery.errors import ModelError
from bakery.text import excerpt

ANSWER_SECONDS = 600.0
"""How long one answer may take."""
_HEALTH_SECONDS = 5.0
_OPENER = build_opener(ProxyHandler({}))


def post(url: str, body: Mapping[str, Any]) -> Any:
    """The answer of a server to a JSON body.

    Raises:
        ModelError: the server refuses it, is gone, or answers something that is not JSON.
    """
    request = Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        with _OPENER.open(request, timeout=ANSWER_SECONDS) as response:
            return json.load(response)
    except HTTPError as error:
        said = excerpt(error.read().decode(errors="replace"), 240)
        raise ModelError(f"the server refuses {url} with {error.code}: {said}") from error
    except (OSError, HTTPException, ValueError) as error:
        raise ModelError(f"the server gives no answer to {url}: {error}") from error


def is_healthy(url: str) -> bool:
    """Whether a server answers `/health` with success."""
    try:
        with _OPENER.open(f"{url}/health", timeout=_HEALTH_SECONDS) as response:
            return bool(response.status == 200)
    except (OSError, HTTPException):
        return False
