"""What is rendered, for every pair of answers: that it is sound before anything of it is run."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import copier
import pytest
import yaml
from pytest_copie.plugin import Copie

from devtools.checkers import OLDEST_PYTHON, expect_success, mypy, pyright
from devtools.combinations import FLAVORS, all_pairs, each_once, factors, merged
from devtools.rendering import (
    ANSWERS_FILE,
    MY_APP,
    OTHER_PATHS,
    ROOT,
    Render,
    files_of,
    questions,
    render,
    render_beside_my_app,
    run,
    settings_and_questions,
    write,
)


@pytest.fixture(scope="module")
def renders(tmp_path_factory: pytest.TempPathFactory, template_files: Path) -> list[Render]:
    """Render every pair of answers, each into a project of its own in one directory."""
    directory = tmp_path_factory.mktemp("renders")
    made: list[Render] = []
    for number, row in enumerate(all_pairs(factors())):
        answers = merged(row)
        one = render_beside_my_app(template_files, directory / f"r{number:02}", answers)
        # Makes ruff see a project of its own in it, under the default settings.
        write(one.path, {"ruff.toml": ""})
        made.append(one)
    return made


@pytest.fixture(scope="module")
def checked(renders: list[Render]) -> list[Render]:
    """Choose what type checkers look at, which takes long: each answer at least once.

    And the full suite of each flavor.
    """
    chosen: dict[object, Render] = {}
    for one in renders:
        for answer in one.answers.items():
            chosen.setdefault(answer, one)
        if one.is_deep:
            chosen.setdefault(one.flavor, one)
    return list({one.path: one for one in chosen.values()}.values())


@pytest.fixture(scope="module")
def packages(renders: list[Render], checked: list[Render]) -> list[str]:
    """Name what type checkers look at of the packages.

    Beside whole packages, deterministic ids with each context, since they read it.
    """
    ids = [one for one in renders if one.answers["store_id_format"] == "deterministic"]
    return [
        *(f"{one.path.name}/{one.package}" for one in checked),
        *(f"{one.path.name}/{one.package}/ids.py" for one in ids if one not in checked),
    ]


def test_the_pairs_are_all_there() -> None:
    choices = {name: each["choices"] for name, each in questions().items() if "choices" in each}
    rows = [merged(row) for row in all_pairs(factors())]
    for name, of_name in choices.items():
        for other, of_other in choices.items():
            for choice in of_name.values():
                for other_choice in of_other.values():
                    together = [
                        row
                        for row in rows
                        if row.get(name) == choice and row.get(other) == other_choice
                    ]
                    possible = name != other or choice == other_choice
                    conditional = {"store_tenant_scope", "store_driver"} & {name, other}
                    assert together or not possible or conditional, (
                        choice,
                        other_choice,
                    )
    for name in ("store_tenant_scope", "store_driver"):
        for choice in choices[name].values():
            assert any(row.get(name) == choice for row in rows)


def test_ruff_finds_nothing(renders: list[Render], tool: Callable[[str], str]) -> None:
    """Nor syntax that the oldest Python does not know."""
    oldest = f"--target-version=py{OLDEST_PYTHON.replace('.', '')}"
    command = (tool("ruff"), "check", "--no-cache", oldest, "--output-format=concise", ".")
    expect_success(run(*command, cwd=renders[0].path.parent))


def test_ruffs_security_rules_find_only_what_the_page_on_security_gives_reasons_for(
    renders: list[Render], tool: Callable[[str], str]
) -> None:
    page = (ROOT / "docs/security.md").read_text("utf-8")
    ignored = {"--ignore": "S101,S311", "--per-file-ignores": "**/user_data/statements.py:S608"}
    assert all(rule in page for rule in re.findall(r"S\d+", str(ignored)))
    options = [f"{option}={value}" for option, value in ignored.items()]
    packages = [f"{one.path.name}/{one.package}" for one in renders]
    command = (tool("ruff"), "check", "--isolated", "--no-cache", "--ignore-noqa", "--select=S")
    expect_success(run(*command, *options, *packages, cwd=renders[0].path.parent))


def test_ruff_would_format_nothing(renders: list[Render], tool: Callable[[str], str]) -> None:
    command = (tool("ruff"), "format", "--check", "--no-cache", ".")
    expect_success(run(*command, cwd=renders[0].path.parent))


@pytest.mark.parametrize(
    "program",
    ["codespell", "end-of-file-fixer", "trailing-whitespace-fixer", "mixed-line-ending"],
)
def test_what_projects_check_all_files_with_finds_nothing(
    renders: list[Render], tool: Callable[[str], str], program: str
) -> None:
    directory = renders[0].path.parent
    paths = [path.relative_to(directory) for path in rendered_files(renders)]
    expect_success(run(tool(program), *paths, cwd=directory))


@pytest.mark.parametrize("answers", [{}, OTHER_PATHS])
def test_the_lines_in_the_readme_leave_the_files_out_of_linters(
    answers: dict[str, str], template_files: Path, tmp_path: Path, tool: Callable[[str], str]
) -> None:
    project = render(template_files, tmp_path, answers)
    one = Render(project, answers)
    readme = (project / one.package / "README.md").read_text("utf-8")
    settings, hooks = re.findall(r"```(?:toml|yaml)\n(.*?)```", readme, re.DOTALL)
    write(project, {"pyproject.toml": settings, "src/mine.py": "thr = 1\n"})
    for command in (("ruff", "check", "--no-cache", "--select=ALL"), ("typos", "--format=brief")):
        done = run(tool(command[0]), *command[1:], cwd=project)
        assert "mine.py" in done.stdout
        assert one.package not in done.stdout
        assert one.tests not in done.stdout
    pattern = yaml.safe_load(hooks)["exclude"]
    inside = [name for name in files_of(project) if re.search(pattern, name)]
    assert inside == [
        name for name in files_of(project) if name.startswith((one.package, one.tests))
    ]


def test_mypy_finds_nothing_in_the_packages(
    renders: list[Render],
    packages: list[str],
    tool: Callable[[str], str],
    tmp_path: Path,
    mypy_cache: Path,
) -> None:
    write(tmp_path, MY_APP)
    directory = renders[0].path.parent
    expect_success(mypy(tool("mypy"), directory, [tmp_path], packages, mypy_cache))


@pytest.mark.parametrize("flavor", FLAVORS)
def test_mypy_finds_nothing_in_a_suite(
    flavor: str, checked: list[Render], tool: Callable[[str], str], mypy_cache: Path
) -> None:
    """Each in a run of its own, since their modules share their names."""
    one = next(it for it in checked if it.is_deep and it.flavor == flavor)
    roots = [one.path / one.root, *(one.path / directory for directory in one.test_roots)]
    expect_success(mypy(tool("mypy"), one.path, roots, [one.tests], mypy_cache))


def test_pyright_finds_nothing(
    renders: list[Render], checked: list[Render], packages: list[str], tool: Callable[[str], str]
) -> None:
    directory = renders[0].path.parent
    # Of modules of the suites that no answer changes, one is enough: mypy reads those of each flavor.
    suites = {
        (path.name, path.read_bytes()): path.relative_to(directory).as_posix()
        for one in checked
        for path in (one.path / one.tests).rglob("*.py")
    }
    roots = {one.path.name: [one.root, *one.test_roots] for one in renders}
    expect_success(pyright(tool, directory, roots, [*packages, *suites.values()]))


def test_nothing_of_jinja_is_left(renders: list[Render]) -> None:
    for path in rendered_files(renders):
        # Two braces without a space also stand in f-strings.
        assert not re.search(r"\{\{[- ]|\{%|\{#|[- ]\}\}|%\}", path.read_text("utf-8")), path
    assert settings_and_questions()["_envops"]["undefined"] == "jinja2.StrictUndefined"


def test_text_is_utf8_with_unix_line_ends(renders: list[Render]) -> None:
    for path in rendered_files(renders):
        text = path.read_bytes().decode()
        assert "\r" not in text, path
        assert not text or text.endswith("\n"), path
        assert not text.endswith("\n\n"), path
        assert not text.startswith("\n"), path


def test_no_path_of_this_machine_is_rendered(renders: list[Render]) -> None:
    here = {str(ROOT), str(Path.home()), str(renders[0].path.parent)} - {"/"}
    for path in rendered_files(renders):
        if path.name != ANSWERS_FILE:
            text = path.read_text("utf-8")
            # mysql://root@host is none.
            assert not [one for one in here if re.search(rf"(?<![\w/]){one}\b", text)], path


def test_names_are_safe_on_windows(renders: list[Render]) -> None:
    reserved = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)
    for one in renders:
        names = one.names()
        assert len({name.lower() for name in names}) == len(names)
        for part in {part for name in names for part in name.split("/")}:
            assert re.fullmatch(r"[A-Za-z0-9._-]+", part), part
            assert not part.endswith("."), part
            assert not reserved.match(part), part


def test_only_our_directories_and_the_answers_file_are_written(
    renders: list[Render],
) -> None:
    for one in renders:
        top = one.root
        theirs = {f"{top}/{name}".removeprefix("./") for name in MY_APP} | {"ruff.toml"}
        ours = {path.relative_to(one.path).as_posix() for path in one.files()}
        assert set(files_of(one.path)) == ours | theirs


def test_the_readme_says_what_each_module_and_extra_is_for(renders: list[Render]) -> None:
    for one in renders:
        package = one.path / one.package
        table = (package / "README.md").read_text("utf-8").partition("## Layout")[2]
        named = {path.name for path in package.glob("*.py")} - {"__init__.py"}
        named |= {f"{path.parent.name}/" for path in package.glob("*/__init__.py")}
        assert [name for name in sorted(named) if f"`{name}`" not in table] == [], one.answers


def has_engine(one: Render) -> bool:
    """Tell whether a render uses an engine of the application's."""
    answers = one.answers
    return bool(answers["store_sqlalchemy"]) and answers["store_database"] == "postgresql"


