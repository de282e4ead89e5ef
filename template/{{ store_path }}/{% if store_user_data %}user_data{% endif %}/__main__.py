# Extra "user_data": store_user_data=false deletes it, including your edits.
"""The command line: `python -m chat_store.user_data COMMAND`. See --help.

Data is written to standard output, and messages to standard error.
"""

import argparse
import asyncio
import importlib
import inspect
import json
import sys
import time
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from ..command_line import Parser
from ..errors import ChatStoreError
from ..store import ChatStore
from . import Counts, DeleteFile, Expired, adopt, expire, export, owners
from .erase import erase_rows
from .leftovers import remove_leftovers
from .rows import attachments_of, connected, count_in, threads_of

Command: TypeAlias = Callable[[ChatStore, argparse.Namespace], Coroutine[Any, Any, int]]


def main() -> int:
    """Run a command.

    Returns:
        The exit status: 0 on success; 1 if rows remain or conflict, or if the database
        or a file cannot be used; 2 if the command line or the URL is invalid; 130 after
        an interruption.
    """
    arguments = _make_parser().parse_args()
    try:
        run: Command = arguments.run
        return asyncio.run(run(ChatStore(arguments.url), arguments))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    except (ChatStoreError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted. Run the same command again to continue.", file=sys.stderr)
        return 130


def _make_parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog=f"python -m {__package__}",
        description="List, export, move or erase one owner's data; delete old data. "
        "An owner is what owner_id(context) returns for a request.",
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def add(name: str, run: Command, text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=f"{text}.")
        command.add_argument(
            "--url",
            help="the database; by default the environment variable CHAT_STORE_URL",
        )
        command.set_defaults(run=run)
        return command

    command = add("owners", _owners, "List the owners, with their numbers of rows")
    command.add_argument("prefix", nargs="?", default="", help="the owners' prefix")

    command = add("list", _list, "List an owner's threads and attachments")
    command.add_argument("owner")

    command = add("export", _export, "Write an owner's rows and conversations to files")
    command.add_argument("owner")
    command.add_argument("directory", help="output directory; created if it is missing")

    command = add("adopt", _adopt, "Move all rows of one owner to another")
    command.add_argument("old", help="the current owner")
    command.add_argument("new", help="the new owner, who may already have rows")

    command = add("erase", _erase, "Delete all rows of an owner")
    command.add_argument("owner")
    command.add_argument(
        "--prefix",
        action="store_true",
        help="erase all owners that begin with OWNER, such as a tenant: 'acme:'",
    )
    command.add_argument(
        "--first-answer",
        type=_minutes,
        default=timedelta(minutes=10),
        metavar="MINUTES",
        help="maximum time for the first answer in a new thread; by default 10",
    )
    _add_for_deletion(command)

    command = add(
        "expire", _expire, "Delete old threads, and attachments that no message shows"
    )
    command.add_argument(
        "--days",
        type=_days,
        help="delete threads without a new item for this many days; by default none",
    )
    command.add_argument(
        "--upload-days",
        type=_days,
        default=timedelta(days=1),
        metavar="DAYS",
        help="minimum age of attachments that no message shows; by default 1",
    )
    _add_for_deletion(command)
    return parser


def _add_for_deletion(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--dry-run", action="store_true", help="only report what would be deleted"
    )
    command.add_argument(
        "--delete-files",
        type=_import,
        metavar="MODULE:FUNCTION",
        help="an async function that deletes a file, given owner, attachment id and "
        "metadata; by default, these are printed as JSON before the row is deleted",
    )


def _days(text: str) -> timedelta:
    return _duration(text, "days")


def _minutes(text: str) -> timedelta:
    return _duration(text, "minutes")


def _duration(text: str, unit: str) -> timedelta:
    try:
        return timedelta(**{unit: float(text)})
    except (OverflowError, ValueError):
        raise argparse.ArgumentTypeError(f"{text} is not a number of {unit}") from None


def _import(name: str) -> DeleteFile:
    module, _, attribute = name.partition(":")
    try:
        found: DeleteFile = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise argparse.ArgumentTypeError(
            f"{name} cannot be imported: {error}"
        ) from None
    if not inspect.iscoroutinefunction(found):
        raise argparse.ArgumentTypeError(f"{name} is not an async function")
    return found


async def _print_file(owner: str, attachment_id: str, metadata: dict[str, Any]) -> None:
    line = {"owner": owner, "attachment": attachment_id, "metadata": metadata}
    print(json.dumps(line), flush=True)


async def _owners(store: ChatStore, arguments: argparse.Namespace) -> int:
    async with connected(store) as database:
        async for owner in owners(store, arguments.prefix):
            counts = await count_in(database, owner)
            print(f"{json.dumps(owner)}  {counts.total}")
    return 0


async def _list(store: ChatStore, arguments: argparse.Namespace) -> int:
    owner = arguments.owner
    async with connected(store, owner) as database:
        async for thread in threads_of(database, owner):
            print(
                f"thread      {_shown(thread.created_at)} to {_shown(thread.last_at)}  "
                f"{thread.items:>6} items  {json.dumps(thread.id)}"
            )
        async for attachment in attachments_of(database, owner):
            created_at = _shown(attachment.created_at)
            print(f"attachment  {created_at}{'':34}{json.dumps(attachment.id)}")
        print(await count_in(database, owner))
    return 0


async def _export(store: ChatStore, arguments: argparse.Namespace) -> int:
    counts = await export(store, arguments.owner, arguments.directory)
    print(f"Wrote {arguments.directory}. {counts}", file=sys.stderr)
    return 0


async def _adopt(store: ChatStore, arguments: argparse.Namespace) -> int:
    counts = await adopt(store, arguments.old, arguments.new)
    print(f"Moved the old owner's rows. {counts}", file=sys.stderr)
    return 0


async def _erase(store: ChatStore, arguments: argparse.Namespace) -> int:
    names = [arguments.owner]
    if arguments.prefix:
        if not arguments.owner:
            raise ValueError("An empty prefix would erase every owner.")
        names = [owner async for owner in owners(store, arguments.owner)]
    remaining = 0
    async with connected(store, *names) as database:
        for name in names:
            shown = json.dumps(name)
            if arguments.dry_run:
                counts = await count_in(database, name)
                print(f"{shown} has {counts}", file=sys.stderr)
                continue
            done = await erase_rows(
                database,
                name,
                arguments.delete_files or _print_file,
                arguments.first_answer,
                _waiting(),
            )
            print(f"{shown} had {done.found}", file=sys.stderr)
            print(f"{shown} has {done.remaining}", file=sys.stderr)
            remaining += done.remaining.total
        if not arguments.dry_run:
            await remove_leftovers(database)  # only once, since it can take long
    if remaining:
        print(
            f"{remaining} rows remain, because requests are still writing. Block them, "
            "and run this again.",
            file=sys.stderr,
        )
    return 1 if remaining else 0


def _waiting() -> Callable[[Counts], None]:
    printed: Counts | None = None

    def print_what_remains(counts: Counts) -> None:
        nonlocal printed
        if counts != printed:
            printed = counts
            print(f"Waiting for first answers to end: {counts}", file=sys.stderr)

    return print_what_remains


async def _expire(store: ChatStore, arguments: argparse.Namespace) -> int:
    done = await expire(
        store,
        threads_after=arguments.days,
        uploads_after=arguments.upload_days,
        delete_file=arguments.delete_files or _print_file,
        dry_run=arguments.dry_run,
        on_progress=_progress(),
    )
    print(
        f"{'Would delete' if arguments.dry_run else 'Deleted'} {_told(done)}.",
        file=sys.stderr,
    )
    return 0


def _progress() -> Callable[[Expired], None]:
    printed_at = time.monotonic()

    def print_progress(done: Expired) -> None:
        nonlocal printed_at
        if time.monotonic() >= printed_at + 1:  # second
            printed_at = time.monotonic()
            print(_told(done), file=sys.stderr, flush=True)

    return print_progress


def _told(done: Expired) -> str:
    return (
        f"{done.threads:,} of {done.seen:,} threads, {done.attachments:,} attachments, "
        f"{done.emptied:,} emptied rows"
    )


def _shown(created_at: datetime) -> str:
    return f"{created_at:%Y-%m-%d %H:%M}"


if __name__ == "__main__":
    sys.exit(main())
