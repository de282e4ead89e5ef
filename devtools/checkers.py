"""Runs type checkers on what is rendered, as strict as they get and for the oldest Python."""

import json
import os
import re
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from devtools.rendering import run, write

OLDEST_PYTHON = "3.11"


def mypy(
    program: str, cwd: Path, roots: list[Path], targets: list[str], cache: Path
) -> "subprocess.CompletedProcess[str]":
    """Run mypy as strict as it gets, on directories whose modules are found from the roots."""
    return run(
        program,
        f"--config-file={Path(__file__).with_name('mypy.ini')}",
        f"--python-version={OLDEST_PYTHON}",
        f"--cache-dir={cache}",
        *targets,
        cwd=cwd,
        env={"MYPYPATH": os.pathsep.join(map(str, roots))},
    )


def pyright(
    tool: Callable[[str], str],
    directory: Path,
    roots: Mapping[str, list[str]],
    include: list[str],
    **settings: object,
) -> "subprocess.CompletedProcess[str]":
    """Run pyright on renders beside each other.

    Args:
        tool: Finds programs.
        directory: Where the renders are.
        roots: For each render, where in it modules are found.
        include: What to check, in that directory.
        settings: More settings.
    """
    configuration = {
        "typeCheckingMode": "strict",
        "pythonVersion": OLDEST_PYTHON,
        "include": include,
        "executionEnvironments": [
            {"root": name, "extraPaths": [f"{name}/{path}" for path in paths]}
            for name, paths in roots.items()
        ],
        **settings,
    }
    write(directory, {"pyrightconfig.json": json.dumps(configuration)})
    # Or it asks the registry for a newer version of itself.
    quietly = {"PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"}
    command = (tool("pyright"), "--pythonpath", tool("python"))
    return run(*command, cwd=directory, env=quietly)


def expect_success(done: "subprocess.CompletedProcess[str]") -> None:
    """Fail with what a tool has printed, each thing once and not for every render."""
    if done.returncode:
        lines = re.sub(r"(\S*/)?r\d\d/", "RENDER/", done.stdout).splitlines()
        pytest.fail("\n".join(dict.fromkeys(lines))[-8000:], pytrace=False)
