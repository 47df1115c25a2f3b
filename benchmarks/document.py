"""A document: how many of its facts the baked model knows, against the prompted model with the right chunk at hand.

python benchmarks/document.py --tokens 300 3000 --seeds 21 22 23
python benchmarks/document.py --tokens 300 --seeds 1 -- --num_train_epochs 8      # other settings behind --

Every run is the real command on the starter model; nothing but the document is given, and answers as short as the
starter's. The document states facts of the starter's world, a paragraph for each entity; only facts that the starter
answers right behind their own paragraph are taken. The 200 questions are known wordings of the world that occur in no
training prompt of the run: how many of the first choice did is reported as `overlap`.
"""

import argparse
import json
import os
import platform
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import date
from itertools import islice
from pathlib import Path
from statistics import mean
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "starter")]

from bakery.engine.distill.conditions import BAKED, PROMPTED, Condition  # noqa: E402
from bakery.engine.session import Session, open_session  # noqa: E402
from bakery.progress import Progress, Verbosity  # noqa: E402
from bakery.rows.bake_data import load_bake_data  # noqa: E402
from bakery.rows.conversations import Conversation  # noqa: E402
from bakery.settings.build import build, check_settings  # noqa: E402
from bakery.settings.reading import read_settings_file  # noqa: E402
from bakery.writing.documents import with_document  # noqa: E402
from pools import NAMES, PERSON_RELATIONS, THING_RELATIONS, THINGS  # noqa: E402
from wordings import ENTITY_QUESTIONS  # noqa: E402
from world import Fact, draw_fact, fill, state  # noqa: E402

QUESTIONS = 200
FACTS_A_PARAGRAPH = 5
TOKENS_A_FACT = 10.3
SETTINGS = ("--num_trajectories", "1", "--trajectory_length", "32", "--per_device_train_batch_size", "32")
"""Many questions with one short answer each; the batch is what makes a step on two cores worth its overhead."""

Asked = tuple[str, Fact, str]
"""A question, the fact it is about, and what is known while it is answered."""


def wordings(fact: Fact) -> list[str]:
    """All questions about a fact that the starter was trained on."""
    return [fill(wording, r=fact.relation, e=fact.entity or "") for wording in ENTITY_QUESTIONS[0]]


def right(session: Session, condition: Condition, asked: Sequence[Asked]) -> list[bool]:
    """Whether the greedy answer to each question has the fact's value."""
    rows = [Conversation((_message("user", text),), (_message("system", known),), "") for text, _, known in asked]
    prompts = [session.builder.prompts(row) for row in rows]
    answers = session.engine(prompts).answers(condition, prompts, max_new_tokens=32)
    texts = [str(session.tokenizer.decode(list(answer.ids), skip_special_tokens=True)) for answer in answers]
    return [fact.value.casefold() in text.casefold() for text, (_, fact, _) in zip(texts, asked, strict=True)]


