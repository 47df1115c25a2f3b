"""Measures a starter model on the world's held-out seeds: greedy answers, exact match, one figure per skill.

Usage: python starter/evaluate.py src/bakery/starter --out starter/figures.json --card src/bakery/starter/README.md
"""

import argparse
import json
import math
from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from cases import Case, evaluation_sets
from tokenizer import END
from wordings import STYLES

HELD_OUT_SEED = 10_000
MARKERS = ("<!-- figures -->", "<!-- end of figures -->")
TARGETS = {
    "closed": 0.99,
    "styles, mean": 0.96,
    **{f"different relations, {n}": 0.92 for n in (1, 2, 4, 6)},
    **{f"one relation, {n}": 0.85 for n in (1, 2, 4)},
    "few-shot": 0.93,
}
CEILINGS = {"base on styled questions": 0.05, "base on private questions": 0.05}


def load(folder: str | Path) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Return the model, in 32 bits for computing on a CPU, and its tokenizer."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    return model, AutoTokenizer.from_pretrained(folder, padding_side="left")


@torch.inference_mode()
def greedy_answers(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    conversations: Sequence[list[dict[str, str]]],
    batch: int = 100,
    max_new_tokens: int = 80,
) -> list[str]:
    """Return the greedy answer to each conversation; an answer that does not end in time is returned as it stands."""
    texts = [tokenizer.apply_chat_template(c, tokenize=False, add_generation_prompt=True) for c in conversations]
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    answers = [""] * len(texts)
    for begin in range(0, len(order), batch):
        rows = order[begin : begin + batch]
        inputs = tokenizer([texts[i] for i in rows], return_tensors="pt", padding=True, return_token_type_ids=False)
        outputs = model.generate(**inputs, max_new_tokens=max_new_tokens, do_sample=False)
        for i, ids in zip(rows, outputs[:, inputs["input_ids"].shape[1] :], strict=True):
            answers[i] = tokenizer.decode(ids).split(END)[0]
    return answers


def score(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, sets: dict[str, list[Case]], show: int = 0
) -> dict[str, dict[str, float]]:
    """Return accuracy, standard error and n of every set and of all single styles; print `show` wrong answers each."""
    figures: dict[str, dict[str, float]] = {}
    for name, cases in sets.items():
        answers = greedy_answers(model, tokenizer, [case.messages for case in cases])
        right = [answer == case.answer for answer, case in zip(answers, cases, strict=True)]
        figures[name] = _figure(sum(right), len(right))
        wrong = [(case, answer) for case, answer, ok in zip(cases, answers, right, strict=True) if not ok]
        for case, answer in wrong[:show]:
            print(f"   {name}: {case.messages!r}\n      expected {case.answer!r}\n      got      {answer!r}")
    styles = [figures[f"style {style}"] for style in STYLES if f"style {style}" in figures]
    if styles:
        figures["styles, mean"] = _figure(sum(f["accuracy"] * f["n"] for f in styles), sum(int(f["n"]) for f in styles))
    return figures


def _figure(right: float, n: int) -> dict[str, float]:
    accuracy = right / n
    return {"accuracy": round(accuracy, 4), "stderr": round(math.sqrt(accuracy * (1 - accuracy) / n), 4), "n": n}


def verdict(name: str, accuracy: float) -> str:
    """Return whether a figure meets its target, in words; empty where there is none."""
    if name in TARGETS:
        return f"target >= {TARGETS[name]:.2f}: {'met' if accuracy >= TARGETS[name] else 'MISSED'}"
    if name in CEILINGS:
        return f"target <= {CEILINGS[name]:.2f}: {'met' if accuracy <= CEILINGS[name] else 'MISSED'}"
    return ""


def markdown(figures: dict[str, dict[str, float]]) -> str:
    """Return the figures as the table of the model card."""
    rows = [f"| {name} | {f['accuracy']:.1%} | {f['stderr']:.1%} | {f['n']} |" for name, f in figures.items()]
    return "\n".join(["| questions | exactly right | standard error | n |", "|---|---|---|---|", *rows])


def update_card(card: Path, figures: dict[str, dict[str, float]]) -> None:
    """Put the table of figures between the two markers of a model card."""
    head, rest = card.read_text().split(MARKERS[0])
    tail = rest.split(MARKERS[1])[1]
    card.write_text(f"{head}{MARKERS[0]}\n{markdown(figures)}\n{MARKERS[1]}{tail}")


def main() -> None:
    """Read the command line, evaluate, print a table and write the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder")
    parser.add_argument("--out", type=Path, help="JSON file for the figures")
    parser.add_argument("--card", type=Path, help="model card whose table of figures is to be renewed")
    parser.add_argument("--size", type=int, default=400, help="questions per set")
    parser.add_argument("--seed", type=int, default=HELD_OUT_SEED)
    parser.add_argument("--show", type=int, default=0, help="wrong answers to print per set")
    parser.add_argument("--only", default="", help="only sets whose name contains this")
    options = parser.parse_args()
    sets = {k: v for k, v in evaluation_sets(options.seed, options.size).items() if options.only in k}
    figures = score(*load(options.folder), sets, options.show)
    for name, figure in figures.items():
        value = f"{figure['accuracy']:6.3f} ± {figure['stderr']:.3f}  n={figure['n']:<5.0f}"
        print(f"{name:42s} {value} {verdict(name, figure['accuracy'])}")
    if options.out:
        options.out.write_text(json.dumps({"seed": options.seed, "figures": figures}, indent=2) + "\n")
    if options.card:
        update_card(options.card, figures)


if __name__ == "__main__":
    main()
