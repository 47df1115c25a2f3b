"""The wheel and the sdist of a folder hold what they must, and the wheel runs in an environment of its own."""

import os
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import tomllib
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
NEEDED = {"starter/model.safetensors", "starter/tokenizer.json", "starter/chat_template.jinja", "page.css",
          "taste/page/index.html", "taste/page/taste.css", "taste/page/main.js", "evaluation/neutral/prompts.json",
          "writing/systems.json"}  # fmt: skip
COMMANDS = (["--version"], ["--help"], ["completion", "bash"],
            ["inspect", "--model_name_or_path", "starter", "--system_prompt", "You are Ada.",
             "--training_prompts", "Who are you?"])  # fmt: skip


def main(folder: Path) -> None:
    """Check both; an assertion that fails says what is wrong."""
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    name = f"{project['name'].replace('-', '_')}-{project['version']}"
    assert (wheel.name, sdist.name) == (f"{name}-py3-none-any.whl", f"{name}.tar.gz"), (wheel.name, sdist.name)
    tracked = subprocess.run(["git", "ls-files", "src/bakery"], cwd=ROOT, capture_output=True, text=True, check=True)
    source = {line.removeprefix("src/") for line in tracked.stdout.splitlines() if (ROOT / line).exists()}
    inside = set(zipfile.ZipFile(wheel).namelist())
    assert {f"bakery/{path}" for path in NEEDED} <= source, "a file that must be there is not tracked"
    assert source <= inside, f"not in the wheel: {sorted(source - inside)}"
    assert not [path for path in inside if not path.startswith(("bakery/", f"{name}.dist-info/"))]
    with tarfile.open(sdist) as archive:
        members = {member.partition("/")[2] for member in archive.getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE", *(f"src/{path}" for path in source)} <= members
    print(f"{wheel.name}: {len(inside)} files, {wheel.stat().st_size / 1e6:.1f} MB; "
          f"{sdist.name}: {len(members)} files, {sdist.stat().st_size / 1e6:.1f} MB")  # fmt: skip
    with tempfile.TemporaryDirectory() as environment:
        run_installed(wheel, Path(environment))


def run_installed(wheel: Path, environment: Path) -> None:
    """Install the wheel without its dependencies, which this environment lends, and start the command."""
    venv.create(environment, with_pip=True)
    python = environment / "bin" / "python"
    pip = [python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--disable-pip-version-check", wheel]
    subprocess.run(pip, check=True)
    paths = {"base": str(environment), "platbase": str(environment)}
    own = Path(sysconfig.get_path("purelib", "venv", vars=paths))
    (own / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    where = subprocess.run(
        [python, "-c", "import bakery; print(bakery.__file__)"], check=True, capture_output=True, text=True, env=clean
    )
    assert where.stdout.startswith(str(own)), where.stdout
    with tempfile.TemporaryDirectory() as elsewhere:
        for words in COMMANDS:
            subprocess.run([environment / "bin" / "bakery", *words], check=True, stdout=subprocess.DEVNULL,
                           cwd=elsewhere, env=clean)  # fmt: skip
            print(f"runs: bakery {' '.join(words)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
