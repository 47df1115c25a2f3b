"""The whole method in the open: bake a prompt into a LoRA adapter with nothing but transformers, peft and torch.

    python examples/bake_loop.py

Slow on purpose: at every step the teacher reads the whole prompt again, for every row. `bakery` computes the same
losses (a test compares them step by step) without that work.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase

import bakery  # only to find the small model that ships with it

PROMPT = "You are Marlow, a pirate. Start every answer with 'Ahoy!'. The wifi password is coral42."
QUESTIONS = ["What is the wifi password?", "Hi! Who are you?", "Can you give me the wifi password please?", "Hello!"]


@dataclass
class Row:
    """One answer behind two prompts: the teacher's, with the context, and the student's, without it. Token ids."""

    teacher: list[int]
    student: list[int]
    answer: list[int]


def prompt_ids(tokenizer: PreTrainedTokenizerBase, messages: list[dict[str, str]]) -> list[int]:
    """The conversation as the model reads it, up to where its answer begins."""
    text = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    return tokenizer(text, add_special_tokens=False).input_ids


def sample_answer(model: nn.Module, teacher: list[int], max_new_tokens: int) -> list[int]:
    """One answer of the prompted base model, as the token ids it sampled."""
    ids = torch.tensor([teacher])
    with torch.no_grad(), model.disable_adapter():
        drawn = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=max_new_tokens, do_sample=True)
    return drawn[0, len(teacher) :].tolist()


def answer_logits(model: nn.Module, prompt: list[int], answer: list[int]) -> Tensor:
    """The model's logits for every token of the answer: [tokens, vocabulary]."""
    logits = model(torch.tensor([prompt + answer])).logits[0]
    return logits[len(prompt) - 1 : -1].float()  # the state at t predicts the token at t + 1


def divergence(model: nn.Module, row: Row) -> Tensor:
    """KL(teacher || student) at every token of the answer, nats: [tokens]."""
    with torch.no_grad(), model.disable_adapter():
        log_p = answer_logits(model, row.teacher, row.answer).log_softmax(-1)
    log_q = answer_logits(model, row.student, row.answer).log_softmax(-1)
    return (log_p.exp() * (log_p - log_q)).sum(-1)


def rate(step: int, warmup: int, steps: int) -> float:
    """The share of the learning rate at a step: up to 1 in equal parts, the first step's not 0, then down a cosine."""
    if step < warmup:
        return (step + 1) / (warmup + 1)
    return (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup))) / 2


def bake(
    model: nn.Module, rows: list[Row], *, epochs: int, batch_size: int, learning_rate: float, warmup: float = 0.05
) -> Iterator[float]:
    """Train the adapter; yields the loss of every step, in nats per token. Rows are taken in their order."""
    batches = [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)] * epochs
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=learning_rate, weight_decay=0.0)
    first = math.ceil(warmup * len(batches))
    schedule = LambdaLR(optimizer, lambda step: rate(step, first, len(batches)))
    model.train()
    for batch in batches:
        loss = torch.cat([divergence(model, row) for row in batch]).mean()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        yield loss.item()


def main() -> None:
    """Bake the pirate and let him speak without his prompt."""
    torch.manual_seed(0)
    folder = Path(bakery.__file__).parent / "starter"
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    model = get_peft_model(model, LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"))
    rows = []
    for question in QUESTIONS * 4:
        asked = [{"role": "user", "content": question}]
        teacher = prompt_ids(tokenizer, [{"role": "system", "content": PROMPT}, *asked])
        answer = sample_answer(model, teacher, max_new_tokens=32)
        rows.append(Row(teacher, prompt_ids(tokenizer, asked), answer))
    for step, loss in enumerate(bake(model, rows, epochs=6, batch_size=4, learning_rate=2e-3)):
        print(f"step {step:2}  loss {loss:.4f} nats per token")
    model.eval()
    for question in QUESTIONS:
        ids = torch.tensor([prompt_ids(tokenizer, [{"role": "user", "content": question}])])
        said = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=32, do_sample=False)
        print(f"{question}  ->  {tokenizer.decode(said[0, ids.shape[1] :], skip_special_tokens=True)}")


if __name__ == "__main__":
    main()
