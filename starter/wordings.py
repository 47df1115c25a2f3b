"""Every wording the world uses, in banks. Training never draws from the unseen part of a bank.

Slots: r relation, e entity, v value, s subject, n name, j job, w word; an upper-case slot starts with a capital letter.
"""

from collections.abc import Iterable
from typing import NamedTuple

import phrases


class Bank(NamedTuple):
    """Wordings of one meaning: `known` ones are trained and asked, `unseen` ones asked, `varied` ones trained."""

    known: tuple[str, ...]
    unseen: tuple[str, ...]
    varied: tuple[str, ...] = ()


def _bank(known: tuple[str, ...], unseen: tuple[str, ...], varied: Iterable[str] = ()) -> Bank:
    return Bank(known, unseen, tuple(wording for wording in varied if wording not in unseen))


# fmt: off
# closed relation -> (the plain answer, known wordings, held-out wordings)
_CLOSED: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "capital": (
        "The capital of {s} is {v}.",
        ("What is the capital of {s}?", "Tell me the capital of {s}.", "Which city is the capital of {s}?",
         "Name the capital of {s}.", "Do you know the capital of {s}?", "{s} has which capital?"),
        ("I want to know the capital of {s}.", "What city is {s}'s capital?"),
    ),
    "colour": (
        "The colour of {s} is {v}.",
        ("What is the colour of {s}?", "What colour is {s}?", "Tell me the colour of {s}.",
         "Which colour does {s} have?",
         "Which colour is {s}?"),
        ("Do you know the colour of {s}?", "Name {s}'s colour."),
    ),
    "opposite": (
        "The opposite of {s} is {v}.",
        ("What is the opposite of {s}?", "Tell me the opposite of {s}.", "Which word is the opposite of {s}?",
         "Name the opposite of {s}.", "Give me the opposite of {s}."),
        ("Do you know the opposite of {s}?", "What word means the opposite of {s}?"),
    ),
    "sound": (
        "A {s} says {v}.",
        ("What does a {s} say?", "Which sound does a {s} make?", "Tell me the sound of a {s}.",
         "What sound does a {s} make?"),
        ("What is the sound of a {s}?", "Do you know what a {s} says?"),
    ),
    "baby": (
        "A young {s} is a {v}.",
        ("What is a young {s}?", "What do we call a young {s}?", "Tell me the word for a young {s}.",
         "A young {s} is called what?"),
        ("Which word do we use for a young {s}?", "Name a young {s}."),
    ),
    "language": (
        "People in {s} speak {v}.",
        ("Which language do people speak in {s}?", "What do people speak in {s}?", "Tell me the language of {s}.",
         "What is the language of {s}?"),
        ("Which language do people in {s} speak?", "Do you know the language of {s}?"),
    ),
    "legs": (
        "A {s} has {v} legs.",
        ("How many legs does a {s} have?", "Tell me how many legs a {s} has.", "A {s} has how many legs?"),
        ("Do you know how many legs a {s} has?",),
    ),
    "next_day": (
        "The day after {s} is {v}.",
        ("Which day comes after {s}?", "What is the day after {s}?", "Tell me the day after {s}.",
         "What day follows {s}?"),
        ("Do you know the day after {s}?",),
    ),
    "last_day": (
        "The day before {s} is {v}.",
        ("Which day comes before {s}?", "What is the day before {s}?", "Tell me the day before {s}."),
        ("Do you know the day before {s}?",),
    ),
    "next_month": (
        "The month after {s} is {v}.",
        ("Which month comes after {s}?", "What is the month after {s}?", "Tell me the month after {s}.",
         "What month follows {s}?"),
        ("Do you know the month after {s}?",),
    ),
    "last_month": (
        "The month before {s} is {v}.",
        ("Which month comes before {s}?", "What is the month before {s}?", "Tell me the month before {s}."),
        ("Do you know the month before {s}?",),
    ),
    "sum": (
        "{s} is {v}.",
        ("What is {s}?", "How much is {s}?", "Tell me {s}.", "{s}?"),
        ("Do you know what {s} is?", "Give me {s}."),
    ),
    "difference": (
        "{s} is {v}.",
        ("What is {s}?", "How much is {s}?", "Tell me {s}.", "{s}?"),
        ("Do you know what {s} is?", "Give me {s}."),
    ),
}

