"""The laws of views over random conversations, templates and tokenizers; the oracle is `tests/templates/support.py`."""

from hypothesis import HealthCheck, assume, given, reject, settings
from hypothesis import strategies as st

from bakery.chat.views import ViewBuilder
from bakery.errors import BakeryError
from bakery.rows.conversations import Conversation
from tests.templates.support import (
    KINDS,
    OWN,
    assistant,
    check_laws,
    folded,
    ids_of,
    make_tokenizer,
    system,
    teacher_of,
    text_of,
    user,
)

TEMPLATES = {
    path.stem: path.read_text(encoding="utf-8")
    for path in sorted((OWN / "own").glob("*.jinja"))
    if path.stem not in ("shouts", "dated")
}
ORDINARY = ["plain", "space_before_answer", "default_system", "always_prompts", "no_end", "tools"]
SPACE = st.text(" \n", max_size=3)
WORDS = st.lists(
    st.sampled_from(
        ["a", "Rome", " ", "  ", "\n", ".", ",", "é", "東京", "🙂", "שלום", "<|im_end|>", "</s>", "[/INST]"]
    ),
    max_size=8,
).map("".join)


@st.composite
def contents(draw, name):
    """A text that no other message holds, with anything inside and any white space behind."""
    return f"q{name}k" + draw(WORDS) + f"p{name}z" + draw(SPACE)


@st.composite
def rows(draw, name="r"):
    """A conversation that ends with an answer."""
    turns = draw(st.integers(1, 3))
    row = [system(draw(contents(f"{name}s")))] if draw(st.booleans()) else []
    for i in range(turns):
        row += [user(draw(contents(f"{name}u{i}"))), assistant(draw(contents(f"{name}a{i}")))]
    return row


@st.composite
def prefixes(draw):
    """A system message, few-shot turns, or both."""
    shots = [
        m for i in range(draw(st.integers(0, 2))) for m in (user(f"Shot {i}?"), assistant(draw(contents(f"f{i}"))))
    ]
    head = [system(draw(contents("fs")).strip())] if not shots or draw(st.booleans()) else []
    return [*head, *shots]


@st.composite
def tokenizers(draw, names=tuple(TEMPLATES)):
    """A template and a tokenizer for it."""
    name = draw(st.sampled_from(sorted(names)))
    kind = draw(st.sampled_from(KINDS))
    tags, adds_bos = draw(st.booleans()), draw(st.booleans())
    return lambda *texts: make_tokenizer(TEMPLATES[name], kind, tags=tags, adds_bos=adds_bos, words=texts)


def strings(*conversations):
    return [str(message["content"]) for messages in conversations for message in messages]


def law(**strategies):
    """A property of views: tried 120 times. Four fifths of what is drawn must have been built, or little was tried."""

    def decorate(test):
        tries = []

        def build(make, *arguments):
            """What `make` gives; an example that is refused ends here."""
            tries.append(False)
            try:
                views = make(*arguments)
            except BakeryError:
                reject()
            tries[-1] = True
            return views

        @settings(max_examples=120, deadline=None, database=None, suppress_health_check=[HealthCheck.filter_too_much])
        @given(**strategies)
        def drawn(**values):
            test(build, **values)

        def run():
            tries.clear()
            drawn()
            assert sum(tries) >= 0.8 * len(tries), f"only {sum(tries)} of {len(tries)} were built"

        return run

    return decorate


def conversation(row):
    return Conversation(tuple(row), None, "row")


@law(make=tokenizers(ORDINARY), prefix=prefixes(), row=rows(), fold=st.booleans())
def test_views_are_exact(build, make, prefix, row, fold):
    tokenizer = make("Shot 0 1?", *strings(prefix, row))
    role = "fold" if fold else "native"
    builder = ViewBuilder(tokenizer, prefix_messages=prefix, system_role=role)
    pairs = build(builder.views, conversation(row))
    check_laws(tokenizer, prefix, row, pairs, fold=fold)


