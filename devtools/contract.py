"""What a release promises to those who have it: what later versions of the template keep.

Each function compares a released tree of the template with a later one, and gives a list of
complaints, which is empty where the promise is kept.
"""

import re
import tempfile
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from copier.errors import CopierError
from jinja2 import TemplateError

from devtools.combinations import each_once, merged
from devtools.rendering import (
    Answers,
    Render,
    questions,
    render,
    settings_and_questions,
    ways_to_answer,
)

# Those that make users trust us, or lose work.
BANNED_SETTINGS = (
    "_tasks",
    "_migrations",
    "_jinja_extensions",
    "_secret_questions",
    "_skip_if_exists",
    "_external_data",
)
PACKAGE_MIGRATIONS = "template/{{ store_path }}/migrations"

Ways = Iterable[Answers]


def broken_promises(released: Path, today: Path, ways: Ways | None = None) -> list[str]:
    """Name what a later tree has changed although it was released.

    Args:
        released: A tree that is out.
        today: A later one.
        ways: The answers to render both with; without them, what `ways_to_render` gives.
    """
    return [
        *_banned_settings(today),
        *_changed_questions(released, today),
        *_changed_migrations(released, today),
        *_lost_paths(released, today, ways_to_render(released) if ways is None else ways),
    ]


def unsafe_migrations(newest: Path, today: Path) -> list[str]:
    """Name new migrations on which the code of the newest release would not run.

    A rolling deployment has both versions at work: a release only adds to the schema, and the
    one after it may take away what nobody uses any more.
    """
    complaints: list[str] = []
    for database in databases(today):
        before, after = migrations(newest, database), migrations(today, database)
        numbers = [_number(name) for name in after]
        if numbers != list(range(1, len(numbers) + 1)):
            complaints.append(f"{database}: the migrations {', '.join(after)} do not count up")
        last = max(map(_number, before), default=0)
        for name in after if before else ():
            if name not in before and (_runs_with(after[name]) or _number(name)) > last:
                complaints.append(
                    f"{database}: {name} does not begin with `-- runs with code from: N`, with N at "
                    f"most {last}, which the newest release knows"
                )
    return complaints


def serves(tables: Path, code: Path) -> bool:
    """Tell whether the code of an earlier version runs on the tables of a later one."""
    for database in databases(code):
        known = max(map(_number, migrations(code, database)))
        for name, sql in migrations(tables, database).items():
            if (_runs_with(sql) or _number(name)) > known:
                return False
    return True


def unwritten_changes(section: str, before: Path | None, after: Path) -> list[str]:
    """Name the new questions and migrations that a section of the changelog leaves out.

    Args:
        section: The text below the version's heading.
        before: The release before, if there is one.
        after: The version that the section is about.
    """
    old_questions = questions(before) if before else {}
    new = {"New questions": [name for name in questions(after) if name not in old_questions]}
    new["Schema changes"] = sorted(
        {
            name.removesuffix(".sql")
            for database in databases(after)
            for name in migrations(after, database)
            if before is None or name not in migrations(before, database)
        }
    )
    return [
        f"CHANGELOG.md: `{name}` is not under `### {heading}`"
        for heading, names in new.items()
        for name in names
        if f"`{name}`" not in _below(f"### {heading}", section)
    ]


def section_of(changelog: str, version: str | None) -> str | None:
    """Give the text of a version's section, or of what is unreleased; None where there is none."""
    heading = rf"{re.escape(version)} \(\d{{4}}-\d{{2}}-\d{{2}}\)" if version else "Unreleased"
    found = re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", changelog, re.MULTILINE | re.DOTALL)
    return found[1].strip() if found else None


def ways_to_render(tree: Path) -> list[dict[str, object]]:
    """Give answers to render a tree with: each choice once, with what follows from it and all extras.

    And the flavors without any.
    """
    asked = questions(tree)
    extras = [name for name, details in asked.items() if details["type"] == "bool"]
    choices = [
        ways_to_answer(name, tree)
        for name, details in asked.items()
        if "choices" in details and "when" not in details
    ]
    return [
        *({**merged(row), **dict.fromkeys(extras, True)} for row in each_once(choices)),
        *(
            {**flavor, **dict.fromkeys(extras, False)}
            for flavor in ways_to_answer("store_database", tree)
        ),
    ]


def databases(tree: Path) -> list[str]:
    """Name the databases of a tree."""
    return list(questions(tree)["store_database"]["choices"].values())


def migrations(tree: Path, database: str) -> dict[str, bytes]:
    """Read a database's migrations, in order."""
    room = tree / "choices" / "database" / database / "migrations"
    return {path.name: path.read_bytes() for path in sorted(room.glob("*.sql"))}


def _number(migration: str) -> int:
    return int(migration[:4])


def _runs_with(sql: bytes) -> int | None:
    header = re.match(rb"-- runs with code from: (\d+)\n", sql)
    return int(header[1]) if header else None


def _banned_settings(today: Path) -> Iterator[str]:
    for name in settings_and_questions(today):
        if name in BANNED_SETTINGS:
            yield f"copier.yml: `{name}` is banned"
    for name, details in questions(today).items():
        if details.get("secret"):
            yield f"copier.yml: `{name}` is secret, but its answer would be rendered"


def _changed_questions(released: Path, today: Path) -> Iterator[str]:
    before, after = settings_and_questions(released), settings_and_questions(today)
    if before["_answers_file"] != after["_answers_file"]:
        yield "copier.yml: `_answers_file` has changed"
    asked = questions(today)
    for name, details in questions(released).items():
        if name not in asked:
            yield f"copier.yml: the question `{name}` is gone"
            continue
        for key in ("default", "type", "multiselect"):
            if details.get(key) != asked[name].get(key):
                yield f"copier.yml: the {key} of `{name}` has changed"
        choices = asked[name].get("choices", {}).values()
        for choice in details.get("choices", {}).values():
            if choice not in choices:
                yield f"copier.yml: `{name}` has no choice `{choice}` any more"


def _changed_migrations(released: Path, today: Path) -> Iterator[str]:
    rooms = [f"choices/database/{database}/migrations" for database in databases(released)]
    for room in (*rooms, PACKAGE_MIGRATIONS):
        for path in sorted((released / room).glob("*.sql*")):
            name = f"{room}/{path.name}"
            if not (today / name).is_file():
                yield f"{name} is gone"
            elif (today / name).read_bytes() != path.read_bytes():
                yield f"{name} has changed"


def _lost_paths(released: Path, today: Path, ways: Ways) -> list[str]:
    complaints: dict[str, None] = {}
    for answers in ways:
        before = _rendered_names(released, tuple(answers.items()))
        try:
            after = _rendered_names(today, tuple(answers.items()))
        except (CopierError, TemplateError, ValueError) as error:
            complaints[f"{dict(answers)} cannot be rendered any more: {error}"] = None
            continue
        for name in sorted(before - after):
            complaints[f"{name} is not rendered any more"] = None
    return list(complaints)


@cache
def _rendered_names(tree: Path, answers: tuple[tuple[str, object], ...]) -> set[str]:
    with tempfile.TemporaryDirectory() as directory:
        one = Render(Path(directory), dict(answers))
        render(tree, one.path, one.answers)
        return one.names()


def _below(heading: str, section: str) -> str:
    _, _, rest = section.partition(f"{heading}\n")
    return rest.partition("\n### ")[0]