def test_a_name_depends_on_no_answer_but_that_which_asks_for_its_file(
    renders: list[Render],
) -> None:
    """A path that vanishes when an answer changes would take the user's edits with it."""
    with_answer: dict[str, Callable[[Render], object]] = {
        r"PACKAGE/dialect\.py": lambda it: it.answers["store_database"] != "sqlite",
        r"TESTS/full/.*": lambda it: it.is_deep,
        r"TESTS/chat_store_http\.py": lambda it: (
            it.is_deep or it.answers["store_example_server"] or it.answers["store_attachments"]
        ),
        r".*example_server\.py": lambda it: it.answers["store_example_server"],
        r".*[/_]transfer\b.*": lambda it: it.answers["store_transfer"],
        r".*[/_]user_data\b.*": lambda it: it.answers["store_user_data"],
        r".*[/_]attachments\b.*": lambda it: it.answers["store_attachments"],
        r"PACKAGE/unshown\.py": lambda it: (
            it.answers["store_attachments"] or it.answers["store_user_data"]
        ),
        r"PACKAGE/sqlalchemy/.*|.*_alembic\.py": lambda it: it.answers["store_sqlalchemy"],
        r".*[/_]engine\.py": has_engine,
    }
    names_of = {one.path: set(one.names()) for one in renders}
    for name in set().union(*names_of.values()):
        found = [it for like, it in with_answer.items() if re.fullmatch(like, name)]
        for one in renders:
            expected = all(is_asked(one) for is_asked in found)
            assert (name in names_of[one.path]) == expected, name


