"""One forward pass over target rows: the fast path, packed behind a shared prefix, and the padded one it must equal."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from bakery.engine.attention.packed import KeyValues, Layout, packed
from bakery.engine.attention.packing import Packed, pack, pad_right
from bakery.engine.model.lm_head import IdentityHead, LMHead, at_least_float32
from bakery.engine.model.structure import base_of, decoder, device_of, unwrap
from bakery.engine.tensor_types import Float, Int
from bakery.progress import NO_PROGRESS, ProgressCallback


@dataclass(frozen=True)
class Shortcuts:
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
    model: nn.Module,
    batch: Packed,
    positions: Int[Tensor, "N"],
    shortcuts: Shortcuts,
    *,
    prefix: KeyValues | None = None,
) -> Float[Tensor, "N H"]:
    """What the head turns into logits, at packed positions [N]: final hidden states [N, H] (or logits [N, V]).

    Inside a data-parallel wrapper a pass with gradients goes through the wrapper; else only through the decoder, which
    keeps no layer's output and has no head to compute.
    """
    batch, positions = batch.to(device_of(model)), positions.to(device_of(model))
    if not shortcuts.packed:
        rows = [row.tolist() for row in torch.split(batch.ids[0], list(batch.lengths))]
        ids, mask = (t.to(positions.device) for t in pad_right(rows, fill=0))
        # No mask is needed: what comes after a row is hidden from it by causality alone.
        states = _states(model, {"input_ids": ids}, shortcuts)
        return states[mask.bool()].index_select(0, positions)
    layout = Layout(batch.lengths, prefix=prefix)
    with packed(model):
        arguments = {"input_ids": batch.ids, "position_ids": batch.positions, "layout": layout}
        return _states(model, arguments, shortcuts)[0].index_select(0, positions)


def _states(model: Any, arguments: dict[str, Any], shortcuts: Shortcuts) -> Tensor:
    """What the head turns into logits, at every position: [B, L, H] (or logits [B, L, V])."""
    if shortcuts.states_are_logits:
        return cast(Tensor, model(**arguments, use_cache=False).logits)
    if torch.is_grad_enabled() and unwrap(model) is not model:
        output = model(**arguments, use_cache=False, output_hidden_states=True, logits_to_keep=1)
        return cast(Tensor, output.hidden_states[-1])
    return cast(Tensor, decoder(model)(**arguments, use_cache=False).last_hidden_state)


def prefix_key_values(model: nn.Module, ids: Sequence[int], on_progress: ProgressCallback = NO_PROGRESS) -> KeyValues:
    """Keys and values of a prefix, computed in one pass, without gradient; `on_progress` is told layer by layer."""
    layers = base_of(model).config.get_text_config().num_hidden_layers
    done = 0

    def report(tokens: int) -> None:
        nonlocal done
        on_progress(tokens - done, tokens - done)
        done = tokens

    capture = KeyValues(on_layer=lambda: report(len(ids) * len(capture.layers) // layers))
    batch = pack([ids]).to(device := device_of(model))
    with torch.no_grad(), packed(model):
        decoder(model)(
            input_ids=batch.ids,
            position_ids=batch.positions,
            layout=Layout(batch.lengths, capture=capture),
            use_cache=False,
        )
    if device.type != "cpu":
        torch.accelerator.synchronize(device)  # the clock is to stop when the work is done
    report(len(ids))
    return capture


def plain_logits(model: nn.Module, ids: Sequence[int], last: int | None = None) -> Float[Tensor, "T V"]:
    """The model's own logits for one sequence, no shortcut taken, or those of the `last` positions only."""
    few = {} if last is None else {"logits_to_keep": last}
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([ids], device=device_of(model)), use_cache=False, **few).logits
    return at_least_float32(logits[0])
