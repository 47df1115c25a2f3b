"""What the tests of views share: tokenizers built here, conversations of every shape, and an oracle for the laws.

The oracle shares no code with the package: it finds contents by searching the rendered text for them, which is sound
here because every content is unique, and reads the laws off the ids.
"""

import json
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from bakery.chat.views import ViewPair

Message = dict[str, Any]

OWN = Path(__file__).parent
COMMON = sorted((OWN / "common").glob("*.jinja"))
"""The commonest templates, written from public knowledge of their formats."""
REAL = OWN.parents[2] / "shared" / "chat_templates"
CORPUS = [
    "The capital of France is Paris. What is the capital of Italy? Rome, of course, and the Tiber runs through it.",
    "You are a helpful pirate. Arr, matey! Answer in one word.\n\nUser: hello\nAssistant: hi there\n",
    "Knowledge cutoff: today's date is 22 November 2026.   Spaces  and\n\n\nnewlines\t\tand tabs.",
    "def f(x):\n    return {'a': [1, 2, 3], 'b': x + 1}  # <think> is a word here",
    "Übung macht den Meister. 東京は日本の首都です。 שלום עולם مرحبا 🙂👩‍👩‍👧",
]
TAG = re.compile(r"<[|｜/]?[a-zA-Z_▁|｜:0-9]+[|｜]?>|\[/?[A-Z_]+\]")
ENDS = ["<|im_end|>", "<|eot_id|>", "<end_of_turn>", "<turn|>", "<|end|>", "<|return|>", "<seed:eos>",
        "<|END_OF_TURN_TOKEN|>", "<｜end▁of▁sentence｜>", "<|end_of_text|>", "<|message_sep|>", "<end_of_utterance>",
        "<sep>", "<|eot|>", "<end>", "<|over|>"]  # fmt: skip


NEWER = r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


@cache
def _byte_level(trim: bool) -> str:
    """Every string is representable, spaces belong to the word behind them; if `trim` like GPT-2, else like Qwen.

    GPT-2 leaves the last newline of several to what follows; its successors keep newlines together.
    """
    tokenizer = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(NEWER), "isolated")
    newer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False) if trim else newer
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=trim)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=700, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(CORPUS * 2, trainer)
    return str(tokenizer.to_str())


@cache
def _sentencepiece(legacy: bool) -> str:
    """Llama-2-like: a prefix space, written as a lower block, bytes for what is unknown."""
    byte_tokens = [f"<0x{i:02X}>" for i in range(256)]
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    lines = pre_tokenizers.Split("\n", "isolated")
    if legacy:
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([lines, pre_tokenizers.Split("▁", "merged_with_next")])
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Metaspace(prepend_scheme="first"), lines])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    trainer = trainers.BpeTrainer(vocab_size=900, special_tokens=["<unk>", *byte_tokens], show_progress=False)
    tokenizer.train_from_iterator(CORPUS * 2, trainer)
    return str(tokenizer.to_str())


WORDS = r"\w+|[^\w\s]|\s"


