"""Every test runs offline, on one thread a process, and with the shapes of the engine's tensors checked.

What the tests of templates counted is printed at the end.
"""

import os
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Self

import pytest
import yaml
from beartype import BeartypeConf, FrozenDict, beartype
from jaxtyping import install_import_hook

from tests.command_support import CONFIG, Result
from tests.hub import Hub, stand_in

for number in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(number) is signal.SIG_IGN:  # as in the background of a script, or under nohup
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

# jaxtyping's hook decorates methods one by one, where beartype does not know what `Self` is.
checked = beartype(conf=BeartypeConf(hint_overrides=FrozenDict({Self: Any})))
install_import_hook("bakery.engine", f"{__name__}.checked")

COUNTS = pytest.StashKey[dict[str, Counter[str]]]()


@pytest.fixture(scope="session")
def saved_base(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a tiny random base model with the starter's tokenizer."""
    from tests.engine_support import tiny_base, tokenizer  # after the hook that checks shapes is there

    folder = tmp_path_factory.mktemp("base")
    tiny_base().save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="session")
def saved_bake(saved_base: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder: a shaken adapter of a tiny random model, and its settings."""
    from tests.engine_support import SYSTEM, tiny_model  # after the hook that checks shapes is there

    folder = tmp_path_factory.mktemp("run")
    model = tiny_model(trained=True)
    model.peft_config["default"].base_model_name_or_path = saved_base
    model.save_pretrained(folder)
    given = {"model_name_or_path": saved_base, "system_prompt": SYSTEM, "training_prompts": ["Hello!"], "use_cpu": True}
    (folder / "bakery.yaml").write_text(yaml.safe_dump(given))
    return folder


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A stand-in for the hub, to which everything goes that is pushed."""
    with stand_in() as hub:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.url)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        monkeypatch.setattr("transformers.utils.hub._hf_api", None)
        yield hub


@pytest.fixture(scope="session")
def counts(request: pytest.FixtureRequest) -> dict[str, Counter[str]]:
    """Counters by label, for the summary."""
    return request.config.stash.setdefault(COUNTS, {})


def pytest_sessionfinish(session):
    """A worker of xdist hands its counters to the process that prints."""
    if hasattr(session.config, "workeroutput"):
        counters = session.config.stash.get(COUNTS, {})
        session.config.workeroutput["counts"] = {label: dict(counter) for label, counter in counters.items()}


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    """Add up what a worker counted."""
    total = node.config.stash.setdefault(COUNTS, {})
    for label, counter in getattr(node, "workeroutput", {}).get("counts", {}).items():
        total.setdefault(label, Counter()).update(counter)


def pytest_terminal_summary(terminalreporter, config):
    """Templates times shapes: exact, refused, wrong; and rows a second."""
    counters = config.stash.get(COUNTS, {})
    if not counters:
        return
    terminalreporter.section("templates x shapes")
    for label, counter in sorted(counters.items()):
        figures = "  ".join(f"{name} {number:,}" for name, number in counter.items())
        terminalreporter.write_line(f"{label:<52} {figures}")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a settings file, the working directory of the test."""
    (tmp_path / "config.yaml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    for name in ("TRANSFORMERS_VERBOSITY", "HF_HUB_DISABLE_PROGRESS_BARS", "HF_DATASETS_DISABLE_PROGRESS_BARS"):
        monkeypatch.setenv(name, "1" if "DISABLE" in name else "")  # as the command does before libraries are imported
    return tmp_path


@pytest.fixture
def baked(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Stand in for the bake itself: remembers what it was asked, and can raise."""
    calls = []

    def bake(settings, progress, data, *, interruption):
        calls.append((settings, progress, data))
        if bake.error is not None:
            raise bake.error
        return Result("result")

    bake.error, bake.calls = None, calls
    baking, report = ModuleType("bakery.baking"), ModuleType("bakery.report.terminal")
    starting = ModuleType("bakery.starting")
    starting.folder_of, starting.is_finished = lambda settings: Path("out"), lambda settings, data: False
    baking.bake = bake
    report.print_proof = lambda result, console: print(result)
    monkeypatch.setitem(sys.modules, "bakery.baking", baking)
    monkeypatch.setitem(sys.modules, "bakery.starting", starting)
    monkeypatch.setitem(sys.modules, "bakery.report.terminal", report)
    return bake