@law(make=tokenizers(ORDINARY), prefix=prefixes(), some=st.lists(rows(), min_size=3, max_size=6))
def test_a_row_is_built_the_same_whatever_was_built_before(build, make, prefix, some):
    tokenizer = make("Shot 0 1?", *strings(prefix, *some))
    used = ViewBuilder(tokenizer, prefix_messages=prefix)
    for row in [*some, *some]:
        fresh = ViewBuilder(tokenizer, prefix_messages=prefix)
        assert build(used.views, conversation(row)) == fresh.views(conversation(row))


@law(make=tokenizers(ORDINARY), prefix=prefixes(), row=rows(), data=st.data())
def test_the_student_sees_what_is_retained(build, make, prefix, row, data):
    assume(len(prefix) > 1)
    retained = data.draw(st.integers(1, len(prefix) - 1))
    tokenizer = make("Shot 0 1?", *strings(prefix, row))
    builder = ViewBuilder(tokenizer, prefix_messages=prefix, student_retained_turns=retained)
    (pair,) = build(builder.views, conversation(row))
    assert pair.teacher_ids == ids_of(tokenizer, teacher_of(prefix, row))
    assert pair.student_ids == ids_of(tokenizer, teacher_of(prefix[len(prefix) - retained :], row))
    learned = tokenizer.decode([pair.teacher_ids[p] for p in pair.teacher_targets])
    assert all(message["content"].strip() not in learned for message in prefix)


@law(make=tokenizers(ORDINARY), row=rows().filter(lambda row: len(row) > 3), data=st.data())
def test_a_conversations_own_memory(build, make, row, data):
    retained = 2 * data.draw(st.integers(1, (len(row) - 1) // 2))
    tokenizer = make(*strings(row))
    (pair,) = build(ViewBuilder(tokenizer, student_retained_turns=retained).views, conversation(row))
    assert pair.teacher_ids == ids_of(tokenizer, row)
    assert pair.student_ids == ids_of(tokenizer, row[-retained:])


@law(
    make=tokenizers(),
    prefix=prefixes(),
    row=rows(),
    answer=st.lists(st.integers(0, 300), min_size=1, max_size=9),
    fold=st.booleans(),
)
def test_sampling_starts_from_the_generation_prompt(build, make, prefix, row, answer, fold):
    tokenizer = make("Shot 0 1?", *strings(prefix, row))
    builder = ViewBuilder(tokenizer, prefix_messages=prefix, system_role="fold" if fold else "native")
    prompt = build(builder.prompts, conversation(row[:-1]))
    conversations = [teacher_of(prefix, row[:-1]), row[:-1]]
    for ids, messages in zip((prompt.teacher_ids, prompt.student_ids), conversations, strict=True):
        shown = folded(messages) if fold else messages
        assert ids == ids_of(tokenizer, shown, add_generation_prompt=True)
    pair = prompt.with_answer(answer)
    assert [pair.teacher_ids[p] for p in pair.teacher_targets] == answer
    assert [pair.student_ids[p] for p in pair.student_targets] == answer
    assert pair.teacher_ids[: -len(answer)] == prompt.teacher_ids


@law(prefix=prefixes(), row=rows(), kind=st.sampled_from(["bytes", "words"]))
def test_a_plain_template_spelled_out(build, prefix, row, kind):
    """For one template the answer is written here by hand: contents between fixed headers."""
    tokenizer = make_tokenizer(TEMPLATES["plain"], kind, words=["Shot 0 1? user system", *strings(prefix, row)])
    (pair,) = build(ViewBuilder(tokenizer, prefix_messages=prefix).views, conversation(row))
    expected = "".join(f"{m['content']}<|im_end|>" for m in row if m["role"] == "assistant")
    assert tokenizer.decode([pair.teacher_ids[p] for p in pair.teacher_targets]) == expected
    others = [i for i in range(len(pair.student_ids)) if i not in set(pair.student_targets)]
    headers = "".join(
        f"<|im_start|>{m['role']}\n" + ("" if m["role"] == "assistant" else f"{m['content']}<|im_end|>") + "\n"
        for m in row
    )
    assert tokenizer.decode([pair.student_ids[i] for i in others]) == headers
    assert tokenizer.decode(pair.student_ids) == text_of(tokenizer, row)
