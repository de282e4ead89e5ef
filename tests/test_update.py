"""`copier update`: it gives what a fresh render gives, and no edit of the user's is lost or moved.

Where an edit and a change of ours meet, conflict markers say so, and `git diff --check` finds them.
"""

import ast
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import copier
import pytest
import yaml

from devtools.combinations import FLAVORS
from devtools.history import EARLIER, NEXT, TODAY, flavors
from devtools.rendering import (
    ANSWERS_FILE,
    OTHER_PATHS,
    Answers,
    Render,
    commit,
    files_of,
    git,
    questions,
    render,
    render_beside_my_app,
    run,
    update,
    ways_to_answer,
    write,
)

Files = dict[str, bytes]
Fresh = Callable[[str, Answers], Files]


def custom(question: str) -> dict[str, str]:
    """Answer a question with what the user's own modules hold."""
    return next(way for way in ways_to_answer(question) if way[question] == "custom")


CUSTOM = {**custom("store_id_format"), **custom("store_context")}
CASES: dict[str, Answers] = {
    **FLAVORS,
    "custom": {**list(FLAVORS.values())[-1], **CUSTOM, **OTHER_PATHS},
}
EXTRAS = [name for name, details in questions().items() if details["type"] == "bool"]
STORE = "src/chat_store/store.py"
# A constant of ours, and what the user makes of it.
WEEK, MONTH = "timedelta(days=7)", "timedelta(days=30)"


@pytest.fixture(scope="module")
def fresh(history: Path, tmp_path_factory: pytest.TempPathFactory) -> Fresh:
    """Give the files of a fresh render of a version, with these answers."""
    known: dict[str, Files] = {}

    def files(version: str, answers: Answers) -> Files:
        key = f"{version} {sorted(answers.items())}"
        if key not in known:
            project = tmp_path_factory.mktemp("fresh")
            render_beside_my_app(history, project, answers, vcs_ref=version)
            known[key] = files_of(project)
        return known[key]

    return files


def begin(history: Path, project: Path, version: str, answers: Answers) -> Render:
    """Render a version into a project, and commit that."""
    one = render_beside_my_app(history, project, answers, vcs_ref=version)
    commit(project)
    return one


def conflicts(project: Path) -> str:
    """Give what `git diff --check` finds, which is nothing where there is no conflict."""
    # Without git's warnings of line ends.
    return run("git", "-c", "core.safecrlf=false", "diff", "--check", cwd=project).stdout


# --- without edits


@pytest.mark.parametrize(
    ("version", "case"),
    [(version, case) for version in EARLIER for case in (*flavors(version), "custom")],
)
def test_an_update_gives_what_a_fresh_render_gives(
    version: str, case: str, history: Path, fresh: Fresh, tmp_path: Path
) -> None:
    begin(history, tmp_path, version, CASES[case])
    for newer in (TODAY, NEXT):
        update(tmp_path, to=newer)
        assert files_of(tmp_path) == fresh(newer, CASES[case])
        assert conflicts(tmp_path) == ""
        commit(tmp_path)


def test_answers_stay_and_a_new_question_gets_its_default(history: Path, tmp_path: Path) -> None:
    begin(history, tmp_path, EARLIER[0], CASES["custom"])
    before = yaml.safe_load((tmp_path / ANSWERS_FILE).read_text("utf-8"))
    update(tmp_path)
    after = yaml.safe_load((tmp_path / ANSWERS_FILE).read_text("utf-8"))
    assert (before.pop("_commit"), after.pop("_commit")) == (EARLIER[0], NEXT)
    assert {name: after.pop(name) for name in before} == before
    first, last = (questions(history.parent / version) for version in (EARLIER[0], NEXT))
    new = {name: last[name]["default"] for name in last.keys() - first.keys()}
    assert after == new
    assert "store_next_question" in new


# --- with edits

OWN_STORE = '''"""The user's own Store, on tables to which the user has added a column."""

import sqlite3

from chat_store import ChatStore
from chatkit.types import ThreadMetadata

from .auth import RequestInfo


class OwnStore(ChatStore):
    """Shouts titles."""

    async def load_thread(
        self, thread_id: str, context: RequestInfo
    ) -> ThreadMetadata:
        thread = await super().load_thread(thread_id, context)
        return thread.model_copy(update={"title": (thread.title or "").upper()})


def plan_of(database: str, thread_id: str) -> str:
    """Read the user's own column."""
    query = "SELECT plan FROM chatkit_threads WHERE id = ?"
    return sqlite3.connect(database).execute(query, (thread_id,)).fetchone()[0]
'''


