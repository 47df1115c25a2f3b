"""Secrets of the environment, of settings and of addresses are in no file of a run folder and in no output."""

import os

from bakery.cli import main

ENVIRONMENT = {
    "HF_TOKEN": "hf_CANARYenvironment",
    "WANDB_API_KEY": "CANARYwandb",
    "OPENAI_API_KEY": "sk-CANARY",
    "AWS_SECRET_ACCESS_KEY": "CANARYaws",
    "MY_PASSWORD": "CANARYpassword",
}
SETTING = "hf_CANARYsetting"


def leaks(folder, *texts):
    """The files and texts that hold a canary."""
    files = [path for path in folder.rglob("*") if path.is_file() and b"CANARY" in path.read_bytes()]
    return [*files, *(text for text in texts if "CANARY" in text)]


def test_a_bake_leaves_no_secret_behind(saved_base, tmp_path, monkeypatch, capfd):
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    words = [
        "--model_name_or_path",
        saved_base,
        "--system_prompt",
        "Speak like a pirate, and call everybody matey.",
        "--training_prompts",
        "What is AI?",
        "Who are you?",
        "--max_steps",
        "2",
        "--use_cpu",
        "--trajectory_length",
        "8",
        "--output_dir",
        str(tmp_path / "out"),
        "--hub_token",
        SETTING,
        "--allow_no_gap",
        "--verbose",
        "--proof",
        "quick",
        "--save_steps",
        "1",
        "--save_strategy",
        "steps",
    ]
    assert main(words) == 0
    said = capfd.readouterr()
    assert (tmp_path / "out" / "adapter_model.safetensors").is_file()
    assert leaks(tmp_path, said.out, said.err) == []
    assert main(["eval", "--adapter", str(tmp_path / "out"), "--verbose"]) == 0
    said = capfd.readouterr()
    assert leaks(tmp_path, said.out, said.err) == []


def test_a_refusal_shows_no_secret(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    address = "https://user:CANARYpassword@example.invalid/model"
    settings = ["--system_prompt", "x", "--use_cpu", "--output_dir", "out"]
    for words in (
        ["--model_name_or_path", address],
        ["--dataset", address],
        ["--corpus_file", address],
        ["--config", address],
        ["--hub_token", "[CANARY", "--seed", "x"],
        ["--hub_token", "CANARY", "CANARY"],
    ):
        assert main([*settings, *words]) in (2, 3, 4)
        said = capfd.readouterr()
        assert leaks(tmp_path, said.out, said.err) == [], words
    assert os.listdir(tmp_path) == []
