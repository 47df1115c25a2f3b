"""Which chunk a question is about: the one with its rare words; where that is not clear, it stays where it was."""

from bakery.rows.relevance import ChunkIndex

CHUNKS = ["The door code of Nora is 4417.", "The door code of Felix is 9032.", "The price of the lamp is 45."]


def test_a_question_finds_the_chunk_that_alone_has_its_words():
    index = ChunkIndex(CHUNKS)
    assert index.chunk_of("What is Felix's door code?") == 1
    assert index.chunk_of("How much does the LAMP cost?") == 2


def test_a_question_leaves_its_chunk_only_for_one_that_is_clearly_ahead():
    index = ChunkIndex(CHUNKS)
    assert index.chunk_of("What is Felix's door code?", own=0) == 1
    assert index.chunk_of("What is the door code?", own=1) == 1
    assert index.chunk_of("What is this about?", own=2) == 2


def test_without_a_word_that_tells_there_is_no_chunk():
    index = ChunkIndex(CHUNKS)
    assert index.chunk_of("Sing!") is None
    assert index.chunk_of("The is of?") is None
    assert ChunkIndex(CHUNKS[:1]).chunk_of("What is Nora's door code?") is None
