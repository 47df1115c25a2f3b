"""Wordings made of parts: openings with noun phrases, and frames with instructions, which only training draws from.

The banks of `wordings` hold wordings one by one; the products here are thousands, so that a model learns what the words
of a wording do, not the wording by heart. Slots are those of `wordings`. Openings and statements whose halves are held
out there (such as "Note that", "I forgot NP.", "{e} has {v} as {r}") are not parts here.
"""

from collections.abc import Iterable

# fmt: off
ASKING = (
    "What is NP?", "What was NP?", "What was NP again?", "So what is NP?", "And what is NP?", "Hello, what is NP?",
    "Sorry, what is NP?", "My question: what is NP?", "NP?", "NP, please.", "NP, please?", "And NP?", "Tell me NP.",
    "Now tell me NP.", "Please tell me NP.", "Please, tell me NP.", "Tell me NP, please.", "Can you tell me NP?",
    "Could you tell me NP?", "Can you please tell me NP?", "Will you tell me NP?", "Could you give me NP?",
    "Will you give me NP?", "Give me NP.", "Give me NP, please.", "Please give me NP.", "I need NP.",
    "I need to know NP.", "Please, I need NP.", "I want NP.", "I want to know NP.", "I would like to know NP.",
    "I would like to have NP.", "I am looking for NP.", "I do not know NP.", "I do not remember NP.",
    "I have forgotten NP.", "I forgot NP. Tell me.", "I forgot NP. Can you help me?", "I forgot NP. What was it?",
    "Do you know NP?", "Do you remember NP?", "May I have NP?", "May I know NP?", "Can I have NP?", "Have you got NP?",
    "Name NP.", "Say NP.", "Show me NP.", "Find NP.", "Look up NP.", "Please look up NP.", "Write NP.",
    "Remind me of NP.", "Help me with NP.", "Who can tell me NP?", "You know NP. Tell me.",
)
ENTITY_PHRASES = ("the {r} of {e}", "{e}'s {r}", "the {r} for {e}", "the {r} that {e} has")
SINGLE_PHRASES = ("the {r}", "our {r}", "the {r} here", "the {r} that we have")
CLOSED_PHRASES: dict[str, tuple[str, ...]] = {
    "capital": ("the capital of {s}", "{s}'s capital"), "colour": ("the colour of {s}", "the colour that {s} has"),
    "opposite": ("the opposite of {s}",), "sound": ("the sound of a {s}", "what a {s} says"),
    "baby": ("the word for a young {s}", "the name of a young {s}"),
    "language": ("the language of {s}", "the language in {s}"), "legs": ("how many legs a {s} has",),
    "next_day": ("the day after {s}",), "last_day": ("the day before {s}",),
    "next_month": ("the month after {s}",), "last_month": ("the month before {s}",),
    "sum": ("{s}",), "difference": ("{s}",),
}
ENTITY_QUESTIONS = (
    "Which {r} does {e} have?", "What does {e} have as the {r}?", "Which is {e}'s {r}?", "What {r} has {e}?",
    "For {e}, what is the {r}?", "About {e}: what is the {r}?", "{E}: what is the {r}?", "{E}, {r}?",
    "Which {r} belongs to {e}?", "Which {r} is that of {e}?",
)
SINGLE_QUESTIONS = (
    "Which {r} do we have?", "What do we have as the {r}?", "Which is our {r}?", "What {r} have we got?",
    "Which {r} do we use?", "{R}?", "What do you know about the {r}?",
)

