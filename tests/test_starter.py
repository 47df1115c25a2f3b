"""The starter model: its world, its tokenizer, its training script, and the files that are shipped."""

import json
import random
import re
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, AutoTokenizer

ROOT = Path(__file__).resolve().parents[1]
SHIPPED = ROOT / "src" / "bakery" / "starter"
sys.path.insert(0, str(ROOT / "starter"))

import cases  # noqa: E402
import evaluate  # noqa: E402
import pools  # noqa: E402
import quickstart  # noqa: E402
import train  # noqa: E402
import wordings  # noqa: E402
import world  # noqa: E402

sys.path.remove(str(ROOT / "starter"))


def chats(seed: int, count: int) -> list[world.Chat]:
    rng = random.Random(seed)
    return [world.sample_chat(rng, focus=0.2) for _ in range(count)]


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(SHIPPED)


# ---------------------------------------------------------------------------------------------------- world


def test_a_seed_names_a_world():
    assert chats(3, 200) == chats(3, 200)
    assert chats(3, 200) != chats(4, 200)
    assert cases.evaluation_sets(1, 5) == cases.evaluation_sets(1, 5)


def test_every_chat_alternates_and_ends_with_an_answer():
    for chat in chats(0, 500):
        roles = [turn.role for turn in chat]
        body = roles[1:] if roles[0] == "system" else roles
        assert body == ["user", "assistant"] * (len(body) // 2)
        assert body


def test_answers_about_stated_facts_are_stated_in_the_chat():
    for seed in range(200):
        rng = random.Random(seed)
        facts = world.draw_facts(rng, 4, same=seed % 2 == 0)
        prompt = world.system_prompt(rng, world.Look(), facts)
        assert all(fact.value.lower() in prompt.lower() for fact in facts)
        absent = world.missing_fact(rng, facts)
        assert (absent.relation, absent.entity) not in {(fact.relation, fact.entity) for fact in facts}


def _one_of(words) -> str:
    return "(?:" + "|".join(map(re.escape, words)) + ")"


def _unseen_patterns() -> list[str]:
    relations = _one_of({**pools.PERSON_RELATIONS, **pools.THING_RELATIONS, **pools.SINGLE_RELATIONS})
    relations = f"(?i:{relations})"
    slots = {"r": relations, "R": relations, "e": r"(?:[Tt]he \w+|[A-Z]\w+)", "E": r"(?:The \w+|[A-Z]\w+)"}
    slots |= {"v": r"[\w: ]+", "V": r"[\w: ]+", "n": r"\w+", "j": r"\w+", "w": r"\w+"}
    banks = [
        wordings.ENTITY_QUESTIONS,
        wordings.SINGLE_QUESTIONS,
        wordings.ENTITY_FACTS,
        wordings.SINGLE_FACTS,
        wordings.PERSONA,
    ]
    banks += [wordings.WHO, wordings.WHAT_NAME, wordings.WHAT_JOB, *wordings.STYLES.values()]
    templates = [(wording, slots) for _, unseen in banks for wording in unseen]
    for relation, (_, _, unseen) in wordings.CLOSED_WORDINGS.items():
        templates += [(wording, {"s": _one_of(pools.CLOSED[relation])}) for wording in unseen]
    return [re.sub(r"\\{(\w)\\}", lambda m, s=s: s[m[1]], re.escape(wording)) for wording, s in templates]


def test_unseen_wordings_never_occur_in_training_chats():
    unseen = re.compile("|".join(f"(?:{pattern})" for pattern in _unseen_patterns()))
    for chat in chats(7, 3000):
        for turn in chat:
            if turn.role == "user":
                assert not unseen.fullmatch(turn.content), turn.content
            elif turn.role == "system":
                assert not re.search(rf"(?:^|[.!?\n] ?(?:- )?)(?:{unseen.pattern})", turn.content), turn.content


def test_the_unseen_patterns_find_unseen_wordings():
    unseen = re.compile("|".join(f"(?:{pattern})" for pattern in _unseen_patterns()))
    for name in ("closed, unseen wordings", "facts, unseen wordings"):
        for case in cases.evaluation_sets(5, 50)[name]:
            assert unseen.fullmatch(case.messages[-1]["content"]), case


# ---------------------------------------------------------------------------------------------------- tokenizer


@given(st.text())
@example(" hé🙂\n\n  is the  a\t<b> ")
@example('{"answer": "The capital of Françe"}')
def test_decoding_undoes_encoding(tokenizer, text):
    assert tokenizer.decode(tokenizer(text).input_ids) == text


def test_a_word_has_the_same_ids_everywhere(tokenizer):
    for word in (*pools.NAMES, *pools.WORDS, *pools.CLOSED["capital"].values(), "4417"):
        alone = tokenizer(word).input_ids
        text = f"The dog of {word} says {word}."
        rest = tokenizer.decode(tokenizer(text).input_ids[-len(alone) - 1 : -1])
        assert rest == word
        assert tokenizer(text).input_ids[-len(alone) - 1 : -1] == alone
        assert tokenizer(f'"{word}"').input_ids[1:-1] == alone


def test_digits_are_single_and_the_template_is_the_one_trained_on(tokenizer):
    assert len(tokenizer("90210").input_ids) == 5
    chat = chats(11, 1)[0]
    messages = [{"role": turn.role, "content": turn.content} for turn in chat]
    ids, weights = train.encode_chats([chat], tokenizer, random.Random(0))[0]
    assert tokenizer.apply_chat_template(messages, tokenize=True, return_dict=False) == ids
    assert len(ids) == len(weights)


def test_unknown_roles_are_refused(tokenizer):
    with pytest.raises(Exception, match="unknown role tool"):
        tokenizer.apply_chat_template([{"role": "tool", "content": "x"}], tokenize=False)


# ---------------------------------------------------------------------------------------------------- training


def test_only_message_contents_are_weighted(tokenizer):
    turns = (world.Turn("user", "What is 1 plus 1?", 0.3), world.Turn("assistant", "1 plus 1 is 2.", 1.0))
    ids, weights = train.encode_chats([turns], tokenizer, random.Random(0))[0]
    answer = tokenizer.decode([i for i, w in zip(ids, weights, strict=True) if w == 1.0])
    question = tokenizer.decode([i for i, w in zip(ids, weights, strict=True) if w == 0.3])
    assert (question, answer) == ("What is 1 plus 1?<|im_end|>", "1 plus 1 is 2.<|im_end|>")


def test_a_short_training_learns_and_writes_a_loadable_folder(tmp_path, capsys):
    plan = train.Plan(tokens=120_000, batch_tokens=1024, layers=2, width=64, feed_forward=128, heads=2, vocabulary=512)
    history = train.train(plan, tmp_path / "tiny")
    assert sum(history[-10:]) / 10 < 0.5 * sum(history[:5]) / 5
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "tiny")
    assert model.config.vocab_size == len(AutoTokenizer.from_pretrained(tmp_path / "tiny"))
    assert "answer loss" in capsys.readouterr().out


