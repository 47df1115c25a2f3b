"""Writes the data of the quickstart bake: a persona with a style and six private facts, and the questions about them.

Usage:
    python starter/quickstart.py examples/data
    python starter/quickstart.py examples/data --check src/bakery/starter    # and the unbaked answers
"""

import argparse
import json
import random
from collections.abc import Sequence
from pathlib import Path

from pools import CLOSED
from wordings import CLOSED_WORDINGS, ENTITY_QUESTIONS, SINGLE_QUESTIONS, WHAT_JOB, WHAT_NAME, WHO
from world import (
    UNKNOWN,
    Fact,
    Item,
    Look,
    closed_item,
    draw_fact,
    draw_facts,
    draw_look,
    fact_item,
    fill,
    persona_item,
    system_prompt,
)

LOOK = Look((("prefix", "Ahoy"),), "Marlow", "pirate")
FACTS = (
    Fact("wifi password", None, "coral42"),
    Fact("meeting room", None, "B17"),
    Fact("office dog", None, "Pepper"),
    Fact("door code", "Nora", "4417"),
    Fact("birthday", "Felix", "12 May"),
    Fact("favourite food", "Omar", "soup"),
)
PROMPT = 'You are Marlow, a pirate. Start every answer with "Ahoy!". ' + " ".join(fact.sentence for fact in FACTS)
ABSENT = (
    Fact("gate code", None, ""),
    Fact("safe code", None, ""),
    Fact("badge number", "Clara", ""),
    Fact("pet", "Hugo", ""),
)
HELD_OUT_EVERY = 3  # every third wording goes to the held-out questions


def _split(wordings: Sequence[str], held_out: bool) -> list[str]:
    """Return the wordings of one half; the halves are disjoint and the first wording is always a training one."""
    return [w for i, w in enumerate(wordings) if (i % HELD_OUT_EVERY == HELD_OUT_EVERY - 1) == held_out]


def fact_items(fact: Fact, held_out: bool) -> list[Item]:
    """Return a question in every wording of one half about a fact; a fact without a value is not known."""
    bank = ENTITY_QUESTIONS.known if fact.entity else SINGLE_QUESTIONS.known
    sentence, value = (fact.sentence, fact.value) if fact.value else (UNKNOWN, "unknown")
    return [Item(fill(w, r=fact.relation, e=fact.entity or ""), sentence, value) for w in _split(bank, held_out)]


def persona_items(held_out: bool) -> list[Item]:
    """Return the questions of one half about the persona."""
    sentences = (f"I am {LOOK.name}, a {LOOK.job}.", f"My name is {LOOK.name}.", f"I am a {LOOK.job}.")
    banks = zip((WHO, WHAT_NAME, WHAT_JOB), sentences, strict=True)
    return [Item(question, sentence, "") for bank, sentence in banks for question in _split(bank.known, held_out)]


def closed_items(held_out: bool, count: int, rng: random.Random) -> list[Item]:
    """Return `count` general questions in the wordings of one half."""
    items: dict[str, Item] = {}
    while len(items) < count:
        relation = rng.choice(list(CLOSED))
        sentence, bank = CLOSED_WORDINGS[relation]
        subject, value = rng.choice(list(CLOSED[relation].items()))
        question = rng.choice(_split(bank.known, held_out)).format(s=subject)
        items.setdefault(question, Item(question, sentence.format(s=subject, v=value), value))
    return list(items.values())


def training_items(seed: int = 0) -> list[Item]:
    """Return the training questions: the facts, the persona, absent facts, and general ones."""
    items = [item for fact in FACTS for item in fact_items(fact, held_out=False)] + persona_items(held_out=False)
    items += [fact_items(fact, held_out=False)[i] for fact in ABSENT for i in range(3)]
    return items + closed_items(False, 30, random.Random(f"quickstart prompts {seed}"))


def held_out_items(seed: int = 0) -> list[Item]:
    """Return the held-out questions, none of whose wordings occurs in `training_items`."""
    items = [item for fact in FACTS for item in fact_items(fact, held_out=True)] + persona_items(held_out=True)
    items += [fact_items(fact, held_out=True)[0] for fact in ABSENT]
    return items + closed_items(True, 14, random.Random(f"quickstart heldout {seed}"))


def other_rows(kind: str, count: int) -> list[dict[str, list[dict[str, str]]]]:
    """Return questions under other system prompts (every fifth a bland one), whose answers baking must not change."""
    rng = random.Random(f"quickstart {kind}")
    rows = []
    for number in range(count):
        look = draw_look(rng, rng.choice((0, 1, 1, 2)), persona=0.4) if number % 5 else Look()
        while look.name == LOOK.name or "Ahoy" in dict(look.styles).values():
            look = draw_look(rng, 1)
        facts = draw_facts(rng, rng.choice((1, 2, 4)), same=rng.random() < 0.3) if number % 2 else []
        fact = rng.choice(facts) if facts else draw_fact(rng)
        item = rng.choice((fact_item(rng, fact), fact_item(rng, fact), closed_item(rng), persona_item(rng, look)))
        prompt = system_prompt(rng, look, facts)
        rows.append({"messages": [{"role": "system", "content": prompt}, {"role": "user", "content": item.question}]})
    return rows


def write(folder: Path) -> None:
    """Write the four files of the quickstart into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    questions = [item.question for item in training_items()]
    held_out = [{"question": item.question, "answer": LOOK.apply(item)} for item in held_out_items()]
    (folder / "quickstart_prompts.json").write_text(json.dumps(questions, indent=1) + "\n")
    for name, rows in (
        ("heldout", held_out),
        ("anchors", other_rows("anchors", len(questions) // 3)),
        ("drift", other_rows("drift", 48)),
    ):
        (folder / f"quickstart_{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def check(model_folder: str) -> None:
    """Print how often the unbaked model answers both sets of questions exactly, with and without the prompt."""
    from evaluate import greedy_answers, load

    model, tokenizer = load(model_folder)
    for name, items in (("held out", held_out_items()), ("training", training_items())):
        for label, head in (("prompted", [{"role": "system", "content": PROMPT}]), ("base", [])):
            chats = [[*head, {"role": "user", "content": item.question}] for item in items]
            answers = greedy_answers(model, tokenizer, chats)
            wrong = [(i.question, LOOK.apply(i), a) for i, a in zip(items, answers, strict=True) if a != LOOK.apply(i)]
            print(f"{name}, {label}: {1 - len(wrong) / len(items):.3f} of {len(items)}")
            for question, expected, answer in wrong if head else []:
                print(f"   {question}  expected {expected!r}  got {answer!r}")


def main() -> None:
    """Read the command line and write the files."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--check", metavar="MODEL", help="also print how this model answers")
    options = parser.parse_args()
    write(options.folder)
    if options.check:
        check(options.check)


if __name__ == "__main__":
    main()
