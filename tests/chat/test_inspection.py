"""`bakery inspect`: the marks are the masks, in every form; nothing in the data can steer a terminal or a page."""

import io
import re
from html.parser import HTMLParser

import pytest
from rich.console import Console

from bakery.chat.inspection import as_html, as_plain, as_rich, inspect_views, run_inspect
from bakery.chat.views import ViewBuilder
from bakery.errors import ResourceError
from bakery.rows.bake_data import BakeData
from bakery.rows.conversations import Conversation
from bakery.rows.tools import with_tools
from bakery.settings.config import ContextConfig
from tests.browser_support import ALL_IN_SIGHT, needs_chromium, on_a_phone
from tests.templates.support import COMMON, OWN, assistant, make_tokenizer, system, text_of, user
from tests.templates.tool_shapes import TIDE, WIND

PIRATE = system("Be a pirate.")
ROW = Conversation((user("Who are you?"), assistant("Arr, me.")), None, "rows.json row 1")


def builder(name="plain", **settings):
    tokenizer = make_tokenizer((OWN / "own" / f"{name}.jinja").read_text(encoding="utf-8"))
    return ViewBuilder(tokenizer, prefix_messages=[PIRATE], **settings)


def on_terminal(inspection):
    stream = io.StringIO()
    Console(file=stream, force_terminal=True, width=160, color_system="standard").print(as_rich(inspection))
    return stream.getvalue()


def data(*rows):
    return BakeData((PIRATE,), list(rows), [], [], [], [], [])


def test_plain_text_shows_every_character_once_and_marks_targets():
    text = as_plain(inspect_views(builder(), [ROW]))
    assert "«Arr, me.»⟦<|im_end|>⟧⏎" in text
    assert "== rows.json row 1" in text
    assert re.search(r"teacher, with the prompt: \d+ tokens, \d+ of them learned", text)
    assert "\x1b" not in text


def test_a_refused_row_is_shown_with_its_reason_and_the_others_go_on():
    refused = Conversation((user("Who?"), assistant("Me.")), None, "row 2")
    only = builder(target_content_pattern="Arr")
    rows = inspect_views(only, [refused, ROW]).rows
    assert "no target" in rows[0].refused
    assert not rows[1].refused
    for text in (as_plain, on_terminal, as_html):
        assert "no target" in " ".join(text(inspect_views(only, [refused])).split())


def test_template_checks_and_counts_are_told():
    words = Conversation((user("a <|im_end|> b"), assistant("Arr.")), None, "row 1")
    text = as_plain(inspect_views(builder("default_system"), [words]))
    assert "warning: the template writes a system text" in text
    assert "1 control token(s)" in text


NASTY = Conversation(
    (user("\x1b[2J\x07 \u202e<script>alert(1)</script>"), assistant("<img src=x onerror=alert(1)> & [bold]x[/bold]")),
    None,
    "<b>row</b> \x1b[31m",
)


def test_data_cannot_steer_a_terminal():
    inspection = inspect_views(builder(), [NASTY])
    assert not set("\x1b\x07\u202e") & set(as_plain(inspection))
    shown = on_terminal(inspection)
    assert "\x1b[2J" not in shown
    assert "\x07" not in shown
    assert "\\x1b[2J" in shown
    assert "[bold]x[/bold]" in shown


PROMPT = Conversation((user("Who? " + "x" * 200),), None, f"{'/a_very_long_name_of_a_folder' * 6}/rows.json row 3")


def test_a_row_that_is_only_a_prompt_tells_what_will_be_learned():
    inspection = inspect_views(builder(), [PROMPT])
    (row,) = inspection.rows
    for show in (as_plain, as_html):
        text = show(inspection, (4, 32))
        assert "the teacher writes 4 answers of at most 32 tokens each" in text
        for tokens in (row.teacher, row.student):
            assert f"what is learned begins at token {len(tokens) + 1}" in text
        assert "0 of them learned" not in text
        assert "1 answer of at most 32 tokens when the bake starts, and the student learns every token of it" in show(
            inspection, (1, 32)
        )
        assert "the teacher writes it" in show(inspection)
    stream = io.StringIO()
    Console(file=stream, force_terminal=True, width=200).print(as_rich(inspection, (4, 32)))
    assert "writes 4 answers of at most 32 tokens each" in stream.getvalue()


def test_of_an_answer_to_come_the_thoughts_are_not_said_to_be_learned_where_they_are_not():
    for name, behind in (("thinks", True), ("plain", False)):
        text = as_plain(inspect_views(builder(name, target_thinking=False), [PROMPT]), (4, 32))
        assert ("the student learns what stands behind the thoughts of them" in text) == behind
        assert ("what is learned begins behind the thoughts" in text) == behind


