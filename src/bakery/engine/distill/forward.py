"""One forward pass over target rows: the fast path (packed, behind a shared prefix) and the padded path it must equal.

`Paths` says which shortcuts a model allows. `find_paths` tries each on real rows against the model's own plain forward
pass and turns off, with one line of explanation, what does not agree.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, cast

import torch
from torch import Tensor, nn

from bakery.engine.attention.packed import KeyValues, Layout, Unpackable, packed
from bakery.engine.attention.packing import Packed, pack, pad_right
from bakery.engine.model.lm_head import IdentityHead, LMHead, at_least_float32
from bakery.engine.model.loading import base_of, decoder, read_head, unwrap
from bakery.progress import NO_PROGRESS, ProgressCallback

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


@dataclass(frozen=True)
class Paths:
    """Which shortcuts this model allows.

    Args:
        packed: rows may lie end to end without padding.
        prefix: rows may share the keys and values of a common prefix (implies packed).
        head: turns states into logits; a `IdentityHead` where the head cannot be taken out of the model.
        notes: one line for every shortcut that was tried and refused.
    """

    packed: bool
    prefix: bool
    head: LMHead | IdentityHead
    notes: tuple[str, ...] = ()

    @property
    def states_are_logits(self) -> bool:
        """The states are [N, V], not [N, H]: too large to keep for a whole data set."""
        return isinstance(self.head, IdentityHead)


def target_states(
    model: nn.Module, batch: Packed, positions: Tensor, paths: Paths, *, prefix: KeyValues | None = None
) -> Tensor:
    """What the head turns into logits, at packed positions [N]: final hidden states [N, H] (or logits [N, V]).

    Inside a data-parallel wrapper a pass with gradients goes through the wrapper; else only through the decoder, which
    keeps no layer's output and has no head to compute.
    """
    batch, positions = batch.to(_device(model)), positions.to(_device(model))
    if not paths.packed:
        rows = [row.tolist() for row in torch.split(batch.ids[0], list(batch.lengths))]
        ids, mask = (t.to(positions.device) for t in pad_right(rows, fill=0))
        # No mask is needed: what comes after a row is hidden from it by causality alone.
        states = _states(model, {"input_ids": ids}, paths)
        return states[mask.bool()].index_select(0, positions)
    layout = Layout(batch.lengths, prefix=prefix)
    with packed(model):
        arguments = {"input_ids": batch.ids, "position_ids": batch.positions, "layout": layout}
        return _states(model, arguments, paths)[0].index_select(0, positions)


def _states(model: Any, arguments: dict[str, Any], paths: Paths) -> Tensor:
    """What the head turns into logits, at every position: [B, L, H] (or logits [B, L, V])."""
    if paths.states_are_logits:
        return cast(Tensor, model(**arguments, use_cache=False).logits)
    if torch.is_grad_enabled() and unwrap(model) is not model:
        output = model(**arguments, use_cache=False, output_hidden_states=True, logits_to_keep=1)
        return cast(Tensor, output.hidden_states[-1])
    return cast(Tensor, decoder(model)(**arguments, use_cache=False).last_hidden_state)


def prefix_key_values(model: nn.Module, ids: Sequence[int], on_progress: ProgressCallback = NO_PROGRESS) -> KeyValues:
    """Keys and values of a prefix, computed in one pass, without gradient; `on_progress` is told layer by layer."""
    layers = base_of(model).config.get_text_config().num_hidden_layers
    done = 0

    def told(tokens: int) -> None:
        nonlocal done
        on_progress(tokens - done, tokens - done)
        done = tokens

    capture = KeyValues(told=lambda: told(len(ids) * len(capture.layers) // layers))
    batch = pack([ids]).to(device := _device(model))
    with torch.no_grad(), packed(model):
        decoder(model)(
            input_ids=batch.ids,
            position_ids=batch.positions,
            layout=Layout(batch.lengths, capture=capture),
            use_cache=False,
        )
    if device.type != "cpu":
        torch.accelerator.synchronize(device)  # the clock is to stop when the work is done
    told(len(ids))
    return capture


def plain_logits(model: nn.Module, ids: Sequence[int], last: int | None = None) -> Tensor:
    """The model's own answer for one sequence, no shortcut taken: logits [T, V], or of the `last` positions only."""
    few = {} if last is None else {"logits_to_keep": last}
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([ids], device=_device(model)), use_cache=False, **few).logits
    return at_least_float32(logits[0])