STATING = (
    "{}.", "Remember that {}.", "Please remember that {}.", "Remember: {}.", "Please remember: {}.",
    "Keep in mind that {}.", "Keep in mind: {}.", "Know that {}.", "We know that {}.", "You know that {}.",
    "As you know, {}.", "It is known that {}.", "It is true that {}.", "Do not forget that {}.", "Do not forget: {}.",
    "Take note: {}.", "Here is a fact: {}.", "Learn this: {}.", "I tell you that {}.", "Today {}.",
)
ENTITY_STATEMENTS = (
    "the {r} of {e} is {v}", "{e}'s {r} is {v}", "{e} has the {r} {v}", "the {r} for {e} is {v}",
    "the {r} that {e} has is {v}", "{v} is the {r} of {e}", "{v} is {e}'s {r}", "{v} is the {r} that {e} has",
    "{e} uses {v} as the {r}", "{e} got {v} as {r}", "{e} has {v} for a {r}", "for {e}, the {r} is {v}",
    "for {e}, {v} is the {r}", "with {e}, the {r} is {v}", "as {r}, {e} has {v}", "{e} chose {v} as {r}",
)
SINGLE_STATEMENTS = (
    "the {r} is {v}", "our {r} is {v}", "we have the {r} {v}", "{v} is our {r}", "{v} is now the {r}",
    "we use {v} as the {r}", "we have {v} as {r}", "{v} is what we have as the {r}", "the {r} here is {v}",
    "for the {r} we use {v}", "as {r} we have {v}", "{v} was chosen as the {r}",
)
ENTITY_NOTES = ("{E}: {r} {v}.", "{E}'s {r}: {v}.", "{E}, {r}: {v}.", "{V}: {r} of {e}.", "{R} of {e} is {v}.")
SINGLE_NOTES = ("Our {r}: {v}.", "{R} is {v}.", "The {r}: {v}.", "{V}: our {r}.")

INSTRUCTING = (
    "{}", "Please {}", "Always {}", "Please always {}", "You always {}", "You must {}", "You should {}",
    "You have to {}", "Remember to {}", "Never forget to {}", "Do not forget to {}", "I want you to {}",
    "The user wants you to {}", "Your task is to {}", "From now on {}", "In this chat, {}", "When you answer, {}",
    "Important: {}", "One rule: {}", "The rule is: {}", "Be sure to {}",
)
MANY = ("All answers", "All your answers", "Your answers", "The answers", "All replies", "Your replies")
ONE = ("Each answer", "Each reply", "Every reply", "Each of your answers", "The answer", "Your answer")

