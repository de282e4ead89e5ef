"""The command line: `python -m chat_store migrate` and `… status`."""

import argparse
import asyncio
import re
import sys
from typing import NoReturn

from .errors import ChatStoreError
from .migrate import script
from .store import ChatStore


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        # argparse quotes what it does not understand, which may be a URL (R39).
        super().error(re.sub(r"://\S*@", "://***@", message))


def main() -> int:
    """Run a command.

    Returns:
        The exit status: 0 where all is well, 1 where the tables do not suit this code
        or the database cannot be reached, 2 where the command line is wrong.
    """
    parser = _Parser(
        prog=f"python -m {__package__}",
        description="Manage the tables of the chat store.",
    )
    parser.add_argument(
        "command",
        choices=["migrate", "status"],
        help="migrate: bring the tables up to date, safe to run again and at the same time "
        "elsewhere; status: show both versions, and exit with 1 where they do not fit",
    )
    parser.add_argument(
        "--url",
        help="the database; without it, the environment variable CHAT_STORE_URL",
    )
    parser.add_argument(
        "--sql",
        action="store_true",
        help="migrate: print the SQL of what is missing instead, for somebody else to run",
    )
    arguments = parser.parse_args()
    if arguments.sql and arguments.command != "migrate":
        parser.error("--sql belongs to migrate")
    try:
        store = ChatStore(arguments.url)
        if arguments.sql:
            return asyncio.run(_print_sql(store))
        if arguments.command == "migrate":
            return asyncio.run(_migrate(store))
        return asyncio.run(_status(store))
    except ChatStoreError as error:
        print(error, file=sys.stderr)
        return 1
    except ValueError as error:
        parser.error(str(error))


async def _migrate(store: ChatStore) -> int:
    for name in await store.migrate():
        print(f"applied {name}")
    status = await store.schema_status()
    print(f"The tables are at version {status.applied}.")
    return 0


async def _print_sql(store: ChatStore) -> int:
    if pending := (await store.schema_status()).pending:
        print(script(pending), end="")
    return 0


async def _status(store: ChatStore) -> int:
    status = await store.schema_status()
    print(f"tables: version {status.applied}")
    print(f"code:   version {status.known}")
    for migration in status.pending:
        print(f"pending: {migration.name}")
    if status.problem:
        print(status.problem)
        return 1
    print("The tables suit this code.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
