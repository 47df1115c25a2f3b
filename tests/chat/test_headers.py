"""Headers are compared in whole words and tags, and white space that a prompt does not end with is the answer's."""

import pytest

from bakery.chat.headers import along, behind_prompt, past_thinking


@pytest.mark.parametrize(
    ("asked", "answered", "rest"),
    [
        ("\n### Response:\n\n", "\n### Response:\nRome", ("", "Rome")),
        ("[/INST]", "[/INST] Rome", ("", " Rome")),
        ("<|bot|><think>\n", "<|bot|>Rome", ("<think>\n", "Rome")),
        ("Here are my steps:", "High tide", ("Here are my steps:", "High tide")),
        ("<think></think>", "<tool>", ("<think></think>", "<tool>")),
    ],
)
def test_texts_go_along_in_whole_words_and_tags(asked, answered, rest):
    i, j = along(asked, answered)
    assert (asked[i:], answered[j:]) == rest


def test_a_turn_goes_on_behind_the_thinking_that_the_prompt_has_closed():
    answered = "<think>\nHm.\n</think>\n<call>"
    at = behind_prompt("</think>", answered, len("<think>\n"), "Hm.")
    assert answered[at:] == "\n<call>"


@pytest.mark.parametrize(
    ("written", "rest"),
    [
        ("<think>\nHm, a\nship.\n</think>\n<call>", "<call>"),
        ("<t>Hm, a ship.<call>", "<call>"),
        ("<call>", "<call>"),
    ],
)
def test_what_follows_thoughts_and_the_tag_behind_them_is_what_is_left(written, rest):
    assert written[past_thinking(written, "Hm, a  ship.", "</think>") :] == rest
