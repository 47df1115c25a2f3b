"""The synthetic world the starter model is trained on: seeded chats, and questions with one right answer.

Every chat is drawn from a `random.Random`, so a seed names a world. A chat may state private facts, ask for styles, show a
format by example, or do nothing special; whatever it does, the right answer to each question follows from the chat alone or
from the closed relations in `pools.CLOSED`. Wordings come in two banks: *known* ones, which training uses, and *unseen* ones,
which training never uses and `evaluate.py` asks about.
"""

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pools import (
    CLOSED,
    CLOSED_WORDINGS,
    INTERJECTIONS,
    JOBS,
    PERSON_RELATIONS,
    SINGLE_RELATIONS,
    THING_RELATIONS,
    THINGS,
    WORDS,
    draw_name,
    draw_value,
    new_word,
)

WEIGHTS = {"assistant": 1.0, "user": 0.3, "system": 0.05}
UNKNOWN = "I do not know."


@dataclass(frozen=True, slots=True)
class Turn:
    """One message and the weight of its tokens in the training loss."""

    role: str
    content: str
    weight: float


@dataclass(frozen=True, slots=True)
class Item:
    """A question, its plain answer as a sentence, and the bare value inside that sentence."""

    question: str
    sentence: str
    value: str


@dataclass(frozen=True, slots=True)
class Fact:
    """A private fact: the relation of an entity (or of nobody in particular, when `entity` is None) has a value."""

    relation: str
    entity: str | None
    value: str

    @property
    def sentence(self) -> str:
        return f"The {self.relation} of {self.entity} is {self.value}." if self.entity else f"The {self.relation} is {self.value}."


@dataclass(frozen=True, slots=True)
class Case:
    """One evaluation question: messages that end with the user's, and the exact answer."""

    messages: list[dict[str, str]]
    answer: str


Chat = tuple[Turn, ...]

# ------------------------------------------------------------------------------------------------- wordings

ENTITY_QUESTIONS = (
    (
        "What is the {r} of {e}?", "What is {e}'s {r}?", "Tell me the {r} of {e}.", "Tell me {e}'s {r}.",
        "Which {r} does {e} have?", "Do you know the {r} of {e}?", "Do you know {e}'s {r}?", "Please give me {e}'s {r}.",
        "Please tell me the {r} of {e}.", "{E}'s {r}?", "I want to know the {r} of {e}.", "Give me the {r} of {e}, please.",
        "Can you tell me the {r} of {e}?", "{E} has which {r}?", "What {r} does {e} have?", "I forgot {e}'s {r}. What is it?",
    ),
    ("Can you give me {e}'s {r}?", "I forgot the {r} of {e}.", "Please, what is the {r} of {e}?", "Do you have the {r} of {e}?"),
)  # fmt: skip
SINGLE_QUESTIONS = (
    (
        "What is the {r}?", "Tell me the {r}.", "Which is the {r}?", "Do you know the {r}?", "Please give me the {r}.",
        "Please tell me the {r}.", "The {r}?", "I want to know the {r}.", "Give me the {r}, please.", "Can you tell me the {r}?",
        "What is our {r}?", "I forgot the {r}. What is it?", "{R}, please?", "What was the {r} again?",
    ),
    ("Can you give me the {r}?", "I forgot our {r}.", "Please, what is the {r}?", "Do you have the {r}?"),
)  # fmt: skip
ENTITY_FACTS = (
    (
        "The {r} of {e} is {v}.", "The {r} of {e} is {v}.", "{E}'s {r} is {v}.", "{E} has the {r} {v}.",
        "Remember: the {r} of {e} is {v}.", "{R} of {e}: {v}.",
    ),
    ("Note that {e}'s {r} is {v}.", "{E} has {v} as {r}."),
)  # fmt: skip
SINGLE_FACTS = (
    ("The {r} is {v}.", "The {r} is {v}.", "Our {r} is {v}.", "Remember: the {r} is {v}.", "{R}: {v}.", "We have the {r} {v}."),
    ("Note that the {r} is {v}.", "{V} is the {r}."),
)
INTROS = (
    "You are a helpful assistant.", "You answer questions.", "Answer the questions of the user.", "You help the people in the office.",
    "Be kind.", "This is a chat with a user.", "You are a good helper.", "Use the facts below.", "Here are some facts.",
)  # fmt: skip
PERSONA = (
    (
        "You are {n}, a {j}.", "Your name is {n} and you are a {j}.", "Act as {n}, a {j}.", "Play the role of {n}, a {j}.",
        "Your name is {n}. You are a {j}.",
    ),
    ("From now on you are {n}, a {j}.", "You play {n}, a {j}."),
)  # fmt: skip
WHO = (("Who are you?", "Tell me who you are.", "Please introduce yourself."), ("Say who you are.",))
WHAT_NAME = (("What is your name?", "Tell me your name.", "Do you have a name?"), ("Please give me your name.",))
WHAT_JOB = (("What is your job?", "Tell me your job.", "What do you do?"), ("Do you have a job?",))
CHATTER = (
    (("Hello.", "Hello!", "Good morning."), "Hello! How can I help you?", "Hello"),
    (("Thank you.", "Thank you very much.", "Many thanks."), "You are welcome.", "Welcome"),
    (("How are you?", "Are you well?", "How do you feel?"), "I am fine.", "Fine"),
    (("Can you help me?", "I need help.", "Please help me."), "Yes, I can help you.", "Yes"),
)

