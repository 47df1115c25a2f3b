"""The starter model: its world, its tokenizer, its training script, and the files that are shipped."""

import functools
import itertools
import json
import random
import re
import sys
from pathlib import Path

import pytest
import regex
import torch
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, AutoTokenizer, Qwen2Tokenizer

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
    """What the training script learns, which is what is shipped: see the test of the shipped tokenizer."""
    return train.learn_tokenizer(train.Plan())


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


def _banks() -> list[wordings.Bank]:
    """Every bank but those of the closed relations."""
    banks = [wordings.ENTITY_QUESTIONS, wordings.SINGLE_QUESTIONS, wordings.ENTITY_FACTS, wordings.SINGLE_FACTS]
    return [
        *banks,
        wordings.PERSONA,
        wordings.WHO,
        wordings.WHAT_NAME,
        wordings.WHAT_JOB,
        *wordings.STYLES.values(),
    ]


def _unseen_patterns() -> list[str]:
    relations = _one_of({**pools.PERSON_RELATIONS, **pools.THING_RELATIONS, **pools.SINGLE_RELATIONS})
    relations = f"(?i:{relations})"
    slots = {"r": relations, "R": relations, "e": r"(?:[Tt]he \w+|[A-Z]\w+)", "E": r"(?:The \w+|[A-Z]\w+)"}
    slots |= {"v": r"[\w: ]+", "V": r"[\w: ]+", "n": r"\w+", "j": r"\w+", "w": r"\w+"}
    templates = [(wording, slots) for bank in _banks() for wording in bank.unseen]
    for relation, (_, bank) in wordings.CLOSED_WORDINGS.items():
        templates += [(wording, {"s": _one_of(pools.CLOSED[relation])}) for wording in bank.unseen]
    return [re.sub(r"\\{(\w)\\}", lambda m, s=s: s[m[1]], re.escape(wording)) for wording, s in templates]


def test_the_parts_of_every_bank_are_disjoint():
    for bank in [*_banks(), *(bank for _, bank in wordings.CLOSED_WORDINGS.values())]:
        assert bank.unseen
        assert not set(bank.unseen) & {*bank.known, *bank.varied}


def test_no_composed_question_or_fact_has_a_held_out_opening():
    """Openings are held out with every noun phrase, not only with the one that is asked."""
    asked = re.compile(r"(Please, )?(Can you give me|I forgot [^.]*\.$|Please, what is|Do you have)")
    told_of_entity = re.compile(r"Note that|(.*[ :])?\{[eE]\} has \{v\} as \{r\}")
    told = re.compile(r"Note that|(.*[ :])?\{[vV]\} is the \{r\}\.")
    for bank, held_out in (
        (wordings.ENTITY_QUESTIONS, asked),
        (wordings.SINGLE_QUESTIONS, asked),
        (wordings.ENTITY_FACTS, told_of_entity),
        (wordings.SINGLE_FACTS, told),
    ):
        assert all(held_out.match(wording) for wording in bank.unseen)
        assert [wording for wording in bank.varied if held_out.match(wording)] == []


def test_evaluation_and_quickstart_ask_in_known_wordings_only():
    """Composed wordings change no question whose figure is reported."""
    drawn = {world.pick(random.Random(seed), wordings.ENTITY_FACTS, "known") for seed in range(500)}
    assert drawn == set(wordings.ENTITY_FACTS.known)
    trained = {world.pick(random.Random(seed), wordings.ENTITY_FACTS, "training") for seed in range(500)}
    assert trained > drawn
    assert trained & set(wordings.ENTITY_FACTS.varied)


def test_composed_instructions_are_sentences():
    for style, bank in wordings.STYLES.items():
        assert len(bank.varied) > 200
        for wording in bank.varied:
            assert re.fullmatch(r"[A-Z{][^.]*[.!]", wording.replace('!".', ".")), (style, wording)


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


def test_the_pre_tokenizer_is_that_of_qwen2(tokenizer):
    """A converter may then call it so: the name says how text is cut, whatever the vocabulary."""
    ours, theirs = (json.loads(t.backend_tokenizer.to_str()) for t in (tokenizer, Qwen2Tokenizer()))
    assert ours["pre_tokenizer"] == theirs["pre_tokenizer"]
    assert ours["normalizer"] is None  # llama.cpp has none