def _message(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def paragraphs(tokens: int, seed: int, starter: Session) -> list[list[tuple[Fact, str]]]:
    """Facts with their sentences, paragraph by paragraph, that the starter is reliable on."""
    rng = random.Random(f"document {seed}")
    entities = [*rng.sample(NAMES, len(NAMES)), *(f"the {thing}" for thing in rng.sample(THINGS, len(THINGS)))]
    rng.shuffle(entities)
    chosen: list[list[tuple[Fact, str]]] = []
    for entity in entities:
        relations = list(THING_RELATIONS if entity.startswith("the ") else PERSON_RELATIONS)
        facts = [draw_fact(rng, relation, entity) for relation in rng.sample(relations, FACTS_A_PARAGRAPH)]
        stated = [(fact, state(rng, fact)) for fact in facts]
        known = " ".join(sentence for _, sentence in stated)
        asked = [(text, fact, known) for fact, _ in stated for text in rng.sample(wordings(fact), 3)]
        answered = right(starter, PROMPTED, asked)
        reliable = [one for at, one in enumerate(stated) if all(answered[3 * at : 3 * at + 3])]
        if reliable:
            chosen.append(reliable)
        if sum(map(len, chosen)) * TOKENS_A_FACT >= tokens:
            break
    return chosen


def questions(facts: Sequence[Fact], trained: set[str], seed: int) -> tuple[list[tuple[str, Fact]], int]:
    """200 questions, the facts in turn, none of them trained on; and how many of the first choice were."""
    rng = random.Random(f"questions {seed}")
    order = {fact: rng.sample(wordings(fact), len(wordings(fact))) for fact in facts}
    first = [next(iter(order[fact])) for fact in facts]
    overlap = sum(text.casefold() in trained for text in first)
    unseen = {fact: [text for text in texts if text.casefold() not in trained] for fact, texts in order.items()}
    rounds = [(texts[at], fact) for at in range(16) for fact, texts in unseen.items() if at < len(texts)]
    if len(facts) > QUESTIONS:
        rounds = rng.sample(rounds[: len(facts)], QUESTIONS)
    return list(islice(rounds, QUESTIONS)), overlap


def run(tokens: int, seed: int, settings: Sequence[str]) -> dict[str, Any]:
    """One bake through the real command, and the questions."""
    starter = open_session("starter")
    stated = paragraphs(tokens, seed, starter)
    facts = [fact for paragraph in stated for fact, _ in paragraph]
    with tempfile.TemporaryDirectory() as name:
        document, out = Path(name) / "document.md", Path(name) / "out"
        document.write_text("\n\n".join(" ".join(text for _, text in one) for one in stated) + "\n", encoding="utf-8")
        command = [sys.executable, "-m", "bakery", "--model_name_or_path", "starter", "--torch_dtype", "float32",
                   "--corpus_file", str(document), "--output_dir", str(out), "--seed", str(seed),
                   *SETTINGS, *settings]  # fmt: skip
        started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
        subprocess.run(
            command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment
        )
        seconds, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
        rows = [json.loads(line) for line in (out / "prompts.jsonl").read_text("utf-8").splitlines()]
        results = json.loads((out / "results.json").read_text("utf-8"))
        bake = build(check_settings(read_settings_file(str(out / "bakery.yaml"))))
        placed = with_document(load_bake_data(bake.context, bake.data), bake, Progress(Verbosity.QUIET))
        baked = open_session("starter", adapter=out)
    asked, overlap = questions(facts, {row["messages"][-1]["content"].casefold() for row in rows}, seed)
    sentence = {fact: text for paragraph in stated for fact, text in paragraph}
    chunks = [next(chunk for chunk in placed.chunks if sentence[fact] in chunk.text) for _, fact in asked]
    by = {
        "baked": right(baked, BAKED, [(text, fact, "-") for text, fact in asked]),
        "right_chunk": right(
            starter,
            PROMPTED,
            [(*one, str(chunk.prefix[0]["content"])) for one, chunk in zip(asked, chunks, strict=True)],
        ),
        "chunk_alone": right(starter, PROMPTED, [(*one, chunk.text) for one, chunk in zip(asked, chunks, strict=True)]),
    }
    share = {who: mean(answers) for who, answers in by.items()}
    return {
        "tokens": tokens,
        "seed": seed,
        "facts": len(facts),
        "chunks": len(placed.chunks),
        "prompts": len(rows),
        "questions": len(asked),
        "overlap": overlap,
        **share,
        "ratio": share["baked"] / share["right_chunk"],
        "share_closed": results["divergence"]["share_closed"]["mean"],
        "steps": results["training"]["steps"],
        "seconds": seconds,
        "cpu_seconds": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "spent": results["seconds"],
    }


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, nargs="+", default=[300, 3000])
    parser.add_argument("--seeds", type=int, nargs="+", default=[21, 22, 23])
    parser.add_argument("--no-file", action="store_true", help="print the figures only")
    parser.add_argument("settings", nargs="*", help="settings for bakery, behind --")
    options = parser.parse_args()
    runs = []
    for tokens in options.tokens:
        for seed in options.seeds:
            runs.append(run(tokens, seed, options.settings))
            print(
                json.dumps({key: round(v, 3) if isinstance(v, float) else v for key, v in runs[-1].items()}), flush=True
            )
    if not options.no_file:
        command = " ".join(["python benchmarks/document.py", *sys.argv[1:]])
        written = {"command": command, "date": str(date.today()), "machine": platform.platform(),
                   "threads": os.environ.get("OMP_NUM_THREADS", "all"),
                   "load_average": os.getloadavg()[1], "cores": os.cpu_count(), "runs": runs}  # fmt: skip
        name = f"document-{'-'.join(map(str, options.tokens))}-{platform.machine()}-{date.today()}.json"
        (ROOT / "benchmarks" / "results" / name).write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
