"""The code that a reader copies to use an adapter."""

import json

from bakery.report.results import BakeResult

_LONGEST_QUESTION = 34


def usage(result: BakeResult) -> str:
    """Five lines of transformers and peft that load the adapter and ask it something; none has over 100 characters."""
    asked = [answered.question for answered in result.summary.answered]
    short = [_quoted(question.text) for question in asked if len(question.messages) == 1]
    question = next((text for text in short if len(text) <= _LONGEST_QUESTION), _quoted("Who are you?"))
    return "\n".join(
        (
            "from peft import AutoPeftModelForCausalLM",
            "from transformers import pipeline",
            f"model = AutoPeftModelForCausalLM.from_pretrained(folder := {_quoted(str(result.output_dir))})",
            'ask = pipeline("text-generation", model, tokenizer=folder, return_full_text=False)',
            f'print(ask([{{"role": "user", "content": {question}}}])[0]["generated_text"])',
        )
    )


def _quoted(text: str) -> str:
    """A Python string literal in double quotes."""
    return json.dumps(text, ensure_ascii=False)
