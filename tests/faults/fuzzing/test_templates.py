"""Chat templates of any statements: rendered, or refused in one line, in bounded time and memory."""

from hypothesis import given
from hypothesis import strategies as st

from bakery.chat.rendering import Renderer
from tests.faults.fuzzing.support import fuzzed, refusal_or_done
from tests.templates.support import assistant, make_tokenizer, user

PARTS = st.sampled_from(
    [
        "{% for m in messages %}",
        "{% endfor %}",
        "{{ m.content }}",
        "{{ m['role'] }}",
        "{% if add_generation_prompt %}",
        "{% endif %}",
        "{% else %}",
        "{% set n = namespace(x='ab') %}",
        "{% set n.x = n.x ~ n.x %}",
        "{% for i in range(99999) %}",
        "{{ 'x' * 1000000 }}",
        "{{ n.x|center(100000000) }}",
        "{% macro f(a) %}",
        "{% endmacro %}",
        "{{ f(1) }}",
        "{{ messages|tojson }}",
        "{{ raise_exception('no') }}",
        "{{ ''.__class__ }}",
        "{{ lipsum(99) }}",
        "{{ range(10**9) }}",
        "{{ 9**99999 }}",
        "{{ n.x.format(n) }}",
        "{% break %}",
        "{% generation %}",
        "{% endgeneration %}",
        "<|im_start|>",
        "\n",
        "{{ 1/0 }}",
        "{{ undefined.x }}",
        "{% include 'x' %}",
        "{{ strftime_now('%Y') }}",
        "{#",
        "#}",
        "{{",
        "}}",
        "{%",
        "%}",
    ]
)


@fuzzed
@given(template=st.one_of(st.lists(PARTS, max_size=12).map("".join), st.text(max_size=60)))
def test_templates_of_any_statements(template):
    tokenizer = make_tokenizer(template or " ")
    refusal_or_done(lambda: Renderer(tokenizer).render([user("Who?"), assistant("Me.")], generation_prompt=True))
