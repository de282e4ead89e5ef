"""The repository itself: what has to be in it, and what must never be."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from devtools.rendering import ROOT, names_of, run

FILES = [
    ".ci/run",
    ".gitattributes",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "Makefile",
    "README.md",
    "copier.yml",
    "docs/decisions",
    "pyproject.toml",
    "requirements-dev.txt",
    "scripts/demo.py",
]


def our_files() -> list[Path]:
    """Give all files of the repository, without what git ignores."""
    return [ROOT / name for name in names_of(ROOT)]


def our_texts() -> list[Path]:
    """Give all files but the archives, which hold what was text of ours."""
    return [path for path in our_files() if path.suffix != ".gz"]


def lines_with(pattern: str) -> list[str]:
    """Find the lines of all files that match a regular expression."""
    return [
        f"{path.relative_to(ROOT)}:{number}: {line}"
        for path in our_texts()
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if re.search(pattern, line)
    ]


@pytest.mark.parametrize("name", FILES)
def test_what_a_repository_has(name: str) -> None:
    assert (ROOT / name).exists()


def test_the_licence_is_ours() -> None:
    text = (ROOT / "LICENSE").read_text("utf-8")
    assert text.startswith("MIT License")
    assert "The copier-chatkit-store authors" in text


def test_no_conflict_is_left() -> None:
    assert lines_with(r"^(<{7} (?!before updating)|>{7} (?!after updating))") == []


def test_no_path_of_a_machine() -> None:
    assert lines_with(r"(?<![\w.)])/(home|root|Users|work|opt)/\w") == []


def test_no_address_of_a_registry() -> None:
    hosts = ("pypi" + r"\.org", "pythonhosted" + r"\.org", "npmjs" + r"\.(com|org)")
    options = ("index" + "-url", "find" + "-links", "trusted" + "-host")
    assert lines_with("|".join((*hosts, *options))) == []


def test_the_words_are_those_of_other_manuals() -> None:
    """American spelling, and none of the private words that we once had."""
    words = (
        *("behaviour", "colour", "catalogue", "favourite", "serialise", "time-out"),
        *("none of ours", "passes by", "whoever starts", "turns at connections", "thawing"),
    )
    for_readers = (
        *("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "copier.yml"),
        *("docs/", "includes/", "template/", "choices/"),
    )
    found = lines_with(rf"(?i)\b({'|'.join(words)})")
    assert [line for line in found if line.startswith(for_readers)] == []


def test_no_lock_file() -> None:
    locks = {"package-lock.json", "pnpm-lock.yaml"}
    found = [path for path in our_files() if path.suffix == ".lock" or path.name in locks]
    assert found == []


def test_every_file_has_unix_line_ends() -> None:
    assert [path for path in our_texts() if b"\r" in path.read_bytes()] == []
    assert "eol=lf" in (ROOT / ".gitattributes").read_text("utf-8")


def test_the_oldest_sdk_is_the_same_everywhere() -> None:
    """What the render asks for is what CI runs and the README states."""
    requirements = ROOT / "template" / "{{ store_path }}" / "requirements.txt.jinja"
    stated = re.findall(r"openai-chatkit>=([\d.]+)", requirements.read_text("utf-8"))
    # The extras need newer ones, which CI has with the newest only.
    *_, oldest = stated
    assert f"openai-chatkit=={oldest}" in (ROOT / ".ci/run").read_text("utf-8")
    readme = (ROOT / "README.md").read_text("utf-8")
    assert [version for version in stated if version not in readme] == []


def test_our_own_python_is_clean(tool: Callable[[str], str]) -> None:
    for command in (["check"], ["format", "--check"]):
        done = run(tool("ruff"), *command, "--no-cache", cwd=ROOT)
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    "name", sorted(name for name in names_of(ROOT) if name.endswith((".sh", ".ci/run")))
)
def test_shell_scripts_can_be_read_and_run(name: str) -> None:
    subprocess.run(["bash", "-n", str(ROOT / name)], check=True)
    starts = (ROOT / name).read_text("utf-8").startswith("#!")
    assert bool((ROOT / name).stat().st_mode & 0o111) == starts
