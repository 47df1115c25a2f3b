"""Which shortcuts a model allows: each is tried on real rows against the model's own plain forward pass.

What does not agree is turned off, with one line of explanation (docs/decisions/0002).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

import torch
from torch import Tensor, nn

from bakery.chat.views import PromptPair, ViewPair
from bakery.engine.attention.packed import KeyValues, Unpackable
from bakery.engine.attention.packing import pack
from bakery.engine.distill.conditions import Condition
from bakery.engine.distill.forward import Shortcuts, plain_logits, prefix_key_values, target_states
from bakery.engine.distill.prefix import PrefixCache, group_by_prefix
from bakery.engine.model.adapters import acting
from bakery.engine.model.lm_head import IdentityHead, read_head
from bakery.engine.model.structure import base_of
from bakery.engine.tensor_types import Float

TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-5}
"""Nats by which a shortcut may differ from the plain pass, averaged over the rows tried; half precisions round more."""
_HALF_TOLERANCE = 2e-2
_CHECKED_POSITIONS = 16
"""Of every row tried only so many last positions are compared: they depend on the rest, and [positions, V] is large."""
_BEHIND_PREFIX = 2
"""Rows on which a shared prefix is tried; only the last is compared: its plain pass goes over the whole prefix."""
_TRIED_PREFIX = 256
"""So many tokens of a shared prefix are enough where every layer sees all of it: nothing depends on the distance."""
_LENGTH_DEPENDENT = frozenset({"longrope", "dynamic"})
"""Rotary scalings that rotate a token differently when the row it stands in is longer."""
_CHECKED_ROWS = 3


def try_shortcuts_on(
    model: nn.Module, condition: Condition, rows: Sequence[ViewPair | PromptPair], prefixes: PrefixCache
) -> Shortcuts:
    """Try the shortcuts on a few real rows of the largest group that shares a prefix, under the teacher's condition.

    The prefix is left in `prefixes` for the teacher and the sampling.
    """
    groups: dict[str, list[list[int]]] = {}
    for row in rows:
        groups.setdefault(row.prefix_key, []).append(row.teacher_ids)
    largest = max(groups.values(), key=lambda group: len(group))
    chosen = sorted(largest, key=len)[:_CHECKED_ROWS]
    (group,) = group_by_prefix(chosen, [""] * len(chosen), [len(row) - 1 for row in chosen])
    with acting(model, condition.adapters):
        return try_shortcuts(model, chosen, len(group.ids), prefixes.get)


def try_shortcuts(
    model: nn.Module,
    rows: Sequence[Sequence[int]],
    shared: int,
    prefix_of: Callable[[tuple[int, ...]], KeyValues | None] | None = None,
) -> Shortcuts:
    """Try every shortcut on real rows; keep those that agree with the plain forward pass.

    Args:
        model: with its adapter on or off, in evaluation mode.
        rows: a few token sequences; a handful of short ones is enough, at least two if `shared` is not zero.
        shared: how many first tokens all rows have in common and may share as a prefix.
        prefix_of: where the keys and values of a prefix are stored; else they are computed here and dropped.
    """
    # Packing and the head are tried without the prefix: a plain pass over it is dear.
    trial = _Trial(model, tuple(row[shared:] for row in rows))
    shortcuts, notes = Shortcuts(packed=False, prefix=False, head=IdentityHead(trial.truth.shape[-1])), []

    head = read_head(model)
    if head is None:
        notes.append("the output head is trained or adapted: divergences come from the model's own logits")
    elif refused := trial.refusal(replace(shortcuts, head=head)):
        notes.append(f"the output head is not a plain linear layer ({refused}): using the model's own logits")
    else:
        shortcuts = replace(shortcuts, head=head)

    candidate = replace(shortcuts, packed=True)
    if refused := _stretched(model) or trial.refusal(candidate):
        return replace(shortcuts, notes=(*notes, f"packed rows not used for this model ({refused})"))
    shortcuts = replace(candidate, prefix=True)
    if shared:
        prefix = (prefix_of or partial(prefix_key_values, model))(tuple(rows[0][:shared]))
        tried = min(shared, _TRIED_PREFIX) if _sees_everything(model) else shared
        behind = [[*row[:tried], *row[shared:]] for row in rows[:_BEHIND_PREFIX]]
        if refused := _Trial(model, behind, tried, prefix and prefix.first(tried)).refusal(shortcuts):
            shortcuts = replace(candidate, prefix=False)
            notes.append(f"a shared prefix not used for this model ({refused})")
    return replace(shortcuts, notes=tuple(notes))


def _stretched(model: nn.Module) -> str | None:
    """Whether positions are scaled by the length of the whole sequence, which packing and a prefix would change."""
    config = base_of(model).config.get_text_config()
    scaling = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}
    kinds = {scaling.get("rope_type", scaling.get("type"))} if isinstance(scaling, dict) else set()
    kinds |= {part.get("rope_type") for part in scaling.values() if isinstance(part, dict)}
    dependent = kinds & _LENGTH_DEPENDENT
    return f"its {dependent.pop()} position scaling depends on the length of the whole row" if dependent else None


def _sees_everything(model: nn.Module) -> bool:
    """Whether every layer attends to all tokens before, by the configuration of one of transformers' own models."""
    base = base_of(model)
    config = base.config.get_text_config()
    limits = (getattr(config, name, None) for name in ("sliding_window", "attention_chunk_size"))
    kinds = set(getattr(config, "layer_types", None) or ())
    return type(base).__module__.startswith("transformers.models.") and kinds <= {"full_attention"} and not any(limits)


