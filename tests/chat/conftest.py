"""Fixtures of the tests of conversations and views."""

import pytest

from tests.chat.support import own


@pytest.fixture(scope="module")
def plain():
    return own("plain")
