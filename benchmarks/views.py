"""Rows a second that become views, on one core: short rows behind a short prefix and behind one of 2,000 tokens.

    python benchmarks/views.py [TOKENIZER]

TOKENIZER is a folder or hub id whose chat template is used; the shipped starter's by default.
"""

import sys
import time
from pathlib import Path

from transformers import AutoTokenizer

from bakery.chat.encoding import Encoder, Text
from bakery.chat.views import ViewBuilder
from bakery.rows.conversations import Conversation

STARTER = Path(__file__).parents[1] / "src" / "bakery" / "starter"
ROWS, REPEATS = 500, 5


def system_message(encoder: Encoder, tokens: int) -> dict[str, str]:
    """A system message of about so many tokens."""
    sentence = "You are a pirate, and you know the tides. "
    length = len(encoder.encode(Text(sentence)).ids)
    return {"role": "system", "content": sentence * max(1, tokens // length)}


def rows_per_second(builder: ViewBuilder, start: int) -> float:
    """Build the views of rows that all differ in their words, in seconds of this thread's processor time."""
    rows = [
        Conversation(
            (
                {"role": "user", "content": f"What is the capital of country {i}?"},
                {"role": "assistant", "content": f"City {i}, matey."},
            ),
            None,
            f"row {i}",
        )
        for i in range(start, start + ROWS)
    ]
    began = time.thread_time()
    for row in rows:
        builder.views(row)
    return ROWS / (time.thread_time() - began)


def main() -> None:
    """Print the best of a few repeats for both prefixes."""
    tokenizer = AutoTokenizer.from_pretrained(sys.argv[1] if len(sys.argv) > 1 else STARTER)
    for tokens in (20, 2000):
        builder = ViewBuilder(tokenizer, prefix_messages=[system_message(Encoder(tokenizer), tokens)])
        best = max(rows_per_second(builder, repeat * ROWS) for repeat in range(REPEATS))
        print(f"prefix of {tokens:>5,} tokens: {best:>6,.0f} rows/s, 100,000 rows in {100_000 / best:,.0f} s")


if __name__ == "__main__":
    main()
