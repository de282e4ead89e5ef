"""The command line: `python -m chat_store migrate`, `… status`, `… export`, `… import`."""

import argparse
import asyncio
import os
import re
import sys
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager, nullcontext
from typing import IO, Any, NoReturn, TypeAlias

from .errors import ChatStoreError, TransferError
from .migrate import script
from .store import ChatStore
from .terminal import BAD, GOOD, MINOR, Progress, Steps, column, styled

Run: TypeAlias = Callable[[ChatStore, argparse.Namespace], Coroutine[Any, Any, int]]


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        # argparse quotes what it does not understand, which may be a URL (R39).
        super().error(re.sub(r"://\S*@", "://***@", message))


def main() -> int:
    """Run a command.

    Returns:
        The exit status: 0 where all is well, 1 where the tables do not suit this code,
        the database cannot be reached or a file cannot be used, 2 where the command
        line or the URL is wrong, 130 where the command was interrupted.
    """
    parser = _make_parser()
    arguments = parser.parse_args()
    run: Run = arguments.run
    try:
        store = ChatStore(arguments.url)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    try:
        return asyncio.run(run(store, arguments))
    except TransferError as error:
        print(f"{arguments.file}: {error}", file=sys.stderr)
        return 1
    except ChatStoreError as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:  # of a file or a pipe: the Store's own are ChatStoreErrors
        name = getattr(arguments, "file", "output")
        print(f"{name}: {error.strerror or error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(
            "Interrupted. What is done stays; the same command goes on from there.",
            file=sys.stderr,
        )
        return 130


def _make_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog=f"python -m {__package__}",
        description="Manage the tables of the chat store, and carry its rows elsewhere.",
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def add(
        name: str,
        run: Run,
        summary: str,
        more: str,
    ) -> argparse.ArgumentParser:
        description = f"{summary[0].upper()}{summary[1:]}. {more}"
        command = commands.add_parser(name, help=summary, description=description)
        command.set_defaults(run=run)
        command.add_argument(
            "--url",
            help="the database; without it, the environment variable CHAT_STORE_URL",
        )
        return command

    add(
        "migrate",
        _migrate,
        "bring the tables up to date",
        "It is safe to run it again, also after an interruption, and at the same time elsewhere.",
    ).add_argument(
        "--sql",
        action="store_true",
        help="print the SQL of what is missing instead, for somebody else to run",
    )
    add(
        "status",
        _status,
        "show the versions of the tables and of this code",
        "The exit status is 1 where they do not fit.",
    )
    add(
        "export",
        _export,
        "write all rows to a file, to carry them to another database",
        "Stop the writers first. After an interruption, the same command goes on from there.",
    ).add_argument(
        "file",
        metavar="FILE",
        help="a new file, for JSON Lines, or - for standard output",
    )
    add(
        "import",
        _import,
        "store the rows of an exported file",
        "Nothing that is in the database is overwritten. After an interruption, the same command "
        "goes on from there.",
    ).add_argument("file", metavar="FILE", help="the file, or - for standard input")
    return parser


async def _migrate(store: ChatStore, arguments: argparse.Namespace) -> int:
    if arguments.sql:
        if pending := (await store.schema_status()).pending:
            print(script(pending), end="")
        return 0
    async with Steps() as steps:
        await store.migrate(steps.begin)
    status = await store.schema_status()
    if status.problem:
        print(status.problem, file=sys.stderr)
        return 1
    print(f"The tables are at version {status.applied}.")
    return 0


async def _status(store: ChatStore, arguments: argparse.Namespace) -> int:
    status = await store.schema_status()
    rows = [
        ("tables:", f"version {status.applied}"),
        ("code:", f"version {status.known}"),
        *(("pending:", migration.name) for migration in status.pending),
    ]
    for label, value in rows:
        print(styled(column(label, 8, 7), MINOR), value)
    if status.problem:
        print(styled(status.problem, BAD))
        return 1
    print(styled("The tables suit this code.", GOOD))
    return 0


async def _export(store: ChatStore, arguments: argparse.Namespace) -> int:
    standard = sys.stdout.buffer
    with Progress() as progress, _open(arguments.file, "r+b", standard) as file:
        counts = await store.export_rows(file, progress.show_rows)
    print(f"Exported {_in_words(counts)}.", file=sys.stderr)
    return 0


async def _import(store: ChatStore, arguments: argparse.Namespace) -> int:
    standard = sys.stdin.buffer
    with Progress() as progress, _open(arguments.file, "rb", standard) as file:
        counts = await store.import_rows(file, progress.show_rows)
    print(f"Imported {_in_words(counts)}.", file=sys.stderr)
    if counts["there"]:
        print(f"{counts['there']:,} of them were there already.", file=sys.stderr)
    return 0


def _open(
    name: str, mode: str, standard: IO[bytes]
) -> AbstractContextManager[IO[bytes], bool | None]:
    if name == "-":
        return nullcontext(standard)

    def open_private(path: str, flags: int) -> int:
        # An export holds what people wrote: nobody else may read it.
        return os.open(path, flags | (os.O_CREAT if "+" in mode else 0), 0o600)

    return open(name, mode, opener=open_private)


def _in_words(counts: dict[str, int]) -> str:
    kinds = ("thread", "item", "attachment")
    parts = [f"{counts[kind]:,} {kind}{'s' * (counts[kind] != 1)}" for kind in kinds]
    return f"{parts[0]}, {parts[1]} and {parts[2]}"


if __name__ == "__main__":
    sys.exit(main())
