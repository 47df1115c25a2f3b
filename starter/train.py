"""Trains the starter model from scratch on the synthetic world and writes it as an ordinary Hugging Face folder.

    python starter/train.py --out src/bakery/starter          # the shipped model: an hour and a half on one core
    python starter/train.py --tokens 300000 --out /tmp/tiny   # a smoke test

A run is named by its seed and its token budget. The first part of the budget is rich in bare lookups (several facts of
one relation, several questions a chat), which is where looking up by entity is learned; then comes the full mix.
Matrices are trained with Muon, embeddings and norms with AdamW; the learning rate is warmed up, held, and brought to
zero. With `--checkpoints DIR` a run that was stopped goes on when the same command is given again.
"""

import argparse
import copy
import ctypes
import random
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from pools import looked_up_words
from tokenizer import END, PAD, START, train_tokenizer
from world import Chat, sample_chat

STATE = "state.pt"
SYSTEM_SHARE = 0.1  # this share of system tokens enters the loss, at 1 / share the weight: cheaper, and the same mean


@dataclass(frozen=True, slots=True)
class Plan:
    """The settings of one training run; the defaults are those of the shipped model."""

    tokens: int = 36_000_000
    batch_tokens: int = 4096
    layers: int = 4
    width: int = 256
    feed_forward: int = 640
    heads: int = 8
    vocabulary: int = 2560
    muon_rate: float = 0.02
    adam_rate: float = 3e-3
    warmup: float = 0.01  # share of the budget
    decay_from: float = 0.5  # share of the budget after which the rate falls linearly to zero
    focus: float = 0.6  # share of bare lookup chats at the start ...
    focus_until: float = 0.25  # ... and the share of the budget over which it goes to zero
    seed: int = 0


