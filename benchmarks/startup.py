"""A fresh process that imports, opens and loads a Store, and says what that took.

    python -m benchmarks.startup FLAVOR URL [--load SECONDS]

Prints JSON: milliseconds of this process's own CPU time, which other programs do not lengthen, and
the largest resident memory so far in KB.
"""

import argparse
import asyncio
import gc
import importlib
import json
import resource
import sys
import time
from typing import Any

DRIVER_MODULES = {
    "sqlite": ["sqlite3"],
    "postgresql-psycopg": ["psycopg", "psycopg_pool"],
    "postgresql-asyncpg": ["asyncpg"],
    "mysql": ["asyncmy", "asyncmy.pool"],
}


def milliseconds_to_import(*modules: str) -> float:
    """Import modules, and give the CPU time that it took."""
    start = time.process_time()
    for module in modules:
        importlib.import_module(module)
    return 1000 * (time.process_time() - start)


def memory() -> int:
    """Give the largest resident size of this process so far, in KB."""
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size // 1024 if sys.platform == "darwin" else size


async def open_and_load(url: str, seconds: float) -> dict[str, float]:
    """Open a Store, add items from 64 tasks for a time, and close it."""
    package: Any = importlib.import_module("chat_store")
    store = package.ChatStore(url)
    start = time.process_time()
    await store.open()
    found = {"open_ms": 1000 * (time.process_time() - start), "opened_kb": memory()}
    if seconds:
        from .measuring import rate
        from .workload import OWNER, Place, a_thread, operations_of

        context = package.RequestContext(user_id=OWNER)
        places = [Place(task, "1 KB", 1_000) for task in range(64)]
        for place in places:
            await store.save_thread(a_thread(place.own), context)
        found["ready_kb"] = memory()
        await rate(operations_of(store, context)["add an item"], places, seconds)
        found["loaded_kb"] = memory()
    await store.close()
    return found


def main() -> None:
    """Do it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("flavor")
    parser.add_argument("url")
    parser.add_argument("--load", type=float, default=0.0)
    arguments = parser.parse_args()
    sdk = milliseconds_to_import("chatkit.server", "chatkit.store", "chatkit.types")
    driver = milliseconds_to_import(*DRIVER_MODULES[arguments.flavor])
    # Or a collection that falls into the import would be charged to it, for all objects so far.
    gc.freeze()
    found: dict[str, float] = {
        "sdk_ms": sdk,
        "driver_ms": driver,
        "imported_before_kb": memory(),
        "package_ms": milliseconds_to_import("chat_store"),
        "imported_kb": memory(),
    }
    found |= asyncio.run(open_and_load(arguments.url, arguments.load))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
