"""The command line: fast answers, thin verbs, one line per mistake, an exit code per kind of mistake."""

import json
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from bakery import __version__
from bakery.cli import FIRST_COMMAND, HELP, VERBS, main, read_command
from bakery.errors import BakeryError, ConfigError, DataError, ModelError, NumericError, ResourceError, VerdictError
from bakery.progress import Verbosity
from bakery.settings.build import BakeSettings, check_settings
from bakery.settings.catalog import all_fields
from bakery.settings.reading import read_command_line

CONFIG = """\
prefix_messages: [{role: system, content: Speak like a pirate.}]
training_prompts: [What is AI?]
model_name_or_path: starter
output_dir: out
use_cpu: true
"""


class Result(str):
    """Stands in for the result of a bake or an evaluation."""

    proof = None
    main = (1.0, None)


@pytest.fixture
def place(tmp_path, monkeypatch):
    (tmp_path / "config.yaml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    for name in ("TRANSFORMERS_VERBOSITY", "HF_HUB_DISABLE_PROGRESS_BARS", "HF_DATASETS_DISABLE_PROGRESS_BARS"):
        monkeypatch.setenv(name, "")
    return tmp_path


@pytest.fixture
def baked(monkeypatch):
    """Stand in for the bake itself: remembers what it was asked, and can raise."""
    calls = []

    def bake(settings, progress, data):
        calls.append((settings, progress, data))
        if bake.error is not None:
            raise bake.error
        return Result("result")

    bake.error, bake.calls = None, calls
    baking, report = ModuleType("bakery.baking"), ModuleType("bakery.report.terminal")
    baking.bake = bake
    report.print_proof = lambda result, console: print(result)
    monkeypatch.setitem(sys.modules, "bakery.baking", baking)
    monkeypatch.setitem(sys.modules, "bakery.report.terminal", report)
    return bake


@pytest.mark.parametrize(
    "words", [["--config", "config.yaml"], ["bake", "--config=config.yaml"], ["-c", "config.yaml"]]
)
def test_bake_is_the_verb_that_needs_not_be_said(words, place, baked, capsys):
    assert main([*words, "--r", "4"]) == 0
    ((settings, progress, data),) = baked.calls
    assert isinstance(settings, BakeSettings)
    assert (settings.lora.r, settings.bakery.output_dir) == (4, "out")
    assert progress.verbosity == Verbosity.NORMAL
    assert [row.messages for row in data.train] == [({"role": "user", "content": "What is AI?"},)]
    assert capsys.readouterr().out == "result\n"
    assert not (place / "out").exists()


def test_a_bake_needs_no_file(place, baked):
    words = ["--training_prompts", "a", "--prefix_messages", "[{role: user, content: b}]", "--output-dir=x"]
    assert main([*words, "--use_cpu"]) == 0
    assert baked.calls[0][0].bakery.output_dir == "x"


@pytest.mark.parametrize(
    ("flag", "level"), [("-q", Verbosity.QUIET), ("--quiet", Verbosity.QUIET), ("--verbose", Verbosity.VERBOSE)]
)
def test_how_much_is_said(flag, level, place, baked, capsys):
    assert main(["--config", "config.yaml", flag]) == 0
    assert baked.calls[0][1].verbosity == level
    assert capsys.readouterr().out == "result\n"


def test_quiet_and_verbose_contradict_each_other(place, baked, capsys):
    assert main(["--config", "config.yaml", "-q"]) == 0
    assert main(["--config", "config.yaml", "-q", "--verbose"]) == 2
    assert "contradict" in capsys.readouterr().err


@pytest.mark.parametrize("error", [ConfigError, DataError, ModelError, ResourceError, NumericError])
def test_every_kind_of_mistake_has_its_exit_code_and_one_line(error, place, baked, capsys):
    baked.error = error("first\n   second")
    assert main(["--config", "config.yaml"]) == error.exit_code
    captured = capsys.readouterr()
    assert captured.err == "bakery: error: first second\n"
    assert captured.out == ""


def test_the_codes_are_those_that_are_promised():
    kinds = (BakeryError, ConfigError, DataError, ModelError, ResourceError, NumericError, VerdictError)
    assert [kind.exit_code for kind in kinds] == [1, 2, 3, 4, 5, 6, 7]


def test_interruption_is_130_without_a_traceback(place, baked, capsys):
    baked.error = KeyboardInterrupt()
    assert main(["--config", "config.yaml"]) == 130
    assert capsys.readouterr().err == "bakery: interrupted\n"


def test_a_bug_of_ours_keeps_its_traceback(place, baked):
    baked.error = RuntimeError("bug")
    with pytest.raises(RuntimeError, match="bug"):
        main(["--config", "config.yaml"])


def test_verbose_shows_where_a_refusal_comes_from(place, baked, capsys):
    baked.error = DataError("row 1")
    assert main(["--config", "config.yaml", "--verbose"]) == 3
    error = capsys.readouterr().err
    assert error.startswith("Traceback")
    assert error.endswith("\nbakery: error: row 1\n")


@pytest.mark.parametrize("line", ["system_prompt: Be kind.", "system_prompt_file: prompt.txt"])
def test_the_older_name_works_without_a_warning(line, place, baked, capsys):
    (place / "prompt.txt").write_text("Be kind.")
    (place / "old.yaml").write_text(CONFIG.partition("\n")[2] + line)
    assert main(["--config", "old.yaml"]) == 0
    assert capsys.readouterr().err == ""
    assert baked.calls[0][2].prefix == ({"role": "system", "content": "Be kind."},)


def test_the_help_is_short_grouped_and_true(capsys):
    assert main(["--help"]) == main(["-h"]) == main(["bake", "--help"]) == 0
    assert capsys.readouterr().out == HELP * 3
    lines = HELP.splitlines()
    assert len(lines) <= 45
    assert max(map(len, lines)) <= 100
    assert HELP.partition("examples\n")[2].count("bakery ") == 3
    for verb in VERBS:
        assert f"\n  {verb} " in HELP
    known = {
        *all_fields(),
        "config",
        "quiet",
        "verbose",
        "help",
        "version",
        "rows",
        "html",
        "gap",
        "plan",
        "adapter",
        "strength",
        "any_setting",
    }
    for word in HELP.replace("=", " ").split():
        if word.strip("[]").startswith("--"):
            assert word.strip("[]-,") in known, word


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"bakery {__version__}\n"


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["schema"], ["--config", "nowhere.yaml"]])
def test_quick_answers_load_no_torch(words):
    code = (
        "import sys; from bakery.cli import main; main(sys.argv[1:])\n"
        "sys.exit(len({'torch', 'transformers', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, timeout=30, check=False)
    assert done.returncode == 0


def test_as_a_module():
    done = subprocess.run([sys.executable, "-m", "bakery", "--version"], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout) == (0, f"bakery {__version__}\n")
    done = subprocess.run([sys.executable, "-m", "bakery"], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout) == (2, "")
    assert (
        done.stderr == f"bakery: error: no settings given; write {FIRST_COMMAND}, or --config FILE; see bakery --help\n"
    )


def test_a_closed_pipe_is_no_error():
    done = subprocess.run(
        f"{sys.executable} -m bakery schema | head -c 10", shell=True, capture_output=True, text=True, timeout=30
    )
    assert done.stderr == ""


def test_schema_prints_json(capsys):
    assert main(["schema"]) == 0
    assert set(all_fields()) < set(json.loads(capsys.readouterr().out)["properties"])


def test_words_that_are_not_ours_are_left_for_the_settings():
    command = read_command(["inspect", "--rows", "3", "--config=a.yaml", "--html", "x.html", "--r", "4", "--seed=1"])
    assert (command.verb, command.rows, command.config, command.html) == ("inspect", "3", "a.yaml", "x.html")
    assert command.overrides == ("--r", "4", "--seed=1")


def test_inspect_shows_rows_without_writing_or_loading_weights(place, monkeypatch, capsys):
    asked = {}
    inspection, models = ModuleType("bakery.chat.inspection"), ModuleType("bakery.engine.model.loading")
    inspection.run_inspect = lambda tokenizer, data, context, **options: asked.update(
        tokenizer=tokenizer, data=data, context=context, **options
    )
    models.load_tokenizer = lambda model: model.model_name_or_path
    monkeypatch.setitem(sys.modules, "bakery.chat.inspection", inspection)
    monkeypatch.setitem(sys.modules, "bakery.engine.model.loading", models)
    assert main(["inspect", "--config", "config.yaml", "--rows", "2", "--html", "page.html"]) == 0
    assert (asked["tokenizer"], asked["rows"], asked["html_file"]) == ("starter", 2, "page.html")
    assert asked["sampled"] == (4, 128)
    assert asked["data"].prefix == ({"role": "system", "content": "Speak like a pirate."},)
    assert sorted(path.name for path in place.iterdir()) == ["config.yaml"]


@pytest.mark.parametrize(
    ("words", "strengths"),
    [
        ([], (1.0,)),
        (["--strength", "0.5", "1"], (0.5, 1.0)),
        (["--strength=0"], (0.0,)),
        (["--strength", "sweep"], (0, 1)),
    ],
)
@pytest.mark.parametrize("config", [["--config", "config.yaml"], []])
def test_eval_hands_on_adapter_and_strengths(words, strengths, config, place, monkeypatch, capsys):
    asked = {}
    evaluate, report = ModuleType("bakery.evaluate"), ModuleType("bakery.report.strengths")
    evaluate.SWEEP = (0, 1)
    evaluate.run_eval = lambda *given, **options: asked.update(given=given, **options) or Result("proof")
    report.print_eval = lambda result, console: print(result)
    monkeypatch.setitem(sys.modules, "bakery.evaluate", evaluate)
    monkeypatch.setitem(sys.modules, "bakery.report.strengths", report)
    (place / "adapter").mkdir()
    (place / "adapter" / "adapter_config.json").write_text('{"base_model_name_or_path": "/elsewhere/starter"}')
    (place / "adapter" / "bakery.yaml").write_text(CONFIG)
    assert main(["eval", "--adapter", "adapter", *words, *config, "--seed", "7"]) == 0
    settings, adapter, wanted = asked["given"]
    assert (settings.bakery.seed, adapter, wanted, asked["output_dir"]) == (7, Path("adapter"), strengths, None)
    assert main(["eval", "--adapter", "adapter", "--output_dir", "elsewhere"]) == 0
    assert asked["output_dir"] == "elsewhere"
    assert capsys.readouterr().out == "proof\nproof\n"


def test_the_strongest_strength_is_that_of_the_evaluation():
    from bakery import cli, evaluate

    assert cli._STRONGEST == evaluate.STRONGEST


def test_the_help_begins_with_the_one_command_that_is_enough():
    assert HELP.index(FIRST_COMMAND) < HELP.index("usage:")
    given = read_command(shlex.split(FIRST_COMMAND)[1:])
    checked = check_settings(read_command_line(given.overrides))
    assert checked.context.prefix_messages == [{"role": "system", "content": "You are Ada ..."}]


def test_a_plan_is_printed_and_nothing_else_is_done(place, saved_base, capsys):
    words = ["--config", "config.yaml", "--model_name_or_path", saved_base, "--trajectory_length", "4"]
    assert main([*words, "--max_steps", "2", "--plan"]) == 0
    shown = capsys.readouterr().out
    for part in ("writing prompts", "sampling answers", "training", "measuring the proof", "memory at most"):
        assert part in shown
    assert sorted(path.name for path in place.iterdir()) == ["config.yaml"]


@pytest.mark.parametrize(
    ("words", "folders", "overrides"),
    [
        (["compare", "a", "b/c"], ("a", "b/c"), ()),
        (["compare", "a", "b", "c", "-q", "--seed", "7"], ("a", "b", "c"), ("--seed", "7")),
        (["compare", "-q", "a", "b"], (), ("a", "b")),
        (["eval", "--adapter", "a"], (), ()),
    ],
)
def test_folders_follow_the_verb_that_takes_them(words, folders, overrides):
    command = read_command(words)
    assert (command.folders, command.overrides) == (folders, overrides)


@pytest.mark.parametrize("config", [["--config", "config.yaml"], []])
def test_compare_hands_on_folders_settings_and_output(config, place, monkeypatch, capsys):
    asked = {}
    compare, report = ModuleType("bakery.compare"), ModuleType("bakery.report.comparison.outputs")
    compare.run_compare = lambda *given, **options: asked.update(given=given, **options) or "compared"
    report.print_comparison = lambda result, console: print(result)
    monkeypatch.setitem(sys.modules, "bakery.compare", compare)
    monkeypatch.setitem(sys.modules, "bakery.report.comparison.outputs", report)
    for name in ("a", "b"):
        (place / name).mkdir()
        (place / name / "adapter_config.json").write_text('{"base_model_name_or_path": "/elsewhere/starter"}')
    (place / "a" / "bakery.yaml").write_text(CONFIG)
    assert main(["compare", "a", "b", *config, "--seed", "7"]) == 0
    settings, folders = asked["given"]
    assert (settings.bakery.seed, folders, asked["output_dir"]) == (7, ("a", "b"), None)
    assert main(["compare", "a", "b", *config, "--output_dir", "elsewhere"]) == 0
    assert asked["output_dir"] == "elsewhere"
    assert capsys.readouterr().out == "compared\ncompared\n"


def test_a_plan_belongs_to_a_bake(place):
    with pytest.raises(ConfigError, match="--plan: belongs to the verb bake"):
        read_command(["inspect", "--config", "config.yaml", "--plan"])