# ---------------------------------------------------------------------------------------------------- what is shipped


def test_the_shipped_folder_is_small_and_complete():
    names = {path.name for path in SHIPPED.iterdir()}
    assert {
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "chat_template.jinja",
        "generation_config.json",
    } <= names
    assert "README.md" in names
    assert sum(path.stat().st_size for path in SHIPPED.iterdir()) <= 8_000_000


def test_the_shipped_model_follows_prompts():
    model, tokenizer = evaluate.load(SHIPPED)
    wanted = {
        "closed": 0.95, "style capitals": 0.8, "style prefix": 0.85, "different relations, 4": 0.8,
        "one relation, 4": 0.7, "few-shot": 0.8,
    }  # fmt: skip
    sets = {name: questions for name, questions in cases.evaluation_sets(77, 25).items() if name in wanted}
    sets["base on private questions"] = cases.evaluation_sets(77, 25)["base on private questions"]
    figures = evaluate.score(model, tokenizer, sets)
    assert {name: figures[name]["accuracy"] for name in wanted if figures[name]["accuracy"] < wanted[name]} == {}
    assert figures["base on private questions"]["accuracy"] <= 0.05


def test_the_card_shows_the_reported_figures():
    figures = json.loads((ROOT / "starter" / "figures.json").read_text())["figures"]
    assert evaluate.markdown(figures) in (SHIPPED / "README.md").read_text()


def test_the_reported_figures_meet_the_targets():
    figures = json.loads((ROOT / "starter" / "figures.json").read_text())["figures"]
    assert {
        name: figures[name] for name in evaluate.TARGETS if figures[name]["accuracy"] < evaluate.TARGETS[name]
    } == {}
    assert {
        name: figures[name] for name in evaluate.CEILINGS if figures[name]["accuracy"] > evaluate.CEILINGS[name]
    } == {}


# ---------------------------------------------------------------------------------------------------- quickstart data


def test_quickstart_data_is_what_the_script_writes(tmp_path):
    quickstart.write(tmp_path)
    for path in tmp_path.iterdir():
        assert path.read_text() == (ROOT / "examples" / "data" / path.name).read_text(), path.name


def test_the_quickstart_bakes_the_prompt_its_questions_are_about():
    settings = yaml.safe_load((ROOT / "examples" / "quickstart.yaml").read_text())
    assert settings["prefix_messages"] == [{"role": "system", "content": quickstart.PROMPT}]


def test_quickstart_questions_are_held_out():
    training = {item.question for item in quickstart.training_items()}
    held_out = {item.question for item in quickstart.held_out_items()}
    assert len(training) >= 60
    assert len(held_out) >= 40
    assert not training & held_out
    for fact in quickstart.FACTS:  # a wording is a question with its fact taken out

        def wordings(questions, fact=fact):
            return {q.replace(fact.relation, "R").replace(fact.entity or "\0", "E") for q in questions}

        used = wordings(item.question for item in quickstart.fact_items(fact, held_out=False))
        held_out = wordings(item.question for item in quickstart.fact_items(fact, held_out=True))
        assert not used & held_out


def test_anchor_and_drift_prompts_are_other_prompts_and_share_none():
    anchors, drift = quickstart.other_rows("anchors", 37), quickstart.other_rows("drift", 48)
    assert not {json.dumps(row) for row in anchors} & {json.dumps(row) for row in drift}
    for row in anchors + drift:
        assert [message["role"] for message in row["messages"]] == ["system", "user"]
        assert "Ahoy" not in row["messages"][0]["content"]
        assert "Marlow" not in row["messages"][0]["content"] or "You are Marlow" not in row["messages"][0]["content"]
