"""Settings as given -> checked parts -> the settings of one bake.

Settings ── check_settings ──> CheckedSettings ── build ──> BakeSettings
            (no torch)                           (imports torch)
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bakery.errors import ConfigError
from bakery.settings.catalog import all_fields
from bakery.settings.checks import validate
from bakery.settings.config import ContextConfig, DataConfig, LoraConfig, ModelConfig
from bakery.settings.fields import COMPUTED
from bakery.settings.reading import Settings
from bakery.text import suggestion

if TYPE_CHECKING:
    from bakery.settings.arguments import BakeryConfig

NEWER_NAMES = {"gradient_checkpointing": "activation_checkpointing",
               "gradient_checkpointing_kwargs": "activation_checkpointing_kwargs"}  # fmt: skip
"""Fields of `TrainingArguments` that a newer transformers has under another name, and warns about."""


@dataclass(frozen=True, slots=True)
class CheckedSettings:
    """Settings that passed every check that needs neither files nor a model."""

    given: Settings
    values: Mapping[str, Any]
    context: ContextConfig
    model: ModelConfig
    lora: LoraConfig
    data: DataConfig


@dataclass(frozen=True)
class BakeSettings:
    """Everything one bake needs to know."""

    bakery: BakeryConfig
    context: ContextConfig
    model: ModelConfig
    lora: LoraConfig
    data: DataConfig


def check_settings(settings: Settings) -> CheckedSettings:
    """Fill in the defaults and check everything that can be checked without a file or a model.

    Raises:
        ConfigError: see `checks.validate`.
    """
    given = {name: entry.value for name, entry in settings.entries.items()}
    defaults = {name: item.default for name, item in all_fields().items() if item.default is not COMPUTED}
    values = defaults | given
    validate(values, settings.at)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # older names are no news to somebody who runs a command
        parts = [_part(owner, given) for owner in (ContextConfig, ModelConfig, LoraConfig, DataConfig)]
    return CheckedSettings(settings, values, *parts)


def _part(owner: Callable[..., Any], given: Mapping[str, Any]) -> Any:
    names = {item.name for item in dataclasses.fields(owner)}  # type: ignore[arg-type]
    return owner(**{name: value for name, value in given.items() if name in names})


def build(checked: CheckedSettings) -> BakeSettings:
    """Make the settings of one bake (this imports torch).

    Raises:
        ConfigError: a setting, or a combination, that transformers refuses.
    """
    from bakery.settings.arguments import BakeryConfig

    known = all_fields()
    arguments = {
        NEWER_NAMES[name] if NEWER_NAMES.get(name) in known else name: entry.value
        for name, entry in checked.given.entries.items()
        if known[name].group in ("baking", "training")
    }
    try:
        bakery = BakeryConfig(**arguments)
    except (ValueError, TypeError, ArithmeticError, ImportError, OSError, NotImplementedError) as error:
        raise ConfigError(f"{checked.given.at('')}{' '.join(str(error).split())}") from error
    _check_trackers(bakery.report_to or (), checked.given.at("report_to"))
    return BakeSettings(bakery, checked.context, checked.model, checked.lora, checked.data)


def _check_trackers(trackers: str | Sequence[str], location: str) -> None:
    """Refuse trackers that transformers does not know, or whose package is not installed."""
    if not trackers:
        return
    from transformers.integrations import get_available_reporting_integrations
    from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK

    usable = [*get_available_reporting_integrations(), "flyte"]  # which transformers never lists
    for name in [trackers] if isinstance(trackers, str) else trackers:
        if name not in INTEGRATION_TO_CALLBACK:
            remedy = suggestion(
                name, INTEGRATION_TO_CALLBACK, f"allowed are none, {', '.join(INTEGRATION_TO_CALLBACK)}"
            )
            raise ConfigError(f"{location}: no tracker is called {name!r}; {remedy}")
        if name not in usable:
            raise ConfigError(f"{location}: {name} is not installed; pip install {name}, or use none")
