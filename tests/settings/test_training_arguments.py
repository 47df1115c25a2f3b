"""The fields read from transformers' source text are those of the dataclass: every name, type, choice and default."""

import dataclasses
from enum import Enum
from importlib.metadata import version
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest
from transformers import TrainingArguments

from bakery.settings.fields import COMPUTED
from bakery.settings.reading import read_command_line
from bakery.settings.training_arguments import training_fields

CHECKED_WITH = "5.23.0"
"""The version of transformers for which `settings/training_arguments.py` was last compared."""
COMPUTED_AT_IMPORT = {"optim"}
WIDER = {"resume_from_checkpoint": {"bool"}}
CHOICES_OF_OURS = ("log_level", "log_level_replica")
KINDS = {bool: "bool", int: "int", float: "float", str: "str", list: "list", dict: "mapping", NoneType: "null",
         Any: "any"}  # fmt: skip

FIELDS = {item.name: item for item in training_fields()}
REAL = {item.name: item for item in dataclasses.fields(TrainingArguments) if item.init}
TYPES = get_type_hints(TrainingArguments)


def members(annotation):
    if get_origin(annotation) in (Union, UnionType):
        return [part for member in get_args(annotation) for part in members(member)]
    return [annotation]


def kinds(annotation):
    read = set()
    for member in members(annotation):
        origin = get_origin(member) or member
        if origin is Literal:
            read |= {KINDS[type(word)] for word in get_args(member)}
        else:
            read.add("str" if isinstance(origin, type) and issubclass(origin, Enum) else KINDS.get(origin))
    return read - {None}


def items(annotation):
    lists = [member for member in members(annotation) if get_origin(member) is list]
    return {kind for member in lists for inner in get_args(member) for kind in kinds(inner)}


def choices(annotation):
    words = []
    for member in members(annotation):
        if get_origin(member) is Literal:
            words += [word for word in get_args(member) if isinstance(word, str)]
        elif isinstance(member, type) and issubclass(member, Enum):
            words += [one.value for one in member]
    return tuple(words)


def said(problem):
    return f"checked with transformers {CHECKED_WITH}, this is {version('transformers')}: {problem}"


def test_the_names_are_those_of_the_dataclass():
    assert set(FIELDS) == set(REAL), said("other names")


@pytest.mark.parametrize("name", sorted(REAL))
def test_a_field_is_the_one_of_the_dataclass(name):
    ours, annotation = FIELDS[name], TYPES[name]
    assert ours.kinds == kinds(annotation) | WIDER.get(name, set()), said("another type")
    assert ours.items == items(annotation), said("another type of list")
    if name not in CHOICES_OF_OURS:
        assert ours.choices == choices(annotation), said("other choices")
    assert ours.help, said("no help text")
    default = REAL[name].default
    plain = isinstance(default, bool | int | float | str | NoneType) and not isinstance(default, Enum)
    if ours.default is not COMPUTED:
        assert ours.default == default, said("another default")
    else:
        assert not plain or name in COMPUTED_AT_IMPORT, said("a default that can't be read")


def test_every_field_of_training_arguments_can_be_given():
    awkward = {
        "deepspeed", "fsdp", "fsdp_config", "parallelism_config", "accelerator_config", "local_rank",
        "use_liger_kernel", "torch_compile", "torch_compile_backend", "torch_compile_mode", "tf32",
        "gradient_checkpointing_kwargs", "gradient_checkpointing",
    }  # fmt: skip
    words = []
    for item in training_fields():
        if item.name in awkward or not isinstance(item.default, str | int | float):
            continue
        words += [f"--{item.name}", str(item.default).lower() if isinstance(item.default, bool) else str(item.default)]
    settings = read_command_line(words)
    assert len(settings.entries) > 60
    defaults = {item.name: item.default for item in training_fields()}
    for name, entry in settings.entries.items():
        assert entry.value == defaults[name], name
