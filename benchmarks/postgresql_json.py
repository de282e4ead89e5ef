"""Compares PostgreSQL's text, json and jsonb for payloads: the measurement behind decision 0010.

Run it with `python benchmarks/postgresql_json.py --url postgresql://...`, after
`pip install "psycopg[binary]"`. It makes a schema of its own in that database, and drops it. Speeds
are of one connection, in interleaved rounds, medians over the rounds.
"""

import argparse
import itertools
import json
import random
import statistics
import textwrap
import time
from collections.abc import Callable, Iterator
from functools import partial

import psycopg
from psycopg.conninfo import make_conninfo

SCHEMA = "payload_benchmark"
TYPES = ("text", "json", "jsonb")
# How a DBA's query writes the column: text has no operators of its own
AS_JSON = {"text": "data::json", "json": "data", "jsonb": "data"}
PAYLOADS = (
    # kind, size, calls in a round
    ("message", 200, 300),
    ("message", 1_000, 300),
    ("message", 20_000, 100),
    ("widget", 20_000, 100),
    ("widget", 100_000, 40),
)
# The mix a DBA queries, in the order of PAYLOADS: rows in a thousand
MIX = (650, 280, 40, 20, 10)
MIX_ROWS = 10_000

_numbers = itertools.count()
_random = random.Random(10)
_syllables = ["".join(pair) for pair in itertools.product("bdfghklmnprstvwz", "aeiouaeioé")]
_words = ["".join(_random.choices(_syllables, k=_random.randint(1, 4))) for _ in range(3000)]
# As in a natural language, the n-th word is about 1/n as frequent as the first
_weights = list(itertools.accumulate(1 / rank for rank in range(1, len(_words) + 1)))


def words(count: int) -> str:
    return " ".join(_random.choices(_words, cum_weights=_weights, k=count))


def markdown(size: int) -> str:
    """Text with headings, lists, links and code, cut to size."""
    parts = [words(4)]
    length = 0
    while length < size:
        part = _random.choice(
            (
                f"\n\n## {words(3).title()}\n\n{words(60)}.",
                f'\n\n{words(40)}, "{words(3)}" ({words(5)}). **{words(2)}**: {words(30)}.',
                f"\n- `{words(1)}`: {words(12)}\n- [{words(2)}](https://example.com/{words(1)})",
                f'\n\n```python\ndef {words(1)}() -> str:\n    return "{words(6)}"\n```',
            )
        )
        parts.append(part)
        length += len(part)
    return "".join(parts)[:size]


def widget_row() -> dict[str, object]:
    number = _random.randrange(10**6)
    action = {"type": "order.open", "payload": {"number": number}, "handler": "server"}
    texts = [
        {"type": "Text", "value": words(4).title(), "weight": "semibold", "size": "sm"},
        {"type": "Caption", "value": words(12), "color": "secondary"},
    ]
    return {
        "key": f"row_{number}",
        "type": "ListViewItem",
        "gap": 3,
        "align": "center",
        "onClickAction": {**action, "loadingBehavior": "auto", "streaming": True},
        "children": [
            {"type": "Image", "src": f"https://example.com/{number}.png", "size": 48, "alt": ""},
            {"type": "Col", "flex": 1, "gap": 0.5, "children": texts},
            {"type": "Badge", "label": words(1), "color": _random.choice(("success", "info"))},
        ],
    }


def without_id(kind: str, size: int) -> str:
    """An item as the SDK writes it, from behind its id."""
    item: dict[str, object] = {
        "thread_id": f"thr_{_random.getrandbits(32):08x}",
        "created_at": "2026-01-02T03:04:05.678901Z",
    }
    if kind == "message":
        content = {"annotations": [], "text": markdown(size - 190), "type": "output_text"}
        item.update(type="assistant_message", content=[content])
    else:
        rows: list[dict[str, object]] = []
        item.update(
            type="widget", widget={"type": "ListView", "children": rows}, copy_text=words(9)
        )
        length = 0
        while length < size - 300:
            rows.append(widget_row())
            length += len(compact(rows[-1]))
    return "," + compact(item)[1:]


def compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def some_items(kind: str, size: int) -> Iterator[tuple[str, str, str]]:
    """Rows of owner, id and payload, without end; making them costs next to nothing."""
    rests = [without_id(kind, size) for _ in range(24)]
    while True:
        number = next(_numbers)
        item_id = f"msg_{number:08x}"
        yield "owner", item_id, f'{{"id":"{item_id}"' + rests[number % len(rests)]


class Table:
    """A table with a column of one type."""

    def __init__(self, connection: psycopg.Connection, type_: str, name: str) -> None:
        self.name = f"{name}_{type_}"
        self.json = AS_JSON[type_]
        self.ids: list[str] = []
        self.insert_sql = (
            f"INSERT INTO {self.name} (owner, id, data) VALUES (%s, %s, %s)"
            " ON CONFLICT (id) DO UPDATE SET data = excluded.data"
        )
        self.select_sql = f"SELECT data::text FROM {self.name} WHERE owner = %s AND id = %s"
        connection.execute(
            f"CREATE TABLE {self.name} (owner text, id text PRIMARY KEY, data {type_})"
        )

    def insert(self, connection: psycopg.Connection, row: tuple[str, str, str]) -> None:
        connection.execute(self.insert_sql, row)
        self.ids.append(row[1])

    def select(self, connection: psycopg.Connection) -> None:
        one(connection, self.select_sql, "owner", _random.choice(self.ids))


def one(connection: psycopg.Connection, sql: str, *values: str) -> str:
    row = connection.execute(sql, values or None).fetchone()
    assert row is not None
    return str(row[0])


def seconds(call: Callable[[], object], calls: int = 1) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        call()
    return (time.perf_counter() - start) / calls


def middle(values: list[float], digits: int = 0) -> str:
    low, high = min(values), max(values)
    figure = statistics.median(values)
    return f"{figure:,.{digits}f} ({low:,.{digits}f} to {high:,.{digits}f})"


def show(title: str, lines: dict[str, list[str]]) -> None:
    print(f"\n{title}\n  {'':32}" + "".join(f"{type_:>26}" for type_ in TYPES))
    for name, cells in lines.items():
        print(f"  {name:32}" + "".join(f"{cell:>26}" for cell in cells))


def measure_rows(
    durable: psycopg.Connection,
    fast: psycopg.Connection,
    kind: str,
    size: int,
    calls: int,
    rounds: int,
) -> None:
    items = some_items(kind, size)
    tables = [Table(durable, type_, f"{kind}_{size}") for type_ in TYPES]
    actions: dict[str, Callable[[Table], None]] = {
        "insert": lambda table: table.insert(durable, next(items)),
        "insert, synchronous_commit off": lambda table: table.insert(fast, next(items)),
        "select": lambda table: table.select(durable),
    }
    rates: dict[str, list[list[float]]] = {name: [[] for _ in tables] for name in actions}
    for _ in range(rounds + 1):
        for name, action in actions.items():
            for table, values in shuffled(tables, rates[name]):
                values.append(1 / seconds(partial(action, table), calls))
    # The first round only warms up
    lines = {name: [middle(values[1:]) for values in cells] for name, cells in rates.items()}
    lines["bytes a row, with TOAST"] = [
        f"{table_size(durable, table) / len(table.ids):,.0f}" for table in tables
    ]
    length = len(next(items)[2].encode())
    show(f"{kind} of {length:,} bytes, operations a second (min to max)", lines)


def shuffled(tables: list[Table], figures: list[list[float]]) -> list[tuple[Table, list[float]]]:
    """In another order each time: none is always the one that comes after a pause."""
    pairs = list(zip(tables, figures, strict=True))
    _random.shuffle(pairs)
    return pairs


