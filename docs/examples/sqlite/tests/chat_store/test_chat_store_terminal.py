"""What the command line shows: lines that change and colours, or plain lines in a log."""

import asyncio
import io
import os
import re
import subprocess
import sys

import pytest
from chat_store_database import Probe
from chat_store_tools import async_test
from chat_store_under_test import ChatStore, migrations, terminal

PACKAGE = ChatStore.__module__.rpartition(".")[0]
COLOUR = re.compile(r"\x1b\[\d+m")


class Screen(io.StringIO):
    """A terminal, or what only looks like one."""

    def __init__(self, is_terminal: bool) -> None:
        super().__init__()
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal


def show_all_rows(monkeypatch: pytest.MonkeyPatch, *, is_terminal: bool) -> str:
    """Show each row of a thousand, and take that away; give what was printed."""
    screen = Screen(is_terminal)
    monkeypatch.setattr(sys, "stderr", screen)
    with terminal.Progress(interval=0) as progress:
        for done in range(1001):
            progress.show_rows(done, 1000)
    return screen.getvalue()


def test_progress_is_one_line_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    printed = show_all_rows(monkeypatch, is_terminal=True)
    assert "\n" not in printed
    assert "\r[###############---------------]  50%  500 of 1,000 rows" in printed
    assert f"\r[{'#' * 30}] 100%  1,000 of 1,000 rows" in printed
    assert re.search(r"rows *\r +\r$", printed)  # and in the end there is nothing


def test_progress_is_plain_lines_in_a_log(monkeypatch: pytest.MonkeyPatch) -> None:
    printed = show_all_rows(monkeypatch, is_terminal=False)
    assert len(printed.splitlines()) == 1001
    assert "\r" not in printed


def test_progress_towards_an_unknown_number_is_a_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stderr", screen := Screen(is_terminal=False))
    terminal.Progress(interval=0).show_rows(1234, 0)
    assert screen.getvalue() == "1,234 rows\n"


@pytest.mark.parametrize("is_terminal", [False, True])
def test_progress_is_not_shown_for_each_row(
    monkeypatch: pytest.MonkeyPatch, is_terminal: bool
) -> None:
    screen = Screen(is_terminal)
    monkeypatch.setattr(sys, "stderr", screen)
    progress = terminal.Progress()
    for done in range(100):
        progress.show_rows(done, 0)
    assert screen.getvalue().count("rows") <= 1


@async_test
async def test_steps_are_printed_with_their_times(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with terminal.Steps() as steps:
        steps.begin("first")
        steps.begin("second")
        await asyncio.sleep(0.06)
    printed = capsys.readouterr()
    assert printed.out == "done: first (0.0 s)\ndone: second (0.1 s)\n"
    assert printed.err == ""


@async_test
async def test_a_step_that_fails_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ZeroDivisionError):
        async with terminal.Steps() as steps:
            steps.begin("first")
            raise ZeroDivisionError
    assert capsys.readouterr().out == "stopped in first (0.0 s)\n"


def run_on_terminal(probe: Probe, command: str, **environment: str) -> list[str]:
    """Run a command of the package on a terminal; give the lines that are printed."""
    pty = pytest.importorskip("pty")  # Windows has none
    inherited = {name: os.environ[name] for name in os.environ if name != "NO_COLOR"}
    path = os.pathsep.join(sys.path)
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", PACKAGE, command, "--url", probe.url],
        env={**inherited, "TERM": "xterm", "PYTHONPATH": path, **environment},
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    printed = b""
    try:
        while some := os.read(ours, 4096):
            printed += some
    except OSError:  # how Linux says that the terminal was left
        pass
    os.close(ours)
    process.wait(60)
    return printed.decode().split("\r\n")[:-1]


def in_pipe(printed: list[str]) -> list[str]:
    """Give lines of a terminal as they would be printed elsewhere, their columns aside."""
    # What stood on a line before its last part was only shown for a while.
    lines = [COLOUR.sub("", line.rpartition("\r")[2]) for line in printed]
    return [re.sub(" +", " ", line) for line in lines]


def test_a_terminal_shows_the_same_in_columns_and_colours(probe: Probe) -> None:
    known = migrations.load()
    names = [migration.name for migration in known]
    printed = run_on_terminal(probe, "status")
    assert printed[:2] == [
        "\x1b[2mtables: \x1b[0m version 0",
        f"\x1b[2mcode:   \x1b[0m version {known[-1].version}",
    ]
    assert printed[2:-1] == [f"\x1b[2mpending:\x1b[0m {name}" for name in names]
    assert re.fullmatch(r"\x1b\[31mThe .*migrate`\.\x1b\[0m", printed[-1])
    done = run_on_terminal(probe, "migrate")
    assert f"\x1b[32mdone:\x1b[0m {names[0]:24} \x1b[2m(" in done[0]
    assert [line.rpartition(" (")[0] for line in in_pipe(done)[:-1]] == [
        f"done: {name}" for name in names
    ]
    assert run_on_terminal(probe, "status")[-1] == (
        "\x1b[32mThe tables suit this code.\x1b[0m"
    )


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_a_terminal_shows_no_colours_where_it_shall_not(
    probe: Probe, environment: dict[str, str]
) -> None:
    printed = run_on_terminal(probe, "status", **environment)
    assert printed[0] == "tables:  version 0"
    assert not COLOUR.search("".join(printed))


def test_a_style_is_left_out_where_no_terminal_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    for is_terminal, shown in ((True, "\x1b[32mfine\x1b[0m"), (False, "fine")):
        monkeypatch.setattr(sys, "stdout", Screen(is_terminal))
        assert terminal.styled("fine", terminal.GOOD) == shown
    monkeypatch.delenv("TERM")
    monkeypatch.setattr(sys, "stdout", Screen(is_terminal=True))
    assert terminal.styled("fine", terminal.GOOD) == "fine"


class ClosedPipe(io.StringIO):
    """Standard output whose reader has gone."""

    def write(self, text: str) -> int:
        raise BrokenPipeError


@async_test
async def test_steps_go_on_when_nobody_reads_what_they_print(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stdout", ClosedPipe())
    async with terminal.Steps() as steps:
        steps.begin("first")
        steps.begin("second")
