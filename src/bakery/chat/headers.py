"""What a generation prompt and an answered conversation write before an answer, compared; white space aside."""

import re


def behind_prompt(asked: str, answered: str, at: int, thinking: str) -> int:
    """Where in `answered`, from `at` on, a turn goes on behind what else is `asked`; its thinking may be skipped."""
    starts = [0, *(tag.start() for tag in re.finditer(r"[<\[]", asked))]
    for begin in (at, answered.find(thinking, at) + len(thinking)) if thinking else (at,):
        for start in starts:
            i, j = along(asked[start:], answered[begin:])
            if asked[start:].strip() and i == len(asked) - start:
                return begin + j
    return at


def past_thinking(written: str, thinking: str, closing: str) -> int:
    """Where in the text of a turn its thinking, whatever its white space, and the tag that closes it have ended."""
    words = r"\s+".join(map(re.escape, thinking.split()))
    thoughts = re.search(rf"{words}\s*(?:{re.escape(closing)}\s*)?", written)
    return thoughts.end() if thoughts else 0


def along(asked: str, answered: str) -> tuple[int, int]:
    """How far two texts go along with each other, white space aside and in whole words: characters of each."""
    steps = [(0, 0)]
    while True:
        i, j = (
            at + len(text[at:]) - len(text[at:].lstrip()) for at, text in zip(steps[-1], (asked, answered), strict=True)
        )
        if i == len(asked) or j == len(answered) or asked[i] != answered[j]:
            break
        steps.append((i + 1, j + 1))
    last = steps[-1]
    if i == len(asked):  # white space that the prompt does not end with is left to the answer
        space = asked[last[0] :]
        return i, last[1] + len(space) if answered.startswith(space, last[1]) else j
    if all(not text[at : at + 1].strip("<[").strip() for at, text in zip(last, (asked, answered), strict=True)):
        return i, j
    word = re.search(r"([<\[][^<>\[\]\s]*|[^\s<>\[\]]*)\Z", answered[: last[1]])
    return steps[-1 - (len(word[0]) if word else 0)]


def squashed(text: str) -> str:
    """A text without its white space."""
    return "".join(text.split())
