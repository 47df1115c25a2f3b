"""The name on the Python index is said alike everywhere, and the version is one."""

import re
import tomllib
from pathlib import Path

from bakery import __version__
from bakery.text import DISTRIBUTION, install_extra

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def test_the_name_and_the_version_are_those_of_the_project():
    assert PROJECT["name"] == DISTRIBUTION
    assert PROJECT["version"] == __version__
    assert PROJECT["scripts"] == {"bakery": "bakery.cli:main"}
    assert PROJECT["entry-points"]["pipx.run"] == {DISTRIBUTION: PROJECT["scripts"]["bakery"]}


def test_whatever_is_to_be_installed_is_called_by_that_name_and_is_an_extra():
    files = [ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("src/bakery/**/*.py"), ROOT / "llms.txt"]
    texts = {path: path.read_text("utf-8") for path in files if path.exists()}
    other = [str(path) for path, text in texts.items() if re.search(r"install '?bakery(?!-lora)[\['\s]", text)]
    assert not other
    named = {extra for text in texts.values() for extra in re.findall(r"bakery-lora\[(\w+)\]", text)}
    named |= {name for text in texts.values() for name in re.findall(r"install_extra\(['\"](\w+)", text)}
    assert named <= set(PROJECT["optional-dependencies"])
    assert install_extra("taste") == "pip install 'bakery-lora[taste]'"


def test_the_image_is_built_from_what_is_let_in_and_runs_as_nobody_special():
    lines = (ROOT / "Dockerfile").read_text("utf-8").splitlines()
    steps = [line.split() for line in lines if line and line[0] not in "# "]
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")}
    copied = {name.removeprefix("./") for step in steps if step[0] == "COPY" for name in step[1:-1]}
    assert copied == let_in
    assert all((ROOT / name).exists() for name in copied)
    assert [step[1] for step in steps if step[0] == "USER"] == ["10001"]
    assert [step for step in steps if step[0] == "ENTRYPOINT"] == [["ENTRYPOINT", '["bakery"]']]
    assert not [
        step for step in steps if step[0] in ("ARG", "ENV") and re.search("TOKEN|SECRET|PASSWORD", " ".join(step))
    ]
    (extras,) = [step[1] for step in steps if step[1].startswith("EXTRAS=")]
    assert extras.partition("=")[2].strip('"') in PROJECT["optional-dependencies"]