def edit(one: Render, ruff: str) -> set[str]:
    """Edit a render as its owner may, commit that, and name the files."""
    before = files_of(one.path)
    package = one.path / one.package
    replace(package / "store.py", WEEK, MONTH)
    (package / "agents.py").unlink()
    write(package, {"of_mine.py": "MINE = True\n"})
    write(one.path / one.root, {"my_app/own_store.py": OWN_STORE})
    options = ("--config=line-length=120", "--config=format.quote-style='single'", "--no-cache")
    for name in ("codec.py", "keys.py"):
        assert run(ruff, "format", *options, name, cwd=package).returncode == 0
    commit(one.path)
    names = changed(before, files_of(one.path))
    assert len(names) == 6
    return names


@pytest.mark.parametrize(
    ("version", "to", "flavor"),
    [
        *((TODAY, NEXT, flavor) for flavor in FLAVORS),
        (EARLIER[-1], TODAY, next(iter(FLAVORS))),  # the newest release
    ],
)
def test_edits_are_kept_or_marked(
    flavor: str,
    version: str,
    to: str,
    history: Path,
    fresh: Fresh,
    tmp_path: Path,
    tool: Callable[[str], str],
) -> None:
    answers = {**FLAVORS[flavor], **CUSTOM}
    names = edit(begin(history, tmp_path, version, answers), tool("ruff"))
    edited = files_of(tmp_path)
    update(tmp_path, to=to)

    after, ours, reported = files_of(tmp_path), fresh(to, answers), conflicts(tmp_path)
    expect_nothing_lost(fresh(version, answers), edited, after, ours, reported)
    assert all(after[name] == ours[name] for name in ours if name not in names)
    assert "src/chat_store/agents.py" not in after  # which the next version changes
    for name in ("src/chat_store/of_mine.py", "src/my_app/own_store.py"):
        assert after[name] == edited[name]
    store = after[STORE].decode()
    assert f"\nTOMBSTONE_LIFETIME = {MONTH}\n" in store
    assert WEEK not in store
    # The next version changes a line that the user's own format has changed.
    assert ("codec.py:" in reported) or to != NEXT


def expect_nothing_lost(
    before: Files, edited: Files, after: Files, ours: Files, reported: str
) -> None:
    """See that each file has both the user's new lines and ours, or says where not.

    Args:
        before: The files as they were rendered.
        edited: The same with the user's edits.
        after: The files after the update.
        ours: Those of a fresh render of the new version.
        reported: What `git diff --check` says.
    """
    for name in edited.keys() & ours:
        text = after[name].decode()
        old = lines_of(before.get(name, b"").decode())
        assert lines_of(edited[name].decode()) - old <= lines_of(resolve(text, "before")), name
        assert lines_of(ours[name].decode()) - old <= lines_of(resolve(text, "after")), name
        is_marked = "<<<<<<< before updating\n" in text
        assert is_marked == (f"{name}:" in reported), reported


def lines_of(text: str) -> Counter[str]:
    """Count the lines of a text."""
    return Counter(text.splitlines())