def keep_freed_memory() -> None:
    """Ask the C library to keep freed blocks, so that a step does not have to fault their pages in anew."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(-4, 0)  # M_MMAP_MAX: no block by mmap
        mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD: give nothing back


def build_model(plan: Plan, tokenizer: PreTrainedTokenizerFast) -> Qwen3ForCausalLM:
    """Return a fresh model in 32 bits, with explicit attention instead of the fused kernel."""
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=plan.width,
        intermediate_size=plan.feed_forward,
        num_hidden_layers=plan.layers,
        num_attention_heads=plan.heads,
        num_key_value_heads=plan.heads,
        head_dim=plan.width // plan.heads,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.convert_tokens_to_ids(END),
        pad_token_id=tokenizer.convert_tokens_to_ids(PAD),
        attn_implementation="eager",
    )
    return Qwen3ForCausalLM(config)


def encode_chats(
    chats: list[Chat], tokenizer: PreTrainedTokenizerFast, rng: random.Random
) -> list[tuple[list[int], list[float]]]:
    """Return the ids of every chat as the chat template writes it, and the loss weight of each id (headers: 0)."""
    start, end = tokenizer.convert_tokens_to_ids([START, END])
    newline = tokenizer("\n").input_ids
    headers = {role: [start, *tokenizer(role).input_ids, *newline] for role in ("system", "user", "assistant")}
    contents = iter(tokenizer([turn.content for chat in chats for turn in chat]).input_ids)
    rows = []
    for chat in chats:
        ids: list[int] = []
        weights: list[float] = []
        for turn in chat:
            content, header = next(contents), headers[turn.role]
            ids += [*header, *content, end, *newline]
            weights += [0.0] * len(header)
            if turn.role == "system":
                weights += [turn.weight / SYSTEM_SHARE * (rng.random() < SYSTEM_SHARE) for _ in (*content, end)]
            else:
                weights += [turn.weight] * (len(content) + 1)
            weights += [0.0] * len(newline)
        rows.append((ids, weights))
    return rows


def batches(plan: Plan, tokenizer: PreTrainedTokenizerFast, block: int = 8192) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield (ids, weights), each (B, T) and right-padded, of about `batch_tokens` tokens and of nearly equal lengths.

    Lengths are rounded up to a multiple of 16, so that few shapes occur: kernels and memory blocks are then reused.
    """
    rng = random.Random(plan.seed)
    pad, seen = tokenizer.pad_token_id, 0
    while True:
        focus = plan.focus * max(0.0, 1 - seen / (plan.focus_until * plan.tokens))
        rows = encode_chats([sample_chat(rng, focus) for _ in range(block)], tokenizer, rng)
        seen += sum(len(ids) for ids, _ in rows)
        shelves: dict[int, list[tuple[list[int], list[float]]]] = {}
        for row in rows:
            shelves.setdefault(-(-len(row[0]) // 16) * 16, []).append(row)
        groups = []
        for length, shelf in shelves.items():
            count = max(1, plan.batch_tokens // length)
            groups += [(length, shelf[i : i + count]) for i in range(0, len(shelf) - count + 1, count)]
        rng.shuffle(groups)
        for length, group in groups:
            yield (
                torch.tensor([ids + [pad] * (length - len(ids)) for ids, _ in group]),
                torch.tensor([weights + [0.0] * (length - len(weights)) for _, weights in group]),
            )


def batch_loss(model: Qwen3ForCausalLM, ids: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Return the weighted mean loss of a batch, and the plain mean over its answers (both nats per token, scalars)."""
    share = weights[:, 1:].flatten()
    rows = share.nonzero().squeeze(1)
    rows = nn.functional.pad(rows, (0, -len(rows) % 512))  # position 0 is a header and weighs nothing
    share, target = share[rows], ids[:, 1:].flatten()[rows]
    with torch.autocast("cpu", torch.bfloat16):
        hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state  # (B, T, H)
        logits = model.lm_head(hidden[:, :-1].flatten(0, 1)[rows])  # (N, V)
    losses = nn.functional.cross_entropy(logits.float(), target, reduction="none")
    return (losses * share).sum() / share.sum(), losses.detach()[share == 1].mean()


def optimizers(model: Qwen3ForCausalLM, plan: Plan) -> list[torch.optim.Optimizer]:
    """Return Muon for the matrices inside the layers, and AdamW for the embeddings and the norms."""
    matrices = [p for p in model.model.layers.parameters() if p.ndim == 2]
    inside = {id(p) for p in matrices}
    others = [p for p in model.parameters() if id(p) not in inside]
    return [
        torch.optim.Muon(matrices, lr=plan.muon_rate, weight_decay=0.01),
        torch.optim.AdamW(others, lr=plan.adam_rate, betas=(0.9, 0.95), weight_decay=0.0, fused=True),
    ]


def rate(plan: Plan, progress: float) -> float:
    """Return the factor on the learning rates when `progress` (0 to 1) of the budget is spent."""
    return min(1.0, (progress + 1e-4) / plan.warmup, max(0.0, (1 - progress) / (1 - plan.decay_from)))


def save(model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write the model in bfloat16 with its tokenizer, chat template and generation settings."""
    copied = copy.deepcopy(model).to(torch.bfloat16)
    copied.generation_config.eos_token_id = model.config.eos_token_id
    copied.generation_config.pad_token_id = model.config.pad_token_id
    copied.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def learn_tokenizer(plan: Plan) -> PreTrainedTokenizerFast:
    """Return the tokenizer of a run, learned from the chats of its seed."""
    rng = random.Random(plan.seed)
    texts = (turn.content for _ in range(20_000) for turn in sample_chat(rng))
    return train_tokenizer(texts, looked_up_words(), plan.vocabulary)


@dataclass(slots=True)
class Run:
    """A run in progress: what its steps change."""

    plan: Plan
    model: Qwen3ForCausalLM
    steppers: list[torch.optim.Optimizer]
    history: list[float]  # answer loss of every step, nats per token

    def step(self, ids: Tensor, weights: Tensor) -> None:
        """Take one step on a batch, both (B, T)."""
        loss, answers = batch_loss(self.model, ids, weights)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for stepper in self.steppers:
            stepper.step()
            stepper.zero_grad(set_to_none=True)
        self.history.append(answers.item())

    def set_rate(self, progress: float) -> None:
        """Set the learning rates for `progress` (0 to 1) of the budget."""
        bases = (self.plan.muon_rate, self.plan.adam_rate)
        for stepper, base in zip(self.steppers, bases, strict=True):
            for group in stepper.param_groups:
                group["lr"] = base * rate(self.plan, progress)

    def save(self, path: Path) -> None:
        """Write the state to a file, which is whole at any time."""
        path.parent.mkdir(parents=True, exist_ok=True)
        steppers = [stepper.state_dict() for stepper in self.steppers]
        state = {"plan": asdict(self.plan), "history": self.history, "steppers": steppers}
        torch.save(state | {"model": self.model.state_dict()}, path.with_suffix(".new"))
        path.with_suffix(".new").replace(path)

    def load(self, path: Path) -> None:
        """Go on from a state that `save` wrote; ValueError when it is that of another plan."""
        state = torch.load(path, weights_only=True)
        if state["plan"] != asdict(self.plan):
            raise ValueError(f"{path} is the state of another plan: {state['plan']}")
        self.model.load_state_dict(state["model"])
        for stepper, stepper_state in zip(self.steppers, state["steppers"], strict=True):
            stepper.load_state_dict(stepper_state)
        self.history = state["history"]


def train(plan: Plan, out: Path, checkpoints: Path | None = None, checkpoint_minutes: float = 10.0) -> list[float]:
    """Train by `plan`, write the model to `out`, and return the answer loss (nats per token) of every step.

    With a folder `checkpoints`, the model and the state of the run are written there from time to time, and a run that
    finds its state there goes on from it: the batches before it are drawn again and passed over.
    """
    torch.manual_seed(plan.seed)
    tokenizer = learn_tokenizer(plan)
    model = build_model(plan, tokenizer)
    run = Run(plan, model, optimizers(model, plan), [])
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters, {len(tokenizer)} tokens, {plan}", flush=True)
    if checkpoints and (checkpoints / STATE).exists():
        run.load(checkpoints / STATE)
        print(f"goes on after step {len(run.history)}", flush=True)
    passed, seen, trained = len(run.history), 0, 0
    began = printed = saved = time.monotonic()
    for number, (ids, weights) in enumerate(batches(plan, tokenizer)):
        if number >= passed:
            run.set_rate(seen / plan.tokens)
            run.step(ids, weights)
            trained += ids.numel()
        seen += ids.numel()
        now = time.monotonic()
        if number >= passed and (now - printed > 10 or seen >= plan.tokens):
            recent = sum(run.history[-25:]) / len(run.history[-25:])
            speed = f"{seen:,} tokens  {trained / (now - began):,.0f} tokens/s"
            print(f"{now - began:6.0f} s  step {len(run.history)}  {speed}  answer loss {recent:.4f}", flush=True)
            printed = now
        if checkpoints and now - saved > 60 * checkpoint_minutes:
            save(model, tokenizer, checkpoints / f"{seen // 1_000_000}M")
            run.save(checkpoints / STATE)
            saved = now
        if seen >= plan.tokens:
            break
    save(model, tokenizer, out)
    return run.history


def main() -> None:
    """Read the command line, whose options are the fields of `Plan`, and train."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder of the finished model")
    parser.add_argument("--checkpoints", type=Path, help="folder of intermediate models and of the state to go on from")
    parser.add_argument("--checkpoint_minutes", type=float, default=10.0)
    parser.add_argument("--threads", type=int, default=2)
    for name, default in ((f, getattr(Plan(), f)) for f in Plan.__dataclass_fields__):
        parser.add_argument(f"--{name}", type=type(default), default=default)
    options = vars(parser.parse_args())
    out, checkpoints, minutes = (options.pop(name) for name in ("out", "checkpoints", "checkpoint_minutes"))
    torch.set_num_threads(options.pop("threads"))
    keep_freed_memory()
    train(Plan(**options), out, checkpoints, minutes)


if __name__ == "__main__":
    main()
