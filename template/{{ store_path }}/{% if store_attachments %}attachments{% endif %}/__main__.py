# Extra "attachments": store_attachments=false deletes it, including your edits.
"""The command line: `python -m chat_store.attachments sweep`."""

import argparse
import asyncio
import sys
from datetime import timedelta

from ..command_line import Parser
from ..errors import ChatStoreError
from ..store import ChatStore
from .files import Files
from .sweep import sweep


def main() -> int:
    """Run the command.

    Returns:
        The exit status: 0 on success, 1 if the database or the files cannot be used,
        2 if the command line or a URL is invalid, 130 after an interruption.
    """
    arguments = _make_parser().parse_args()
    try:
        done = asyncio.run(
            sweep(
                ChatStore(arguments.url),
                Files(arguments.files),
                older_than=arguments.hours,
                dry_run=arguments.dry_run,
                force=arguments.force,
            )
        )
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    except ChatStoreError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted. Run the same command again to continue.", file=sys.stderr)
        return 130
    verb = "Would delete" if arguments.dry_run else "Deleted"
    print(
        f"{verb} {done.attachments:,} attachments that no message shows, and the files "
        f"of {done.orphans:,} whose rows are gone."
    )
    return 0


def _make_parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog=f"python -m {__package__}", description="Maintain the attached files."
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    text = "Delete attachments that no message shows, and files without a row"
    command = commands.add_parser("sweep", help=text, description=f"{text}.")
    command.add_argument(
        "--url", help="the database; by default the environment variable CHAT_STORE_URL"
    )
    command.add_argument(
        "--files",
        help="the file storage; by default the environment variable CHAT_STORE_FILES",
    )
    command.add_argument(
        "--hours",
        type=_hours,
        default=timedelta(days=1),
        help="minimum age in hours, at least 1; by default 24",
    )
    command.add_argument(
        "--dry-run", action="store_true", help="only report what would be deleted"
    )
    command.add_argument(
        "--force",
        action="store_true",
        help="delete files even if most of them have no row in the database",
    )
    return parser


def _hours(text: str) -> timedelta:
    try:
        return timedelta(hours=float(text))
    except (OverflowError, ValueError):
        raise argparse.ArgumentTypeError(f"{text} is not a number of hours") from None


if __name__ == "__main__":
    sys.exit(main())
