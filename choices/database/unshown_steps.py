def _next_attachments(owner: str, last: str, created_before: datetime) -> Step:
    """Find the old attachments after this one: owner, id, data."""
    return _OLD_ATTACHMENTS, (owner, last, created_before, BATCH)


def _is_in_thread(owner: str, thread_id: str, text: str) -> Step:
    """Return a row if an item of a thread contains the text."""
    return _IS_IN_THREAD, (owner, thread_id, text)


def _is_anywhere(owner: str, text: str) -> Step:
    """Return a row if an item of an owner contains the text."""
    return _IS_ANYWHERE, (owner, text)
