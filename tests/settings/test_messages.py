"""Chat messages: what a template can show passes, everything else is refused with the number of the message."""

import pytest

from bakery.errors import ConfigError, DataError
from bakery.settings.messages import ROLES, check_messages


@pytest.mark.parametrize(
    "message",
    [
        *({"role": role, "content": "a"} for role in ROLES),
        {"role": "user", "content": ""},
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"text": "b"}]},
        {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f"}}]},
        {"role": "assistant", "tool_calls": [{}], "name": "x"},
    ],
)
def test_a_message_that_a_template_can_show_passes(message):
    check_messages([message, message], "here", ConfigError)
    check_messages((), "here", ConfigError)


@pytest.mark.parametrize(
    ("message", "says"),
    [
        ("hello", "must be a mapping with role and content, got the text 'hello'"),
        ({"content": "a"}, "has no key 'role' (its keys: content)"),
        ({"role": [], "content": "a"}, "unknown role []"),
        ({"role": "user"}, "has no key 'content'"),
        ({"role": "user", "content": None}, "content is null"),
        ({"role": "user", "content": 3}, "content must be a text, got the number 3; put it in quotes"),
        ({"role": "user", "content": [{"type": "image"}]}, "a part of content must be"),
        ({"role": "assistant", "content": "a", "tool_calls": "f"}, "tool_calls must be a list of mappings"),
    ],
)
@pytest.mark.parametrize("error", [ConfigError, DataError])
def test_any_other_message_is_refused_with_its_number(message, says, error):
    with pytest.raises(error) as refused:
        check_messages([{"role": "user", "content": "a"}, message], "here", error)
    assert str(refused.value).startswith(f"here: message 2: {says}")


def test_what_is_no_list_is_refused():
    with pytest.raises(DataError, match=r"here: must be a list of messages .* got a mapping"):
        check_messages({"role": "user"}, "here", DataError)
