"""What `src/` uses of other libraries beside their public names: listed here, each in one module, checked to be there.

Where a test here fails after an upgrade, that version of the library broke the reach.
"""

import ast
from importlib.metadata import version
from pathlib import Path

import torch
from torch import nn
from transformers import Qwen3Config
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from bakery.engine.attention.packed import NAME, packed, packed_attention
from tests.engine_support import tiny_base

PACKAGE = Path(__file__).parent.parent / "src" / "bakery"
REACHES = {
    "_attn_implementation": "engine/attention/packed.py",  # transformers: the attention that a model uses
    "_scaled_dot_product_flash_attention_for_cpu": "engine/attention/softmax.py",  # torch: with its log-sum-exp
    "_softmax_backward_data": "engine/attention/softmax.py",  # torch: the fused derivative of softmax
    "_forward_hooks": "engine/model/fused_lora.py",  # torch: whether somebody listens to a layer
    "_forward_pre_hooks": "engine/model/fused_lora.py",
}
TESTED = {"torch": "2.13.0", "transformers": "5.23.0", "peft": "0.21.2"}
PUBLIC = {"_exit", "_replace"}  # of os and of named tuples, by Python's own documentation


def private_names(tree: ast.Module) -> set[str]:
    """Attributes that begin with one underscore and that the module itself does not define."""
    assigned = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and _is_own(node)}
    defined = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    fields = {node.target.id for node in ast.walk(tree) if isinstance(node, ast.AnnAssign) and _is_name(node.target)}
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    private = {name for name in used if name.startswith("_") and not name.startswith("__")}
    return private - assigned - defined - fields - PUBLIC


def _is_own(node: ast.Attribute) -> bool:
    return isinstance(node.ctx, ast.Store) and isinstance(node.value, ast.Name) and node.value.id == "self"


def _is_name(node: ast.expr) -> bool:
    return isinstance(node, ast.Name)


def test_every_private_reach_is_listed_and_made_in_one_module():
    made = {
        (name, str(path.relative_to(PACKAGE)))
        for path in PACKAGE.rglob("*.py")
        for name in private_names(ast.parse(path.read_text(encoding="utf-8")))
    }
    assert made == set(REACHES.items())
    assert private_names(ast.parse("x._loud\nself._own = self._own.y._foreign")) == {"_loud", "_foreign"}


def test_the_reaches_are_there_in_the_installed_versions():
    installed = {name: version(name).partition("+")[0] for name in TESTED}
    broken = f"broken by one of {installed}; tested were {TESTED}"
    assert hasattr(torch.ops.aten, "_scaled_dot_product_flash_attention_for_cpu"), broken
    assert hasattr(torch.ops.aten, "_softmax_backward_data"), broken
    layer = nn.Linear(1, 1)
    layer.register_forward_hook(lambda *_: None)
    layer.register_forward_pre_hook(lambda *_: None)
    assert (len(layer._forward_hooks), len(layer._forward_pre_hooks)) == (1, 1), broken
    assert ALL_ATTENTION_FUNCTIONS[NAME] is packed_attention, broken
    config = Qwen3Config(attn_implementation="eager")
    assert config._attn_implementation == "eager", broken
    model = tiny_base()
    before = model.config._attn_implementation
    with packed(model):
        assert model.config._attn_implementation == NAME, broken
    assert model.config._attn_implementation == before, broken