# style -> (known instructions, unseen instructions); {w} is the style's word
STYLES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "capitals": (
        ("Write everything in capital letters.", "Answer in capital letters.", "Use only capital letters.", "Always write in capitals.",
         "All your answers are in capitals."),
        ("Use capital letters in everything you write.",),
    ),
    "lowercase": (
        ("Write everything in small letters.", "Answer in small letters.", "Use only small letters.", "Never use capital letters."),
        ("Use small letters in everything you write.",),
    ),
    "json": (
        ("Answer in JSON.", "Reply with a JSON object.", "Write every answer as JSON.", "Your answers are JSON objects."),
        ("Give every answer as a JSON object.",),
    ),
    "value": (
        ("Answer with one word.", "Use only one word.", "Give only the bare answer.", "Reply with a single word.", "Be brief: one word."),
        ("Every answer is a single word.",),
    ),
    "prefix": (
        ('Start every answer with "{w}!".', "Begin every answer with {w}!", "Always start with the word {w}!", "Your answers begin with {w}!",
         "Say {w}! before every answer."),
        ("Every answer starts with {w}!",),
    ),
    "suffix": (
        ('End every answer with "{w}!".', "Finish every answer with {w}!", "Always end with the word {w}!", "Your answers end with {w}!",
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
        ("Put every answer in brackets.", "Write every answer in square brackets.", "Use brackets around every answer."),
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
}  # fmt: skip
CASES, AFFIXES, WRAPS = ("capitals", "lowercase"), ("prefix", "suffix", "polite"), ("quotes", "brackets", "bullet")


@dataclass(frozen=True, slots=True)
class Look:
    """How every answer of a chat is to look, and who gives it: styles with their words, and a persona."""

    styles: tuple[tuple[str, str], ...] = ()  # (style, its word or "")
    name: str = ""
    job: str = ""

    def apply(self, item: Item) -> str:
        """Return the answer to `item` in this look."""
        words = dict(self.styles)
        if "json" in words:
            return json.dumps({"answer": item.value}, ensure_ascii=False)
        text = item.value if "value" in words else item.sentence
        if "twice" in words:
            text = f"{text} {text}"
        if "polite" in words:
            text = f"{text} Thank you for asking."
        if "prefix" in words:
            text = f"{words['prefix']}! {text}"
        if "suffix" in words:
            text = f"{text} {words['suffix']}!"
        if "signature" in words:
            text = f"{text} - {self.name}"
        if "capitals" in words:
            text = text.upper()
        if "lowercase" in words:
            text = text.lower()
        if "quotes" in words:
            text = f'"{text}"'
        if "brackets" in words:
            text = f"[{text}]"
        return f"- {text}" if "bullet" in words else text


def pick(rng: random.Random, bank: tuple[tuple[str, ...], tuple[str, ...]], unseen: bool) -> str:
    """Return a wording from the known (first) or the unseen (second) half of a bank."""
    return rng.choice(bank[1] if unseen else bank[0])


def fill(wording: str, **slots: str) -> str:
    """Fill a wording; an upper-case slot name asks for the same value with a capital first letter."""
    capitals = {key.upper(): value[:1].upper() + value[1:] for key, value in slots.items()}
    return wording.format(**slots, **capitals)


# ------------------------------------------------------------------------------------------------- items


def closed_item(rng: random.Random, unseen: bool = False, relation: str | None = None) -> Item:
    """Return a question about the closed world; big relations come more often than small ones."""
    if relation is None:
        relations = list(CLOSED)
        relation = rng.choices(relations, [min(len(CLOSED[r]), 40) for r in relations])[0]
    subject = rng.choice(list(CLOSED[relation]))
    sentence, known, held = CLOSED_WORDINGS[relation]
    value = CLOSED[relation][subject]
    question = pick(rng, (known, held), unseen).format(s=subject)
    return Item(question, sentence.format(s=subject, v=value), value)


def persona_item(rng: random.Random, look: Look, unseen: bool = False) -> Item:
    """Return a question about the assistant itself, answered in character when the look has a name."""
    kind = rng.randrange(3)
    question = pick(rng, (WHO, WHAT_NAME, WHAT_JOB)[kind], unseen)
    if not look.name:
        return Item(question, "I am a small language model.", "model")
    sentence = (f"I am {look.name}, a {look.job}.", f"My name is {look.name}.", f"I am a {look.job}.")[kind]
    return Item(question, sentence, (look.name, look.name, look.job)[kind])


def chatter_item(rng: random.Random) -> Item:
    """Return a greeting or the like, with its stock answer."""
    questions, sentence, value = rng.choice(CHATTER)
    return Item(rng.choice(questions), sentence, value)


def fact_item(rng: random.Random, fact: Fact, unseen: bool = False, known: bool = True) -> Item:
    """Return a question about a private fact; `known=False` when the chat does not state it."""
    bank = ENTITY_QUESTIONS if fact.entity else SINGLE_QUESTIONS
    question = fill(pick(rng, bank, unseen), r=fact.relation, e=fact.entity or "")
    return Item(question, fact.sentence, fact.value) if known else Item(question, UNKNOWN, "unknown")


def draw_fact(rng: random.Random, relation: str | None = None, entity: str | None = None) -> Fact:
    """Return a fresh private fact, of the given relation and about the given entity where they are given."""
    if relation is None:
        relation = rng.choice((*PERSON_RELATIONS, *PERSON_RELATIONS, *THING_RELATIONS, *SINGLE_RELATIONS))
        if relation in SINGLE_RELATIONS and (relation not in PERSON_RELATIONS or rng.random() < 0.3):
            return Fact(relation, None, draw_value(rng, SINGLE_RELATIONS[relation]))
    if relation in PERSON_RELATIONS:
        return Fact(relation, entity or draw_name(rng), draw_value(rng, PERSON_RELATIONS[relation]))
    return Fact(relation, entity or f"the {rng.choice(THINGS)}", draw_value(rng, THING_RELATIONS[relation]))


def draw_facts(rng: random.Random, count: int, same: bool) -> list[Fact]:
    """Return `count` facts with distinct keys: of one relation about different entities, or of different relations."""
    relation = rng.choice((*PERSON_RELATIONS, *PERSON_RELATIONS, *THING_RELATIONS)) if same else None
    shared = draw_name(rng) if not same and rng.random() < 0.3 else None
    facts: dict[str, Fact] = {}
    while len(facts) < count:
        fact = draw_fact(rng, relation)
        if shared and fact.relation in PERSON_RELATIONS and fact.entity:
            fact = Fact(fact.relation, shared, fact.value)
        facts.setdefault((fact.entity or "") if same else fact.relation, fact)
    return list(facts.values())


def missing_fact(rng: random.Random, facts: Sequence[Fact]) -> Fact:
    """Return a fact that `facts` do not state, usually close to one they do: its relation or its entity."""
    keys = {(fact.relation, fact.entity) for fact in facts}
    while True:
        near = rng.choice(facts) if facts and rng.random() < 0.8 else None
        if near is None or near.entity is None:
            fact = draw_fact(rng)
        elif rng.random() < 0.6:
            fact = draw_fact(rng, near.relation)
        else:
            relations = THING_RELATIONS if near.relation in THING_RELATIONS else PERSON_RELATIONS
            fact = draw_fact(rng, rng.choice(list(relations)), near.entity)
        if (fact.relation, fact.entity) not in keys:
            return fact


# ------------------------------------------------------------------------------------------------- system prompts


def draw_word(rng: random.Random) -> str:
    """Return a word for a prefix or suffix style."""
    roll = rng.random()
    return rng.choice(INTERJECTIONS) if roll < 0.6 else rng.choice(WORDS).capitalize() if roll < 0.9 else new_word(rng)


def draw_look(rng: random.Random, count: int, style: str | None = None, persona: float = 0.3) -> Look:
    """Return a look of up to `count` styles that can be combined, the given one among them."""
    chosen = [style] if style else []
    while len(chosen) < count:
        new = rng.choice((*STYLES, "capitals", "prefix", "suffix"))
        groups = (CASES, WRAPS)
        clash = new in chosen or {"json", "value", "twice"} & {new, *chosen} or any(new in g and set(g) & set(chosen) for g in groups)
        if not clash or not chosen:
            chosen.append(new)
        elif {"json", "value", "twice"} & set(chosen):
            break
    named = "signature" in chosen or rng.random() < persona
    return Look(
        tuple((s, draw_word(rng) if s in ("prefix", "suffix") else "") for s in chosen),
        draw_name(rng) if named else "",
        rng.choice(JOBS) if named else "",
    )


def state(rng: random.Random, fact: Fact, unseen: bool = False) -> str:
    """Return a wording of a private fact."""
    bank = ENTITY_FACTS if fact.entity else SINGLE_FACTS
    return fill(pick(rng, bank, unseen), r=fact.relation, e=fact.entity or "", v=fact.value)


def system_prompt(rng: random.Random, look: Look, facts: Sequence[Fact], unseen: bool = False) -> str:
    """Return a system prompt that asks for the look and states the facts, in one of several layouts."""
    rules = [pick(rng, STYLES[style], unseen).format(w=word) for style, word in look.styles]
    rng.shuffle(rules)
    head = [fill(pick(rng, PERSONA, unseen), n=look.name, j=look.job)] if look.name else []
    if not head and (rng.random() < 0.4 or not (rules or facts)):
        head = [rng.choice(INTROS)]
    uniform = rng.choice((None, "The {r} of {e} is {v}.", "{E}'s {r} is {v}.")) if not unseen else None
    lines = [
        fill(uniform, r=f.relation, e=f.entity, v=f.value) if uniform and f.entity else state(rng, f, unseen) for f in facts
    ]
    blocks = [rules, lines] if rng.random() < 0.5 else [lines, rules]
    if lines and rng.random() < 0.25:
        return "\n".join([" ".join(head + rules), *(f"- {line}" for line in lines)]).strip()
    return rng.choice((" ", " ", "\n")).join(head + blocks[0] + blocks[1])


# ------------------------------------------------------------------------------------------------- chats


def _turns(item: Item, look: Look, weight: float = 1.0) -> list[Turn]:
    return [Turn("user", item.question, WEIGHTS["user"]), Turn("assistant", look.apply(item), weight * WEIGHTS["assistant"])]


def _any_item(rng: random.Random, look: Look) -> Item:
    """Return a question that needs no facts: mostly the closed world, some of it private and therefore unknown."""
    roll = rng.random()
    if roll < 0.62:
        return closed_item(rng)
    if roll < 0.80:
        return fact_item(rng, draw_fact(rng), known=False)
    return persona_item(rng, look) if roll < 0.93 else chatter_item(rng)


def plain_chat(rng: random.Random) -> Chat:
    """No rules: no system prompt, or a bland one."""
    turns = [Turn("system", rng.choice(INTROS[:-2]), WEIGHTS["system"])] if rng.random() < 0.3 else []
    for _ in range(rng.choice((1, 1, 2, 3))):
        turns += _turns(_any_item(rng, Look()), Look())
    return tuple(turns)


def style_chat(rng: random.Random) -> Chat:
    """A system prompt that asks for a look, and general questions."""
    look = draw_look(rng, rng.choice((0, 1, 1, 1, 2, 3)))
    turns = [Turn("system", system_prompt(rng, look, ()), WEIGHTS["system"])]
    for _ in range(rng.choice((1, 2, 3, 4))):
        turns += _turns(_any_item(rng, look), look)
    return tuple(turns)


def lookup_chat(rng: random.Random, focus: bool = False) -> Chat:
    """A system prompt with private facts (and perhaps a look), and questions about them; `focus` keeps to bare lookups."""
    same = rng.random() < (0.75 if focus else 0.5)
    facts = draw_facts(rng, rng.choice((2, 2, 3, 4)) if focus else rng.choice((1, 2, 3, 4, 5, 6, 6, 8)), same)
    look = Look() if focus or rng.random() < 0.5 else draw_look(rng, rng.choice((0, 1, 1, 2)))
    turns = [Turn("system", system_prompt(rng, look, facts), WEIGHTS["system"])]
    for _ in range(rng.choice((3, 4, 5, 6)) if focus else rng.choice((1, 2, 3, 4, 5))):
        roll = rng.random()
        if roll < 0.66:
            item = fact_item(rng, rng.choice(facts))
        elif roll < 0.90:
            item = fact_item(rng, missing_fact(rng, facts), known=False)
        else:
            item = _any_item(rng, look)
        turns += _turns(item, look)
    return tuple(turns)


def few_shot_chat(rng: random.Random) -> Chat:
    """Earlier turns show a look; only answers that follow a shown one are trained."""
    style = rng.choice([s for s in STYLES if s != "signature"])
    look = draw_look(rng, 2 if style in AFFIXES and rng.random() < 0.2 else 1, style, persona=0.0)
    look = Look(tuple(pair for pair in look.styles if pair[0] != "signature"))
    turns = [Turn("system", rng.choice(INTROS[:-2]), WEIGHTS["system"])] if rng.random() < 0.3 else []
    shown = False
    for _ in range(rng.choice((2, 3, 4, 5))):
        item = closed_item(rng) if rng.random() < 0.8 else _any_item(rng, look)
        turns += _turns(item, look, float(shown))
        shown = shown or look.apply(item) != item.sentence
    return tuple(turns)


def told_chat(rng: random.Random) -> Chat:
    """The user tells facts and asks about them later."""
    facts = draw_facts(rng, rng.choice((1, 2, 3, 4)), rng.random() < 0.4)
    turns = []
    for fact in facts:
        turns += _turns(Item(state(rng, fact), "I will remember that.", "OK"), Look())
    for _ in range(rng.choice((1, 2, 3))):
        known = rng.random() < 0.75
        turns += _turns(fact_item(rng, rng.choice(facts) if known else missing_fact(rng, facts), known=known), Look())
    return tuple(turns)


def sample_chat(rng: random.Random, focus: float = 0.0) -> Chat:
    """Return a training chat; with probability `focus` a bare, lookup-heavy one, else one of the full mix."""
    if rng.random() < focus:
        return lookup_chat(rng, focus=True)
    kinds = (plain_chat, style_chat, lookup_chat, few_shot_chat, told_chat)
    return rng.choices(kinds, (0.18, 0.27, 0.38, 0.12, 0.05))[0](rng)


# ------------------------------------------------------------------------------------------------- evaluation


def _case(system: str, item: Item, look: Look, before: Sequence[Turn] = ()) -> Case:
    messages = [{"role": "system", "content": system}] if system else []
    messages += [{"role": turn.role, "content": turn.content} for turn in before]
    return Case([*messages, {"role": "user", "content": item.question}], look.apply(item))


def _facts_case(count: int, same: bool, unseen: bool = False, known: bool = True) -> Callable[[random.Random], Case]:
    def make(rng: random.Random) -> Case:
        facts = draw_facts(rng, count, same)
        if known:
            fact = rng.choice(facts)
        else:
            entities = {f.entity for f in facts}
            while (fact := draw_fact(rng, facts[0].relation)).entity in entities:
                pass
        return _case(system_prompt(rng, Look(), facts, unseen), fact_item(rng, fact, unseen, known), Look())

    return make


def _style_case(style: str, unseen: bool = False, prompted: bool = True, count: int = 1) -> Callable[[random.Random], Case]:
    def make(rng: random.Random) -> Case:
        look = draw_look(rng, count, style, persona=0.2)
        item = closed_item(rng) if rng.random() < 0.8 else persona_item(rng, look)
        return _case(system_prompt(rng, look, (), unseen) if prompted else "", item, look)

    return make


def _few_shot_case(rng: random.Random) -> Case:
    style = rng.choice([s for s in STYLES if s != "signature"])
    look = draw_look(rng, 1, style, persona=0.0)
    shown = [closed_item(rng) for _ in range(rng.choice((2, 3)))]
    while all(look.apply(item) == item.sentence for item in shown):
        shown = [closed_item(rng) for _ in shown]
    before = [turn for item in shown for turn in _turns(item, look)]
    return _case("", closed_item(rng), look, before)


def _base_private(rng: random.Random) -> Case:
    return _case("", fact_item(rng, draw_fact(rng)), Look())


def _unknown_base(rng: random.Random) -> Case:
    return _case("", fact_item(rng, draw_fact(rng), known=False), Look())


def _mixed(makers: Sequence[Callable[[random.Random], Case]]) -> Callable[[random.Random], Case]:
    return lambda rng: rng.choice(makers)(rng)


def evaluation_sets(seed: int, size: int) -> dict[str, list[Case]]:
    """Return named sets of `size` cases each; a set's cases depend on the seed and its name only."""
    makers: dict[str, Callable[[random.Random], Case]] = {
        "closed": lambda rng: _case("", closed_item(rng), Look()),
        "closed, unseen wordings": lambda rng: _case("", closed_item(rng, unseen=True), Look()),
        "private without facts: I do not know": _unknown_base,
    }
    makers |= {f"style {style}": _style_case(style) for style in STYLES}
    makers["styles, two combined"] = _mixed([_style_case(style, count=2) for style in STYLES])
    makers["styles, unseen wordings"] = _mixed([_style_case(style, unseen=True) for style in STYLES])
    makers |= {f"different relations, {n}": _facts_case(n, same=False) for n in (1, 2, 4, 6)}
    makers |= {f"one relation, {n}": _facts_case(n, same=True) for n in (1, 2, 4, 8)}
    makers["facts, unseen wordings"] = _mixed([_facts_case(4, same=same, unseen=True) for same in (False, True)])
    makers["unknown entity"] = _mixed([_facts_case(n, same=True, known=False) for n in (1, 2, 4)])
    makers["few-shot"] = _few_shot_case
    makers["base on styled questions"] = _mixed([_style_case(style, prompted=False) for style in STYLES])
    makers["base on private questions"] = _base_private
    return {name: [make(random.Random(f"{seed} {name} {i}")) for i in range(size)] for name, make in makers.items()}
