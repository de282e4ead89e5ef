"""`make release`: what it refuses, what it commits, and that it leaves nothing half done."""

import sys
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from devtools.rendering import commit, copy_tree, files_of, git, run, write
from devtools.snapshots import kept, pack, unpack

NEWEST = kept()[-1]
NEXT = "999.0.0"
ARCHIVE = f"tests/releases/v{NEXT}.tar.gz"
CHANGELOG = f"# Changelog\n\n## {NEXT} (2030-01-31)\n\nA fix.\n\n## {NEWEST} (2020-01-31)\n"
AUTHOR = {
    f"GIT_{role}_{field}": value
    for role in ("AUTHOR", "COMMITTER")
    for field, value in (("NAME", "Tests"), ("EMAIL", "tests@example.com"))
}

Change = Callable[[Path], None]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository like this one, whose template is the newest release again, as the next one."""
    repository = copy_tree(
        tmp_path / "repository", ".gitattributes", "devtools", "scripts", "tests"
    )
    unpack(NEWEST, repository)
    write(repository, {"CHANGELOG.md": CHANGELOG})
    commit(repository)
    git(repository, "branch", "--move", "main")
    return repository


def release(repository: Path, version: str, *options: str) -> "CompletedProcess[str]":
    """Run the script in a repository."""
    script = ("-m", "scripts.release")
    # What Python caches beside the modules would count as a change.
    quietly: Mapping[str, str] = {"PYTHONDONTWRITEBYTECODE": "1", **AUTHOR}
    return run(sys.executable, *script, version, *options, cwd=repository, env=quietly)


def replace(name: str, text: str, other: str) -> Change:
    """Change a text of a file."""

    def change(repository: Path) -> None:
        before = (repository / name).read_text("utf-8")
        assert text in before
        (repository / name).write_text(before.replace(text, other), "utf-8")

    return change


def state(repository: Path) -> object:
    """Give all that a release could change."""
    refs = git(repository, "for-each-ref")
    return refs, git(repository, "status", "--porcelain"), files_of(repository)


@pytest.mark.parametrize(
    ("version", "words"),
    [
        ("1.0", "write X.Y.Z, such as 1.2.0"),
        ("v999.0.0", "write X.Y.Z, such as 1.2.0"),
        ("0.0.1", f"0.0.1 is not newer than {NEWEST}; choose a later one"),
        ("998.0.0", "v998.0.0 is out, and a tag is never moved"),
    ],
)
def test_a_version_is_refused(version: str, words: str, repository: Path) -> None:
    git(repository, "tag", "v998.0.0")
    expect_refusal(repository, version, words)


def test_a_version_that_is_out_is_refused_in_a_clone_without_tags(
    repository: Path, tmp_path: Path
) -> None:
    git(tmp_path, "clone", "--quiet", "--no-tags", str(repository), "clone")
    git(repository, "tag", f"v{NEXT}")
    expect_refusal(tmp_path / "clone", NEXT, f"v{NEXT} is out, and a tag is never moved")
    git(tmp_path / "clone", "remote", "set-url", "origin", "nowhere")
    expect_refusal(tmp_path / "clone", NEXT, "git ls-remote failed")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (replace("CHANGELOG.md", NEXT, "998.0.0"), f"`## Unreleased` into `## {NEXT} (YYYY-MM-DD"),
        (replace("CHANGELOG.md", " (2030-01-31)", ""), f"`## Unreleased` into `## {NEXT} ("),
        (replace("CHANGELOG.md", "# Changelog", "## Unreleased"), "the heading `## Unreleased`"),
        (replace("CHANGELOG.md", "A fix.\n", ""), f"the section {NEXT} of CHANGELOG.md is empty"),
        (replace("copier.yml", ": ulid\n", ": ULID\n"), "no choice `ulid` any more"),
        (
            replace("copier.yml", "# Computed", "store_more:\n  type: bool\n  default: no\n"),
            "`store_more` is not under `### New questions`",
        ),
    ],
    ids=["no section", "no date", "more to tell", "no text", "a broken promise", "a new question"],
)
def test_a_state_is_refused(change: Change, words: str, repository: Path) -> None:
    change(repository)
    commit(repository)
    expect_refusal(repository, NEXT, words)


def test_another_branch_is_refused(repository: Path) -> None:
    git(repository, "switch", "--quiet", "--create", "other")
    expect_refusal(repository, NEXT, "this is other, not main; run `git switch main`")
    git(repository, "switch", "--quiet", "--detach")
    expect_refusal(repository, NEXT, "this is no branch, not main; run `git switch main`")


def test_what_is_not_committed_is_not_released(repository: Path) -> None:
    (repository / "template/new.py").write_text("", "utf-8")
    expect_refusal(repository, NEXT, "commit or remove them:\n?? template/new.py")


@pytest.mark.parametrize("is_again", [False, True])
def test_a_commit_that_fails_leaves_nothing(is_again: bool, repository: Path) -> None:
    if is_again:
        write(repository, {ARCHIVE: "of a commit that CI has not passed"})
        commit(repository)
    hook = repository / ".git/hooks/pre-commit"
    write(repository, {str(hook): "#!/bin/sh\necho No. >&2\nexit 1\n"})
    hook.chmod(0o755)
    expect_refusal(repository, NEXT, "git commit failed: No.")


def test_a_release_commits_the_archive_and_leaves_the_tag_to_later(
    repository: Path, tmp_path: Path
) -> None:
    done = release(repository, NEXT)
    assert done.returncode == 0, done.stdout
    committed = git(repository, "show", "--format=%s", "--name-only").split("\n")
    assert list(filter(None, committed)) == [f"Release {NEXT}", ARCHIVE]
    assert git(repository, "status", "--porcelain") == git(repository, "tag") == ""

    head = git(repository, "rev-parse", "HEAD").strip()
    assert [line.strip() for line in done.stdout.splitlines() if "  git " in line] == [
        "git push origin main",
        f'git tag -a v{NEXT} {head} -m "Release {NEXT}"',
        f"git push origin v{NEXT}",
    ]
    same = tmp_path / "same.tar.gz"
    pack(repository, same)
    assert same.read_bytes() == (repository / ARCHIVE).read_bytes()


def test_an_archive_alone_is_written_from_the_work_tree(repository: Path) -> None:
    write(repository, {"template/not_committed.txt": "text\n"})
    done = release(repository, NEWEST, "--archive-only")
    assert done.returncode == 0, done.stdout
    with tarfile.open(repository / f"tests/releases/v{NEWEST}.tar.gz") as members:
        assert "template/not_committed.txt" in members.getnames()


def expect_refusal(repository: Path, version: str, words: str) -> None:
    """See that a release is refused, and why, and that nothing has changed."""
    before = state(repository)
    done = release(repository, version)
    assert done.returncode == 1, done.stdout
    assert done.stdout.startswith("release.py: ")
    assert words in done.stdout
    assert state(repository) == before
