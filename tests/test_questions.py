"""The questions: what a wrong answer is told, and that it leaves nothing behind."""

import ast
import sys
from pathlib import Path
from typing import Any

import copier
import pytest
import yaml

from devtools.contract import BANNED_SETTINGS
from devtools.rendering import (
    ANSWERS_FILE,
    FIRST,
    MY_APP,
    files_of,
    questions,
    render,
    settings_and_questions,
    ways_to_answer,
    write,
)

CUSTOM_ID = {"store_id_format": "custom", "store_id_callable": "my_app.ids:new_id"}
CUSTOM_CONTEXT = {
    "store_context": "custom",
    "store_context_class": "my_app.auth:RequestInfo",
}


def wrong_path(path: str, *words: str) -> Any:
    """Make the case of a path that both path questions refuse with these words."""
    return pytest.param(path, words, id=repr(path))


@pytest.mark.parametrize(
    ("path", "words"),
    [
        wrong_path("../x", '"../x"', 'without ".."'),
        wrong_path("src/../../x", 'without ".."'),
        wrong_path("/abs", '"/abs"', "not relative"),
        wrong_path("~/x", '"~/x"', "not relative"),
        wrong_path("C:\\x", '"C:\\\\x"', "not relative"),
        wrong_path("C:x", '"C:x"', "not relative"),
        wrong_path("class", '"class"', "Python cannot import"),
        wrong_path("src/class/store", 'the part "class"'),
        wrong_path("a b", '"a b"', "Python cannot import"),
        wrong_path("a\\b", '"a\\\\b"', 'joined by "/"'),
        wrong_path("my-app/x", 'the part "my-app"'),
        wrong_path("1st/x", 'the part "1st"'),
        wrong_path("x.py", 'the part "x.py"'),
        wrong_path("x\n", "Python cannot import"),
        wrong_path("./x", 'the part "."'),
        wrong_path(".", '"."', "separate directory"),
        wrong_path("", '""', "separate directory"),
        wrong_path("src/chat/", '"src/chat/"', "empty part"),
        wrong_path("src//chat", '"src//chat"', "empty part"),
        wrong_path("{{ x }}", "Python cannot import"),
    ],
)
@pytest.mark.parametrize("question", ["store_path", "store_tests_path"])
def test_a_wrong_path_is_refused(
    question: str,
    path: str,
    words: tuple[str, ...],
    template_files: Path,
    tmp_path: Path,
) -> None:
    example = {"store_path": "src/chat_store", "store_tests_path": "tests/chat_store"}
    refuse(template_files, tmp_path, {question: path}, question, example[question], *words)


@pytest.mark.parametrize(
    "path",
    ["src/chatkit", "chatkit/store", "src/agents", "json", "src/typing/x", "pytest"],
)
def test_a_package_that_hides_a_module_is_refused(
    path: str, template_files: Path, tmp_path: Path
) -> None:
    answers = {"store_path": path}
    refuse(template_files, tmp_path, answers, "store_path", path, "hide", "src/chat_store")


def test_a_package_that_hides_a_module_of_the_tests_is_refused(
    template_files: Path, tmp_path: Path
) -> None:
    answers = {"store_path": "src/chat_store_tools"}
    refuse(
        template_files,
        tmp_path,
        answers,
        "chat_store_tools",
        "tests use",
        "src/chat_store.",
    )


@pytest.mark.parametrize(
    ("store_path", "tests_path"),
    [
        ("src/chat_store", "src/chat_store"),
        ("src/chat_store", "src/Chat_Store"),
        ("src/chat_store", "src/chat_store/tests"),
        ("checks/chat/store", "checks"),
    ],
)
def test_tests_that_are_not_apart_from_the_package_are_refused(
    store_path: str, tests_path: str, template_files: Path, tmp_path: Path
) -> None:
    answers = {"store_path": store_path, "store_tests_path": tests_path}
    words = (f'"{tests_path}"', f'"{store_path}"', "separate directory", "tests/chat_store")
    refuse(template_files, tmp_path, answers, "store_tests_path", *words)


def test_tests_beside_the_package_are_fine(template_files: Path, tmp_path: Path) -> None:
    answers = {"store_path": "src/chat", "store_tests_path": "src/chat_tests"}
    render(template_files, tmp_path, answers)
    assert (tmp_path / "src/chat_tests/conftest.py").exists()


@pytest.mark.parametrize(
    "question", [name for name, details in questions().items() if "choices" in details]
)
def test_an_unknown_choice_is_refused(question: str, template_files: Path, tmp_path: Path) -> None:
    choices = list(questions()[question]["choices"].values())
    answers = {"store_context": "tenant", question: "oracle"}
    refuse(template_files, tmp_path, answers, question, "'oracle'", str(choices))