# style -> (what to do, what an answer does or is: verb and rest)
INSTRUCTIONS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "capitals": (
        ("write everything in capital letters", "answer in capital letters", "use only capital letters",
         "use capital letters for every answer", "use capitals in all that you say", "write in capitals",
         "write every word in capital letters", "put everything in capitals", "reply in capital letters",
         "say everything in capitals", "use capital letters", "write everything you say in capitals"),
        ("be in capital letters", "be in capitals", "be written in capital letters", "use capital letters"),
    ),
    "lowercase": (
        ("write everything in small letters", "answer in small letters", "use only small letters",
         "use small letters for every answer", "use small letters in all that you say", "write in small letters",
         "write every word in small letters", "put everything in small letters", "reply in small letters",
         "use no capital letters", "write without capital letters", "write everything you say in small letters"),
        ("be in small letters", "be without capital letters", "be written in small letters", "use small letters"),
    ),
    "json": (
        ("answer in JSON", "reply in JSON", "reply with a JSON object", "use JSON for every answer",
         "write every answer as JSON", "write a JSON object", "give your answers as JSON", "give a JSON object",
         "put every answer in a JSON object", "give every reply in JSON", "use only JSON"),
        ("be in JSON", "be a JSON object", "be written as JSON", "be given in JSON"),
    ),
    "value": (
        ("answer with one word", "use only one word", "use a single word", "give only the bare answer",
         "give the bare answer", "reply with a single word", "use a single word for every answer", "say only one word",
         "be brief and use one word", "give one word", "write one word and no more"),
        ("be one word", "be only one word", "be a single word", "be brief: one word", "have one word"),
    ),
    "prefix": (
        ('start every answer with "{w}!"', "start every answer with {w}!", "start all your answers with {w}!",
         "begin every answer with {w}!", 'begin all answers with "{w}!"', "start with {w}!", 'start with "{w}!"',
         "begin with the word {w}!", "put {w}! before every answer", 'put "{w}!" before all that you say',
         "say {w}! first", "write {w}! before every answer"),
        ("start with {w}!", "begin with {w}!", 'begin with "{w}!"', "start with the word {w}!",
         "have {w}! at the start"),
    ),
    "suffix": (
        ('end every answer with "{w}!"', "end every answer with {w}!", "end all your answers with {w}!",
         "finish every answer with {w}!", 'finish all answers with "{w}!"', "end with {w}!", 'end with "{w}!"',
         "finish with the word {w}!", "put {w}! after every answer", 'put "{w}!" after all that you say',
         "say {w}! last", "write {w}! after every answer"),
        ("end with {w}!", "finish with {w}!", 'finish with "{w}!"', "end with the word {w}!", "have {w}! at the end"),
    ),
    "signature": (
        ("sign every answer with your name", "put your name after every answer", "sign with your name",
         "write your name after every answer", "sign all your answers", "sign everything with your name",
         "end every answer with your name", "give your name after every answer"),
        ("be signed", "be signed by you", "end with your name", "have your name at the end",
         "be signed with your name"),
    ),
    "polite": (
        ("thank the user after every answer", "be polite and thank the user", "thank the user",
         "thank the user at the end", "end every answer with thanks", "end by thanking the user",
         "finish every answer with thanks", "say thank you after every answer", "be polite: thank the user"),
        ("end with thanks", "finish with thanks to the user", "thank the user", "end by thanking the user"),
    ),
    "quotes": (
        ("put every answer in quotes", "write every answer in quotation marks", "use quotes around every answer",
         "put quotes around every answer", "answer in quotes", "use quotation marks", "write everything in quotes",
         "put everything you say in quotes"),
        ("be in quotes", "be in quotation marks", "be written in quotes", "be put in quotes"),
    ),
    "brackets": (
        ("put every answer in brackets", "write every answer in square brackets", "use brackets around every answer",
         "put brackets around every answer", "answer in brackets", "use square brackets",
         "write everything in brackets", "put everything you say in brackets"),
        ("be in brackets", "be in square brackets", "be written in brackets", "be put in brackets"),
    ),
    "bullet": (
        ("answer with a bullet", "write every answer as a list item", "start every answer with a dash",
         "put a dash before every answer", "give every answer as a list item", "use a bullet for every answer",
         "begin with a dash", "write a list item", "answer with a list item"),
        ("be a list item", "be written as a list item", "start with a dash", "begin with a bullet", "have a bullet"),
    ),
    "twice": (
        ("say everything twice", "repeat every answer", "give every answer two times", "give every answer twice",
         "write every answer twice", "answer twice", "write everything two times", "repeat everything you say",
         "say every answer two times"),
        ("be given twice", "be repeated", "be written two times", "come two times", "be said twice", "come twice"),
    ),
}
PERSONAS = (
    "You are a {j} and your name is {n}.", "You are a {j}. Your name is {n}.", "You are a {j}: {n}.",
    "Your role is {n}, a {j}.", "Today you are {n}, a {j}.", "In this chat you are {n}, a {j}.", "Be {n}, a {j}.",
    "Your name is {n}, and you are a {j}.", "Answer as {n}, a {j}.", "You act as {n}, a {j}.",
    "You have the role of {n}, a {j}.", "Remember that you are {n}, a {j}.", "Your job is {j} and your name is {n}.",
    "You are {n}, and your job is {j}.", "I want you to play {n}, a {j}.", "Please play {n}, a {j}.",
)
# fmt: on


def raised(text: str) -> str:
    """Return a wording with its first letter, or its first slot, as a capital."""
    return text[:2].upper() + text[2:] if text.startswith("{") else text[:1].upper() + text[1:]


def questions(phrases: Iterable[str], others: Iterable[str] = ()) -> tuple[str, ...]:
    """Return every opening with every noun phrase, and other questions."""
    return (*(raised(opening.replace("NP", phrase)) for opening in ASKING for phrase in phrases), *others)


def statements(sentences: Iterable[str], notes: Iterable[str] = ()) -> tuple[str, ...]:
    """Return every opening with every statement, and other notes."""
    return (*(raised(opening.format(sentence)) for opening in STATING for sentence in sentences), *notes)


def instructions(style: str) -> tuple[str, ...]:
    """Return every instruction that asks for a style."""
    actions, states = INSTRUCTIONS[style]
    asked = [raised(frame.format(action)) for frame in INSTRUCTING for action in actions]
    told: list[str] = []
    for verb, rest in (state.split(" ", 1) for state in states):
        subjects = ONE if rest.startswith("a ") else (*ONE, *MANY)
        told += [f"{subject} must {verb} {rest}" for subject in subjects]
        told += [f"{subject} {_singular(verb) if subject in ONE else _plural(verb)} {rest}" for subject in subjects]
    return tuple(text if text.endswith("!") else f"{text}." for text in (*asked, *told))


def _singular(verb: str) -> str:
    return {"be": "is", "have": "has", "finish": "finishes"}.get(verb, f"{verb}s")


def _plural(verb: str) -> str:
    return "are" if verb == "be" else verb
