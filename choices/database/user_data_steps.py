def count(owner: str) -> Step:
    """Count an owner's threads, emptied rows, items and attachments."""
    return _COUNT, (owner,)


def next_owner(last: str) -> Step:
    """Find the owner after `last`; NULL if there is none."""
    return _NEXT_OWNER, (last,)


def threads(owner: str, created_at: datetime, position: int) -> Step:
    """Load threads: id, time, position, number of items, the last one's time, data."""
    return _THREADS, (owner, created_at, position, BATCH)


def items(owner: str, thread_id: str, created_at: datetime, position: int) -> Step:
    """Load a thread's items: id, time, position, data."""
    return _ITEMS, (owner, thread_id, created_at, position, BATCH)


def attachments(owner: str, last: str) -> Step:
    """Load attachments by id: id, time, data."""
    return _ATTACHMENTS, (owner, last, BATCH)


def delete_emptied(owner: str, created_before: datetime) -> Step:
    """Delete the rows of deleted threads that are old enough."""
    return _DELETE_EMPTIED, (owner, created_before)


def next_threads(owner: str, thread_id: str, limit: datetime) -> Step:
    """Find the threads after this one: owner, id, whether it is expired."""
    return _NEXT_THREADS, (owner, thread_id, limit, BATCH)


def clashes(old: str, new: str) -> Step:
    """Find a row that both owners have: its kind and id."""
    return _CLASHES, (old, new)


def adopt(old: str, new: str, now: datetime) -> list[Step]:
    """Move one owner's rows to another, leaving emptied rows of the threads."""
    return [
        (_DELETE_EMPTIED_TWINS, (old, new)),
        (_COPY_THREADS, (old, new)),
        (_MOVE_ITEMS, (old, new)),
        (_EMPTY_COPIED, (old, new, now)),
        (_MOVE_ATTACHMENTS, (old, new)),
    ]
