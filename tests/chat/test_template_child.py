"""The script that renders templates gives what transformers gives, and starts without torch."""

import io
import marshal
import subprocess
import sys

import pytest

from bakery.chat import template_child
from bakery.chat.template_child import answer, read_block, write_block
from tests.templates.support import COMMON, OWN, make_tokenizer

TEMPLATES = [*sorted((OWN / "own").glob("*.jinja")), *COMMON]
MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Über\ud800 “Ahoy”?\n"}]


def asked(template, messages=MESSAGES, **variables):
    return answer(template, messages, variables)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_it_renders_as_transformers_does(path):
    source = path.read_text(encoding="utf-8")
    tokenizer = make_tokenizer(source)
    for prompt in (False, True):
        said = asked(source, add_generation_prompt=prompt, **tokenizer.special_tokens_map)
        if isinstance(said, str):
            assert said == tokenizer.apply_chat_template(MESSAGES, add_generation_prompt=prompt, tokenize=False)
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


def test_it_answers_block_by_block_until_its_input_ends():
    requests = [
        (0, "one", [], {}),
        (1, "{{ x }}", [], {"x": "zw\ud800"}),
        (0, None, [], {}),
        (2, "{{ 'x' * 10**9 }}", [], {}),
    ]
    asked_for, answers = io.BytesIO(), []
    for request in requests:
        write_block(asked_for, marshal.dumps(request))
    command = [sys.executable, "-P", template_child.__file__]
    done = io.BytesIO(subprocess.run(command, input=asked_for.getvalue(), stdout=subprocess.PIPE, check=True).stdout)
    while (block := read_block(done)) is not None:
        answers.append(block.decode(errors="surrogatepass"))
    assert answers == ["Tone", "Tzw\ud800", "Tone", f'J{{"memory": {template_child.MAX_BYTES}}}']


def test_a_block_that_was_cut_is_none():
    whole = io.BytesIO()
    write_block(whole, b"block")
    for length in range(len(whole.getvalue())):
        assert read_block(io.BytesIO(whole.getvalue()[:length])) is None
    assert read_block(io.BytesIO(whole.getvalue())) == b"block"
