"""Folders that settings name: what cannot be a model, a checkpoint or an output is refused, and nothing is written."""

import json
from pathlib import Path

import pytest

from bakery.errors import ConfigError, ResourceError
from bakery.settings.paths import (
    check_adapter,
    check_adapters,
    check_checkpoint,
    check_output,
    distinct_ends,
    resolve_model,
    try_output,
)
from tests.settings.support import refusal


@pytest.fixture
def model(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    return str(tmp_path / "model")


@pytest.fixture
def adapter(tmp_path):
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "owner/base"}))
    return str(tmp_path / "adapter")


def test_a_model_is_the_shipped_one_a_folder_or_a_hub_id(model):
    assert (Path(resolve_model("starter")) / "config.json").is_file()
    assert resolve_model(model) == model
    assert resolve_model("owner/name") == "owner/name"


def test_a_model_folder_below_the_home_folder_is_found_by_its_tilde(model, monkeypatch):
    monkeypatch.setenv("HOME", str(Path(model).parent))
    assert resolve_model("~/model") == model


@pytest.mark.parametrize("name", ["./nope", "/nope", "~/nope", "a/b/c", "a\\b"])
def test_a_model_folder_that_is_not_there_is_refused(name):
    assert refusal(lambda: resolve_model(name)).startswith(f"model_name_or_path: no such folder: {name} (looked in ")


def test_a_model_that_is_a_file_an_adapter_or_no_model_is_refused(model, adapter, tmp_path):
    assert "is a file" in refusal(lambda: resolve_model(model + "/config.json"))
    assert "is an adapter; give its base model 'owner/base'" in refusal(lambda: resolve_model(adapter))
    assert "not a model: it has no config.json" in refusal(lambda: resolve_model(str(tmp_path)))
    assert "is empty" in refusal(lambda: resolve_model(" ", "here"))


def test_a_model_name_of_any_length_is_one_short_line():
    problem = refusal(lambda: resolve_model("x" * 5000, "here"))
    assert problem.startswith("here: xxx")
    assert len(problem) < 200


def test_an_adapter_belongs_to_its_base(adapter, model, tmp_path):
    check_adapter(adapter, "elsewhere/base", "here")
    assert "belongs to the base owner/base, not to other" in refusal(lambda: check_adapter(adapter, "other", "here"))
    assert "holds no adapter" in refusal(lambda: check_adapter(model, "base", "here"))
    assert "no such folder" in refusal(lambda: check_adapter(str(tmp_path / "nope"), "base", "here"))


def test_a_checkpoint_to_resume_from_is_there(adapter, tmp_path):
    check_checkpoint(None, str(tmp_path), "base", "here")
    check_checkpoint(False, str(tmp_path), "base", "here")
    check_checkpoint(adapter, None, "base", "here")
    assert "not to other" in refusal(lambda: check_checkpoint(adapter, None, "other", "here"))
    assert "is empty" in refusal(lambda: check_checkpoint("", None, "base", "here"))
    assert "holds no checkpoint" in refusal(lambda: check_checkpoint(True, str(tmp_path), "base", "here"))
    (tmp_path / "checkpoint-5").mkdir()
    check_checkpoint(True, str(tmp_path), "base", "here")


def test_a_finished_bake_is_replaced_only_when_that_is_allowed(tmp_path):
    check_output(str(tmp_path), may_replace=False)
    (tmp_path / "results.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"output_dir: .* holds a finished bake \(results.json\)"):
        check_output(str(tmp_path), may_replace=False)
    check_output(str(tmp_path), may_replace=True)


def test_an_output_that_cannot_be_a_folder_is_refused_and_none_is_made(tmp_path):
    check_output(str(tmp_path / "new" / "deep"), may_replace=False)
    assert not (tmp_path / "new").exists()
    (tmp_path / "file").write_text("")
    assert "is a file" in refusal(lambda: check_output(str(tmp_path / "file" / "below"), may_replace=False))
    assert "is empty" in refusal(lambda: check_output(" ", may_replace=False))
    assert "cannot be a path" in refusal(lambda: check_output("x" * 5000, may_replace=False))


@pytest.mark.parametrize("name", ["stater", "Starter", "starte"])
def test_a_slip_for_the_shipped_model_is_no_hub_id(name):
    assert refusal(lambda: resolve_model(name, "here")).startswith(f"here: no such model: {name}; did you mean starter")
    assert resolve_model(f"owner/{name}") == f"owner/{name}"


def test_an_output_folder_is_tried_and_nothing_of_it_is_left(tmp_path):
    try_output(str(tmp_path / "a" / "b"))
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "there").mkdir()
    try_output(str(tmp_path / "there"))
    assert list((tmp_path / "there").iterdir()) == []


@pytest.mark.parametrize("failing", ["mkdir", "touch"])
def test_an_output_folder_that_cannot_be_written_is_one_line(failing, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, failing, fail)
    with pytest.raises(
        ResourceError, match=r"^output_dir: .*out cannot be written: No space left on device; choose another"
    ):
        try_output(str(tmp_path / "out"))


@pytest.mark.parametrize("count", [0, 1])
def test_one_adapter_cannot_be_compared(adapter, count):
    assert refusal(lambda: check_adapters([adapter] * count, "compare")) == (
        f"compare: needs the folders of two adapters or more, got {count}"
    )


def test_folders_that_cannot_be_compared_are_refused(adapter, model, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "adapter_config.json").write_text("{}")
    check_adapters([adapter, str(other)], "compare")
    again = str(Path(adapter) / ".." / "adapter")
    (tmp_path / "link").symlink_to(adapter)
    for name in (adapter, again, str(tmp_path / "link")):
        assert "is given twice; give each adapter once" in refusal(
            lambda name=name: check_adapters([adapter, name], "c")
        )
    assert "no such folder: nope" in refusal(lambda: check_adapters([adapter, "nope"], "compare"))
    assert "holds no adapter" in refusal(lambda: check_adapters([adapter, model], "compare"))


def test_folders_are_called_by_the_shortest_ends_that_differ():
    paths = [Path("/x/one/run"), Path("/x/two/run"), Path("/y/two/run"), Path("/z/other")]
    assert distinct_ends(paths) == ["one/run", "x/two/run", "y/two/run", "other"]
    assert distinct_ends([Path("/run"), Path("/deep/run")]) == ["/run", "deep/run"]