@dataclass(frozen=True)
class _Trial:
    """Rows by which a shortcut is judged; their first `shared` tokens are the `prefix`.

    Behind a prefix only the last row is compared: its plain pass goes over the whole prefix. It lies behind the others,
    so that what leaks out of them shows.
    """

    model: nn.Module
    rows: Sequence[Sequence[int]]
    shared: int = 0
    prefix: KeyValues | None = None

    @cached_property
    def compared(self) -> Sequence[Sequence[int]]:
        """The rows whose last positions are compared."""
        return self.rows[-1:] if self.shared else self.rows

    @cached_property
    def truth(self) -> Float[Tensor, "positions V"]:
        """The model's own logits at the compared positions."""
        return torch.cat([plain_logits(self.model, row, last=self._count(row)) for row in self.compared])

    def refusal(self, shortcuts: Shortcuts) -> str | None:
        """Why these shortcuts cannot be taken, in words; None when they agree with the truth."""
        tolerance = TOLERANCE.get(next(self.model.parameters()).dtype, _HALF_TOLERANCE)
        try:
            return _distance(self.truth, self._logits(shortcuts), tolerance)
        except Unpackable as refusal:
            return str(refusal)

    def _logits(self, shortcuts: Shortcuts) -> Tensor:
        """The same as `truth` by these shortcuts."""
        batch = pack([row[self.shared :] for row in self.rows], first_position=self.shared)
        ends = torch.tensor(batch.lengths).cumsum(0).tolist()[-len(self.compared) :]
        counts = [self._count(row) for row in self.compared]
        positions = torch.cat([torch.arange(end - count, end) for end, count in zip(ends, counts, strict=True)])
        with torch.no_grad():
            return shortcuts.head.logits(target_states(self.model, batch, positions, shortcuts, prefix=self.prefix))

    def _count(self, row: Sequence[int]) -> int:
        return min(_CHECKED_POSITIONS, len(row) - self.shared)


def _distance(truth: Tensor, computed: Tensor, tolerance: float) -> str | None:
    """None when the two distributions agree, else what is wrong, in words."""
    log_p, log_q = truth.log_softmax(-1), computed.to(truth).log_softmax(-1)
    nats = float((log_p.exp() * (log_p - log_q)).sum(-1).abs().mean())
    return None if nats <= tolerance else f"it would differ by {nats:.1e} nats a token"


def _device(model: nn.Module) -> torch.device:
    return next(model.parameters()).device
