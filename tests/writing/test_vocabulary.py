"""Whether a message is about a document: by words that are rare in it."""

from bakery.writing.vocabulary import Vocabulary

SENTENCES = [f"The door code of {name} is {number}." for name, number in
             (("Nora", 4417), ("Felix", 9032), ("Omar", 1200), ("Clara", 77), ("Hugo", 12))]  # fmt: skip


def test_a_message_is_about_the_document_if_it_has_a_rare_word_of_it():
    vocabulary = Vocabulary(SENTENCES)
    assert vocabulary.is_about("who is NORA?")
    assert vocabulary.is_about("What is 4417?")
    assert not vocabulary.is_about("What is the door code?")
    assert not vocabulary.is_about("Hello.")


def test_in_a_short_document_a_word_of_one_sentence_is_rare():
    assert Vocabulary(["A cow.", "A dog."]).is_about("Which dog?")
    assert not Vocabulary(["A cow.", "A dog."]).is_about("A what?")


def test_names_are_numbers_and_capitalised_words_that_do_not_begin_a_sentence():
    vocabulary = Vocabulary(SENTENCES)
    assert vocabulary.knows_the_names("I forgot Nora's code. Which is it?")
    assert not vocabulary.knows_the_names("What is the code of Sandra?")
    assert not vocabulary.knows_the_names("Is it 5555?")


def test_words_of_one_sentence_ask_for_what_it_says_and_words_of_several_for_what_none_says():
    vocabulary = Vocabulary([*SENTENCES, "The pet of Nora is otter.", "The team of Felix is falcon."])
    assert vocabulary.is_about_one_sentence("What is Felix's team?")
    assert not vocabulary.is_about_one_sentence("What is Felix's pet?")
    assert not vocabulary.is_about_one_sentence("Hello.")


def test_messages_that_name_nothing_else_come_first_and_others_about_nothing_not_at_all():
    texts = ["Nora and Sandra?", "Is it Nora?", "Hello."]
    assert Vocabulary(SENTENCES).best_first(texts) == [["Is it Nora?"], ["Nora and Sandra?"]]
