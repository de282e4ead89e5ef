"""A render goes into a project that exists without harm to what is in it."""

from pathlib import Path

from devtools.rendering import ANSWERS_FILE, commit, files_of, git, render, write

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


def test_no_file_of_the_project_changes(template: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    write(project, PROJECT)
    commit(project)
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
