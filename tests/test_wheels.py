"""A wheel of a user's project holds the Store and its SQL, as docs/existing-project.md says."""

import os
import re
import sys
from pathlib import Path

import pytest

from devtools.rendering import ROOT, render, run, write

PROJECT = """
[project]
name = "my-app"
version = "1.0"
requires-python = ">=3.11"
"""

SECTION = re.search(
    "## Wheels\n(.*)", (ROOT / "docs/existing-project.md").read_text("utf-8"), re.DOTALL
)
BLOCKS = re.findall("```toml\n(.*?)```", SECTION[1] if SECTION else "", re.DOTALL)
BACKENDS: dict[str, str] = {
    re.findall(r'requires = \["([^"]+)', block)[0]: block for block in BLOCKS
}

PLACES = {"beside": "src/chat_store", "inside": "src/my_app/chat_store"}


def lines_for(backend: str, place: str) -> str:
    """Give the lines of pyproject.toml: inside the user's package, all but setuptools need none."""
    block = BACKENDS[backend]
    if place == "inside" and backend != "setuptools":
        return block.partition("\n\n")[0]
    return block


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("backend", ["hatchling", "poetry-core", "setuptools", "uv_build"])
def test_a_wheel_holds_what_migrates(
    template_files: Path, tmp_path: Path, backend: str, place: str
) -> None:
    project, installed = tmp_path / "project", tmp_path / "installed"
    write(project, {"src/my_app/__init__.py": ""})
    write(project, {"pyproject.toml": f"{lines_for(backend, place)}\n{PROJECT}"})
    render(template_files, project, {"store_path": PLACES[place]})
    # uv_build looks for its program there.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation")
    done = run(*pip, "--target", installed, project, cwd=tmp_path, env={"PATH": path})
    assert done.returncode == 0, done.stdout
    module = PLACES[place].removeprefix("src/").replace("/", ".")
    command = (sys.executable, "-m", module, "migrate", "--url", "sqlite:///chat.db")
    migrated = run(*command, cwd=tmp_path, env={"PYTHONPATH": str(installed)})
    assert migrated.returncode == 0, migrated.stdout
    assert "version 2" in migrated.stdout


def test_every_backend_of_the_page_is_tried() -> None:
    assert sorted(BACKENDS) == ["hatchling", "poetry-core", "setuptools", "uv_build"]
