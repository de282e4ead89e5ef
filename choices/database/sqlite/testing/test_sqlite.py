"""SQLite alone: its URLs."""

from collections.abc import Callable
from pathlib import Path

import pytest

from devtools.rendered import run_command


@pytest.fixture
def project(project_of: Callable[[str], Path]) -> Path:
    """A render."""
    return project_of("sqlite")


@pytest.mark.parametrize("behind", ["?pool_size=3&a=b", "#pool_size", "?pool_size#a"])
def test_what_stands_behind_the_path_of_a_url_is_refused_and_named(
    project: Path, behind: str
) -> None:
    done = run_command(project, "status", "--url", f"sqlite:///chat.db{behind}")
    assert done.returncode == 2
    assert "'pool_size" in done.stdout
    assert "%3F and %23" in done.stdout


@pytest.mark.parametrize("driver", ["aiosqlite", "pysqlite"])
def test_a_url_may_name_a_driver_of_sqlalchemys(project: Path, tmp_path: Path, driver: str) -> None:
    done = run_command(project, "migrate", "--url", f"sqlite+{driver}:///{tmp_path}/chat.db")
    assert done.returncode == 0, done.stdout
    assert (tmp_path / "chat.db").exists()
