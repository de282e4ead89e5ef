"""Fills threads by one statement each, and has the database analyzed.

Without statistics a planner guesses, and a fresh connection was four times slower.
"""

from .drivers import Driver
from .workload import a_message, owner_of

_FIRST_SECOND = 1_767_225_600
"""When the first item was made, in seconds since 1970; one a second follows."""

# What the databases say differently: a parameter, a number as text, a time, a payload.
_DIALECTS = {
    "sqlite": ("?", "TEXT", "{} * 1000000", "{}"),
    "postgresql": ("$1::text", "TEXT", "to_timestamp({})", "{}::json"),
    "mysql": ("?", "CHAR", "{} * 1000000", "{}"),
}
_ANALYZE = {
    "sqlite": "ANALYZE",
    "postgresql": "VACUUM ANALYZE chatkit_threads, chatkit_items",
    "mysql": "ANALYZE TABLE chatkit_threads, chatkit_items",
}


def item_id(number: int) -> str:
    """Give the id of an item of a filled thread."""
    return f"msg_{number}"


async def fill(driver: Driver, thread_id: str, length: int, size: int) -> None:
    """Fill a thread of the first user's that is there.

    Args:
        driver: The database.
        thread_id: The thread.
        length: How many items to make, a power of ten.
        size: How large each is, in bytes.
    """
    parameter, text, time, json = _DIALECTS[driver.url.partition(":")[0]]
    digits = range(len(str(length)) - 1)
    ten = " UNION ALL ".join(f"SELECT {digit} AS d" for digit in range(10))
    number = f"CAST(n AS {text})"
    await driver.execute(
        f"""
INSERT INTO chatkit_items (owner_id, thread_id, id, created_at, position, data)
WITH digits AS ({ten}), numbers AS (
    SELECT {" + ".join(f"{10**place} * d{place}.d" for place in digits)} AS n
    FROM {" CROSS JOIN ".join(f"digits AS d{place}" for place in digits)}
)
SELECT '{owner_of(0)}', '{thread_id}', replace('{item_id(0)}', '0', {number}),
    {time.format(f"({_FIRST_SECOND} + n)")}, n,
    {json.format(f"replace({parameter}, '#', {number})")}
FROM numbers ORDER BY n
""",
        (a_message("msg_#", thread_id, size).model_dump_json(),),
    )


async def analyze(driver: Driver) -> None:
    """Give the database its statistics."""
    await driver.execute(_ANALYZE[driver.url.partition(":")[0]])
