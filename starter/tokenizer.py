"""The starter's tokenizer: byte-level BPE over the world's own text, cut as Qwen2's is, with ChatML turns.

The pre-tokenizer is Qwen2's to the letter, so that every program that knows Qwen2's cuts text alike; digits are single
tokens there. It would give a word two spellings, with a space before it and without. So merges are learned on words
without their spaces, and a space is then merged only with frequent lower-case words that are never looked up (" the",
" capital"): a name, a code or a capitalised word has the same ids at the start of an answer, in the middle and behind a
bracket. No other merge holds white space, so a message can be tokenised apart from the turn around it.
"""

import json
import re
from collections import Counter
from collections.abc import Collection, Iterable
from functools import reduce

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

START, END, PAD = "<|im_start|>", "<|im_end|>", "<|endoftext|>"
ROLES = ("system", "user", "assistant")
QWEN2_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
LEARNED_PATTERN = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+|\s"
SPACE = "Ġ"  # how byte-level BPE writes a space
SPACED_SHARE = 1 / 9  # of the vocabulary: for words with a space before them, and for those made whole
CHAT_TEMPLATE = """\
{%- for message in messages %}
{%- if message['role'] not in ['system', 'user', 'assistant'] %}
{{- raise_exception("unknown role " ~ message['role'] ~ "; this template has system, user and assistant") }}
{%- endif %}
{{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
{{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""


def _byte_level(pattern: str) -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )


def _learned(texts: Iterable[str], vocab_size: int) -> Tokenizer:
    """Return a tokenizer of words without their spaces."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = _byte_level(LEARNED_PATTERN)
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[PAD, START, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def train_tokenizer(
    texts: Iterable[str], looked_up: Collection[str] = (), vocab_size: int = 2560
) -> PreTrainedTokenizerFast:
    """Return a tokenizer whose merges were learned from `texts`; `decode(encode(x)) == x` for any text.

    Words in `looked_up` never carry a space: those that would begin with a word that does are made whole first.
    """
    texts = list(texts)
    reserved = round(vocab_size * SPACED_SHARE)
    words = _learned(texts, vocab_size - reserved)
    vocabulary = words.get_vocab()
    merges = [tuple(merge) for merge in json.loads(words.to_str())["model"]["merges"]]

    def merge(left: str, right: str) -> str:
        if left + right not in vocabulary:
            vocabulary[left + right] = len(vocabulary)
            merges.append((left, right))
        return left + right

    counts = Counter(word for text in texts for word in re.findall(r" ([a-z]+)", text))
    spaced = [word for word, _ in counts.most_common() if word in vocabulary and word not in looked_up][:reserved]
    for pieces in (words.encode(word).tokens for word in sorted(looked_up)):
        if pieces[0] in spaced:
            reduce(merge, pieces)
    for word in spaced[: vocab_size - len(vocabulary)]:
        merge(SPACE, word)
    tokenizer = Tokenizer(models.BPE(vocabulary, merges))
    tokenizer.pre_tokenizer = _byte_level(QWEN2_PATTERN)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END,
        pad_token=PAD,
        additional_special_tokens=[START],
        model_max_length=2048,
        clean_up_tokenization_spaces=False,
    )
    fast.chat_template = CHAT_TEMPLATE
    return fast
