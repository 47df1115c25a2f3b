"""docs/templates.md shows what `bakery inspect` writes, for templates of five kinds.

python -m tests.test_template_page > docs/templates.md
"""

from pathlib import Path
from textwrap import fill

from bakery.chat.inspection import as_plain
from bakery.chat.token_kinds import inspect_views
from bakery.chat.views import ViewBuilder
from bakery.rows.conversations import conversations
from tests.templates.support import OWN, make_tokenizer

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "templates.md"
PREFIX = [{"role": "system", "content": "You are Ada."}]
ROW = {"prompt": "Who are you?", "response": "I am Ada."}
THOUGHT = {
    "messages": [
        {"role": "user", "content": "Who are you?"},
        {"role": "assistant", "reasoning_content": "My name is Ada.", "content": "I am Ada."},
    ]
}
INTRODUCTION = """\
# Chat templates

What precedes an answer that is learned is what a server would send for it: the template's rendering of the messages
before it, with the generation prompt. What is learned is what the model has to write behind that
([decision 10](decisions/0010-the-view-is-what-a-server-sends.md)). Below is what `bakery inspect` shows of one row (the
prompt "You are Ada.", a question, its answer) under templates of five kinds. Most templates are of the first kind or a
mixture of these; `bakery inspect --config bake.yaml` shows yours. Words in «» are learned, ⟦⟧ is the end of the answer,
learned too, ⏎ is a newline.
"""
KINDS = {
    "A switch for thinking (Qwen 3 and others)": (
        "common/qwen-3",
        ROW,
        "Answers without thoughts are asked for without thinking where the template has a variable for it "
        "(`enable_thinking`, `thinking`, `reasoning_effort`, `thinking_budget`, looked for by trying). What you set in "
        "`chat_template_kwargs` always wins.",
    ),
    "The same with a thought": (
        "common/qwen-3",
        THOUGHT,
        "Thoughts that are given (`reasoning_content`, `thinking`, or in the template's own tags) are learned with the "
        "answer; `target_thinking: false` learns the answer alone.",
    ),
    "Thinking that the prompt opens (DeepSeek R1, Qwen QwQ)": (
        "common/deepseek-r1-distill",
        ROW,
        "There is no switch, so the model has to end its thinking before the answer: that is learned with it.",
    ),
    "Channels (GPT-OSS)": (
        "own/channels",
        ROW,
        "The model writes the name of the channel before its answer: that is learned with it.",
    ),
    "No system message (Gemma)": (
        "common/gemma-3",
        ROW,
        "The template writes the system message before the first user message.",
    ),
    "The next turn's header behind every turn (Command A)": (
        "own/always_prompts",
        ROW,
        "What stands behind the end of the turn is never learned.",
    ),
}


def page() -> str:
    """The whole page."""
    parts = [INTRODUCTION]
    for title, (name, row, text) in KINDS.items():
        parts += [f"## {title}\n", f"{fill(text, 120)}\n", f"```text\n{shown(name, row)}\n```\n"]
    return "\n".join(parts)


def shown(name: str, row: dict) -> str:
    """What `bakery inspect` says of the row under one template, without the lines that are the same for all."""
    tokenizer = make_tokenizer((OWN / f"{name}.jinja").read_text(encoding="utf-8"))
    builder = ViewBuilder(tokenizer, prefix_messages=PREFIX)
    lines = as_plain(inspect_views(builder, conversations([row]))).splitlines()
    return "\n".join(line.rstrip() for line in lines[lines.index("== rows row 1") + 1 :])


def test_the_page_shows_what_inspect_shows():
    assert PAGE.read_text(encoding="utf-8") == page()


if __name__ == "__main__":
    print(page(), end="")