def table_size(connection: psycopg.Connection, table: Table) -> int:
    return int(one(connection, f"SELECT pg_table_size('{table.name}')"))


def measure_queries(connection: psycopg.Connection, rounds: int) -> None:
    sources = [some_items(kind, size) for kind, size, _ in PAYLOADS]
    rows = [next(source) for source in _random.choices(sources, MIX, k=MIX_ROWS)]
    tables = [Table(connection, type_, "mix") for type_ in TYPES]
    for table in tables:
        with connection.transaction(), connection.cursor() as cursor:
            cursor.executemany(table.insert_sql, rows)
        connection.execute(f"VACUUM ANALYZE {table.name}")
    queries = {
        "data->>'id' of all": "SELECT count({json}->>'id') FROM {name}",
        "type = 'widget', no index": "SELECT count(*) FROM {name} WHERE {json}->>'type' = 'widget'",
    }
    queries["type = 'widget', index"] = queries["type = 'widget', no index"]
    milliseconds: dict[str, list[list[float]]] = {}
    for name, query in queries.items():
        if name.endswith(", index"):
            for table in tables:
                connection.execute(f"CREATE INDEX ON {table.name} (({table.json}->>'type'))")
                connection.execute(f"VACUUM ANALYZE {table.name}")
        milliseconds[name] = [[] for _ in tables]
        for _ in range(rounds):
            for table, values in shuffled(tables, milliseconds[name]):
                sql = query.format(json=table.json, name=table.name)
                values.append(1000 * seconds(partial(one, connection, sql)))
    lines = {name: [middle(values, 2) for values in cells] for name, cells in milliseconds.items()}
    lines["its plan"] = [
        "index" if "Index" in plan(connection, sql) else "scan"
        for sql in (query.format(json=table.json, name=table.name) for table in tables)
    ]
    lines["size, MB"] = [f"{table_size(connection, table) / 1e6:.1f}" for table in tables]
    length = sum(len(payload.encode()) for _, _, payload in rows) / 1e6
    show(f"{MIX_ROWS:,} rows, {length:.1f} MB in all, milliseconds (min to max)", lines)


def plan(connection: psycopg.Connection, sql: str) -> str:
    return " ".join(row[0] for row in connection.execute(f"EXPLAIN {sql}").fetchall())


INDEXES = {
    "((data->>'type'))": "data->>'type' = 'widget'",
    "((data::json->>'type'))": "data::json->>'type' = 'widget'",
    "((data::jsonb->>'type'))": "data::jsonb->>'type' = 'widget'",
    "USING gin ((data::jsonb))": """data::jsonb @> '{"type":"widget"}'""",
}


def check_indexes(connection: psycopg.Connection) -> None:
    print("\nexpression indexes")
    connection.execute("SET enable_seqscan = off")  # the tables are empty
    for type_ in TYPES:
        table = Table(connection, type_, "indexes")
        for index, condition in INDEXES.items():
            answer = attempt(connection, f"CREATE INDEX trial ON {table.name} {index}")
            if not answer:
                query = f"SELECT id FROM {table.name} WHERE {condition}"
                used = "Index" in plan(connection, query)
                answer = f"allowed, {'used' if used else 'not used'} by {condition}"
                connection.execute("DROP INDEX trial")
            print(f"  {type_:6} {index:28} {answer}")
        connection.execute(f"DROP TABLE {table.name}")
        name = f"{table.name}_short"
        connection.execute(f"CREATE TABLE {name} (data {type_})")
        connection.execute(f"CREATE INDEX ON {name} (({table.json}->>'a'))")
        long = compact({"a": "".join(_random.choices("abcdefghijklmnop", k=8000))})
        answer = attempt(connection, f"INSERT INTO {name} VALUES (%s)", long)
        print(f"  {type_:6} {'a value of 8,000 characters':28} {answer or 'allowed'}")
    connection.execute("RESET enable_seqscan")


