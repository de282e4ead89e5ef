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
BLOCKS = re.findall(r"```toml\n(\[tool\.([a-z]+).*?)```", SECTION[1] if SECTION else "", re.DOTALL)
MODULES = {
    "hatchling": "hatchling.build",
    "poetry-core": "poetry.core.masonry.api",
    "setuptools": "setuptools.build_meta",
    "uv_build": "uv_build",
}
BACKENDS = {name: block for block, tool in BLOCKS for name in MODULES if name.startswith(tool)}

PLACES = {"beside": "src/chat_store", "inside": "src/my_app/chat_store"}


def lines_for(backend: str, place: str) -> str:
    """Give the lines of pyproject.toml: inside the user's package, all but setuptools need none."""
    system = f'[build-system]\nrequires = ["{backend}"]\nbuild-backend = "{MODULES[backend]}"\n'
    if place == "inside" and backend != "setuptools":
        return system
    return f"{system}\n{BACKENDS[backend]}"


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("backend", MODULES)
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
    assert BACKENDS.keys() == MODULES.keys()
