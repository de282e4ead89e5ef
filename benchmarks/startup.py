"""A fresh process that prints how long it takes to import the rendered package, in ms.

    python -m benchmarks.startup FLAVOR

It is this process's own CPU time, which other programs do not lengthen, beyond `chatkit` and the driver.
"""

import gc
import importlib
import sys
import time

DRIVERS = {
    "sqlite": ["sqlite3"],
    "postgresql-psycopg": ["psycopg", "psycopg_pool"],
    "postgresql-asyncpg": ["asyncpg"],
    "mysql": ["asyncmy", "asyncmy.pool"],
}

if __name__ == "__main__":
    for module in ("chatkit.server", "chatkit.store", "chatkit.types", *DRIVERS[sys.argv[1]]):
        importlib.import_module(module)
    # Or a collection that falls into the import would be charged to it, for all objects so far.
    gc.freeze()
    start = time.process_time()
    importlib.import_module("chat_store")
    print(1000 * (time.process_time() - start))