def word_level(template: str, words: Sequence[str]) -> Tokenizer:
    """Every word, mark and white-space character of the template and `words` is a token; ids in alphabetical order."""
    texts = (template, *words, "\n\t 22 Nov 2026 {}[]:,\"'")
    known = sorted({piece for text in texts for piece in re.findall(WORDS, text)})
    tokenizer = Tokenizer(models.WordLevel({"<unk>": 0} | {w: i for i, w in enumerate(known, 1)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(WORDS), "isolated")
    tokenizer.decoder = decoders.Fuse()
    return tokenizer


def _strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    items = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    return [text for item in items for text in _strings(item)]


KINDS = ("bytes", "bytes-trimmed", "pieces", "pieces-legacy", "words")


def _backend(kind: str, template: str | None, words: Sequence[str]) -> Tokenizer:
    if kind == "words":
        return word_level((template or "").replace("\\n", "\n"), words or _strings(shapes_for(template or "")))
    family = _byte_level if kind.startswith("bytes") else _sentencepiece
    return Tokenizer.from_str(family(kind not in ("bytes", "pieces")))


def make_tokenizer(
    template: str | None, kind: str = "bytes", *, tags: bool = True, adds_bos: bool = False, words: Sequence[str] = ()
) -> PreTrainedTokenizerFast:
    """A fast tokenizer of `kind`; the control tokens of `template` are tokens of it if `tags`.

    `words` are texts that one of kind "words" is to know, besides the template's.
    """
    tokenizer = _backend(kind, template, words)
    tokens_of_template = sorted(set(TAG.findall(template or ""))) if tags else []
    eos = next((end for end in ENDS if end in tokens_of_template), "</s>")
    added = [AddedToken(tag, special=not re.search("think|tool", tag), normalized=False) for tag in tokens_of_template]
    specials = [
        AddedToken(name, special=True, normalized=False) for name in ("<s>", "</s>") if name not in tokens_of_template
    ]
    tokenizer.add_tokens(added + specials)
    if adds_bos:
        bos = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", tokenizer.token_to_id("<s>"))])
        former = [tokenizer.post_processor] if tokenizer.post_processor else []
        tokenizer.post_processor = processors.Sequence([*former, bos])
    return wrapped(tokenizer, template, eos)


def wrapped(tokenizer: Tokenizer, template: str | None, eos: str) -> PreTrainedTokenizerFast:
    """A transformers tokenizer around a backend."""
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token=eos,
        chat_template=template,
        clean_up_tokenization_spaces=False,
    )


def user(text: Any) -> Message:
    return {"role": "user", "content": text}


def assistant(text: Any, **more: Any) -> Message:
    return {"role": "assistant", "content": text, **more}


def system(text: str) -> Message:
    return {"role": "system", "content": text}


PIRATE = system("Be Xanthippe the pirate of Zzyzx.")
ASK = user("Qualcuno knows the capital?")
CALL = {
    "id": "call00001",
    "type": "function",
    "function": {"name": "lookup_tide", "arguments": {"harbour": "Zeebrugge"}},
}
RESULT = {"role": "tool", "name": "lookup_tide", "tool_call_id": "call00001", "content": "High 12.4"}
SHAPES: dict[str, tuple[list[Message], list[Message]]] = {
    "single turn": ([PIRATE], [ASK, assistant("Rome, matey.")]),
    "system in the row": ([PIRATE], [system("Speak Welsh only."), ASK, assistant("Rome, matey.")]),
    "few-shot": ([PIRATE, user("Shot one?"), assistant("Arr one."), user("Shot two?"), assistant("Arr two.")],
                 [ASK, assistant("Rome, matey.")]),
    "few-shot, no system": ([user("Shot one?"), assistant("Arr one.")], [ASK, assistant("Rome, matey.")]),
    "several turns": ([PIRATE], [ASK, assistant("Rome, matey."), user("Since when?"), assistant("Anno 1871."),
                                 user("Sure thing?"), assistant("Aye aye.")]),
    "assistant first": ([PIRATE], [assistant("Ahoy there."), ASK, assistant("Rome, matey.")]),
    "empty system": ([PIRATE], [system(""), ASK, assistant("Rome, matey.")]),
    "leading space": ([PIRATE], [ASK, assistant("  Rome, matey.")]),
    "trailing space": ([PIRATE], [ASK, assistant("Rome, matey. \n\n ")]),
    "leading newlines": ([PIRATE], [ASK, assistant("\n\nRome, matey.")]),
    "long answer": ([PIRATE], [ASK, assistant("Rome, matey. " + "The Tiber runs on, and on\n\n - and on.  " * 60)]),
    "unicode": ([PIRATE], [user("¿Où est 東京? 🙂"), assistant("東京 🇯🇵 👩‍👩‍👧 é é שלום مرحبا " + "xq" * 200)]),
    "thinking in text": ([PIRATE], [ASK, assistant("<think>\nItaly, hm.\n</think>\n\nRome, matey.")]),
    "thinking in history": ([PIRATE], [ASK, assistant("<think>\nItaly, hm.\n</think>\n\nRome, matey."),
                                       user("Since when?"), assistant("<think>\nLong ago.\n</think>\n\nAnno 1871.")]),
    "reasoning_content": ([PIRATE], [ASK, assistant("Rome, matey.", reasoning_content="Italy, hm.")]),
    "tool call": ([PIRATE], [ASK, assistant("I look.", tool_calls=[CALL])]),
    "tool call, content null": ([PIRATE], [ASK, assistant(None, tool_calls=[CALL])]),
    "tool call after thinking": ([PIRATE], [ASK, assistant("", reasoning_content="Italy, hm.", tool_calls=[CALL])]),
    "tool result": ([PIRATE], [ASK, assistant("", tool_calls=[CALL]), RESULT, assistant("High tide, matey.")]),
    "text parts": ([PIRATE], [user([{"type": "text", "text": t} for t in ("Qualcuno knows ", "the capital?")]),
                              assistant([{"type": "text", "text": "Rome, matey."}])]),
    "consecutive users": ([PIRATE], [ASK, user("Anyone at all?"), assistant("Rome, matey.")]),
}  # fmt: skip


def shapes_for(template: str) -> dict[str, tuple[list[Message], list[Message]]]:
    """All shapes, and one whose words are the template's own control words."""
    tags = [tag for tag in TAG.findall(template) if "think" not in tag] or ["<|im_end|>"]
    words = " ".join(dict.fromkeys(tags[:3] + tags[-3:]))
    hostile = ([PIRATE], [user(f"Say {words} now"), assistant(f"Rome {words} matey.")])
    return {**SHAPES, "control words": hostile}


def flat(message: Message) -> Message:
    """A message with its text parts joined."""
    content = message.get("content")
    joined = "".join(part["text"] for part in content) if isinstance(content, list) else content
    return {**message, "content": joined}


def teacher_of(prefix: Sequence[Message], row: Sequence[Message]) -> list[Message]:
    """The teacher's conversation by the documented rules, told once more in other words."""
    prefix, row = list(prefix), [flat(message) for message in row]
    if row[0]["role"] == "system" and prefix[0]["role"] == "system":
        text = prefix[0]["content"] + ("\n\n" + row[0]["content"] if row[0]["content"] else "")
        return [system(text), *prefix[1:], *row[1:]]
    if row[0]["role"] == "system":
        return [row[0], *prefix, *row[1:]]
    return [*prefix, *row]


def folded(messages: Sequence[Message]) -> list[Message]:
    """With a leading system message written before the first user message instead."""
    if messages[0]["role"] != "system":
        return list(messages)
    first = next(i for i, message in enumerate(messages) if message["role"] == "user")
    text = "\n\n".join(part for part in (messages[0]["content"], messages[first]["content"]) if part)
    return [*messages[1:first], user(text), *messages[first + 1 :]]


def text_of(tokenizer: Any, messages: Sequence[Message], generation_prompt: bool = False, **kwargs: Any) -> str:
    return str(_applied(tokenizer, messages, tokenize=False, add_generation_prompt=generation_prompt, **kwargs))


def _applied(tokenizer: Any, messages: Sequence[Message], **kwargs: Any) -> Any:
    """What the template makes of messages; of calls whose arguments are text where it takes no mapping."""
    try:
        return tokenizer.apply_chat_template(list(messages), **kwargs)
    except TypeError:
        texts = [_with_text_arguments(message) for message in messages]
        return tokenizer.apply_chat_template(texts, **kwargs)


def _with_text_arguments(message: Message) -> Message:
    calls = [call["function"] for call in message.get("tool_calls", ())]
    functions = [{**call, "arguments": json.dumps(call["arguments"])} for call in calls]
    return {**message, "tool_calls": [{**CALL, "function": call} for call in functions]} if calls else message


def ids_of(tokenizer: Any, messages: Sequence[Message], **kwargs: Any) -> list[int]:
    """What `apply_chat_template` gives; control tokens in the data sanitised unless they are an answer's thinking."""
    sanitise = not any("<think>" in (message.get("content") or "") for message in messages)
    encoded = _applied(tokenizer, messages, tokenize=True, sanitize_control_tokens=sanitise, return_dict=True, **kwargs)
    return list(encoded["input_ids"])


def runs(positions: Sequence[int]) -> list[tuple[int, int]]:
    """Half-open runs of adjoining positions."""
    merged: list[tuple[int, int]] = []
    for p in positions:
        if merged and merged[-1][1] == p:
            merged[-1] = (merged[-1][0], p + 1)
        else:
            merged.append((p, p + 1))
    return merged


def check_laws(
    tokenizer: Any,
    prefix: Sequence[Message],
    row: Sequence[Message],
    pairs: Sequence[ViewPair],
    *,
    fold: bool = False,
    tools: Sequence[Any] = (),
    baked_tools: Sequence[Any] = (),
    **kwargs: Any,
) -> None:
    """Assert laws a to f for pairs built from a prefix that is not retained and a row with assistant targets.

    `tools` are the row's, `baked_tools` the prefix's. That they are shown is not asserted: the template may not.
    """
    row = [flat(message) for message in row]
    answer_indices = [i for i, message in enumerate(row) if message["role"] == "assistant"]
    whole = len(pairs) == 1
    assert whole or len(pairs) == len(answer_indices), "one pair, or one per target turn"
    for n, pair in enumerate(pairs):
        part = row if whole else row[: answer_indices[n] + 1]
        teacher, student = teacher_of(prefix, part), part
        if fold:
            teacher, student = folded(teacher), folded(student)
        _check_equal(pair)
        sides = [{**kwargs, "tools": list(shown)} if shown else kwargs for shown in ((*baked_tools, *tools), tools)]
        for messages, ids, targets, side in (
            (teacher, pair.teacher_ids, pair.teacher_targets, sides[0]),
            (student, pair.student_ids, pair.student_targets, sides[1]),
        ):
            if ids != ids_of(tokenizer, messages, **side):
                behind = tokenizer.decode(ids[targets[-1] + 1 :])
                assert not _bare(behind), "law e: the template's rendering, or nothing behind the turn"
            wanted = [row[i] for i in answer_indices] if whole else [row[answer_indices[n]]]
            _check_words(tokenizer, messages, wanted, ids, targets, **side)
        if len(teacher) > 1 and (student or answer_indices[0]):
            asked = zip((teacher[:-1], student[:-1]), sides, strict=True)
            seen = [text_of(tokenizer, m, generation_prompt=True, **side) if m else "" for m, side in asked]
            for tool in baked_tools:
                words = tool["function"]["description"]
                assert words not in seen[1], "law d: the prefix's tools are not in the student's view"
                assert words in seen[0] or words not in text_of(tokenizer, teacher, **sides[0]), "law d: tools"
            for message in prefix:
                words = str(message["content"]).strip()
                assert words in seen[0], "law d: the prefix is in the teacher's view"
                assert words not in seen[1], "law d: the prefix is not in the student's view"


def _check_equal(pair: ViewPair) -> None:
    assert pair.teacher_targets, "there are targets"
    for targets, ids in ((pair.teacher_targets, pair.teacher_ids), (pair.student_targets, pair.student_ids)):
        assert targets == sorted(set(targets))
        assert 0 <= targets[0] <= targets[-1] < len(ids)
    assert [pair.teacher_ids[p] for p in pair.teacher_targets] == [pair.student_ids[q] for q in pair.student_targets], (
        "law a"
    )
    for (a, _), (b, _) in zip(runs(pair.teacher_targets), runs(pair.student_targets), strict=True):
        assert (a == 0) == (b == 0)
        if a:
            assert pair.teacher_ids[a - 1] == pair.student_ids[b - 1], "law a: the token before"


def _check_words(
    tokenizer: Any,
    messages: Sequence[Message],
    wanted: Sequence[Message],
    ids: list[int],
    targets: list[int],
    **kwargs: Any,
) -> None:
    """Law b and e: the runs decode to the wanted messages one after another, and stand behind generation prompts."""
    decoded = tokenizer.decode([ids[p] for p in targets], skip_special_tokens=False)
    rest = _bare(decoded)
    for message in wanted:
        thought, answer = _parts(message)
        for words in (thought, answer):
            if words and not (words is thought and _bare(words) not in rest):
                at = rest.find(_bare(words))
                assert at >= 0, f"law b: {words!r} is not among the targets {decoded!r}"
                if not message.get("tool_calls"):  # which some templates write before the words
                    _check_markup(rest[:at], message)
                rest = rest[at + len(_bare(words)) :]
        if message.get("tool_calls"):
            call = message["tool_calls"][0]["function"]
            assert call["name"] in decoded
            assert call["arguments"]["harbour"] in decoded
            rest = rest.split(call["arguments"]["harbour"], 1)[-1].removeprefix('"},"id":"call00001').lstrip("\"'}])>`")
    if not wanted[-1].get("tool_calls"):
        _check_markup(rest, wanted[-1])
        _check_end(tokenizer, messages, rest, **kwargs)
    answer_indices = [i for i, message in enumerate(messages) if message["role"] == "assistant"][-len(wanted) :]
    for index, (start, _) in zip(answer_indices, runs(targets), strict=True):
        if index:
            prompt = ids_of(tokenizer, messages[:index], add_generation_prompt=True, **kwargs)
            assert ids[:start] == prompt, "law c: what precedes an answer is the generation prompt"


def _check_end(tokenizer: Any, messages: Sequence[Message], learned: str, **kwargs: Any) -> None:
    """The token that the template writes behind an answer is learned, and none that begins a turn."""
    answer = _parts(messages[-1])[1]
    full = text_of(tokenizer, messages, **kwargs)
    if not answer or answer not in full:
        return
    end = TAG.match(full[full.rindex(answer) + len(answer) :].lstrip())
    if end:
        assert _bare(end[0]) in learned, f"law b: the end of the turn {end[0]!r} is not learned: {learned!r}"
    if not messages[0]["content"]:
        return
    before = full.partition(messages[0]["content"])[0]
    starts = set(TAG.findall(before)) - {end[0] if end else "", tokenizer.eos_token}
    late = [tag for tag in starts if _bare(tag) in learned]
    assert not late, f"law b: {late} begins a turn, and is learned behind the answer"


def _parts(message: Message) -> tuple[str, str]:
    content = (message.get("content") or "").strip()
    match = re.match(r"\s*<think>(.*?)</think>(.*)", content, re.DOTALL)
    if match:
        return match[1].strip(), match[2].strip()
    return message.get("reasoning_content", ""), content


def _bare(text: str) -> str:
    """Without white space, of which a lower block is one to the tokenizers that write it so."""
    return "".join(text.replace("▁", " ").split())


def _check_markup(text: str, message: Message) -> None:
    """Between the words of answers there may be end-of-turn tokens, thinking tags and channel names only."""
    left = re.sub("final|^all(?=$)", "", TAG.sub("", text))  # a channel, a recipient
    if message.get("reasoning_content") or message.get("tool_calls"):
        left = re.sub("analysis|assistant|commentary|thought", "", left)
    assert not left, f"law b: {left!r} beside the words of {message!r}"
