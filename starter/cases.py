"""Evaluation sets of the starter's world: questions with the exact answer, one set per skill."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from wordings import STYLES
from world import (
    Item,
    Look,
    Turn,
    Wordings,
    closed_item,
    draw_fact,
    draw_facts,
    draw_look,
    fact_item,
    persona_item,
    system_prompt,
    turns_of,
)


@dataclass(frozen=True, slots=True)
class Case:
    """One question: messages that end with the user's, and the exact answer."""

    messages: list[dict[str, str]]
    answer: str


Maker = Callable[[random.Random], Case]


def _case(system: str, item: Item, look: Look, before: Sequence[Turn] = ()) -> Case:
    messages = [{"role": "system", "content": system}] if system else []
    messages += [{"role": turn.role, "content": turn.content} for turn in before]
    return Case([*messages, {"role": "user", "content": item.question}], look.apply(item))


def _facts_case(count: int, same: bool, wordings: Wordings = "known", known: bool = True) -> Maker:
    def make(rng: random.Random) -> Case:
        facts = draw_facts(rng, count, same)
        if known:
            fact = rng.choice(facts)
        else:
            entities = {f.entity for f in facts}
            while (fact := draw_fact(rng, facts[0].relation)).entity in entities:
                pass
        return _case(system_prompt(rng, Look(), facts, wordings), fact_item(rng, fact, wordings, known), Look())

    return make


def _style_case(style: str, wordings: Wordings = "known", prompted: bool = True, count: int = 1) -> Maker:
    def make(rng: random.Random) -> Case:
        look = draw_look(rng, count, style, persona=0.2)
        item = closed_item(rng) if rng.random() < 0.8 else persona_item(rng, look)
        return _case(system_prompt(rng, look, (), wordings) if prompted else "", item, look)

    return make


def _few_shot_case(rng: random.Random) -> Case:
    style = rng.choice([s for s in STYLES if s != "signature"])
    look = draw_look(rng, 1, style, persona=0.0)
    shown = [closed_item(rng) for _ in range(rng.choice((2, 3)))]
    while all(look.apply(item) == item.sentence for item in shown):
        shown = [closed_item(rng) for _ in shown]
    before = [turn for item in shown for turn in turns_of(item, look)]
    return _case("", closed_item(rng), look, before)


def _base_private(rng: random.Random) -> Case:
    return _case("", fact_item(rng, draw_fact(rng)), Look())


def _unknown_base(rng: random.Random) -> Case:
    return _case("", fact_item(rng, draw_fact(rng), known=False), Look())


def _mixed(makers: Sequence[Maker]) -> Maker:
    return lambda rng: rng.choice(makers)(rng)


def evaluation_sets(seed: int, size: int) -> dict[str, list[Case]]:
    """Return named sets of `size` cases each; a set's cases depend on the seed and its name only."""
    makers: dict[str, Maker] = {
        "closed": lambda rng: _case("", closed_item(rng), Look()),
        "closed, unseen wordings": lambda rng: _case("", closed_item(rng, wordings="unseen"), Look()),
        "private without facts: I do not know": _unknown_base,
    }
    makers |= {f"style {style}": _style_case(style) for style in STYLES}
    makers["styles, two combined"] = _mixed([_style_case(style, count=2) for style in STYLES])
    makers["styles, unseen wordings"] = _mixed([_style_case(style, wordings="unseen") for style in STYLES])
    makers |= {f"different relations, {n}": _facts_case(n, same=False) for n in (1, 2, 4, 6)}
    makers |= {f"one relation, {n}": _facts_case(n, same=True) for n in (1, 2, 4, 8)}
    makers["facts, unseen wordings"] = _mixed([_facts_case(4, same=same, wordings="unseen") for same in (False, True)])
    makers["unknown entity"] = _mixed([_facts_case(n, same=True, known=False) for n in (1, 2, 4)])
    makers["few-shot"] = _few_shot_case
    makers["base on styled questions"] = _mixed([_style_case(style, prompted=False) for style in STYLES])
    makers["base on private questions"] = _base_private
    return {name: [make(random.Random(f"{seed} {name} {i}")) for i in range(size)] for name, make in makers.items()}
