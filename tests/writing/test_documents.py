"""A document in front of its model: counted in the model's tokens, refused where it does not fit, placed once."""

import pytest

from bakery.engine.distill import prefix
from bakery.engine.distill.conditions import PROMPTED
from bakery.engine.session import open_session
from bakery.errors import ConfigError
from bakery.progress import Progress, Verbosity
from bakery.rows.bake_data import load_bake_data
from bakery.rows.conversations import Conversation
from bakery.settings.arguments import BakeryConfig
from bakery.settings.build import BakeSettings
from bakery.settings.config import ContextConfig, DataConfig, LoraConfig, ModelConfig
from bakery.writing.documents import with_document

TEXT = "\n\n".join(f"The door code of number {number} is {number}." for number in range(400))


def settings(path, **given):
    data = DataConfig(corpus_file=str(path), **given)
    return BakeSettings(
        BakeryConfig(output_dir="out"), ContextConfig(), ModelConfig(model_name_or_path="starter"), LoraConfig(), data
    )


def place(path, **given):
    bake = settings(path, **given)
    return with_document(load_bake_data(bake.context, bake.data), bake, Progress(Verbosity.QUIET))


@pytest.fixture
def path(tmp_path):
    (tmp_path / "long.md").write_text(TEXT)
    return tmp_path / "long.md"


def test_a_document_beyond_the_context_is_cut_into_chunks_and_placed_once(path):
    data = place(path)
    assert data.prefix is None
    assert "\n\n".join(chunk.text for chunk in data.chunks) == TEXT
    assert with_document(data, settings(path), Progress(Verbosity.QUIET)) is data


def test_all_of_it_is_refused_where_the_model_cannot_read_it(path):
    with pytest.raises(ConfigError, match="the model reads 2,048 at most; use corpus_context: chunk"):
        place(path, corpus_context="whole")


def test_chunks_that_are_too_long_with_their_neighbours_are_refused(path):
    with pytest.raises(ConfigError, match=r"corpus_chunk_tokens: 800: .*use at most"):
        place(path, corpus_chunk_tokens=800)


def test_sampling_and_teacher_together_read_every_chunk_once(path, monkeypatch):
    data = place(path, corpus_chunk_tokens=200)
    rows = [
        Conversation(({"role": "user", "content": text},), chunk.prefix, f"{text} {number}")
        for number, chunk in enumerate(data.chunks[:6])
        for text in ("What is it?", "Tell me.")
    ]
    session = open_session("starter")
    prompts = [session.builder.prompts(row) for row in rows]
    engine = session.engine(prompts[:2])
    engine.prefixes.shrink(0)
    read = []
    compute = prefix.prefix_key_values
    monkeypatch.setattr(prefix, "prefix_key_values", lambda *given: read.append(given[1]) or compute(*given))
    answers = engine.answers(PROMPTED, prompts, max_new_tokens=8)
    pairs = [prompt.with_answer(answer.ids) for prompt, answer in zip(prompts, answers, strict=True)]
    engine.teacher(pairs)
    assert len(read) == len(set(read)) == 6
