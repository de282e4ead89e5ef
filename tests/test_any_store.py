"""The rendered suite tests other Stores too, through an adapter, and says what they break."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from devtools.rendering import ROOT, render, run, write

Suite: TypeAlias = Callable[..., "subprocess.CompletedProcess[str]"]

# What the example in the documentation takes for granted.
MY_APP = {
    "my_app/__init__.py": "",
    "my_app/store.py": "from devtools.published_patterns import CheckThenInsertStore as MyStore\n"
    "from devtools.published_patterns import Context as RequestContext\n",
}


@pytest.fixture(scope="module")
def project(template_files: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A render with the defaults, beside a project that has a Store."""
    directory: Path = tmp_path_factory.mktemp("any_store") / "project"
    render(template_files, directory, {})
    document = (ROOT / "docs/testing.md").read_text(encoding="utf-8")
    [example] = re.findall(r"```python\n(.*?)```", document, re.DOTALL)
    write(directory, {**MY_APP, "store_adapter.py": example})
    return directory


@pytest.fixture
def suite(project: Path) -> Suite:
    """Runs the suite with an adapter, on the tests that a text selects."""

    def test(adapter: str, selection: str) -> "subprocess.CompletedProcess[str]":
        path = f"{project}:{ROOT}"
        return run(
            *(sys.executable, "-m", "pytest", "-k", selection, "tests/chat_store"),
            cwd=project,
            env={"CHAT_STORE_TEST_ADAPTER": adapter, "PYTHONPATH": path},
            without="PYTEST_",
        )

    return test


def test_the_adapter_of_the_documentation_tells_what_is_kept_and_what_was_not_tested(
    suite: Suite,
) -> None:
    done = suite("store_adapter:Adapter", "R01 or R07 or R13")
    assert done.returncode == 0, done.stdout
    assert re.search("^R01 .* kept$", done.stdout, re.MULTILINE)
    assert re.search("^R13 .* not tested$", done.stdout, re.MULTILINE)
    assert "\n1 promise kept; not tested: R07, R13\n" in done.stdout


def test_a_broken_promise_is_named_with_the_tests_that_show_it(suite: Suite) -> None:
    done = suite("devtools.published_patterns:InsertOrReplace", "R01 or R04")
    assert done.returncode == 1, done.stdout
    assert re.search("^R04 .* BROKEN\n     test_R04_", done.stdout, re.MULTILINE)
    assert "\n1 promise kept; BROKEN: R04\n" in done.stdout


@pytest.mark.parametrize("adapter", ["nowhere:Adapter", "store_adapter:Nothing", "store_adapter"])
def test_an_adapter_that_is_not_there_is_named_with_the_remedy(suite: Suite, adapter: str) -> None:
    done = suite(adapter, "R01")
    assert done.returncode != 0
    assert f"CHAT_STORE_TEST_ADAPTER={adapter} cannot be imported" in done.stdout
    assert "PYTHONPATH" in done.stdout
