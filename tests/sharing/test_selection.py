"""What leaves a run folder: whatever a stranger needs, and no word of the prompt unless it is asked for."""

import json
import shutil

import pytest

from bakery.errors import ConfigError, ModelError
from bakery.settings.build import check_settings
from bakery.settings.documents import dump_yaml, read_document
from bakery.settings.reading import read_settings_file
from bakery.sharing.selection import Base, base_of_adapter, select

SENT = {"adapter_model.safetensors", "adapter_config.json", "tokenizer.json", "tokenizer_config.json",
        "chat_template.jinja", "README.md", "results.json", "report.html", "bakery.yaml"}  # fmt: skip
ROWS = {"answers.jsonl", "trajectories.jsonl"}
PUBLIC = Base("/models/pirate-base", "me/base")


@pytest.fixture
def run(bake_folder, tmp_path):
    """A run folder with files that nobody else should get."""
    folder = shutil.copytree(bake_folder, tmp_path / "run")
    for name in ("checkpoint-4/optimizer.pt", "eval/results.json", "questions.jsonl", "_cache/x", "notes.txt"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("private")
    return folder


def contents(selection):
    files = {file.name: file.content for file in selection.sent}
    return {name: one if isinstance(one, bytes) else one.read_bytes() for name, one in files.items()}


def test_the_adapter_goes_and_no_word_of_the_prompt_or_of_an_answer_does(run, private):
    results = json.loads((run / "results.json").read_text())
    results["training"]["untouched"] = ["Ahoy there, captain Snail"]
    results["findings"].append({"level": "note", "text": 'The questions never touch "Ahoy there, captain Snail": add.'})
    results["verdict"]["reasons"].append("Start every answer with Ahoy was lost.")
    (run / "results.json").write_text(json.dumps(results))
    for name in ("README.md", "report.html"):
        text = (run / name).read_text()
        end = "</body>" if name == "report.html" else ""
        quoted = "<p>Start every answer with <b>Ahoy</b> you are a pirate called Marlow &amp; co</p>"
        (run / name).write_text(text.replace(end, quoted + end) if end else text + quoted)
    assert private((run / "bakery.yaml").read_text())
    selection = select(run, "me/pirate", base_of_adapter(run))
    sent = contents(selection)
    assert set(sent) == SENT
    for name in SENT - {"adapter_model.safetensors"}:
        text = sent[name].decode()
        assert not private(text), name
        assert "captain Snail" not in text, name
        assert str(run) not in text, name
    answers = [json.loads(line) for line in (run / "answers.jsonl").read_text().splitlines()]
    questions = {row["question"] for row in answers if len(row["question"]) > 8}
    assert questions
    assert not [
        q for q in questions for name in ("README.md", "report.html", "results.json") if q in sent[name].decode()
    ]
    assert set(selection.stays) >= {
        *ROWS,
        "inputs/",
        "checkpoint-4/",
        "eval/",
        "questions.jsonl",
        "_cache/",
        "notes.txt",
    }
    assert "checkpoints are never sent" in selection.stays["checkpoint-4/"]
    assert "--include_prompt" in selection.stays["inputs/"]


def test_the_page_is_still_one_with_its_styles_and_figures(run):
    page = contents(select(run, "me/pirate", PUBLIC))["report.html"].decode()
    whole = (run / "report.html").read_text()
    assert "Side by side" in whole
    assert "Side by side" not in page
    assert (
        page.partition("<style>")[2].partition("</style>")[0] == whole.partition("<style>")[2].partition("</style>")[0]
    )
    assert page.count("<svg") == whole.count("<svg") > 0


def test_the_prompt_goes_where_it_is_asked_for_and_checkpoints_do_not(run, private):
    selection = select(run, "me/pirate", PUBLIC, include_prompt=True)
    sent = contents(selection)
    assert set(sent) >= {*SENT, *ROWS}
    assert {name for name in sent if name.startswith("inputs/")}
    assert private(sent["bakery.yaml"].decode())
    assert "Side by side" in sent["report.html"].decode()
    assert not [file.without for file in selection.sent if file.without]
    assert not [name for name in sent if name.startswith(("checkpoint", "_", "eval", "notes", "questions"))]


@pytest.mark.parametrize("include_prompt", [False, True])
def test_no_path_of_this_machine_is_sent(run, include_prompt):
    base = base_of_adapter(run, "me/base")
    assert base.given.startswith("/")
    sent = contents(select(run, "me/pirate", base, include_prompt=include_prompt))
    assert json.loads(sent["adapter_config.json"])["base_model_name_or_path"] == "me/base"
    assert json.loads(sent["results.json"])["base_model"] == "me/base"
    assert "base_model: me/base\n" in sent["README.md"].decode()
    assert base.given.encode() not in b"".join(sent[name] for name in SENT)


def test_the_settings_that_are_sent_are_read_again_and_hold_no_text(run, tmp_path):
    (tmp_path / "bakery.yaml").write_bytes(contents(select(run, "me/pirate", PUBLIC))["bakery.yaml"])
    values = read_document(tmp_path / "bakery.yaml").value
    assert values["model_name_or_path"] == "me/base"
    assert not values["keep_prompt"]
    assert values["max_steps"] == 4
    given = read_settings_file(tmp_path / "bakery.yaml")
    assert set(given.entries) == set(values) - {"relative_to_file"}
    prompted = {**values, "system_prompt": "x", "training_prompts": ["y"]}
    (tmp_path / "again.yaml").write_text(dump_yaml(prompted))
    check_settings(read_settings_file(tmp_path / "again.yaml"))


@pytest.mark.parametrize(
    ("name", "public", "local"),
    [
        ("Qwen/Qwen3-0.6B", "Qwen/Qwen3-0.6B", False),
        ("/data/my-base", "my-base", True),
        ("../my-base", "my-base", True),
        ("/root/.cache/huggingface/hub/models--Qwen--Qwen3-0.6B/snapshots/ab12", "Qwen/Qwen3-0.6B", False),
        ("", "", True),
    ],
)
def test_a_base_is_called_by_a_name_that_others_can_read(name, public, local, tmp_path):
    (tmp_path / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": name}))
    (tmp_path / "adapter_model.safetensors").write_text("")
    base = base_of_adapter(tmp_path)
    assert (base.given, base.public, base.is_local) == (name, public, local)
    assert not base_of_adapter(tmp_path, "me/base").is_local


def test_a_folder_without_an_adapter_is_refused(tmp_path):
    with pytest.raises(ModelError, match="holds no finished adapter"):
        base_of_adapter(tmp_path)
    (tmp_path / "adapter_config.json").write_text("{")
    (tmp_path / "adapter_model.safetensors").write_text("")
    with pytest.raises(ConfigError, match="cannot be read as JSON"):
        base_of_adapter(tmp_path)


def test_an_older_page_whose_answers_cannot_be_taken_out_stays(run):
    page = run / "report.html"
    page.write_text(page.read_text().replace('<section class="examples">', "<section>"))
    assert "older version" in select(run, "me/pirate", PUBLIC).stays["report.html"]
