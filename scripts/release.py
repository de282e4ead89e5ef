"""Prepares a release: checks it, keeps what Copier will see of it, and commits that.

    python -m scripts.release 1.2.0      or: make release VERSION=1.2.0

Before, give the changes their heading in CHANGELOG.md, such as `## 1.2.0 (2027-01-31)`, and commit.
After, the commands that it prints publish the release: the tag comes last, since a tag is never
moved, and so belongs on a commit that CI has passed. Where CI fails, repair that, and prepare the
same version again.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from devtools.contract import (
    broken_promises,
    section_of,
    unsafe_migrations,
    unwritten_changes,
    ways_to_render,
)
from devtools.rendering import ROOT, copy_tree, git
from devtools.snapshots import PARTS, archive_of, kept, pack, parse, unpack


class ReleaseError(Exception):
    """The release cannot be made; the message says why, and what to do."""


def main() -> int:
    """Prepare the release that was asked for; give the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("version", metavar="VERSION", help="the new version, X.Y.Z")
    parser.add_argument(
        "--archive-only",
        action="store_true",
        help="check nothing and commit nothing: write the archive of the work tree as it is",
    )
    arguments = parser.parse_args()
    try:
        check_version(arguments.version)
        if arguments.archive_only:
            write_archive(arguments.version)
        else:
            release(arguments.version)
    except ReleaseError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 1
    return 0


def release(version: str) -> None:
    """Check a version, and commit its archive.

    Raises:
        ReleaseError: It cannot be released; nothing has changed.
    """
    check_repository()
    check_changes(version)
    before = archive.read_bytes() if (archive := archive_of(version)).exists() else None
    write_archive(version)
    try:
        subject = f"Release {version}"
        run_git("add", "--", str(archive))
        run_git("commit", "--quiet", "--allow-empty", "--message", subject)
    except ReleaseError:
        git(ROOT, "reset", "--quiet", "--", str(archive))
        if before is None:
            archive.unlink()
        else:
            archive.write_bytes(before)
        raise
    commit = git(ROOT, "rev-parse", "HEAD").strip()
    print(
        f"Committed {subject}. Publish it:\n"
        "  git push origin main\n"
        "and once CI has passed on that commit:\n"
        f'  git tag -a v{version} {commit} -m "{subject}"\n'
        f"  git push origin v{version}"
    )


def write_archive(version: str) -> None:
    """Write what Copier sees of the work tree to where the version's archive is kept."""
    with tempfile.TemporaryDirectory() as directory:
        pack(copy_tree(Path(directory), *PARTS), archive_of(version))


def check_version(version: str) -> None:
    """Refuse what is no version, or not newer than every release that is out.

    Raises:
        ReleaseError: It is not.
    """
    if not re.fullmatch(r"(0|[1-9]\d*)(\.(0|[1-9]\d*)){2}", version):
        raise ReleaseError(f"{version!r} is no version; write X.Y.Z, such as 1.2.0")
    newest = max(kept(), key=parse, default="0.0.0")
    if parse(version) < parse(newest):
        raise ReleaseError(f"{version} is not newer than {newest}; choose a later one")
    if git(ROOT, "tag", "--list", f"v{version}") or is_tagged_at_origin(version):
        raise ReleaseError(f"v{version} is out, and a tag is never moved; choose a later version")


def is_tagged_at_origin(version: str) -> bool:
    """Ask where releases are published, since a clone may lack their tags.

    Raises:
        ReleaseError: There is such a place, but it does not answer.
    """
    if "origin" not in git(ROOT, "remote").split():
        return False
    return bool(run_git("ls-remote", "--tags", "origin", f"refs/tags/v{version}"))


def check_repository() -> None:
    """Refuse to release anything but what is committed on main.

    Raises:
        ReleaseError: It is something else.
    """
    branch = git(ROOT, "branch", "--show-current").strip()
    if branch != "main":
        raise ReleaseError(f"this is {branch or 'no branch'}, not main; run `git switch main`")
    if changes := git(ROOT, "status", "--porcelain"):
        raise ReleaseError(f"the work tree has changes; commit or remove them:\n{changes.rstrip()}")


def check_changes(version: str) -> None:
    """Refuse what breaks a promise to those who have a release, or is not in the changelog.

    Raises:
        ReleaseError: Something does.
    """
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    section = section_of(changelog, version)
    first = re.search(r"^## (\S+)", changelog, re.MULTILINE)
    if section is None or first is None or first[1] != version:
        raise ReleaseError(
            "CHANGELOG.md has to begin with this version; turn the heading `## Unreleased` into "
            f"`## {version} (YYYY-MM-DD)`"
        )
    if not section:
        raise ReleaseError(f"the section {version} of CHANGELOG.md is empty; say what is new")
    complaints: list[str] = []
    newest = None
    with tempfile.TemporaryDirectory() as directory:
        today = copy_tree(Path(directory, "today"), *PARTS)
        for other in kept():
            if other != version:
                newest = unpack(other, Path(directory, other))
                ways = ways_to_render(newest)  # CI, before the tag, compares all of them
                complaints += broken_promises(newest, today, (ways[0], ways[-1]))
        if newest is not None:
            complaints += unsafe_migrations(newest, today)
        complaints += unwritten_changes(section, newest, today)
    if complaints:
        raise ReleaseError("\n  ".join(["this must be put right first:", *complaints]))


def run_git(*arguments: str) -> str:
    """Run git as the user, who commits; give what it prints.

    Raises:
        ReleaseError: It fails; the message is its own.
    """
    done = subprocess.run(
        ["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ReleaseError(f"git {arguments[0]} failed: {(done.stderr or done.stdout).strip()}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