def attempt(connection: psycopg.Connection, sql: str, *values: str) -> str:
    try:
        connection.execute(sql, values or None)
    except psycopg.Error as error:
        return f"refused: {str(error).splitlines()[0]}"
    return ""


def our_reader(text: str) -> object:
    """Read as our store does: the character stands for U+0000, its escape for itself.

    Objects become lists of pairs, so that a comparison sees the order and duplicates of keys.
    """
    return json.loads(text.replace("\ufffd", r"\u0000"), object_pairs_hook=list)


FIDELITY = {
    "float -1.5e300": "-1.5e300",
    "float 1e400, beyond a double": "1e400",
    "number 1e200000": "1e200000",
    "float 0.1": "0.1",
    "float 1.0": "1.0",
    "float -0.0": "-0.0",
    "integer of 100 digits": "7" * 100,
    "order of keys": '{"b":1,"aa":2,"a":3}',
    "duplicate keys": '{"a":1,"a":2}',
    "250 levels": "[" * 250 + "]" * 250,
    "U+0000 as \\u0000": '"nul \\u0000 end"',
    "U+0000 as U+FFFD": '"nul \ufffd end"',
    "U+FFFD as \\ufffd": '"symbol \\ufffd end"',
    "\\ufffd beside U+FFFD": '["\\ufffd","\ufffd"]',
    "half of a surrogate pair": '"\\ud800"',
}


def check_fidelity(connection: psycopg.Connection) -> None:
    print("\nfidelity: what our reader makes of what comes back; then ->> on that row")
    tables = {type_: Table(connection, type_, "fidelity") for type_ in TYPES}
    for name, value in FIDELITY.items():
        print(f"  {name}")
        payload = f'{{"id":"{name.replace(chr(92), "")}","value":{value}}}'
        for type_, table in tables.items():
            connection.execute(f"TRUNCATE {table.name}")
            answer = attempt(connection, table.insert_sql, "owner", name, payload)
            if not answer:
                text = one(connection, table.select_sql, "owner", name)
                same = repr(our_reader(text)) == repr(our_reader(payload))
                verbatim = ", verbatim" if text == payload else ""
                answer = f"kept{verbatim}" if same else f"changed: {short(text)}"
                for key in ("id", "value"):
                    sql = f"SELECT {table.json}->>'{key}' FROM {table.name}"
                    failed = attempt(connection, sql)
                    answer += f"; {key} {failed or short(one(connection, sql))}"
            print(f"    {type_:6} {answer}")


def short(text: str) -> str:
    return textwrap.shorten(text, 60) if len(text) <= 60 else f"{text[:40]}...{text[-10:]}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", required=True, help="of a PostgreSQL database, encoded in UTF8")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    # One process each: a parallel plan of one type would say little about the types
    options = f"-c search_path={SCHEMA} -c max_parallel_workers_per_gather=0"
    durable_url = make_conninfo(arguments.url, options=options)
    fast_url = make_conninfo(arguments.url, options=f"{options} -c synchronous_commit=off")
    with (
        psycopg.connect(durable_url, autocommit=True) as durable,
        psycopg.connect(fast_url, autocommit=True) as fast,
    ):
        settings = ("server_version", "server_encoding", "synchronous_commit", "fsync")
        for setting in settings:
            print(f"{setting}: {one(durable, f'SHOW {setting}')}")
        durable.execute(f"CREATE SCHEMA {SCHEMA}")
        try:
            check_fidelity(durable)
            check_indexes(durable)
            for kind, size, calls in PAYLOADS:
                measure_rows(durable, fast, kind, size, calls, arguments.rounds)
            measure_queries(durable, arguments.rounds)
        finally:
            durable.execute("SET client_min_messages = warning")
            durable.execute(f"DROP SCHEMA {SCHEMA} CASCADE")


if __name__ == "__main__":
    main()