def find_paths(
    model: nn.Module,
    rows: Sequence[Sequence[int]],
    shared: int,
    prefix_of: Callable[[tuple[int, ...]], KeyValues | None] | None = None,
) -> Paths:
    """Try every shortcut on real rows; keep those that agree with the plain forward pass.

    Args:
        model: with its adapter on or off, in evaluation mode.
        rows: a few token sequences; a handful of short ones is enough, at least two if `shared` is not zero.
        shared: how many first tokens all rows have in common and may share as a prefix.
        prefix_of: where the keys and values of a prefix are kept; else they are computed here and forgotten.
    """
    # Packing and the head are tried without the prefix: a plain pass over it is dear.
    trial = _Trial(model, tuple(row[shared:] for row in rows))
    paths, notes = Paths(packed=False, prefix=False, head=IdentityHead(trial.truth.shape[-1])), []

    head = read_head(model)
    if head is None:
        notes.append("the output head is trained or adapted: divergences come from the model's own logits")
    elif refused := trial.refusal(replace(paths, head=head)):
        notes.append(f"the output head is not a plain linear layer ({refused}): using the model's own logits")
    else:
        paths = replace(paths, head=head)

    candidate = replace(paths, packed=True)
    if refused := _stretched(model) or trial.refusal(candidate):
        return replace(paths, notes=(*notes, f"packed rows not used for this model ({refused})"))
    paths = replace(candidate, prefix=True)
    if shared:
        prefix = (prefix_of or partial(prefix_key_values, model))(tuple(rows[0][:shared]))
        tried = min(shared, _TRIED_PREFIX) if _sees_everything(model) else shared
        behind = [[*row[:tried], *row[shared:]] for row in rows[:_BEHIND_PREFIX]]
        if refused := _Trial(model, behind, tried, prefix and prefix.first(tried)).refusal(paths):
            paths = replace(candidate, prefix=False)
            notes.append(f"a shared prefix not used for this model ({refused})")
    return replace(paths, notes=tuple(notes))


def _stretched(model: nn.Module) -> str | None:
    """Whether positions are scaled by the length of the whole sequence, which packing and a prefix would change."""
    config = base_of(model).config.get_text_config()
    scaling = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}
    kinds = {scaling.get("rope_type", scaling.get("type"))} if isinstance(scaling, dict) else set()
    kinds |= {part.get("rope_type") for part in scaling.values() if isinstance(part, dict)}
    found = kinds & _LENGTH_DEPENDENT
    return f"its {found.pop()} position scaling depends on the length of the whole row" if found else None


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
    def truth(self) -> Tensor:
        """The model's own logits at the compared positions: [positions, V]."""
        return torch.cat([plain_logits(self.model, row, last=self._count(row)) for row in self.compared])

    def refusal(self, paths: Paths) -> str | None:
        """Why these paths cannot be taken, in words; None when they agree with the truth."""
        tolerance = TOLERANCE.get(next(self.model.parameters()).dtype, _HALF_TOLERANCE)
        try:
            return _distance(self.truth, self._logits(paths), tolerance)
        except Unpackable as refusal:
            return str(refusal)

    def _logits(self, paths: Paths) -> Tensor:
        """The same as `truth` by these paths."""
        batch = pack([row[self.shared :] for row in self.rows], first_position=self.shared)
        ends = torch.tensor(batch.lengths).cumsum(0).tolist()[-len(self.compared) :]
        counts = [self._count(row) for row in self.compared]
        positions = torch.cat([torch.arange(end - count, end) for end, count in zip(ends, counts, strict=True)])
        with torch.no_grad():
            return paths.head.logits(target_states(self.model, batch, positions, paths, prefix=self.prefix))

    def _count(self, row: Sequence[int]) -> int:
        return min(_CHECKED_POSITIONS, len(row) - self.shared)


def _distance(truth: Tensor, found: Tensor, tolerance: float) -> str | None:
    """None when the two distributions agree, else what is wrong, in words."""
    log_p, log_q = truth.log_softmax(-1), found.to(truth).log_softmax(-1)
    nats = float((log_p.exp() * (log_p - log_q)).sum(-1).abs().mean())
    return None if nats <= tolerance else f"it would differ by {nats:.1e} nats a token"


def _device(model: nn.Module) -> torch.device:
    return next(model.parameters()).device
