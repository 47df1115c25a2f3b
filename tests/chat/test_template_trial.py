"""The script that tries a template: ordinary refusals pass, and its sandbox is that of transformers."""

import subprocess
import sys

import pytest

from bakery.chat import template_trial
from bakery.chat.template_trial import TOO_LONG, conversations, environment, exit_code
from tests.templates.support import COMMON, OWN, make_tokenizer

TEMPLATES = [*sorted((OWN / "own").glob("*.jinja")), *COMMON]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_it_renders_as_transformers_does(path):
    source = path.read_text(encoding="utf-8")
    tokenizer = make_tokenizer(source)
    specials = {"bos_token": tokenizer.bos_token, "eos_token": tokenizer.eos_token}
    template = environment().from_string(source)
    for variables in conversations():
        try:
            here = template.render(**specials, **variables)
        except template_trial._REFUSALS:
            continue
        assert here == tokenizer.apply_chat_template(
            variables["messages"],
            tools=variables.get("tools"),
            add_generation_prompt=variables["add_generation_prompt"],
            tokenize=False,
        )


@pytest.mark.parametrize(
    "source", ["{% for m in messages %}", "{{ raise_exception('no') }}", "{{ 1 // 0 }}", "{{ messages[99].content.x }}"]
)
def test_an_ordinary_refusal_is_no_matter(source):
    assert exit_code(source) == 0


def test_markers_of_what_an_assistant_says_are_known():
    assert environment().from_string("{% generation %}a{% endgeneration %}").render() == "a"


def test_output_is_counted_while_it_is_written():
    assert exit_code("{% for i in range(99999) %}{{ 'x' * 1000 }}{% endfor %}") == TOO_LONG


def test_it_imports_neither_transformers_nor_torch_nor_bakery():
    code = f"import runpy, sys; runpy.run_path({template_trial.__file__!r}); print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"torch", "transformers", "bakery"} & set(modules.split())
