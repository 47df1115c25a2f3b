"""Every setting by name: ours first, with the types that transformers gives the fields which are declared again."""

from bakery.settings.catalog import all_fields
from bakery.settings.training_arguments import training_fields


def test_every_field_of_training_arguments_is_a_setting():
    assert {item.name for item in training_fields()} <= set(all_fields())


def test_a_field_that_is_declared_again_keeps_its_type_and_has_our_default():
    ours, theirs = all_fields()["lr_scheduler_type"], {f.name: f for f in training_fields()}["lr_scheduler_type"]
    assert (ours.choices, ours.kinds) == (theirs.choices, theirs.kinds)
    assert (ours.group, ours.default) == ("baking", "cosine")


def test_settings_are_listed_group_by_group():
    groups = [item.group for item in all_fields().values()]
    assert list(dict.fromkeys(groups)) == ["context", "data", "baking", "model", "LoRA", "training"]
    assert groups == sorted(groups, key=list(dict.fromkeys(groups)).index)
