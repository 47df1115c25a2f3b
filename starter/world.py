"""The synthetic world the starter model is trained on: seeded chats, and questions with one right answer.

Every chat is drawn from a `random.Random`, so a seed names a world. A chat may state private facts, ask for styles,
show a format by example, or do nothing special; whatever it does, the right answer to each question follows from the
chat alone or from the closed relations in `pools.CLOSED`. Wordings are *known* (a short list, for training and for
questions of every kind), *unseen* (training never uses them, and `evaluate.py` asks about them), or of the *training*,
which are known or composed.
"""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pools import (
    CLOSED,
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
from wordings import (
    CHATTER,
    CLOSED_WORDINGS,
    ENTITY_FACTS,
    ENTITY_QUESTIONS,
    INTROS,
    PERSONA,
    SINGLE_FACTS,
    SINGLE_QUESTIONS,
    STYLES,
    WHAT_JOB,
    WHAT_NAME,
    WHO,
    Bank,
)

WEIGHTS = {"assistant": 1.0, "user": 0.3, "system": 0.05}
UNKNOWN = "I do not know."
COMPOSED = 0.5  # share of composed wordings in training
Wordings = Literal["known", "unseen", "training"]


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
        owner = f" of {self.entity}" if self.entity else ""
        return f"The {self.relation}{owner} is {self.value}."


Chat = tuple[Turn, ...]

CASES, AFFIXES, WRAPS = ("capitals", "lowercase"), ("prefix", "suffix", "polite"), ("quotes", "brackets", "bullet")
LONERS = {"json", "value", "twice"}  # styles that are never combined


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


def pick(rng: random.Random, bank: Bank, wordings: Wordings) -> str:
    """Return a wording from a bank."""
    if wordings == "training" and bank.varied and rng.random() < COMPOSED:
        return rng.choice(bank.varied)
    return rng.choice(bank.unseen if wordings == "unseen" else bank.known)


def fill(wording: str, **slots: str) -> str:
    """Fill a wording; an upper-case slot name asks for the same value with a capital first letter."""
    capitals = {key.upper(): value[:1].upper() + value[1:] for key, value in slots.items()}
    return wording.format(**slots, **capitals)


# ------------------------------------------------------------------------------------------------- items


def closed_item(rng: random.Random, wordings: Wordings = "known", relation: str | None = None) -> Item:
    """Return a question about the closed world; big relations come more often than small ones."""
    if relation is None:
        relations = list(CLOSED)
        relation = rng.choices(relations, [min(len(CLOSED[r]), 40) for r in relations])[0]
    subject = rng.choice(list(CLOSED[relation]))
    sentence, bank = CLOSED_WORDINGS[relation]
    value = CLOSED[relation][subject]
    question = fill(pick(rng, bank, wordings), s=subject)
    return Item(question, sentence.format(s=subject, v=value), value)


def persona_item(rng: random.Random, look: Look, wordings: Wordings = "known") -> Item:
    """Return a question about the assistant itself, answered in character when the look has a name."""
    kind = rng.randrange(3)
    question = pick(rng, (WHO, WHAT_NAME, WHAT_JOB)[kind], wordings)
    if not look.name:
        return Item(question, "I am a small language model.", "model")
    sentence = (f"I am {look.name}, a {look.job}.", f"My name is {look.name}.", f"I am a {look.job}.")[kind]
    return Item(question, sentence, (look.name, look.name, look.job)[kind])


def chatter_item(rng: random.Random) -> Item:
    """Return a greeting or the like, with its stock answer."""
    questions, sentence, value = rng.choice(CHATTER)
    return Item(rng.choice(questions), sentence, value)


def fact_item(rng: random.Random, fact: Fact, wordings: Wordings = "known", known: bool = True) -> Item:
    """Return a question about a private fact; `known=False` when the chat does not state it."""
    bank = ENTITY_QUESTIONS if fact.entity else SINGLE_QUESTIONS
    question = fill(pick(rng, bank, wordings), r=fact.relation, e=fact.entity or "")
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
        alone = LONERS & set(chosen)
        clash = (
            new in chosen or alone or new in LONERS or any(new in g and set(g) & set(chosen) for g in (CASES, WRAPS))
        )
        if not clash or not chosen:
            chosen.append(new)
        elif alone:
            break
    named = "signature" in chosen or rng.random() < persona
    return Look(
        tuple((s, draw_word(rng) if s in ("prefix", "suffix") else "") for s in chosen),
        draw_name(rng) if named else "",
        rng.choice(JOBS) if named else "",
    )


def state(rng: random.Random, fact: Fact, wordings: Wordings = "known") -> str:
    """Return a wording of a private fact."""
    bank = ENTITY_FACTS if fact.entity else SINGLE_FACTS
    return fill(pick(rng, bank, wordings), r=fact.relation, e=fact.entity or "", v=fact.value)


def _shared_wording(rng: random.Random, wordings: Wordings) -> str | None:
    """Return the one wording in which a prompt states facts about entities, or None where each has its own."""
    if wordings == "unseen":
        return None
    if wordings == "training" and rng.random() < COMPOSED:
        return rng.choice((None, pick(rng, ENTITY_FACTS, wordings)))
    return rng.choice((None, "The {r} of {e} is {v}.", "{E}'s {r} is {v}."))


def system_prompt(rng: random.Random, look: Look, facts: Sequence[Fact], wordings: Wordings = "known") -> str:
    """Return a system prompt that asks for the look and states the facts, in one of several layouts."""
    rules = [pick(rng, STYLES[style], wordings).format(w=word) for style, word in look.styles]
    rng.shuffle(rules)
    head = [fill(pick(rng, PERSONA, wordings), n=look.name, j=look.job)] if look.name else []
    if not head and (rng.random() < 0.4 or not (rules or facts)):
        head = [rng.choice(INTROS)]
    uniform = _shared_wording(rng, wordings)
    lines = [
        fill(uniform, r=fact.relation, e=fact.entity, v=fact.value)
        if uniform and fact.entity
        else state(rng, fact, wordings)
        for fact in facts
    ]
    blocks = [rules, lines] if rng.random() < 0.5 else [lines, rules]
    if lines and rng.random() < 0.25:
        return "\n".join([" ".join(head + rules), *(f"- {line}" for line in lines)]).strip()
    return rng.choice((" ", " ", "\n")).join(head + blocks[0] + blocks[1])


# ------------------------------------------------------------------------------------------------- chats


def turns_of(item: Item, look: Look, weight: float = 1.0) -> list[Turn]:
    """Return a question and its answer in a look, the answer's loss weight multiplied by `weight`."""
    answer = Turn("assistant", look.apply(item), weight * WEIGHTS["assistant"])
    return [Turn("user", item.question, WEIGHTS["user"]), answer]


def _any_item(rng: random.Random, look: Look) -> Item:
    """Return a question that needs no facts: mostly the closed world, some of it private and therefore unknown."""
    roll = rng.random()
    if roll < 0.62:
        return closed_item(rng, "training")
    if roll < 0.80:
        return fact_item(rng, draw_fact(rng), "training", known=False)
    return persona_item(rng, look, "training") if roll < 0.93 else chatter_item(rng)


def plain_chat(rng: random.Random) -> Chat:
    """No rules: no system prompt, or a bland one."""
    turns = [Turn("system", rng.choice(INTROS[:-2]), WEIGHTS["system"])] if rng.random() < 0.3 else []
    for _ in range(rng.choice((1, 1, 2, 3))):
        turns += turns_of(_any_item(rng, Look()), Look())
    return tuple(turns)


def style_chat(rng: random.Random) -> Chat:
    """A system prompt that asks for a look, and general questions."""
    look = draw_look(rng, rng.choice((0, 1, 1, 1, 2, 3)))
    turns = [Turn("system", system_prompt(rng, look, (), "training"), WEIGHTS["system"])]
    for _ in range(rng.choice((1, 2, 3, 4))):
        turns += turns_of(_any_item(rng, look), look)
    return tuple(turns)


def lookup_chat(rng: random.Random, focus: bool = False) -> Chat:
    """A system prompt with private facts (perhaps with a look) and questions about them; `focus`: bare lookups only."""
    same = rng.random() < (0.75 if focus else 0.5)
    facts = draw_facts(rng, rng.choice((2, 2, 3, 4)) if focus else rng.choice((1, 2, 3, 4, 5, 6, 6, 8)), same)
    look = Look() if focus or rng.random() < 0.5 else draw_look(rng, rng.choice((0, 1, 1, 2)))
    turns = [Turn("system", system_prompt(rng, look, facts, "training"), WEIGHTS["system"])]
    for _ in range(rng.choice((3, 4, 5, 6)) if focus else rng.choice((1, 2, 3, 4, 5))):
        roll = rng.random()
        if roll < 0.66:
            item = fact_item(rng, rng.choice(facts), "training")
        elif roll < 0.90:
            item = fact_item(rng, missing_fact(rng, facts), "training", known=False)
        else:
            item = _any_item(rng, look)
        turns += turns_of(item, look)
    return tuple(turns)


def few_shot_chat(rng: random.Random) -> Chat:
    """Earlier turns show a look; only answers that follow a shown one are trained."""
    style = rng.choice([s for s in STYLES if s != "signature"])
    look = draw_look(rng, 2 if style in AFFIXES and rng.random() < 0.2 else 1, style, persona=0.0)
    look = Look(tuple(pair for pair in look.styles if pair[0] != "signature"))
    turns = [Turn("system", rng.choice(INTROS[:-2]), WEIGHTS["system"])] if rng.random() < 0.3 else []
    shown = False
    for _ in range(rng.choice((2, 3, 4, 5))):
        item = closed_item(rng, "training") if rng.random() < 0.8 else _any_item(rng, look)
        turns += turns_of(item, look, float(shown))
        shown = shown or look.apply(item) != item.sentence
    return tuple(turns)


def told_chat(rng: random.Random) -> Chat:
    """The user tells facts and asks about them later."""
    facts = draw_facts(rng, rng.choice((1, 2, 3, 4)), rng.random() < 0.4)
    turns = []
    for fact in facts:
        turns += turns_of(Item(state(rng, fact, "training"), "I will remember that.", "OK"), Look())
    for _ in range(rng.choice((1, 2, 3))):
        known = rng.random() < 0.75
        fact = rng.choice(facts) if known else missing_fact(rng, facts)
        turns += turns_of(fact_item(rng, fact, "training", known), Look())
    return tuple(turns)


def sample_chat(rng: random.Random, focus: float = 0.0) -> Chat:
    """Return a training chat; with probability `focus` a bare, lookup-heavy one, else one of the full mix."""
    if rng.random() < focus:
        return lookup_chat(rng, focus=True)
    kinds = (plain_chat, style_chat, lookup_chat, few_shot_chat, told_chat)
    return rng.choices(kinds, (0.18, 0.27, 0.38, 0.12, 0.05))[0](rng)
