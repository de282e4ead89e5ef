# Extra "transfer": store_transfer=false deletes it, including your edits.
"""The command line: `python -m chat_store.transfer export FILE`, or `import FILE`."""

import asyncio
import os
import sys
import time
from collections.abc import Callable
from typing import IO

from ..command_line import Parser
from ..errors import ChatStoreError
from ..store import ChatStore
from . import export_rows, import_rows


def main() -> int:
    """Run a command.

    Returns:
        The exit status: 0 on success, 1 if the database or the file cannot be used,
        2 if the command line or the URL is invalid, 130 after an interruption.
    """
    parser = Parser(
        prog=f"python -m {__package__}",
        description="Copy all rows to another database, through a file of JSON Lines. "
        "Stop the servers first. After an interruption, run the same command again.",
    )
    parser.add_argument("command", choices=("export", "import"))
    parser.add_argument(
        "file", metavar="FILE", help="the file; - for standard output or input"
    )
    parser.add_argument(
        "--url",
        help="the database; by default the environment variable CHAT_STORE_URL",
    )
    arguments = parser.parse_args()
    is_export = arguments.command == "export"
    try:
        store = ChatStore(arguments.url)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    try:
        with _open(arguments.file, is_export) as file:
            carry = export_rows if is_export else import_rows
            rows = asyncio.run(carry(store, file, _progress()))
    except ChatStoreError as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:  # of the file: the Store raises ChatStoreErrors
        print(f"{arguments.file}: {error.strerror or error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted. Run the same command again to continue.", file=sys.stderr)
        return 130
    done = f"The file has {rows:,} rows." if is_export else f"Stored {rows:,} new rows."
    print(done, file=sys.stderr)
    return 0


def _progress() -> Callable[[int], None]:
    printed_at = time.monotonic()

    def print_progress(done: int) -> None:
        nonlocal printed_at
        if time.monotonic() >= printed_at + 1:  # second
            printed_at = time.monotonic()
            print(f"{done:,} rows", file=sys.stderr, flush=True)

    return print_progress


def _open(name: str, is_export: bool) -> IO[bytes]:
    if name == "-":
        standard = sys.stdout if is_export else sys.stdin
        return open(standard.fileno(), "wb" if is_export else "rb", closefd=False)
    if not is_export:
        return open(name, "rb")

    def open_private(path: str, flags: int) -> int:
        flags |= os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
        return os.open(path, flags, 0o600)

    return open(name, "r+b", opener=open_private)


if __name__ == "__main__":
    sys.exit(main())
