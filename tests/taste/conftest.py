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
    from bakery.taste.page_bake import Current
    from bakery.taste.worker import Worker

    own = Served(Current(opened), Worker())
    yield own
    own.close()


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

        yield address("127.0.0.1", port, gate.token), end
        end()


@pytest.fixture(scope="session")
def page(served):
    """The address of a running server."""
    with running(served) as (address, _):
        yield address
