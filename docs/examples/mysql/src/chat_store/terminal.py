"""What the command line shows while it works, and in which colours.

On a terminal that is one line which changes; elsewhere, such as in a log, it is a plain
line now and then. Colours and columns are for terminals only, so that scripts can read
what is printed.
"""

import asyncio
import contextlib
import os
import sys
import time
from types import TracebackType

import typing_extensions

GOOD, BAD, MINOR = "32", "31", "2"
"""Styles: green, red and faint."""

_BAR_WIDTH = 30
_NAME_WIDTH = 24


def styled(text: str, style: str) -> str:
    """Give text for standard output in a style, or as it is where that cannot be shown."""
    # Where TERM is missing, as on Windows, control sequences may be printed as they are.
    if (
        not sys.stdout.isatty()
        or os.environ.get("NO_COLOR")
        or os.environ.get("TERM", "dumb") == "dumb"
    ):
        return text
    return f"\033[{style}m{text}\033[0m"


def column(text: str, width: int, width_in_pipe: int = 0) -> str:
    """Fill text up with blanks, so that what follows stands below its like."""
    return text.ljust(width if sys.stdout.isatty() else width_in_pipe)


class Progress:
    """Shows how far a job has come, on standard error, until its `with` block ends.

    Args:
        interval: How long a text stays at least, in seconds; without it, so long that a
            terminal is lively and a log stays short.
    """

    def __init__(self, interval: float | None = None) -> None:
        self._is_terminal = sys.stderr.isatty()
        default = 0.1 if self._is_terminal else 30.0
        self._interval = default if interval is None else interval
        self._next = time.monotonic() + self._interval
        self._shown = ""

    def __enter__(self) -> typing_extensions.Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.clear()

    def show(self, text: str) -> None:
        """Show a text in the place of the one before, unless that has just come."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + self._interval
        if self._is_terminal:
            self._rewrite(text)
        else:
            print(text, file=sys.stderr, flush=True)

    def show_rows(self, done: int, total: int) -> None:
        """Show how many rows have been dealt with, of how many; 0 where that is unknown."""
        if not total:
            self.show(f"{done:,} rows")
            return
        share = min(done / total, 1)
        bar = ("#" * round(share * _BAR_WIDTH)).ljust(_BAR_WIDTH, "-")
        self.show(f"[{bar}] {round(100 * share):3}%  {done:,} of {total:,} rows")

    def clear(self) -> None:
        """Take the text away, before something else is printed."""
        if self._shown:
            self._rewrite("")

    def _rewrite(self, text: str) -> None:
        # Blanks instead of a control sequence, which not every terminal knows.
        blanks = " " * (len(self._shown) - len(text))
        ending = blanks if text else f"{blanks}\r"
        print(f"\r{text}{ending}", end="", file=sys.stderr, flush=True)
        self._shown = text


class Steps:
    """Prints the steps of a job, with the time that each takes.

    Use it in `async with`: a step ends where the next one begins, or the block ends.
    """

    def __init__(self) -> None:
        self._progress = Progress()
        self._name = ""
        self._began = 0.0

    def begin(self, name: str) -> None:
        """End the step before, and begin another."""
        self._end()
        self._name, self._began = name, time.monotonic()

    async def __aenter__(self) -> typing_extensions.Self:
        self._ticker = asyncio.create_task(self._tick())
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ticker.cancel()
        self._end(failed=exc is not None)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(0.1)
            if self._name:
                self._progress.show(f"{self._name}: {self._seconds():.0f} s")

    def _end(self, *, failed: bool = False) -> None:
        if self._name:
            self._progress.clear()
            how = styled("stopped in", BAD) if failed else styled("done:", GOOD)
            name = column(self._name, _NAME_WIDTH)
            time_taken = styled(f"({self._seconds():.1f} s)", MINOR)
            # Nobody may be there to read it, which must not stop a migration.
            with contextlib.suppress(BrokenPipeError):
                print(f"{how} {name} {time_taken}", flush=True)
            self._name = ""

    def _seconds(self) -> float:
        return time.monotonic() - self._began
