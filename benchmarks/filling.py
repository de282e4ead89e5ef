"""Fills threads by one statement each, and has the database analysed.

Without statistics a planner guesses, and a fresh connection was four times slower.
"""

from typing import Any

from .drivers import connect
from .workload import FIRST_SECOND, OWNER, SIZES, a_message, a_thread, filled_thread

THREADS = 1_000
"""How many threads the owner has."""

# What the databases say differently: a number as text, a time, a payload.
_DIALECTS = {
    "sqlite": ("TEXT", "({} * 1000000)", "{}"),
    "postgresql": ("TEXT", "to_timestamp({})", "{}::json"),
    "mysql": ("CHAR", "({} * 1000000)", "{}"),
}
_ANALYSE = {
    "sqlite": ["ANALYZE", "PRAGMA wal_checkpoint(TRUNCATE)"],
    "postgresql": ["VACUUM ANALYZE", "CHECKPOINT"],
    "mysql": ["ANALYZE TABLE chatkit_threads, chatkit_items, guide_items"],
}


def fill(url: str, lengths: dict[str, set[int]]) -> None:
    """Fill threads, for the Store and for the guide's way, whose tables are there.

    Args:
        url: Where the database is.
        lengths: How long threads to make of items of each size, powers of ten.
    """
    database = url.partition(":")[0]
    connection = connect(url)
    cursor = connection.cursor()
    _numbered(
        cursor,
        database,
        "INSERT INTO chatkit_threads (owner_id, id, created_at, position, data)",
        "SELECT '{owner}', replace('thr_#', '#', {number}), {time}, n, {json}",
        THREADS,
        a_thread("thr_#").model_dump_json(),
    )
    threads = [(size, length) for size in SIZES for length in sorted(lengths.get(size, set()))]
    for number, (size, length) in enumerate(threads, THREADS):
        _fill_thread(cursor, database, number, size, length)
    for statement in _ANALYSE[database]:
        cursor.execute(statement)
        if cursor.description:
            cursor.fetchall()
    connection.close()


def _fill_thread(cursor: Any, database: str, number: int, size: str, length: int) -> None:
    name = filled_thread(size, length)
    _numbered(
        cursor,
        database,
        "INSERT INTO chatkit_threads (owner_id, id, created_at, position, data)",
        f"SELECT '{{owner}}', '{name}', {{time}}, n, {{json}}",
        1,
        a_thread(name).model_dump_json(),
        first=number,
    )
    _numbered(
        cursor,
        database,
        "INSERT INTO chatkit_items (owner_id, thread_id, id, created_at, position, data)",
        f"SELECT '{{owner}}', '{name}', replace('msg_#', '#', {{number}}), {{time}}, n, {{json}}",
        length,
        a_message("msg_#", name, size).model_dump_json(),
    )
    if length <= 1_000:
        columns = {
            "sqlite": "'{0}' || id, '{0}', '{1}', datetime(created_at / 1000000, 'unixepoch'), data",
            "postgresql": "'{0}' || id, '{0}', '{1}', created_at, data::jsonb",
            "mysql": "concat('{0}', id), '{0}', '{1}', from_unixtime(created_at / 1000000), data",
        }[database].format(name, OWNER)
        cursor.execute(
            f"INSERT INTO guide_items (id, thread_id, user_id, created_at, data) SELECT {columns} "
            f"FROM chatkit_items WHERE owner_id = '{OWNER}' AND thread_id = '{name}'"
        )


def _numbered(
    cursor: Any,
    database: str,
    insert: str,
    select: str,
    count: int,
    payload: str,
    first: int = 0,
) -> None:
    text, time, json = _DIALECTS[database]
    number = f"CAST(n AS {text})"
    mark = "?" if database == "sqlite" else "%s"
    columns = select.format(
        owner=OWNER,
        number=number,
        time=time.format(f"({FIRST_SECOND} + n)"),
        json=json.format(f"replace({mark}, '#', {number})"),
    )
    digits = len(str(count)) - 1
    sum_ = " + ".join([str(first), *(f"{10**place} * d{place}.d" for place in range(digits))])
    tables = " CROSS JOIN ".join(f"digits AS d{place}" for place in range(digits))
    ten = " UNION ALL ".join(["SELECT 0 AS d", *(f"SELECT {digit}" for digit in range(1, 10))])
    cursor.execute(
        f"{insert} WITH digits AS ({ten}), numbers AS (SELECT {sum_} AS n"
        f"{' FROM ' + tables if tables else ''}) {columns} FROM numbers ORDER BY n",
        (payload,),
    )
