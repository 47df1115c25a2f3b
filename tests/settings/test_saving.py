"""What is saved starts the same run again, and holds no secrets."""

from bakery.settings.build import build
from bakery.settings.catalog import all_fields
from bakery.settings.documents import dump_yaml, parse_yaml
from bakery.settings.saving import to_yaml
from tests.settings.support import GOOD, checked


def test_what_is_saved_starts_the_same_run_again(tmp_path):
    text = dump_yaml(
        {
            **GOOD,
            "prefix_messages": [
                {"role": "system", "content": "no\n1e-4: ${x}\n  äöü 🦜\n"},
                {"role": "user", "content": "yes"},
            ],
            "student_retained_turns": 1,
            "learning_rate": 1e-5,
            "target_modules": ["q_proj"],
            "hub_token": "SECRET",
            "push_to_hub": True,
            "hub_model_id": "me/mine",
            "save_strategy": "steps",
            "save_steps": 0.25,
            "gradient_checkpointing": True,
            "chat_template_kwargs": {"enable_thinking": False},
            "num_train_epochs": 7,
            "seed": 3,
        }
    )
    first = build(checked(tmp_path, text))
    saved = to_yaml(first)
    again = build(checked(tmp_path, saved, "bakery.yaml"))
    assert to_yaml(again) == saved
    assert (again.context, again.model, again.lora, again.data) == (first.context, first.model, first.lora, first.data)
    assert again.bakery.to_dict() | {"hub_token": ""} == first.bakery.to_dict() | {"hub_token": ""}
    assert (first.bakery.hub_token, again.bakery.hub_token) == ("SECRET", None)
    assert "SECRET" not in saved
    assert "SECRET" not in repr(first)
    assert "SECRET" not in str(first.bakery)


def test_the_saved_file_holds_all_of_ours_and_only_what_differs_of_theirs(tmp_path):
    saved = parse_yaml(to_yaml(build(checked(tmp_path, dump_yaml({**GOOD, "weight_decay": 0.1})))), "saved")
    ours = {item.name for item in all_fields().values() if item.group not in ("training", "baking")}
    assert ours <= set(saved.value)
    assert {"num_trajectories", "temperature", "beta", "token_budget", "learning_rate"} <= set(saved.value)
    theirs = {item.name for item in all_fields().values() if item.group == "training"}
    assert theirs & set(saved.value) == {"weight_decay"}
