"""A render goes into a project that exists, and is updated there, without harm to what is in it."""

from pathlib import Path

import copier
import pytest
import yaml
from rendering import (
    ANSWERS_FILE,
    FIRST,
    SECOND,
    commit,
    copy_tree,
    files_of,
    git,
    render,
    write,
)

# Another template's answers file, in the place where Copier looks by default, with our names in
# it, and the files that most projects have.
PROJECT = {
    ".copier-answers.yml": (
        "# Changes here will be overwritten by Copier\n"
        "_commit: v3.1.4\n"
        "_src_path: https://example.com/another-template.git\n"
        "store_database: oracle\n"
        "store_path: ../shop\n"
        "store_context: basket\n"
    ),
    ".gitignore": "/build/\r\n",
    "README.md": "# Mine\n\nNo newline at the end",
    "conftest.py": "import pytest\n",
    "pyproject.toml": '[project]\nname = "mine"\nversion = "1"\n',
    "src/mine/__init__.py": "",
    "tests/conftest.py": "import pytest\n\n\n@pytest.fixture\ndef store(): return 1\n",
    "tests/test_mine.py": "def test_mine(store):\n    assert store == 1\n",
}
EDIT = "\n\n# An edit of the user's.\nMINE = True\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of somebody's, under git."""
    project = tmp_path / "project"
    write(project, PROJECT)
    commit(project)
    return project


@pytest.fixture
def released(tmp_path: Path) -> Path:
    """The template, with a version that will get a successor."""
    template = copy_tree(tmp_path / "template")
    commit(template, FIRST)
    return template


def test_no_file_of_the_project_changes(project: Path, template: Path) -> None:
    before = files_of(project)
    render(template, project)
    after = files_of(project)
    assert {name: after[name] for name in before} == before
    assert "src/chat_store/store.py" in after
    assert git(project, "diff", "--stat") == ""
    new = git(project, "ls-files", "--others", "--exclude-standard").split()
    assert all(
        name.startswith(("src/chat_store/", "tests/chat_store/")) or name == ANSWERS_FILE
        for name in new
    )


def test_an_update_brings_our_changes_and_keeps_edits(project: Path, released: Path) -> None:
    render(released, project)
    edited = project / "src/chat_store/store.py"
    append(edited, EDIT)
    own = project / "src/chat_store/of_mine.py"
    own.write_text("MINE = True\n", "utf-8")
    commit(project)
    before = files_of(project)

    package = released / "template/{{ store_path }}"
    append(package / "errors.py", "\n\nNEWS = 1\n")
    write(package, {"news.py": "NEWS = 2\n"})
    commit(released, SECOND)
    update(project)

    after = files_of(project)
    assert b"NEWS = 1" in after["src/chat_store/errors.py"]
    assert after["src/chat_store/news.py"] == b"NEWS = 2\n"
    assert edited.read_text("utf-8").endswith(EDIT)
    changed = {name for name in before if after[name] != before[name]}
    assert changed == {ANSWERS_FILE, "src/chat_store/errors.py"}
    assert yaml.safe_load(after[ANSWERS_FILE])["_commit"] == SECOND


def test_an_update_merges_into_an_edited_file(project: Path, released: Path) -> None:
    render(released, project)
    edited = project / "src/chat_store/store.py"
    append(edited, EDIT)
    commit(project)

    source = released / "template/{{ store_path }}/store.py"
    text = source.read_text("utf-8")
    source.write_bytes(text.replace('"""', '"""News. ', 1).encode())
    commit(released, SECOND)
    update(project)

    merged = edited.read_text("utf-8")
    assert merged.startswith('"""News. ')
    assert merged.endswith(EDIT)
    git(project, "diff", "--check")  # fails where a conflict is marked


def test_an_update_can_change_answers(project: Path, released: Path) -> None:
    """No path depends on the format of ids, so edits beside it survive."""
    render(released, project)
    edited = project / "src/chat_store/keys.py"
    append(edited, EDIT)
    commit(project)
    before = files_of(project)

    commit(released, SECOND)
    update(project, {"store_id_format": "ulid"})

    after = files_of(project)
    assert after.keys() == before.keys()
    assert b"ULID" in after["src/chat_store/ids.py"]
    assert edited.read_text("utf-8").endswith(EDIT)


def test_the_paths_stay_what_they_were(project: Path, released: Path) -> None:
    paths = {"store_path": "lib/chat", "store_tests_path": "checks/chat"}
    render(released, project, paths)
    commit(project)
    before = files_of(project)
    commit(released, SECOND)
    update(project)
    after = files_of(project)
    assert after.keys() == before.keys()
    answers = yaml.safe_load(after[ANSWERS_FILE])
    assert {name: answers[name] for name in paths} == paths


def test_the_example_server_can_be_taken_out_again(project: Path, released: Path) -> None:
    render(released, project, {"store_example_server": True})
    commit(project)
    with_server = files_of(project).keys()
    commit(released, SECOND)
    update(project, {"store_example_server": False})
    gone = with_server - files_of(project).keys()
    assert "src/chat_store/example_server.py" in gone
    assert all("example_server" in name for name in gone)


def append(path: Path, text: str) -> None:
    """Add text at the end of a file."""
    path.write_bytes(path.read_bytes() + text.encode())


def update(project: Path, answers: dict[str, object] | None = None) -> None:
    """Do what `copier update -a .copier-answers.chat-store.yml --defaults` does."""
    copier.run_update(
        project,
        answers,
        answers_file=ANSWERS_FILE,
        settings=copier.Settings(),
        defaults=True,
        overwrite=True,
        quiet=True,
        unsafe=False,
    )
