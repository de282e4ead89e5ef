"""The command line: `python -m chat_store migrate` and `python -m chat_store status`."""

import argparse
import asyncio
import sys

from .command_line import Parser
from .errors import ChatStoreError
from .migrate import script
from .store import ChatStore


def main() -> int:
    """Run a command.

    Returns:
        The exit status: 0 for success, 1 if the tables do not fit this code or the
        database cannot be reached, 2 if the command line or the URL is invalid, 130
        after an interruption.
    """
    arguments = _make_parser().parse_args()
    try:
        store = ChatStore(arguments.url, pool_timeout=arguments.pool_timeout)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    try:
        if arguments.command == "migrate":
            return asyncio.run(_migrate(store, print_sql=arguments.sql))
        return asyncio.run(_status(store))
    except ChatStoreError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted. Run the same command again.", file=sys.stderr)
        return 130


def _make_parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog=f"python -m {__package__}",
        description="Manage the tables of the chat store.",
    )
    database = Parser(add_help=False)
    database.add_argument(
        "--url", help="the database's URL (default: the variable CHAT_STORE_URL)"
    )
    database.add_argument(
        "--pool-timeout",
        type=float,
        default=10.0,
        metavar="SECONDS",
        help="how long to wait if the database is unreachable or locked (default: 10)",
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    commands.add_parser(
        "migrate",
        parents=[database],
        help="bring the tables up to date",
        description="Bring the tables up to date. It is safe to run this "
        "repeatedly, after an interruption, and in several processes at once.",
    ).add_argument(
        "--sql",
        action="store_true",
        help="print the pending SQL instead of running it",
    )
    commands.add_parser(
        "status",
        parents=[database],
        help="show the versions of the tables and of this code",
        description="Show the versions of the tables and of this code. The exit status is 1 "
        "if they do not fit.",
    )
    return parser


async def _migrate(store: ChatStore, *, print_sql: bool) -> int:
    if print_sql:
        if pending := (await store.status()).pending:
            print(script(pending), end="")
        return 0
    await store.migrate(on_progress=lambda name: print(f"applying {name}", flush=True))
    status = await store.status()
    if status.problem:
        print(status.problem, file=sys.stderr)
        return 1
    print(f"The tables are at version {status.applied}.")
    return 0


async def _status(store: ChatStore) -> int:
    async with store.connected() as database:
        status = await store.status()
        is_exposed = await database.is_exposed()
    print(f"tables:  version {status.applied}")
    print(f"code:    version {status.known}")
    for migration in status.pending:
        print(f"pending: {migration.name}")
    if is_exposed:
        print("warning: the connection to the database crosses a network without TLS")
    print(status.problem or "The tables fit this code.")
    return 1 if status.problem else 0


if __name__ == "__main__":
    sys.exit(main())