@pytest.mark.parametrize("flavor", FLAVORS)
def test_every_rule_has_a_promise_and_every_test_a_rule_that_there_is(
    flavor: str, project_of: Callable[[str], Path]
) -> None:
    """Also where only the promises are rendered."""
    suite = project_of(flavor) / "tests"
    named = re.findall(
        r"def test_(R\d+)_", "".join(path.read_text("utf-8") for path in suite.rglob("*.py"))
    )
    assert set(named) == {f"R{number:02}" for number in range(1, 45)}


def test_rendering_again_gives_the_same_bytes(renders: list[Render], template_files: Path) -> None:
    for one in renders[:3]:
        before = files_of(one.path)
        render(template_files, one.path, one.answers, overwrite=True)
        assert files_of(one.path) == before


@pytest.mark.parametrize("number", [0, 1, 2, 3])
def test_the_answers_file_renders_the_same_again(
    number: int, template: Path, tmp_path: Path
) -> None:
    answers = merged(each_once(factors())[-1 - number])
    project = render(template, tmp_path / "one", answers)
    before = files_of(project)

    def same_bytes() -> bool:
        return files_of(project) == before

    copier.run_recopy(
        project,
        answers_file=ANSWERS_FILE,
        settings=copier.Settings(),
        defaults=True,
        overwrite=True,
        quiet=True,
        unsafe=False,
    )
    assert same_bytes()
    remembered = yaml.safe_load(before[ANSWERS_FILE])
    data = {name: value for name, value in remembered.items() if name[0] != "_"}
    assert files_of(render(template, tmp_path / "two", data)) == before


def test_pytest_copie_renders_the_defaults(copie: Copie, template: Path, tmp_path: Path) -> None:
    result = copie.copy(template_dir=template)
    assert result.exception is None
    assert result.exit_code == 0
    assert result.project_dir is not None
    assert files_of(result.project_dir) == files_of(render(template, tmp_path / "ours"))


@pytest.mark.parametrize("answers", [{}, {**OTHER_PATHS, "store_example_server": True}])
def test_after_a_copy_the_next_steps_are_told(
    answers: dict[str, Any],
    template: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    copier.run_copy(str(template), tmp_path, answers, defaults=True, settings=copier.Settings())
    told = capfd.readouterr().err
    one = Render(tmp_path, answers)
    module = one.package.removeprefix("src/").replace("/", ".")
    for words in (
        f"pip install -r {one.package}/requirements.txt",
        f"uv add -r {one.package}/requirements.txt",
        f"python -m {module} migrate",
        f"from {module} import",
        f"pytest {one.tests}",
        f"copier update --defaults -a {ANSWERS_FILE}",
    ):
        assert words in told
    for path in re.findall(r"(?<= )\S+(?:requirements\.txt|README\.md)", told):
        assert (tmp_path / path).exists(), path
    assert not re.search(r"\{\{|\{%|\{#", told)
    assert ("example_server" in told) == answers.get("store_example_server", False)


def rendered_files(renders: list[Render]) -> Iterator[Path]:
    """Give all rendered files."""
    return (path for one in renders for path in one.files())
