"""The repository itself: what has to be in it, and what must never be."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from devtools.rendering import ROOT, names_of, questions, run

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
RULES = [f"R{number:02}" for number in range(1, 41)]
SUITE = ROOT / "template" / "{{ store_tests_path }}"


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


def test_no_path_of_a_machine() -> None:
    assert lines_with(r"(?<![\w.)])/(home|root|Users|work|opt)/\w") == []


def test_no_address_of_a_registry() -> None:
    hosts = ("pypi" + r"\.org", "pythonhosted" + r"\.org", "npmjs" + r"\.(com|org)")
    options = ("index" + "-url", "find" + "-links", "trusted" + "-host")
    assert lines_with("|".join((*hosts, *options))) == []


def test_no_lock_file() -> None:
    locks = {"package-lock.json", "pnpm-lock.yaml"}
    found = [path for path in our_files() if path.suffix == ".lock" or path.name in locks]
    assert found == []


def test_every_file_has_unix_line_ends() -> None:
    assert [path for path in our_texts() if b"\r" in path.read_bytes()] == []
    assert "eol=lf" in (ROOT / ".gitattributes").read_text("utf-8")


@pytest.mark.parametrize("room", sorted(path.name for path in (ROOT / "choices").iterdir()))
def test_every_choice_has_a_room_with_the_same_files_as_its_siblings(room: str) -> None:
    """So a choice that is added later cannot lack a file that the template includes."""
    folders = [path for path in (ROOT / "choices" / room).iterdir() if path.is_dir()]
    choices = questions()[f"store_{room}"]["choices"].values()
    assert {folder.name for folder in folders} == set(choices)
    drivers = set(questions()["store_driver"]["choices"].values())
    contents: dict[str, list[str]] = {}
    for folder in folders:
        names = {
            path.relative_to(folder).as_posix()
            for path in our_files()
            if path.is_relative_to(folder)
        }
        # A driver brings the rest of the files, where there is a choice of drivers.
        common = {name for name in names if name.partition("/")[0] not in drivers}
        for driver in drivers & {name.partition("/")[0] for name in names} or {""}:
            own = {name.removeprefix(f"{driver}/") for name in names - common}
            contents[f"{folder.name} {driver}"] = sorted(
                common | {name for name in own if "/" not in name}
            )
    first, *others = contents.values()
    assert all(names == first for names in others), contents


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_has_a_test_that_is_named_after_it(rule: str) -> None:
    suite = [path for path in our_files() if path.is_relative_to(SUITE)]
    found = [path for path in suite if f"def test_{rule}_" in path.read_text("utf-8")]
    assert found


def test_no_test_is_named_after_a_rule_that_is_not() -> None:
    for path in our_files():
        if path.is_relative_to(SUITE):
            named = re.findall(r"def test_(R\d+)", path.read_text("utf-8"))
            assert set(named) <= set(RULES), path


def test_the_oldest_sdk_is_the_same_everywhere() -> None:
    """What the render asks for is what CI runs and the README states."""
    requirements = ROOT / "template" / "{{ store_path }}" / "requirements.txt.jinja"
    stated = re.search(r"openai-chatkit>=([\d.]+)", requirements.read_text("utf-8"))
    assert stated is not None
    assert f"openai-chatkit=={stated[1]}" in (ROOT / ".ci/run").read_text("utf-8")
    assert stated[1] in (ROOT / "README.md").read_text("utf-8")


def test_our_own_python_is_clean(tool: Callable[[str], str]) -> None:
    for command in (["check"], ["format", "--check"]):
        done = run(tool("ruff"), *command, "--no-cache", cwd=ROOT)
        assert done.returncode == 0, done.stdout


def test_our_own_python_is_typed(tool: Callable[[str], str], tmp_path: Path) -> None:
    done = run(tool("mypy"), f"--cache-dir={tmp_path}", cwd=ROOT)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", [".ci/run", "scripts/install_servers.sh"])
def test_shell_scripts_can_be_read_and_run(name: str) -> None:
    subprocess.run(["bash", "-n", str(ROOT / name)], check=True)
    assert (ROOT / name).stat().st_mode & 0o111
