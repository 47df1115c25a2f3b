"""The bytes of a bake follow the model's shape and the sizes of its batches."""

from dataclasses import replace

from bakery.forecast.memory import Batches, Shape, memory_of

SHAPE = Shape(
    weight_bytes=1000, adapter_weights=10, adapter_bytes=40, hidden=8, inner=16, layers=4, vocabulary=100,
    key_value_bytes=64, number_bytes=4, saved_bytes=500.0, signal_bytes=44,
)  # fmt: skip
BATCHES = Batches(prefix=10, sampled_rows=4, sampled_tokens=80, sampled_longest=16, trained_tokens=200, targets=30)


def test_weights_and_adapter_are_counted_as_they_lie_in_memory():
    memory = memory_of(SHAPE, BATCHES)
    assert memory.weights == 1000
    assert memory.adapter == 40 + 10 * (4 + 8)  # float32: its gradient, and two moments of Adam


def test_everything_grows_with_its_batch():
    memory = memory_of(SHAPE, BATCHES)
    assert memory_of(SHAPE, replace(BATCHES, trained_tokens=400)).activations > memory.activations
    assert memory_of(SHAPE, replace(BATCHES, sampled_tokens=160)).keys_values > memory.keys_values
    assert memory_of(replace(SHAPE, vocabulary=1000), BATCHES).logits > memory.logits
    assert memory_of(SHAPE, replace(BATCHES, targets=60)).signal == 2 * memory.signal == 2 * 30 * 44


def test_checkpointed_layers_keep_less_and_an_unstored_teacher_nothing():
    memory = memory_of(SHAPE, BATCHES)
    assert memory_of(SHAPE, replace(BATCHES, checkpointed=True)).activations < memory.activations
    assert memory_of(SHAPE, replace(BATCHES, stored=False)).signal == 0


def test_only_half_precision_on_a_cpu_has_libraries_that_keep_much():
    half = replace(SHAPE, number_bytes=2)
    assert memory_of(half, BATCHES).libraries > 0
    assert memory_of(SHAPE, BATCHES).libraries == memory_of(replace(half, on_cpu=False), BATCHES).libraries == 0