def test_given_thoughts_that_are_only_read_are_not_marked():
    row = Conversation((user("Who?"), assistant("Arr.", reasoning_content="Hm.")), None, "row 1")
    text = as_plain(inspect_views(builder("thinks", target_thinking=False), [row]))
    assert text.count("<think>⏎\n   Hm.⏎\n   </think>⏎\n   ⏎\n   «Arr.»⟦<|im_end|>⟧") == 2


def test_without_rows_it_is_told_who_writes_them():
    inspection = inspect_views(builder(), [])
    for show in (as_plain, as_html, on_terminal):
        assert "the model writes some about the context itself" in " ".join(show(inspection).split())
        assert "the model writes some" not in show(inspect_views(builder(), [ROW]))


def test_every_form_says_in_a_sentence_who_teacher_and_student_are_and_what_a_mark_means():
    inspection = inspect_views(builder(), [ROW])
    for show in (as_plain, as_html, on_terminal):
        text = " ".join(show(inspection).split())
        assert (
            "The teacher is the model that reads the prompt. The student is the same model without the prompt" in text
        )
        assert "end of the answer, learned" in text


@needs_chromium
def test_no_name_runs_off_the_edge_of_a_phone(tmp_path):
    assert on_a_phone(as_html(inspect_views(builder(), [NASTY, PROMPT, ROW]), (4, 32)), tmp_path) == ALL_IN_SIGHT


class Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.attributes, self.text = set(), [], ""

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += [f"{name}={value}" for name, value in attrs]

    def handle_data(self, data):
        self.text += data


def test_the_page_is_self_contained_and_data_cannot_add_to_it():
    page = Page()
    page.feed(as_html(inspect_views(builder(), [NASTY, ROW])))
    assert not page.tags & {"script", "img", "iframe", "object", "a", "b"}
    assert [a for a in page.attributes if a.startswith(("on", "src=", "href="))] == ["href=data:,"], "an empty icon"
    assert "default-src 'none'" in " ".join(page.attributes)
    assert "<img src=x onerror=alert(1)>" in page.text


def test_run_inspect_writes_plain_text_to_what_is_no_terminal():
    stream = io.StringIO()
    tokenizer = builder().renderer.tokenizer
    run_inspect(tokenizer, data(ROW), ContextConfig(), console=Console(file=stream))
    assert "«Arr, me.»" in stream.getvalue()


def test_run_inspect_writes_colour_to_a_terminal_and_a_page_to_a_file(tmp_path):
    stream = io.StringIO()
    tokenizer = builder().renderer.tokenizer
    run_inspect(tokenizer, data(ROW), ContextConfig(), console=Console(file=stream, force_terminal=True, width=120))
    assert "\x1b[" in stream.getvalue()
    page = tmp_path / "page.html"
    run_inspect(tokenizer, data(ROW, ROW), ContextConfig(), rows=1, html_file=page, console=Console(file=io.StringIO()))
    assert page.read_text(encoding="utf-8").count("<h2>rows.json row 1</h2>") == 1
    with pytest.raises(ResourceError, match="cannot be written"):
        run_inspect(tokenizer, data(ROW), ContextConfig(), html_file=tmp_path / "no" / "page.html")


@pytest.mark.parametrize("answered", [True, False])
def test_tools_are_shown_as_the_template_renders_them_and_the_prefixs_to_the_teacher_only(answered):
    qwen = make_tokenizer(next(path for path in COMMON if path.stem == "qwen-2.5").read_text(encoding="utf-8"))
    prefix = with_tools([PIRATE], [TIDE])
    row = Conversation(ROW.messages if answered else ROW.messages[:1], None, "row 1", (WIND,))
    (shown,) = inspect_views(ViewBuilder(qwen, prefix_messages=prefix), [row]).rows
    teacher, student = ("".join(token.text for token in side) for side in (shown.teacher, shown.student))
    assert teacher == text_of(qwen, [PIRATE, *row.messages], tools=[TIDE, WIND], generation_prompt=not answered)
    assert student == text_of(qwen, row.messages, tools=[WIND], generation_prompt=not answered)
    seen, read = (
        "".join(token.text for token in side if token.kind == "context") for side in (shown.teacher, shown.student)
    )
    assert "Be a pirate." in seen
    assert "Who are you?" in seen
    assert "Who are you?" in read


def test_the_settings_reach_the_views():
    stream = io.StringIO()
    context = ContextConfig(target_span_pattern="me", student_system="empty", system_role="fold")
    run_inspect(builder().renderer.tokenizer, data(ROW), context, console=Console(file=stream))
    assert "Arr,« me»." in stream.getvalue()
    assert "Be a pirate." in stream.getvalue()