@pytest.mark.parametrize("alembic", [False, True])
def test_after_an_update_it_is_told_how_the_tables_follow(
    alembic: bool, history: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    begin(history, tmp_path, TODAY, {**OTHER_PATHS, "store_sqlalchemy": alembic})
    settings = copier.Settings()
    copier.run_update(
        tmp_path, answers_file=ANSWERS_FILE, defaults=True, overwrite=True, settings=settings
    )
    told = capfd.readouterr().err
    assert f"python -m {'.'.join(OTHER_PATHS['store_path'].split('/'))} migrate" in told
    assert ("chat_store.upgrade(N)" in told) == alembic


def resolve(text: str, side: str) -> str:
    """Resolve the conflicts of a text with what was before the update, or what came after it."""
    conflict = r"^<<<<<<< before updating\n(.*?)^=======\n(.*?)^>>>>>>> after updating\n"
    kept = r"\1" if side == "before" else r"\2"
    return re.sub(conflict, kept, text, flags=re.MULTILINE | re.DOTALL)


def test_own_code_runs_on_after_updates(history: Path, tmp_path: Path) -> None:
    """A subclass, and a query that reads a column which the user has added to our table."""
    answers = {**FLAVORS["sqlite"], **CUSTOM}
    begin(history, tmp_path, EARLIER[0], answers)
    write(tmp_path, {"src/my_app/own_store.py": OWN_STORE, "own.py": OWN_SCRIPT})
    write(tmp_path, {".gitignore": "own.sqlite*\n"})
    commit(tmp_path)
    expected = "['A TITLE', 'gold']\n"
    assert run_own_script(tmp_path, "first") == expected
    for version in (TODAY, NEXT):
        update(tmp_path, to=version)
        commit(tmp_path)
        assert run_own_script(tmp_path, "later") == expected


OWN_SCRIPT = """
import asyncio, sqlite3, sys
from datetime import datetime

from chatkit.types import ThreadMetadata
from my_app.auth import Principal, RequestInfo, User
from my_app.own_store import OwnStore, plan_of


async def main():
    context = RequestInfo(Principal(User(1)))
    async with OwnStore("sqlite:///own.sqlite", auto_migrate=True) as store:
        if sys.argv[1] == "first":
            thread = ThreadMetadata(id="thr_1", title="A title", created_at=datetime.now())
            await store.save_thread(thread, context)
            with sqlite3.connect("own.sqlite") as connection:
                connection.execute("ALTER TABLE chatkit_threads ADD COLUMN plan TEXT")
                connection.execute("UPDATE chatkit_threads SET plan = 'gold'")
        print([(await store.load_thread("thr_1", context)).title, plan_of("own.sqlite", "thr_1")])


asyncio.run(main())
"""


def run_own_script(project: Path, argument: str) -> str:
    """Run the user's script, and give what it prints."""
    options = {"PYTHONPATH": "src", "PYTHONDONTWRITEBYTECODE": "1"}
    done = run(sys.executable, "-W", "ignore", "own.py", argument, cwd=project, env=options)
    return done.stdout


# --- nothing moves into another function


# All of the lines; and one of three, since edits that stand close are merged as one, with more text
# around them to find their place by.
ALL, THIRDS = (0, 1), [(first, 3) for first in range(3)]


@pytest.mark.parametrize(
    ("flavor", "chosen"),
    [*((flavor, ALL) for flavor in FLAVORS), *((next(iter(FLAVORS)), it) for it in THIRDS)],
    ids=str,
)
def test_no_edit_moves_into_another_place(
    flavor: str, chosen: tuple[int, int], history: Path, tmp_path: Path
) -> None:
    one = begin(history, tmp_path, TODAY, FLAVORS[flavor])
    expected: dict[Path, list[str]] = {}
    for path in (tmp_path / one.package).glob("*.py"):
        text, expected[path] = with_lines_added(path.read_text("utf-8"), *chosen)
        path.write_bytes(text.encode())
    assert sum(map(len, expected.values())) > 100 / chosen[1]
    commit(tmp_path)

    update(tmp_path, to=NEXT)
    for path, lines in expected.items():
        text = path.read_text("utf-8")
        found = dict(added_lines(resolve(text, "before")))
        assert sorted(found) == sorted(lines), path
        # In a conflict, the other side may lack a line of the user's.
        for line, place in (*found.items(), *added_lines(resolve(text, "after"))):
            assert line.endswith(f" of {place}"), path


@dataclass(frozen=True)
class Place:
    """A function, or a statement of SQL, that a user may add lines to.

    Attributes:
        name: Its qualified name.
        first: The row of its first line, from 0.
        start: The row that a line at its start goes to.
        end: The row that a line at its end goes to.
        line: The added line, for what it says.
    """

    name: str
    first: int
    start: int
    end: int
    line: str


def places_of(node: ast.AST, prefix: str = "") -> Iterator[Place]:
    """Give the places of a module, each before those inside it."""
    for child in ast.iter_child_nodes(node):
        name = prefix
        match child:
            case ast.ClassDef():
                name = f"{prefix}.{child.name}".strip(".")
            case ast.FunctionDef(body=body) | ast.AsyncFunctionDef(body=body):
                name = f"{prefix}.{child.name}".strip(".")
                start = body[ast.get_docstring(child) is not None and len(body) > 1]
                line = " " * start.col_offset + '"{}"\n'
                yield Place(name, child.lineno - 1, start.lineno - 1, child.end_lineno or 0, line)
            case ast.Assign(targets=[ast.Name(name)], value=ast.Constant(str(text))):
                if "\n" in text:
                    yield _statement(name, child.value)
            case ast.Assign(targets=[ast.Name(name)], value=ast.Dict(keys, values)):
                for key, value in zip(keys, values, strict=True):
                    match key, value:
                        case ast.Constant(str(key_text)), ast.Constant(str(text)) if "\n" in text:
                            yield _statement(f"{name}.{key_text}", value)
        yield from places_of(child, name)


def _statement(name: str, value: ast.expr) -> Place:
    return Place(name, value.lineno - 1, value.lineno, (value.end_lineno or 0) - 1, "-- {}\n")


def with_lines_added(source: str, first: int, step: int) -> tuple[str, list[str]]:
    """Add lines at the start and the end of places, which say so; give the text and the lines."""
    insertions = [
        (row, place.line, f"{where} of {place.name}")
        for place in places_of(ast.parse(source))
        for where, row in (("start", place.start), ("end", place.end))
    ][first::step]
    lines = source.splitlines(keepends=True)
    # From the last, so that the rows above stay; at one row what is inside goes first.
    for row, line, words in sorted(insertions, key=lambda it: (-it[0], len(it[1]))):
        lines.insert(row, line.format(f"Mine, {words}"))
    return "".join(lines), [words for _, _, words in insertions]


def added_lines(source: str) -> Iterator[tuple[str, str]]:
    """Give each added line, and the innermost place that it is in."""
    places = list(places_of(ast.parse(source)))
    for row, line in enumerate(source.splitlines()):
        if mine := re.search(r"Mine, (\w+ of [\w.]+)", line):
            around = [place.name for place in places if place.first <= row < place.end]
            yield mine[1], around[-1] if around else "nothing"


# --- with other answers


def test_an_answer_can_change_and_edits_beside_it_stay(history: Path, tmp_path: Path) -> None:
    """No path depends on the format of ids."""
    begin(history, tmp_path, TODAY, {})
    edited = tmp_path / "src/chat_store/keys.py"
    replace(edited, "MAX_KEY_LENGTH = 255", "MAX_KEY_LENGTH = 200")
    commit(tmp_path)
    before = files_of(tmp_path)
    update(tmp_path, {"store_id_format": "ulid"}, to=TODAY)
    after = files_of(tmp_path)
    assert after.keys() == before.keys()
    assert b"ULID" in after["src/chat_store/ids.py"]
    assert b"MAX_KEY_LENGTH = 200" in edited.read_bytes()


@pytest.mark.parametrize("extra", EXTRAS)
def test_an_extra_comes_and_goes_with_its_answer_and_nothing_else_does(
    extra: str, history: Path, fresh: Fresh, tmp_path: Path
) -> None:
    """Taking it away deletes its files, edited ones too, and leaves a user's own beside them."""
    begin(history, tmp_path, TODAY, {})
    replace(tmp_path / STORE, WEEK, MONTH)
    commit(tmp_path)
    before = files_of(tmp_path)

    update(tmp_path, {extra: True}, to=TODAY)
    with_it = files_of(tmp_path)
    expect_only_edit(with_it, fresh(TODAY, {extra: True}), STORE)
    own = with_it.keys() - before.keys()
    assert own
    told_in = {ANSWERS_FILE, "src/chat_store/README.md"}
    told_in |= {f"{part}/chat_store/requirements.txt" for part in ("src", "tests")}
    assert changed(before, with_it) - own <= told_in
    commit(tmp_path)

    directories = {(tmp_path / name).parent for name in own}
    mine = {directory / "of_mine.py": b"MINE = True\n" for directory in directories}
    for path, text in mine.items():
        path.write_bytes(text)
    for name in own:
        (tmp_path / name).write_bytes(with_it[name] + b"# edited\n")
    commit(tmp_path)
    update(tmp_path, {extra: False}, to=TODAY)
    for path, text in mine.items():
        assert path.read_bytes() == text
        path.unlink()
    assert files_of(tmp_path) == before


def test_the_deep_tests_come_and_go_with_their_answer(
    history: Path, fresh: Fresh, tmp_path: Path
) -> None:
    begin(history, tmp_path, TODAY, {"store_tests": "full"})
    full = files_of(tmp_path)
    update(tmp_path, {"store_tests": "promises"}, to=TODAY)
    after = files_of(tmp_path)
    assert after == fresh(TODAY, {})
    gone = full.keys() - after.keys()
    assert gone
    assert all(name.startswith("tests/") for name in gone)
    assert all(name.startswith("tests/") for name in changed(full, after) - {ANSWERS_FILE})


# --- in all sorts of projects

OTHER_TEMPLATE = {
    "copier.yml": "_subdirectory: template\npaint_path: lib\npaint_colour: red\n",
    "template/{{ _copier_conf.answers_file }}.jinja": "{{ _copier_answers|to_nice_yaml }}",
    "template/{{ paint_path }}/colour.txt.jinja": "first\n{{ paint_colour }}\nlast\n",
}
DEFAULT_ANSWERS_FILE = ".copier-answers.yml"


def test_two_templates_in_one_project_are_updated_each_for_itself(
    history: Path, fresh: Fresh, tmp_path: Path
) -> None:
    other, project = tmp_path / "other", tmp_path / "project"
    write(other, OTHER_TEMPLATE)
    commit(other, "v1.0.0")
    write(
        other, {"template/{{ paint_path }}/colour.txt.jinja": "first!\n{{ paint_colour }}\nlast\n"}
    )
    commit(other, "v2.0.0")

    render(other, project, {"paint_colour": "blue"}, vcs_ref="v1.0.0")
    theirs = files_of(project)
    begin(history, project, TODAY, {})
    replace(project / STORE, WEEK, MONTH)
    (project / "lib/colour.txt").write_bytes(b"first\nblue\nlast\nmine\n")
    commit(project)

    update(project, to=NEXT)
    after = files_of(project)
    assert after.pop("lib/colour.txt") == b"first\nblue\nlast\nmine\n"
    assert after.pop(DEFAULT_ANSWERS_FILE) == theirs[DEFAULT_ANSWERS_FILE]
    expect_only_edit(after, fresh(NEXT, {}), STORE)
    commit(project)

    before = files_of(project)
    update(project, answers_file=DEFAULT_ANSWERS_FILE)
    after = files_of(project)
    assert after["lib/colour.txt"] == b"first!\nblue\nlast\nmine\n"
    assert b"_commit: v2.0.0" in after[DEFAULT_ANSWERS_FILE]
    assert changed(before, after) == {"lib/colour.txt", DEFAULT_ANSWERS_FILE}


def test_two_stores_of_a_monorepo_are_updated_each_in_its_directory(
    history: Path, fresh: Fresh, tmp_path: Path
) -> None:
    answers = {
        "services/one": FLAVORS["sqlite"],
        "services/two": {**list(FLAVORS.values())[-1], **OTHER_PATHS, "store_context": "tenant"},
    }
    for name, chosen in answers.items():
        render_beside_my_app(history, tmp_path / name, chosen, vcs_ref=TODAY)
    replace(tmp_path / "services/one" / STORE, WEEK, MONTH)
    commit(tmp_path)
    for name, chosen in answers.items():
        before = files_of(tmp_path)
        update(tmp_path / name, to=NEXT)
        after = files_of(tmp_path)
        assert all(path.startswith(f"{name}/") for path in changed(before, after))
        own, new = files_of(tmp_path / name), fresh(NEXT, chosen)
        if STORE in new:
            expect_only_edit(own, new, STORE)
        else:
            assert own == new
        assert conflicts(tmp_path) == ""
        commit(tmp_path)


def test_two_stores_of_one_project_are_updated_each_with_its_answers_file(
    history: Path, tmp_path: Path
) -> None:
    stores: dict[str, Answers] = {
        ANSWERS_FILE: {},
        ".copier-answers.billing-store.yml": {
            "store_path": "src/billing_store",
            "store_tests_path": "tests/billing_store",
            "store_id_format": "ulid",
        },
    }
    project, expected = tmp_path / "project", tmp_path / "expected"
    for answers_file, answers in stores.items():
        for directory, version in ((project, TODAY), (expected, NEXT)):
            render(history, directory, answers, vcs_ref=version, answers_file=answers_file)
    edited = "src/billing_store/store.py"
    replace(project / edited, WEEK, MONTH)
    commit(project)
    for answers_file in stores:
        before = files_of(project)
        update(project, to=NEXT, answers_file=answers_file)
        is_billing = "billing" in answers_file
        for path in changed(before, files_of(project)):
            assert ("billing" in path) == is_billing, path
        commit(project)
    expect_only_edit(files_of(project), files_of(expected), edited)


def test_a_package_that_was_moved_is_updated_where_it_is(
    history: Path, fresh: Fresh, tmp_path: Path
) -> None:
    answers = dict.fromkeys(EXTRAS, True)
    begin(history, tmp_path, TODAY, answers)
    replace(tmp_path / STORE, WEEK, MONTH)
    commit(tmp_path)

    (tmp_path / "src/app").mkdir()
    git(tmp_path, "mv", "src/chat_store", "src/app/chat_store")
    package = tmp_path / "src/app/chat_store"
    by_name = [package / "README.md", *package.glob("example_server.py")]
    for path in (tmp_path / ANSWERS_FILE, *by_name, *(tmp_path / "tests").rglob("*.py")):
        text = path.read_text("utf-8").replace("src/chat_store", "src/app/chat_store")
        text = re.sub(r"(from |-m |-files |`)chat_store\b", r"\1app.chat_store", text)
        path.write_bytes(text.encode())
    commit(tmp_path)
    moved = {**answers, "store_path": "src/app/chat_store"}
    edited = "src/app/chat_store/store.py"
    expect_only_edit(files_of(tmp_path), fresh(TODAY, moved), edited)

    update(tmp_path, to=NEXT)
    expect_only_edit(files_of(tmp_path), fresh(NEXT, moved), edited)
    assert conflicts(tmp_path) == ""


def test_windows_line_ends_of_the_work_tree_are_no_changes(
    history: Path, fresh: Fresh, tmp_path: Path
) -> None:
    write(tmp_path, {".gitattributes": "* text=auto eol=crlf\n"})
    begin(history, tmp_path, TODAY, {})
    replace(tmp_path / STORE, WEEK, MONTH)
    commit(tmp_path)
    git(tmp_path, "rm", "-r", "--quiet", "--cached", ".")
    git(tmp_path, "reset", "--quiet", "--hard")
    assert f"{MONTH}\r\n".encode() in (tmp_path / STORE).read_bytes()

    update(tmp_path, to=NEXT)
    assert conflicts(tmp_path) == ""
    git(tmp_path, "add", "--all")
    old, new = fresh(TODAY, {}), fresh(NEXT, {})
    assert set(git(tmp_path, "diff", "--cached", "--name-only").split()) == changed(old, new)
    staged = {name: git(tmp_path, "show", f":{name}").encode() for name in new}
    expect_only_edit(staged, new, STORE)


def test_windows_line_ends_that_were_committed_are_kept_or_marked(
    history: Path, fresh: Fresh, tmp_path: Path
) -> None:
    begin(history, tmp_path, TODAY, {})
    before = files_of(tmp_path)
    for name, content in before.items():
        (tmp_path / name).write_bytes(content.replace(b"\n", b"\r\n"))
    replace(tmp_path / STORE, WEEK, MONTH)
    replace(tmp_path / "src/chat_store/keys.py", "= 255", "= 200")
    commit(tmp_path)
    edited = with_unix_line_ends(files_of(tmp_path))
    update(tmp_path, to=NEXT)
    after = with_unix_line_ends(files_of(tmp_path))
    # Copier alone writes the answers file, as it is under Unix.
    del edited[ANSWERS_FILE]
    expect_nothing_lost(before, edited, after, fresh(NEXT, {}), conflicts(tmp_path))


def with_unix_line_ends(files: Files) -> Files:
    """Give files as they are under Unix."""
    return {name: content.replace(b"\r\n", b"\n") for name, content in files.items()}


def replace(path: Path, text: str, other: str) -> None:
    """Change a text that is once in a file, and leave its line ends."""
    content = path.read_bytes()
    assert content.count(text.encode()) == 1, f"{path}: {text}"
    path.write_bytes(content.replace(text.encode(), other.encode()))


def changed(before: Files, after: Files) -> set[str]:
    """Name the files that differ, or are only in one."""
    return {name for name in {*before, *after} if before.get(name) != after.get(name)}


def expect_only_edit(found: Files, fresh: Files, name: str) -> None:
    """See that files are those of a fresh render, but for the user's constant in one of them."""
    expected = {**fresh, name: fresh[name].replace(WEEK.encode(), MONTH.encode())}
    assert expected[name] != fresh[name]
    assert changed(found, expected) == set()