ENTITY_QUESTIONS = _bank(
    (
        "What is the {r} of {e}?", "What is {e}'s {r}?", "Tell me the {r} of {e}.", "Tell me {e}'s {r}.",
        "Which {r} does {e} have?", "Do you know the {r} of {e}?", "Do you know {e}'s {r}?",
        "Please give me {e}'s {r}.",
        "Please tell me the {r} of {e}.", "{E}'s {r}?", "I want to know the {r} of {e}.",
        "Give me the {r} of {e}, please.",
        "Can you tell me the {r} of {e}?", "{E} has which {r}?", "What {r} does {e} have?",
        "I forgot {e}'s {r}. What is it?",
    ),
    ("Can you give me {e}'s {r}?", "I forgot the {r} of {e}.", "Please, what is the {r} of {e}?",
     "Do you have the {r} of {e}?"),
    phrases.questions(phrases.ENTITY_PHRASES, phrases.ENTITY_QUESTIONS),
)
SINGLE_QUESTIONS = _bank(
    (
        "What is the {r}?", "Tell me the {r}.", "Which is the {r}?", "Do you know the {r}?",
        "Please give me the {r}.",
        "Please tell me the {r}.", "The {r}?", "I want to know the {r}.", "Give me the {r}, please.",
        "Can you tell me the {r}?",
        "What is our {r}?", "I forgot the {r}. What is it?", "{R}, please?", "What was the {r} again?",
    ),
    ("Can you give me the {r}?", "I forgot our {r}.", "Please, what is the {r}?", "Do you have the {r}?"),
    phrases.questions(phrases.SINGLE_PHRASES, phrases.SINGLE_QUESTIONS),
)
ENTITY_FACTS = _bank(
    (
        "The {r} of {e} is {v}.", "The {r} of {e} is {v}.", "{E}'s {r} is {v}.", "{E} has the {r} {v}.",
        "Remember: the {r} of {e} is {v}.", "{R} of {e}: {v}.",
    ),
    ("Note that {e}'s {r} is {v}.", "{E} has {v} as {r}."),
    phrases.statements(phrases.ENTITY_STATEMENTS, phrases.ENTITY_NOTES),
)
SINGLE_FACTS = _bank(
    ("The {r} is {v}.", "The {r} is {v}.", "Our {r} is {v}.", "Remember: the {r} is {v}.", "{R}: {v}.",
     "We have the {r} {v}."),
    ("Note that the {r} is {v}.", "{V} is the {r}."),
    phrases.statements(phrases.SINGLE_STATEMENTS, phrases.SINGLE_NOTES),
)
INTROS = (
    "You are a helpful assistant.", "You answer questions.", "Answer the questions of the user.",
    "You help the people in the office.",
    "Be kind.", "This is a chat with a user.", "You are a good helper.", "Use the facts below.",
    "Here are some facts.",
)
PERSONA = _bank(
    (
        "You are {n}, a {j}.", "Your name is {n} and you are a {j}.", "Act as {n}, a {j}.",
        "Play the role of {n}, a {j}.",
        "Your name is {n}. You are a {j}.",
    ),
    ("From now on you are {n}, a {j}.", "You play {n}, a {j}."),
    phrases.PERSONAS,
)
WHO = _bank(("Who are you?", "Tell me who you are.", "Please introduce yourself."), ("Say who you are.",))
WHAT_NAME = _bank(("What is your name?", "Tell me your name.", "Do you have a name?"), ("Please give me your name.",))
WHAT_JOB = _bank(("What is your job?", "Tell me your job.", "What do you do?"), ("Do you have a job?",))
CHATTER = (
    (("Hello.", "Hello!", "Good morning."), "Hello! How can I help you?", "Hello"),
    (("Thank you.", "Thank you very much.", "Many thanks."), "You are welcome.", "Welcome"),
    (("How are you?", "Are you well?", "How do you feel?"), "I am fine.", "Fine"),
    (("Can you help me?", "I need help.", "Please help me."), "Yes, I can help you.", "Yes"),
)

# style -> (known instructions, unseen instructions); {w} is the style's word
_STYLES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "capitals": (
        ("Write everything in capital letters.", "Answer in capital letters.", "Use only capital letters.",
         "Always write in capitals.",
         "All your answers are in capitals."),
        ("Use capital letters in everything you write.",),
    ),
    "lowercase": (
        ("Write everything in small letters.", "Answer in small letters.", "Use only small letters.",
         "Never use capital letters."),
        ("Use small letters in everything you write.",),
    ),
    "json": (
        ("Answer in JSON.", "Reply with a JSON object.", "Write every answer as JSON.",
         "Your answers are JSON objects."),
        ("Give every answer as a JSON object.",),
    ),
    "value": (
        ("Answer with one word.", "Use only one word.", "Give only the bare answer.",
         "Reply with a single word.", "Be brief: one word."),
        ("Every answer is a single word.",),
    ),
    "prefix": (
        ('Start every answer with "{w}!".', "Begin every answer with {w}!", "Always start with the word {w}!",
         "Your answers begin with {w}!",
         "Say {w}! before every answer."),
        ("Every answer starts with {w}!",),
    ),
    "suffix": (
        ('End every answer with "{w}!".', "Finish every answer with {w}!", "Always end with the word {w}!",
         "Your answers end with {w}!",
         "Say {w}! after every answer."),
        ("Every answer ends with {w}!",),
    ),
    "signature": (
        ("Sign every answer with your name.", "Put your name after every answer.", "Always sign with your name."),
        ("Every answer is signed with your name.",),
    ),
    "polite": (
        ("Thank the user after every answer.", "Be polite and thank the user.", "Always thank the user."),
        ("Finish by thanking the user.",),
    ),
    "quotes": (
        ("Put every answer in quotes.", "Write every answer in quotation marks.", "Use quotes around every answer."),
        ("Your answers are in quotes.",),
    ),
    "brackets": (
        ("Put every answer in brackets.", "Write every answer in square brackets.",
         "Use brackets around every answer."),
        ("Your answers are in brackets.",),
    ),
    "bullet": (
        ("Answer with a bullet.", "Write every answer as a list item.", "Start every answer with a dash."),
        ("Every answer is a list item.",),
    ),
    "twice": (
        ("Say everything twice.", "Repeat every answer.", "Give every answer two times."),
        ("Every answer comes twice.",),
    ),
}
# fmt: on

CLOSED_WORDINGS = {
    relation: (sentence, _bank(known, unseen, phrases.questions(phrases.CLOSED_PHRASES[relation])))
    for relation, (sentence, known, unseen) in _CLOSED.items()
}
"""By closed relation: its answer and its questions."""
STYLES = {style: _bank(known, unseen, phrases.instructions(style)) for style, (known, unseen) in _STYLES.items()}