LLAMA_CPP_PATTERN = regex.compile(  # Qwen2's pattern as llama.cpp writes it, without inline flags
    r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def _ids_by_rank(tokenizer, text: str) -> list[int]:
    """Byte-level BPE written out: the pair of lowest rank is merged first, inside every piece of the pattern."""
    model = json.loads(tokenizer.backend_tokenizer.to_str())["model"]
    ranks = {tuple(merge): rank for rank, merge in enumerate(model["merges"])}
    letters = sorted({*range(33, 127), *range(161, 173), *range(174, 256)})
    others = [byte for byte in range(256) if byte not in letters]
    names = {byte: chr(byte) for byte in letters} | {byte: chr(256 + i) for i, byte in enumerate(others)}
    ids = []
    for piece in LLAMA_CPP_PATTERN.findall(text):
        symbols = [names[byte] for byte in piece.encode()]
        while pairs := [(ranks[p], i) for i, p in enumerate(itertools.pairwise(symbols)) if p in ranks]:
            _, i = min(pairs)
            symbols[i : i + 2] = [symbols[i] + symbols[i + 1]]
        ids += [model["vocab"][symbol] for symbol in symbols]
    return ids


def test_ids_are_those_of_merges_by_rank_on_the_pieces_that_llama_cpp_cuts(tokenizer):
    texts = [turn.content for chat in chats(5, 60) for turn in chat]
    for text in (
        *texts,
        " hé🙂\n\n  is the  a\t<b> ",
        "NORA'S THERE'll “x” 4417\r\n ¹",
        "the capital of françe is\u00a0x",
    ):
        assert tokenizer(text).input_ids == _ids_by_rank(tokenizer, text), text


def test_white_space_is_merged_only_with_a_whole_lower_case_word(tokenizer):
    model = json.loads(tokenizer.backend_tokenizer.to_str())["model"]
    spaces = re.compile("[ĠĊĉč]")
    for merge in map(tuple, model["merges"]):
        if spaces.search("".join(merge)):
            assert merge[0] == "Ġ"
            assert re.fullmatch("[a-z]+", merge[1])
            assert merge[1] not in pools.looked_up_words()
    assert len(tokenizer) <= train.Plan().vocabulary


def test_a_message_is_tokenised_apart_from_the_turn_around_it(tokenizer):
    for text in (" the end", "\n\nthe end \n", '"x".', "4417", "\tso", ""):
        alone = tokenizer(text).input_ids
        around = tokenizer(f"<|im_start|>user\n{text}<|im_end|>\n").input_ids
        assert around[3:-2] == alone


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


def test_an_interrupted_training_goes_on_to_the_same_weights(tokenizer, tmp_path, monkeypatch):
    monkeypatch.setattr(train, "learn_tokenizer", lambda plan: tokenizer)
    monkeypatch.setattr(train, "batches", functools.partial(train.batches, block=200))
    plan = train.Plan(tokens=16_000, batch_tokens=1024, layers=1, width=32, feed_forward=64, heads=2)
    history = train.train(plan, tmp_path / "whole")
    step = train.Run.step

    def interrupted(run, ids, weights):
        if len(run.history) == len(history) // 2:
            raise KeyboardInterrupt
        step(run, ids, weights)

    monkeypatch.setattr(train.Run, "step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train.train(plan, tmp_path / "two", tmp_path / "state", checkpoint_minutes=0.0)
    monkeypatch.setattr(train.Run, "step", step)
    assert train.train(plan, tmp_path / "two", tmp_path / "state") == history
    whole, two = (AutoModelForCausalLM.from_pretrained(tmp_path / name) for name in ("whole", "two"))
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), two.parameters(), strict=True))
    with pytest.raises(ValueError, match="another plan"):
        train.train(train.Plan(tokens=16_000, width=32), tmp_path / "two", tmp_path / "state")


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


def test_the_shipped_tokenizer_is_that_of_the_script(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    for path in tmp_path.iterdir():
        assert path.read_text("utf-8") == (SHIPPED / path.name).read_text("utf-8"), path.name


def test_the_shipped_model_follows_prompts():
    model, tokenizer = evaluate.load(SHIPPED)
    wanted = {
        "closed": 0.95, "style capitals": 0.8, "style prefix": 0.85, "different relations, 4": 0.8,
        "one relation, 4": 0.7, "few-shot": 0.8, "styles, unseen wordings": 0.9, "facts, unseen wordings": 0.75,
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
