"""Bake a context into LoRA weights: afterwards the model behaves as if prompted, at no prompt cost.

The public names are imported when they are first used, so that `import bakery` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from bakery.errors import BakeryError

if TYPE_CHECKING:
    from bakery.baking import bake
    from bakery.chat.views import build_views
    from bakery.engine.distill.objective import compute_kl_divergence
    from bakery.engine.session import open_session
    from bakery.library import ContextBakingTrainer, PromptBakingTrainer
    from bakery.rows.datasets import create_conversational_dataset, create_dataset, load_dataset
    from bakery.settings.arguments import BakeryConfig
    from bakery.settings.build import BakeSettings
    from bakery.settings.config import ContextConfig, DataConfig, LoraConfig, ModelConfig
    from bakery.training.trainer import prompt_baking_collator

__version__ = "0.1.0"

_MODULES = {
    "BakeSettings": "settings.build",
    "BakeryConfig": "settings.arguments",
    "ContextBakingTrainer": "library",
    "ContextConfig": "settings.config",
    "DataConfig": "settings.config",
    "LoraConfig": "settings.config",
    "ModelConfig": "settings.config",
    "PromptBakingTrainer": "library",
    "bake": "baking",
    "build_views": "chat.views",
    "compute_kl_divergence": "engine.distill.objective",
    "create_conversational_dataset": "rows.datasets",
    "create_dataset": "rows.datasets",
    "load_dataset": "rows.datasets",
    "open_session": "engine.session",
    "prompt_baking_collator": "training.trainer",
}

__all__ = [
    "BakeSettings",
    "BakeryConfig",
    "BakeryError",
    "ContextBakingTrainer",
    "ContextConfig",
    "DataConfig",
    "LoraConfig",
    "ModelConfig",
    "PromptBakingTrainer",
    "bake",
    "build_views",
    "compute_kl_divergence",
    "create_conversational_dataset",
    "create_dataset",
    "load_dataset",
    "open_session",
    "prompt_baking_collator",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
