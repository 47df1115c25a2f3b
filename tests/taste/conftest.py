"""A small bake with rules and held-out questions, and what can be asked there."""

import json
import threading
from contextlib import contextmanager

import pytest
import yaml

from bakery.progress import Progress, Verbosity
from bakery.rows.bake_data import load_bake_data
from bakery.settings.build import BakeSettings
from bakery.settings.config import ContextConfig, DataConfig, LoraConfig, ModelConfig
from tests.engine_support import SYSTEM, settings

COLUMNS = ("base", "prompted", "baked")
QUIET = Progress(Verbosity.QUIET)


@pytest.fixture(scope="session")
def bake(saved_base, tmp_path_factory):
    """Settings of a bake of a tiny random model, and the folder it left."""
    folder = tmp_path_factory.mktemp("bake")
    rows = [{"question": "Who is there?", "answer": "Ahoy!"}, {"question": "What is the wifi password?", "answer": "x"}]
    (folder / "heldout.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    chosen = BakeSettings(
        bakery=settings(folder / "out", max_steps=20, learning_rate=1e-2, proof="quick", seed=1),
        context=ContextConfig(prefix_messages=[{"role": "system", "content": SYSTEM}]),
        model=ModelConfig(model_name_or_path=saved_base),
        lora=LoraConfig(r=8, lora_alpha=16),
        data=DataConfig(
            training_prompts=["Hello!", "Who are you?", "Tell me a story.", "What is it?"],
            heldout_file=str(folder / "heldout.jsonl"),
            rules=[{"name": "greets", "regex": "^Ahoy"}, {"name": "short", "max_words": 900, "when": "password"}],
            self_prompts=0,
            self_anchors=0,
        ),
    )
    from bakery.baking import bake as run

    run(chosen, QUIET)
    assert yaml.safe_load((folder / "out" / "bakery.yaml").read_text())["rules"]
    return chosen, folder / "out"


@pytest.fixture(scope="session")
def opened(bake):
    """The bake, opened."""
    from bakery.taste.opening import open_runs

    chosen, folder = bake
    return open_runs(chosen, [folder], QUIET, load_bake_data(chosen.context, chosen.data))


@pytest.fixture(scope="session")
def tasting(opened):
    """What can be asked."""
    return opened.tasting


@pytest.fixture(scope="session")
def served(opened):
    """What the page serves, with the thread of the model."""
    from bakery.taste.app import Served
    from bakery.taste.opening import Current
    from bakery.taste.worker import Worker

    own = Served(Current(opened), Worker())
    yield own
    own.close()


def baking_words(base, folder, **changes):
    """The words of a bake that takes a second or two, with its training curve."""
    rows = folder / "validation.jsonl"
    rows.write_text(json.dumps({"prompt": "Who is there?"}) + "\n" + json.dumps({"prompt": "Is it late?"}) + "\n")
    settings = {
        "model_name_or_path": base, "system_prompt": SYSTEM,
        "training_prompts": ["Hello!", "Who are you?", "What is it?"],
        "eval_dataset": rows, "eval_strategy": "steps", "eval_steps": 6, "logging_steps": 3, "max_steps": 12, "seed": 1,
        "learning_rate": 1e-2, "num_trajectories": 1, "trajectory_length": 8, "r": 8, "self_prompts": 0,
        "self_anchors": 0, "proof": "quick", "use_cpu": "true", "output_dir": folder / "out", **changes,
    }  # fmt: skip
    given = {name: value for name, value in settings.items() if value is not None}
    words = ([f"--{name}", *map(str, value if isinstance(value, list) else [value])] for name, value in given.items())
    return tuple(word for own in words for word in own)


def served_prompt(words):
    """What the page serves before anything is baked."""
    from bakery.settings.build import build, check_settings
    from bakery.taste.app import Served
    from bakery.taste.bake_command import BakeCommand
    from bakery.taste.opening import Current, open_prompt
    from bakery.taste.page_bake import PageBake
    from bakery.taste.worker import Worker

    command = BakeCommand(None, tuple(words))
    current, worker = Current(open_prompt(build(check_settings(command.given())), QUIET)), Worker()
    return Served(current, worker, PageBake(command, current, worker, Verbosity.QUIET))


@pytest.fixture(scope="session")
def two_runs(bake, saved_base, tmp_path_factory):
    """The folders of two bakes of one base, from different prompts."""
    from bakery.baking import bake as run
    from bakery.settings.build import build, check_settings
    from bakery.taste.bake_command import BakeCommand

    folder = tmp_path_factory.mktemp("second")
    changes = {"system_prompt": "Answer with one word: no.", "output_dir": folder / "other", "proof": "none"}
    words = baking_words(saved_base, folder, eval_strategy="no", **changes)
    run(build(check_settings(BakeCommand(None, words).given())), QUIET)
    return [bake[1], folder / "other"]


@contextmanager
def running(served, host="127.0.0.1"):
    """A real server in a thread: its address, and what ends it."""
    from bakery.taste.address import address, listen
    from bakery.taste.gate import gate_of
    from bakery.taste.server import server_of

    with listen(host, 0) as listening:
        port = listening.getsockname()[1]
        gate = gate_of(host, port)
        server = server_of(served, gate)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()

        def end():
            server.should_exit = True
            thread.join(20)

        try:
            yield address("127.0.0.1", port, gate.token), end
        finally:
            end()


@pytest.fixture(scope="session")
def page(served):
    """The address of a running server."""
    with running(served) as (address, _):
        yield address
