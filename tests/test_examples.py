"""The examples: that they are what the template renders, and how one learns that they are not."""

from collections.abc import Callable
from pathlib import Path

import pytest

from devtools.combinations import FLAVORS
from devtools.golden import find_differences, render_examples, write_examples
from devtools.rendering import ANSWERS_FILE, EXAMPLES, ROOT, commit, git, run

STORE = "sqlite/src/chat_store/store.py"
MORE = "sqlite/src/chat_store/more.py"


@pytest.fixture(scope="module")
def examples(template_files: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of the examples, as they are rendered now."""
    return render_examples(template_files, tmp_path_factory.mktemp("work"))


def test_the_examples_are_what_is_rendered(examples: dict[str, bytes]) -> None:
    differences = find_differences(examples)
    assert not differences, "\n".join(["run `make examples`, since", *differences])


def test_each_flavor_has_an_example_that_says_what_made_it(examples: dict[str, bytes]) -> None:
    assert {name.partition("/")[0] for name in examples} == set(FLAVORS)
    for flavor, answers in FLAVORS.items():
        text = examples[f"{flavor}/{ANSWERS_FILE}"].decode()
        assert all(f"\n{question}: {answer}\n" in text for question, answer in answers.items())
        assert "\n_" not in text  # no address or commit, which are others each time
        assert f"{flavor}/src/chat_store/store.py" in examples
    suites = {name.partition("/")[0] for name in examples if "/tests/" in name}
    assert len(suites) == 1


def test_differences_are_named_and_mended(examples: dict[str, bytes], tmp_path: Path) -> None:
    commit(tmp_path)
    (tmp_path / "README.md").write_text("Ours.\n", "utf-8")
    write_examples(examples, tmp_path)
    assert find_differences(examples, tmp_path) == []
    (tmp_path / STORE).write_text("Edited.\n", "utf-8")
    (tmp_path / MORE).write_text("Ours.\n", "utf-8")
    (tmp_path / "sqlite" / ANSWERS_FILE).unlink()
    assert find_differences(examples, tmp_path) == [
        f"sqlite/{ANSWERS_FILE} is missing",
        f"{MORE} is not rendered any more",
        f"{STORE} is rendered differently now",
    ]
    write_examples(examples, tmp_path)
    assert find_differences(examples, tmp_path) == []
    assert (tmp_path / "README.md").read_text("utf-8") == "Ours.\n"


def test_hosts_of_git_know_that_they_are_generated() -> None:
    names = [f"{EXAMPLES}/{STORE}", f"{EXAMPLES}/sqlite/{ANSWERS_FILE}", f"{EXAMPLES}/README.md"]
    told = git(ROOT, "check-attr", "linguist-generated", "--", *names)
    assert [line.rpartition(" ")[2] for line in told.splitlines()] == ["set", "set", "unspecified"]


def test_neither_ruff_nor_the_template_takes_them_for_ours(
    template_files: Path, tool: Callable[[str], str]
) -> None:
    assert not (template_files / EXAMPLES).exists()
    told = run(tool("ruff"), "check", "--show-files", cwd=ROOT)
    assert "test_examples.py" in told.stdout
    assert EXAMPLES not in told.stdout