@pytest.mark.parametrize(
    ("answers", "question", "example"),
    [
        ({"store_id_format": "custom"}, "store_id_callable", "my_app.ids:new_id"),
        ({"store_context": "custom"}, "store_context_class", "my_app.auth:RequestInfo"),
    ],
)
def test_custom_needs_what_is_to_be_imported(
    answers: dict[str, str],
    question: str,
    example: str,
    template_files: Path,
    tmp_path: Path,
) -> None:
    refuse(template_files, tmp_path, answers, question, '"custom" needs', example)


@pytest.mark.parametrize(
    "path",
    [
        "new_id",
        "my_app.ids",
        "my_app.ids.new_id",
        "my_app/ids:new_id",
        "my_app.ids:new_id:x",
        "my_app.ids:Ids.new_id",
        "my_app.ids:",
        ":new_id",
        ".ids:new_id",
        "my app:new_id",
        "my_app.class:new_id",
        "my_app.ids:import",
        "my_app.ids:new_id()",
        "my_app.ids:new_id\n",
    ],
)
@pytest.mark.parametrize(
    ("answers", "question"),
    [(CUSTOM_ID, "store_id_callable"), (CUSTOM_CONTEXT, "store_context_class")],
)
def test_a_malformed_import_path_is_refused(
    answers: dict[str, str],
    question: str,
    path: str,
    template_files: Path,
    tmp_path: Path,
) -> None:
    words = ("not an import path", "package.module:name")
    refuse(template_files, tmp_path, {**answers, question: path}, question, *words)


@pytest.mark.parametrize(
    ("answers", "question"),
    [(CUSTOM_ID, "store_id_callable"), (CUSTOM_CONTEXT, "store_context_class")],
)
@pytest.mark.parametrize(
    ("store_path", "path"),
    [
        ("src/chat_store", "chat_store:new_id"),
        ("src/my_app", "my_app.ids:new_id"),
        ("my_app/store/chat", "my_app.store.chat.ids:new_id"),
    ],
)
def test_an_import_from_the_store_itself_is_refused(
    answers: dict[str, str],
    question: str,
    store_path: str,
    path: str,
    template_files: Path,
    tmp_path: Path,
) -> None:
    answers = {**answers, "store_path": store_path, question: path}
    words = (f'"{path}"', "Store's own package", "a module of your own")
    refuse(template_files, tmp_path, answers, question, *words)


@pytest.mark.parametrize(
    "path",
    ["", "user id", "user..id", ".user", "user.", "user[0]", "user.class", 'a"b'],
)
def test_a_malformed_owner_path_is_refused(path: str, template_files: Path, tmp_path: Path) -> None:
    answers = {**CUSTOM_CONTEXT, "store_context_owner": path}
    words = ("not a path of attributes", "such as principal.user.id")
    refuse(template_files, tmp_path, answers, "store_context_owner", *words)


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ('"', ("without double quotes",)),
        ('a"b', ("without double quotes",)),
        ("a\\", ("no backslash at the end",)),
        ("é+", ("printable ASCII",)),
        ("a\nb", ("printable ASCII",)),
        ("[a", ("not a regular expression", 'close each "(" and "["')),
        ("a)", ("not a regular expression", 'close each "(" and "["')),
        ("(a", ("not a regular expression", 'close each "(" and "["')),
        ("*a", ("not a regular expression", "write something before")),
        ("a|+", ("not a regular expression", "write something before")),
        ("a**", ("not a regular expression", "write something before")),
        # Not foreseen, so in Python's own words.
        ("[z-a]", ("bad character range z-a",)),
        ("\\qa", ("bad escape \\q",)),
        ("(?P<1>a)", ("bad character in group name",)),
        ("a{3,2}", ("min repeat greater than max repeat",)),
    ],
)
def test_a_pattern_that_does_not_compile_is_refused(
    pattern: str, words: tuple[str, ...], template_files: Path, tmp_path: Path
) -> None:
    answers = {**CUSTOM_ID, "store_id_pattern": pattern}
    refuse(template_files, tmp_path, answers, "store_id_pattern", *words)


@pytest.mark.parametrize(
    "pattern",
    [
        "[a-z]+_[0-9]{12}",
        "(thr|msg)_[^]()[]+?",
        "(?i:a)?\\(\\[*",
        "a{,3}'?",
        "[\\]*(]++" if sys.version_info >= (3, 11) else "[\\]*(]+",
        "<&>",
    ],
)
def test_a_good_pattern_is_taken_as_it_is(
    pattern: str, template_files: Path, tmp_path: Path
) -> None:
    render(template_files, tmp_path, {**CUSTOM_ID, "store_id_pattern": pattern})
    ids = (tmp_path / "src/chat_store/ids.py").read_text("utf-8")
    assert f're.compile(r"{pattern}")' in ids
    ast.parse(ids)


