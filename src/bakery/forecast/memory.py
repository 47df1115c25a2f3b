"""How many bytes a bake holds, from the shape of its model and the sizes of its batches. Torch-free."""

from dataclasses import dataclass

from bakery.forecast.figures import Memory

_STATE_BYTES = 12
"""Of every adapter weight beside itself: its gradient and Adam's two moments, in float32."""
_LOGIT_BYTES = 20
"""Of every token of the vocabulary while one is drawn: logits, weights and their cumulative sum in float64."""
_LAYER_TENSORS, _LOSS_TENSORS = 4, 8
"""Of a token while gradients are computed: those of one layer's inner width, and those of the loss's hidden width."""
_TILE_BYTES = 2**23
"""Logits that the loss forms at a time."""
_CPU_HALF_BYTES = 800_000_000
"""What oneDNN keeps on a CPU for half precision, compiled code for every shape of a matmul among it; measured."""
_GROWN = 1.75
"""Rows that have ended are dropped by copying what is left of them, once that is three quarters or less."""


@dataclass(frozen=True)
class Shape:
    """What the memory of a model depends on.

    Args:
        weight_bytes: of the base model, as it lies in memory.
        adapter_weights, adapter_bytes: how many there are, and their bytes.
        hidden, inner, layers, vocabulary: widths of the hidden states and of the largest layer, and so on.
        key_value_bytes: of the keys and values of one token.
        number_bytes: of one number of a hidden state.
        saved_bytes: what one token keeps for the backward pass.
        signal_bytes: what is stored of the teacher at one target.
        on_cpu: whether a CPU computes.
    """

    weight_bytes: int
    adapter_weights: int
    adapter_bytes: int
    hidden: int
    inner: int
    layers: int
    vocabulary: int
    key_value_bytes: int
    number_bytes: int
    saved_bytes: float
    signal_bytes: int
    on_cpu: bool = True


@dataclass(frozen=True)
class Batches:
    """The largest batches of a bake.

    Args:
        prefix: tokens of prompt that are shared.
        sampled_rows: rows sampled at a time.
        sampled_tokens: tokens that there is room for in all of them together.
        sampled_longest: new tokens of one of them at most.
        trained_tokens: tokens of one training pass.
        targets: all target tokens of the teacher.
        checkpointed: whether layers are computed again in the backward pass.
        stored: whether the teacher's signal is stored.
    """

    prefix: float
    sampled_rows: float
    sampled_tokens: float
    sampled_longest: int
    trained_tokens: float
    targets: float
    checkpointed: bool = False
    stored: bool = True


def memory_of(shape: Shape, batches: Batches, available: int | None = None, device: str = "machine") -> Memory:
    """The bytes of a bake, part by part."""
    saved = shape.saved_bytes
    if batches.checkpointed:
        saved = shape.hidden * shape.layers * shape.number_bytes + saved / max(1, shape.layers)
    working = _LAYER_TENSORS * shape.inner * shape.number_bytes + _LOSS_TENSORS * shape.hidden * 4
    drawn = batches.sampled_rows * (shape.vocabulary * _LOGIT_BYTES + batches.sampled_longest * shape.hidden * 4)
    return Memory(
        weights=shape.weight_bytes,
        adapter=shape.adapter_bytes + shape.adapter_weights * _STATE_BYTES,
        activations=round(batches.trained_tokens * (saved + working)) + _TILE_BYTES,
        keys_values=round((batches.prefix + _GROWN * batches.sampled_tokens) * shape.key_value_bytes),
        logits=round(drawn),
        signal=round(batches.targets * shape.signal_bytes) if batches.stored else 0,
        libraries=_CPU_HALF_BYTES if shape.on_cpu and shape.number_bytes == 2 else 0,
        available=available,
        device=device,
    )
