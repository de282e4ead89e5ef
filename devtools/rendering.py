"""Renders the template for its tests: in this process, from a copy of the working tree.

The copy is a git repository with a tag, since Copier takes the version of a template from there;
Copier itself would record a commit of a dirty tree that vanishes again.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import copier
import yaml
from copier._main import Worker
from jinja2 import Environment

ROOT = Path(__file__).resolve().parent.parent
ANSWERS_FILE = ".copier-answers.chat-store.yml"
EXAMPLES = "docs/examples"
FIRST = "v1.0.0"

Answers = Mapping[str, Any]

# What the user's own modules look like, where answers name them.
MY_APP = {
    "my_app/__init__.py": "",
    "my_app/ids.py": '''"""Makes ids."""

from uuid import uuid4


def new_id(kind: str, thread: object, context: object) -> str:
    """Make an id that tells its kind."""
    return f"{kind}_{uuid4().hex}"
''',
    "my_app/identifiers_that_are_made_elsewhere.py": '''"""Makes ids, under long names."""

from .ids import new_id


def make_an_id_for_anything_that_needs_one(
    kind: str, thread: object, context: object
) -> str:
    """Make an id that tells its kind."""
    return new_id(kind, thread, context)
''',
    "my_app/auth.py": '''"""Tells who asks."""

from dataclasses import dataclass


@dataclass(frozen=True)
class User:
    """A user."""

    id: int


@dataclass(frozen=True)
class Principal:
    """Who has signed in."""

    user: User


@dataclass(frozen=True)
class RequestInfo:
    """A request."""

    principal: Principal
    request_id: str | None = None
''',
}

# Questions that follow from a choice, and the answers to try for each.
FOLLOW_UPS: dict[tuple[str, str], list[dict[str, str]]] = {
    ("store_database", "postgresql"): [
        {"store_driver": "psycopg"},
        {"store_driver": "asyncpg"},
    ],
    ("store_id_format", "custom"): [
        {"store_id_callable": "my_app.ids:new_id"},
        {
            # Too long for a line, once it is an import.
            "store_id_callable": "my_app.identifiers_that_are_made_elsewhere"
            ":make_an_id_for_anything_that_needs_one",
            "store_id_pattern": "[a-z_]+_[0-9a-f]{32}",
        },
    ],
    ("store_context", "tenant"): [
        {"store_tenant_scope": "user"},
        {"store_tenant_scope": "tenant"},
    ],
    ("store_context", "custom"): [
        {
            "store_context_class": "my_app.auth:RequestInfo",
            "store_context_owner": "principal.user.id",
        }
    ],
}
OTHER_PATHS = {"store_path": "my_app/store/chat", "store_tests_path": "checks/chat"}


@dataclass(frozen=True)
class Render:
    """A project that a render went into, and the answers."""

    path: Path
    answers: Answers

    @property
    def package(self) -> str:
        """Where the package is, in the project."""
        return str(self.answers.get("store_path", "src/chat_store"))

    @property
    def tests(self) -> str:
        """Where the test suite is, in the project."""
        return str(self.answers.get("store_tests_path", "tests/chat_store"))

    @property
    def flavor(self) -> str:
        """The database, and the driver where there is a choice."""
        parts = (self.answers.get(name) for name in ("store_database", "store_driver"))
        return "-".join(str(part) for part in parts if part)

    @property
    def is_deep(self) -> bool:
        """Whether the suite is the full one."""
        return self.answers.get("store_tests") == "full"

    @property
    def test_roots(self) -> list[str]:
        """Where in the project the modules of the suite are imported from."""
        return [self.tests, f"{self.tests}/full"]

    @property
    def root(self) -> str:
        """Where in the project its packages are imported from."""
        return "src" if self.package.startswith("src/") else "."

    def files(self) -> Iterator[Path]:
        """Give the rendered files."""
        yield self.path / ANSWERS_FILE
        for directory in (self.package, self.tests):
            yield from sorted(filter(Path.is_file, (self.path / directory).rglob("*")))

    def names(self) -> set[str]:
        """Name the rendered files, independently of where the directories are."""
        names = {path.relative_to(self.path).as_posix() for path in self.files()}
        return {
            name.replace(f"{self.package}/", "PACKAGE/").replace(f"{self.tests}/", "TESTS/")
            for name in names
        }


def settings_and_questions(tree: Path = ROOT) -> dict[str, Any]:
    """Read copier.yml."""
    return _parse((tree / "copier.yml").read_text("utf-8"))


@cache
def _parse(text: str) -> dict[str, Any]:
    parsed: dict[str, Any] = yaml.safe_load(text)
    return parsed


def questions(tree: Path = ROOT) -> dict[str, dict[str, Any]]:
    """Give the questions that a user can be asked."""
    return {
        name: details
        for name, details in settings_and_questions(tree).items()
        if not name.startswith("_") and details.get("when") is not False
    }


def ways_to_answer(question: str, tree: Path = ROOT) -> list[dict[str, str]]:
    """Give each choice of a question, together with what follows from it."""
    return [
        {question: choice, **more}
        for choice in questions(tree)[question]["choices"].values()
        for more in FOLLOW_UPS.get((question, choice), [{}])
    ]


def git(directory: Path, *arguments: str) -> str:
    """Run git, and give what it prints."""
    author = ("-c", "user.name=Tests", "-c", "user.email=tests@example.com")
    command = ["git", "-C", str(directory), *author, "-c", "commit.gpgSign=false", *arguments]
    return subprocess.run(
        command, check=True, capture_output=True, text=True, encoding="utf-8"
    ).stdout


def names_of(directory: Path, *parts: str) -> list[str]:
    """Name the files of a git work tree, or of parts of it, without what git ignores."""
    options = ("-z", "--cached", "--others", "--exclude-standard")
    names = git(directory, "ls-files", *options, "--", *parts)
    return [name for name in names.split("\0") if name and (directory / name).is_file()]


def copy_tree(to: Path, *parts: str) -> Path:
    """Copy the working tree, or parts of it, without what git ignores and without the examples."""
    for name in names_of(ROOT, *parts, f":(exclude){EXAMPLES}"):
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, to / name)
    return to


def commit(repository: Path, tag: str | None = None) -> None:
    """Commit everything, and tag it."""
    if not (repository / ".git").exists():
        git(repository, "init", "--quiet")
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "--allow-empty", "--message", tag or "work")
    if tag:
        git(repository, "tag", tag)


_compile = Environment.compile
_compiled: dict[object, Any] = {}


def _compile_once(self: Environment, source: object, *details: Any, **options: Any) -> Any:
    key = (source, details, *options.items())
    if key not in _compiled:
        _compiled[key] = _compile(self, source, *details, **options)  # type: ignore[call-overload]
    return _compiled[key]


@contextmanager
def fast_copier() -> Iterator[None]:
    """Let Copier compile each template once, and not start git for the mode of each file."""
    with (
        patch.object(Environment, "compile", _compile_once),
        patch.object(Worker, "_sync_git_index_executable_bit"),
    ):
        yield


def render(template: Path, project: Path, answers: Answers | None = None, **options: Any) -> Path:
    """Render as `copier copy --defaults` does, with these answers, trusting nothing."""
    with fast_copier():
        copier.run_copy(
            str(template),
            project,
            dict(answers or {}),
            defaults=True,
            quiet=True,
            unsafe=False,
            settings=copier.Settings(),
            **options,
        )
    return project


def update(
    project: Path,
    answers: Answers | None = None,
    *,
    to: str | None = None,
    answers_file: str = ANSWERS_FILE,
) -> None:
    """Do what `copier update -a ANSWERS_FILE --defaults` does, trusting nothing.

    Args:
        project: Where the answers file is; in a clean git work tree.
        answers: The answers to change.
        to: The version to go to; without it, the newest.
        answers_file: Which of the project's answers files.
    """
    with fast_copier():
        copier.run_update(
            project,
            dict(answers or {}),
            answers_file=answers_file,
            vcs_ref=to,
            settings=copier.Settings(),
            defaults=True,
            overwrite=True,
            quiet=True,
            unsafe=False,
        )


def write(project: Path, files: Mapping[str, str]) -> None:
    """Write text files, as they stand."""
    for name, text in files.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_bytes(text.encode())


def render_beside_my_app(template: Path, project: Path, answers: Answers, **options: Any) -> Render:
    """Render into a project in which the modules that `custom` answers name exist."""
    one = Render(project, answers)
    write(project / one.root, MY_APP)
    render(template, project, answers, **options)
    return one


def files_of(directory: Path) -> dict[str, bytes]:
    """Read all files below a directory, by their path with slashes; git's own left out."""
    return {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file() and ".git" not in path.relative_to(directory).parts
    }


def run(
    *command: str | Path,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    without: str | None = None,
) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end, and keep what it prints.

    Args:
        command: The program and its arguments.
        cwd: The directory to run it in.
        env: More environment variables.
        without: How the names begin of environment variables that it is not to see.
    """
    inherited = {
        name: value
        for name, value in os.environ.items()
        if without is None or not name.startswith(without)
    }
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**inherited, **(env or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        timeout=600,
        check=False,
    )
