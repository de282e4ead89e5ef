"""Runs scripts on rendered packages, on servers of the tests' own.

Renders for two drivers or databases are one package, which a process can import but once; so what
the tests do with a Store, they do in scripts, each in a process of its own. The server is started by
the module that the rendered suite uses.
"""

import importlib
import os
import re
import secrets
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# What every script begins with; it is the body of `main`, whose arguments are in `arguments`.
_BEFORE = """
import asyncio
import json
import multiprocessing
import sys
from datetime import datetime

import anyio
from chat_store_contexts import make_context
from chat_store_tools import (
    NOON, READS, WRITES, a_message, a_thread, an_attachment, eventually, finish,
    save_one_of_each, walk,
)
from chatkit.store import NotFoundError
from chat_store_under_test import ChatStore, DatabaseError, DatabaseTimeoutError, SchemaError

alice = make_context("alice", "request-of-alice")
bob = make_context("bob", "request-of-bob")
arguments = sys.argv[1:]
url = arguments[0]


async def fails(call):
    try:
        await finish(call, 60)
    except Exception as error:
        return error
    raise AssertionError("The call did not fail.")


async def open_and_close(*arguments, **options):
    async with ChatStore(*arguments, **options):
        pass


async def main():
"""
_AFTER = """

if __name__ == "__main__":
    asyncio.run(main())
"""


# A script that appends from 50 streams, each to a thread of its own and to a shared one, until it is
# sent a line; then it prints what was acknowledged. Its argument after the URL is part of the ids.
STREAMS = """
import itertools

_, name = arguments
acknowledged = []
ending = asyncio.Event()


async def stream(store, number):
    own = a_thread(f"thr_{name}_{number}")
    await store.save_thread(own, alice)
    for turn in itertools.count():
        item_id = f"msg_{name}_{number}_{turn:06}"
        item = a_message(item_id, own.id, created_at=datetime.now())
        await store.add_thread_item(own.id, item, alice)
        acknowledged.append((own.id, item_id))
        await store.add_thread_item("thr_shared", a_message(item_id, "thr_shared"), alice)
        acknowledged.append(("thr_shared", item_id))
        if ending.is_set():
            break


# A machine may take long to start the server, and this is no test of how long.
async with ChatStore(url, pool_timeout=60, write_timeout=90) as store:
    await store.save_thread(a_thread("thr_shared"), alice)
    asyncio.get_running_loop().add_reader(sys.stdin, ending.set)
    print("ready", flush=True)
    await asyncio.gather(*(stream(store, number) for number in range(50)))
print(json.dumps(acknowledged))
"""


def _environment(project: Path) -> Mapping[str, str]:
    path = [str(project / "src"), str(project / "tests" / "chat_store")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path)}


def start_script(project: Path, body: str, *arguments: object) -> "subprocess.Popen[str]":
    """Start a script on a rendered package; its body may `await`."""
    indented = "".join(f"    {line}" for line in body.splitlines(keepends=True))
    script = project / f"script_{secrets.token_hex(4)}.py"
    script.write_text(f"{_BEFORE}{indented}{_AFTER}", encoding="utf-8")
    return subprocess.Popen(
        [sys.executable, script, *map(str, arguments)],
        cwd=project,
        env=_environment(project),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


def finish_script(process: "subprocess.Popen[str]", told: str | None = None) -> str:
    """Tell a script something, and wait for it; it has to succeed. Give what it prints."""
    output, errors = process.communicate(told, timeout=300)
    assert process.returncode == 0, errors
    return output


def run_script(project: Path, body: str, *arguments: object) -> str:
    """Run a script on a rendered package, which has to succeed; give what it prints."""
    return finish_script(start_script(project, body, *arguments))


MIGRATE = "await ChatStore(url).migrate()"
USE_EVERYTHING = """
async with ChatStore(url) as store:
    await save_one_of_each(store, alice)
    for call in [*READS.values(), *WRITES.values()]:
        await call(store, alice)
"""


def migrated(project: Path, url: str) -> str:
    """Make the tables, and give the URL again."""
    run_script(project, MIGRATE, url)
    return url


def run_command(
    project: Path, *arguments: str, module: str = "chat_store"
) -> "subprocess.CompletedProcess[str]":
    """Run the package's command line, or that of an extra."""
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=project,
        env=_environment(project),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )


@contextmanager
def imported(project: Path, name: str) -> Iterator[Any]:
    """Import a module of the rendered suite, or of the package, for the time of a block."""
    path = [str(project / "src"), str(project / "tests" / "chat_store")]
    sys.path[:0] = path
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the SDK warns of itself
            module = importlib.import_module(name)
        yield module
    finally:
        del sys.path[: len(path)]
        # Another render's modules have the same names.
        for other in [other for other in sys.modules if re.match("(test_)?chat_store", other)]:
            del sys.modules[other]


def import_rendered(project: Path, name: str) -> Any:
    """Import a module that needs no other when it is used later."""
    with imported(project, name) as module:
        return module


def reads(project: Path) -> Iterator[tuple[str, str]]:
    """Give the statements that read pages and rows, of a render that can export, by their names."""
    for module in ("chat_store.statements", "chat_store.transfer.statements"):
        for name, value in vars(import_rendered(project, module)).items():
            parts = value.items() if isinstance(value, dict) else [("", value)]
            for part, statement in parts:
                if name.isupper() and re.match(
                    r"\s*SELECT .*JOIN|\s*SELECT .*FROM chatkit_(?!migrations)",
                    str(statement),
                    re.DOTALL,
                ):
                    yield f"{name} {part}".strip(), statement


def check_items(found: list[tuple[str, str]], acknowledged: list[tuple[str, str]]) -> int:
    """See that every acknowledged item is there once, and each writer's in its order.

    Args:
        found: The thread and the id of each item that is there, in order.
        acknowledged: The same of those that were acknowledged.

    Returns:
        How many writers there were, in all threads.
    """
    assert sorted(found) == sorted(acknowledged)  # each of them once, and nothing else
    in_order: dict[tuple[str, str], list[str]] = {}
    for thread, item in found:
        in_order.setdefault((thread, item.rpartition("_")[0]), []).append(item)
    assert all(items == sorted(items) for items in in_order.values())
    return len(in_order)


def wait_until(condition: Callable[[], object], *processes: "subprocess.Popen[str]") -> None:
    """Wait until something holds, as long as the scripts run."""
    for _ in range(6000):
        if condition():
            return
        for process in processes:
            assert process.poll() is None, process.communicate()[1]
        time.sleep(0.02)
    raise AssertionError("What was waited for did not happen.")