@pytest.mark.parametrize(
    "path", ["chat", "src/chat", "my_app/store/chat", "src/my_app/_agents", "a/chatkit"]
)
def test_a_good_path_is_taken(path: str, template_files: Path, tmp_path: Path) -> None:
    render(template_files, tmp_path, {"store_path": path})
    assert (tmp_path / path / "store.py").exists()


def test_each_question_has_our_prefix_a_default_and_one_line_of_help() -> None:
    for name, details in questions().items():
        assert name.startswith("store_"), name
        assert "default" in details, name
        assert details["help"].strip(), name
        assert "\n" not in details["help"].strip(), name


def test_each_choice_says_what_it_brings() -> None:
    for question, details in questions().items():
        for label, value in details.get("choices", {}).items():
            assert label != value, f"{question}: {value} has no label"
            assert " - " in label, f"{question}: {label}"


@pytest.mark.parametrize("key", BANNED_SETTINGS)
def test_no_setting_that_makes_users_trust_us_or_lose_work(key: str) -> None:
    assert key not in settings_and_questions()


def test_no_question_is_secret() -> None:
    assert not [name for name, details in questions().items() if details.get("secret")]


def test_the_paths_are_not_asked_again(template: Path, tmp_path: Path) -> None:
    for name in ("store_path", "store_tests_path"):
        assert questions()[name]["ask"] == f"{{{{ {name} is not defined }}}}"


def test_every_answer_is_remembered_and_nothing_else(template: Path, tmp_path: Path) -> None:
    """Hidden values and questions that were not asked would only confuse later updates."""
    render(template, tmp_path)
    answers = yaml.safe_load((tmp_path / ANSWERS_FILE).read_text("utf-8"))
    asked = {name for name, details in questions().items() if "when" not in details}
    assert {name for name in answers if not name.startswith("_")} == asked
    assert answers["_commit"] == FIRST


def test_another_templates_answers_are_not_read(template: Path, tmp_path: Path) -> None:
    """Copier looks into its default answers file at a first copy; our prefix keeps ours apart."""
    other = {
        "_src_path": "elsewhere",
        "_commit": "v7.0.0",
        "path": "lib/x",
        "tests_path": "lib/tests",
        "database": "postgresql",
        "id_format": "ulid",
        "context": "dict",
        "example_server": True,
    }
    write(tmp_path, {".copier-answers.yml": yaml.safe_dump(other)})
    render(template, tmp_path)
    answers = yaml.safe_load((tmp_path / ANSWERS_FILE).read_text("utf-8"))
    assert answers.pop("_src_path") == str(template)
    assert answers.pop("_commit") == FIRST
    assert answers == {name: questions()[name]["default"] for name in answers}


def test_a_same_named_answer_of_another_template_is_dropped_where_it_is_wrong(
    template: Path, tmp_path: Path
) -> None:
    other = {"store_path": "/srv/shop", "store_database": "oracle"}
    write(tmp_path, {".copier-answers.yml": yaml.safe_dump(other)})
    render(template, tmp_path)
    answers = yaml.safe_load((tmp_path / ANSWERS_FILE).read_text("utf-8"))
    assert answers["store_path"] == questions()["store_path"]["default"]
    assert answers["store_database"] == questions()["store_database"]["default"]


def test_the_validators_know_every_module_that_could_be_hidden(
    template_files: Path, tmp_path: Path
) -> None:
    """Python's, and what any render imports from elsewhere."""
    known = set((template_files / "includes/validators.jinja").read_text("utf-8").split())
    python = {name for name in sys.stdlib_module_names if not name.startswith("_")}
    assert not python - known
    imported: set[str] = set()
    for number, answers in enumerate(ways_to_answer("store_database")):
        project = tmp_path / str(number)
        render(template_files, project, {"store_example_server": True, **answers})
        for path in project.rglob("*.py"):
            imported |= imports_of(path)
    ours = {name for name in imported if name.startswith("chat_store")}
    assert not imported - ours - known


def imports_of(path: Path) -> set[str]:
    """Give the top-level names of what a module imports absolutely."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.split(".")[0])
    return {name for name in names if not name.startswith("_")}


def refuse(template: Path, tmp_path: Path, answers: dict[str, Any], *words: str) -> None:
    """Assert that answers are refused in one sentence with these words, leaving no file."""
    for existing in ({}, {**MY_APP, "README.md": "mine\n"}):
        project = tmp_path / f"project{len(existing)}"
        write(project, existing)
        before = files_of(project)
        with pytest.raises((ValueError, copier.errors.CopierError)) as refusal:
            render(template, project, answers)
        sentence = str(refusal.value)
        for word in words:
            assert word in sentence
        assert len(sentence.splitlines()) == 1
        assert sentence.count(". ") == 0
        assert files_of(project) == before
        assert project.exists() == bool(existing)
