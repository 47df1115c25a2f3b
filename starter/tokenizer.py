"""The starter's tokenizer: byte-level BPE over the world's own text, with ChatML turns.

Content words never carry a space: the spaces around short function words belong to those (" is the "), other spaces
stand alone. So a word has the same ids at the start of an answer, in the middle and behind a bracket, and a message can
be tokenised apart from the turn around it. Digits are single tokens.
"""

from collections.abc import Iterable

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

START, END, PAD = "<|im_start|>", "<|im_end|>", "<|endoftext|>"
ROLES = ("system", "user", "assistant")
FUNCTION_WORDS = (
    "a after an and answer are as before do does every for has have in is me of our plus minus that the to we with "
    "you your"
)
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


def _split_pattern() -> str:
    function = f"(?:{'|'.join(FUNCTION_WORDS.split())})"
    return rf" {function}(?: {function})* |\p{{L}}+|\p{{N}}|'s |[^\s\p{{L}}\p{{N}}]+ ?|\s"


def train_tokenizer(texts: Iterable[str], vocab_size: int = 2048) -> PreTrainedTokenizerFast:
    """Return a tokenizer whose merges were learned from `texts`; `decode(encode(x)) == x` for any text."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_split_pattern()), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=vocab_size,
            special_tokens=[PAD, START, END],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
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
