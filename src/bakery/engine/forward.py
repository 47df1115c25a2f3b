"""One forward pass over target rows: the fast path (packed, behind a shared prefix) and the padded path it must equal.

`Paths` says which shortcuts a model allows. `find_paths` tries each on real rows against the model's own plain forward
pass and turns off, with one line of explanation, what does not agree.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import Tensor, nn

from bakery.engine.attention import KeyValues, Layout, Unpackable, packed
from bakery.engine.divergence import Head, LogitsHead, at_least_float32
from bakery.engine.models import base_of, decoder, read_head
from bakery.engine.packing import Packed, pack, pad_right

TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-5}
"""Nats by which a shortcut may differ from the plain pass, averaged over the rows tried; half precisions round more."""
_HALF_TOLERANCE = 2e-2
_CHECKED_POSITIONS = 16
"""Of every row tried only so many last positions are compared: they depend on the rest, and [positions, V] is large."""
_BEHIND_PREFIX = 2
"""Rows on which a shared prefix is tried: each costs a plain pass over the whole prefix."""
_LENGTH_DEPENDENT = frozenset({"longrope", "dynamic"})
"""Rotary scalings that rotate a token differently when the row it stands in is longer."""


@dataclass(frozen=True)
class Paths:
    """Which shortcuts this model allows.

    Args:
        packed: rows may lie end to end without padding.
        prefix: rows may share the keys and values of a common prefix (implies packed).
        head: turns states into logits; a `LogitsHead` where the head cannot be taken out of the model.
        notes: one line for every shortcut that was tried and refused.
    """

    packed: bool
    prefix: bool
    head: Head | LogitsHead
    notes: tuple[str, ...] = ()

    @property
    def states_are_logits(self) -> bool:
        """The states are [N, V], not [N, H]: too large to keep for a whole data set."""
        return isinstance(self.head, LogitsHead)


def target_states(
    model: nn.Module, batch: Packed, positions: Tensor, paths: Paths, *, prefix: KeyValues | None = None
) -> Tensor:
    """What the head turns into logits, at packed positions [N]: final hidden states [N, H] (or logits [N, V]).

    With gradients the pass goes through `model` itself, so that wrappers (data parallel, autocast) see it; without,
    only through the decoder, which keeps no layer's output.
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
    if torch.is_grad_enabled():
        output = model(**arguments, use_cache=False, output_hidden_states=True, logits_to_keep=1)
        return cast(Tensor, output.hidden_states[-1])
    return cast(Tensor, decoder(model)(**arguments, use_cache=False).last_hidden_state)


def prefix_key_values(model: nn.Module, ids: Sequence[int]) -> KeyValues:
    """Keys and values of a prefix, computed in one pass, without gradient."""
    capture = KeyValues()
    batch = pack([ids]).to(_device(model))
    with torch.no_grad(), packed(model):
        decoder(model)(
            input_ids=batch.ids,
            position_ids=batch.positions,
            layout=Layout(batch.lengths, capture=capture),
            use_cache=False,
        )
    return capture


def plain_logits(model: nn.Module, ids: Sequence[int], last: int | None = None) -> Tensor:
    """The model's own answer for one sequence, no shortcut taken: logits [T, V], or of the `last` positions only."""
    few = {} if last is None else {"logits_to_keep": last}
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([ids], device=_device(model)), use_cache=False, **few).logits
    return at_least_float32(logits[0])


def find_paths(model: nn.Module, rows: Sequence[Sequence[int]], shared: int) -> Paths:
    """Try every shortcut on real rows; keep those that agree with the plain forward pass.

    Args:
        model: with its adapter on or off, in evaluation mode.
        rows: a few token sequences; a handful of short ones is enough, at least two if `shared` is not zero.
        shared: how many first tokens all rows have in common and may share as a prefix.
    """
    # Packing and the head are tried without the prefix: a plain pass over it is dear.
    own = [row[shared:] for row in rows]
    truth = _truth(model, own, 0)
    tolerance = TOLERANCE.get(next(model.parameters()).dtype, _HALF_TOLERANCE)
    paths, notes = Paths(packed=False, prefix=False, head=LogitsHead(truth.shape[-1])), []

    head = read_head(model)
    if head is None:
        notes.append("the output head is trained or adapted: divergences come from the model's own logits")
    elif difference := _distance(truth, _try(model, own, replace(paths, head=head), 0), tolerance):
        notes.append(f"the output head is not a plain linear layer ({difference}): using the model's own logits")
    else:
        paths = replace(paths, head=head)

    candidate = replace(paths, packed=True)
    refused = _stretched(model) or _refused(model, own, candidate, 0, truth, tolerance)
    if refused:
        return replace(paths, notes=(*notes, f"packed rows not used for this model ({refused})"))
    paths = replace(candidate, prefix=True)
    if shared:
        few = rows[:_BEHIND_PREFIX]
        refused = _refused(model, few, paths, shared, _truth(model, few, shared), tolerance)
        if refused:
            paths = replace(candidate, prefix=False)
            notes.append(f"a shared prefix not used for this model ({refused})")
    return replace(paths, notes=tuple(notes))


def _truth(model: nn.Module, rows: Sequence[Sequence[int]], shared: int) -> Tensor:
    """The model's own logits at the checked positions: [positions, V]."""
    return torch.cat([plain_logits(model, row, last=min(_CHECKED_POSITIONS, len(row) - shared)) for row in rows])


def _stretched(model: nn.Module) -> str | None:
    """Whether positions are scaled by the length of the whole sequence, which packing and a prefix would change."""
    config = base_of(model).config.get_text_config()
    scaling = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}
    kinds = {scaling.get("rope_type", scaling.get("type"))} if isinstance(scaling, dict) else set()
    kinds |= {part.get("rope_type") for part in scaling.values() if isinstance(part, dict)}
    found = kinds & _LENGTH_DEPENDENT
    return f"its {found.pop()} position scaling depends on the length of the whole row" if found else None


def _refused(
    model: nn.Module,
    rows: Sequence[Sequence[int]],
    candidate: Paths,
    shared: int,
    truth: Tensor,
    tolerance: float,
) -> str | None:
    """Why these paths cannot be taken, in words; None when they agree with the truth."""
    try:
        return _distance(truth, _try(model, rows, candidate, shared), tolerance)
    except Unpackable as refusal:
        return str(refusal)


def _try(model: nn.Module, rows: Sequence[Sequence[int]], paths: Paths, shared: int) -> Tensor:
    """Logits of the checked positions by these paths, the first `shared` tokens as a prefix: [positions, V]."""
    with torch.no_grad():
        prefix = prefix_key_values(model, rows[0][:shared]) if shared else None
        batch = pack([row[shared:] for row in rows], first_position=shared)
        ends = torch.tensor(batch.lengths).cumsum(0).tolist()
        counts = [min(_CHECKED_POSITIONS, len(row) - shared) for row in rows]
        positions = torch.cat([torch.arange(end - count, end) for end, count in zip(ends, counts, strict=True)])
        return paths.head.logits(target_states(model, batch, positions, paths, prefix=prefix))


def _distance(truth: Tensor, found: Tensor, tolerance: float) -> str | None:
    """None when the two distributions agree, else what is wrong, in words."""
    log_p, log_q = truth.log_softmax(-1), found.to(truth).log_softmax(-1)
    nats = float((log_p.exp() * (log_p - log_q)).sum(-1).abs().mean())
    return None if nats <= tolerance else f"it would differ by {nats:.1e} nats a token"


def _device(model: nn.Module) -> torch.device:
    return next(model.parameters()).device
