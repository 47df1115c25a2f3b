"""The script that renders templates gives what transformers gives, and starts without torch."""

import json
import subprocess
import sys

import pytest

from bakery.chat import template_child
from bakery.chat.template_child import answer
from tests.templates.support import COMMON, OWN, make_tokenizer

TEMPLATES = [*sorted((OWN / "own").glob("*.jinja")), *COMMON]
MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Über\ud800 “Ahoy”?\n"}]


def asked(template, messages=MESSAGES, **variables):
    return answer(json.dumps({"template": template, "messages": messages, "variables": variables}))


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_it_renders_as_transformers_does(path):
    source = path.read_text(encoding="utf-8")
    tokenizer = make_tokenizer(source)
    for prompt in (False, True):
        said = asked(source, add_generation_prompt=prompt, **tokenizer.special_tokens_map)
        if "text" in said:
            assert said["text"] == tokenizer.apply_chat_template(MESSAGES, add_generation_prompt=prompt, tokenize=False)
            continue
        with pytest.raises(template_child.REFUSALS) as error:
            tokenizer.apply_chat_template(MESSAGES, add_generation_prompt=prompt, tokenize=False)
        assert said == {"refused": str(error.value)}


def test_an_answer_says_what_went_wrong():
    assert asked("{% for m in messages %}").keys() == {"syntax", "line"}
    assert asked("{{ raise_exception('no') }}") == {"refused": "no"}
    assert asked("{{ {}[1].x }}")["refused"]
    assert asked("{% for i in range(99999) %}{{ 'x' * 1000 }}{% endfor %}") == {"length": 99_999_000}


def test_it_imports_neither_torch_nor_bakery():
    code = f"import runpy, sys; runpy.run_path({template_child.__file__!r}); print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"torch", "bakery"} & set(modules.split())


def test_it_answers_line_by_line_until_its_input_ends():
    lines = [
        json.dumps({"template": text, "messages": [], "variables": {}})
        for text in ("one", "two", "{{ 'x' * 999999999 }}")
    ]
    done = subprocess.run(
        [sys.executable, "-P", template_child.__file__],
        input="\n".join(lines),
        capture_output=True,
        text=True,
        check=True,
    )
    assert [json.loads(line) for line in done.stdout.splitlines()] == [
        {"text": "one"}, {"text": "two"}, {"memory": template_child.MAX_BYTES}
    ]  # fmt: skip
