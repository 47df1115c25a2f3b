"""The starter as a writer: it was trained on the user's turns too, so it goes on behind their header."""

from datetime import datetime

import pytest

from bakery.engine.session import Session, open_session
from bakery.rows.conversations import Conversation
from bakery.settings.config import LoraConfig, ModelConfig
from bakery.writing.writer import Writer
from tests.engine_support import settings
from tests.writing.support import FACTS


@pytest.fixture(scope="session")
def session(tmp_path_factory) -> Session:
    """The starter with an adapter, behind three facts."""
    return open_session(
        ModelConfig(model_name_or_path="starter", torch_dtype="float32"),
        adapter=LoraConfig(r=2),
        prefix_messages=FACTS,
        args=settings(tmp_path_factory.mktemp("writing")),
        today=datetime(2026, 11, 22),
    )


@pytest.fixture(scope="session")
def writer(session) -> Writer:
    first = Conversation(({"role": "user", "content": "Hello."},), None, "a first message")
    return Writer(session.engine([session.builder.prompts(first)]), session.builder)
