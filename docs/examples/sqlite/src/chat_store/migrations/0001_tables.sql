-- Threads, their items, and attachments. The owner leads every key; the payload is the
-- SDK's model as JSON in `data`, and the columns beside it only serve keys and order.

CREATE TABLE chatkit_threads (
    owner_id TEXT NOT NULL,
    id TEXT NOT NULL,
    created_at INTEGER NOT NULL,  -- of the first save; microseconds since 1970, UTC
    position INTEGER NOT NULL,  -- counts the owner's threads of that instant
    newest_created_at INTEGER,  -- the latest that a save carried, where that differs
    deleted_at INTEGER,  -- a deleted thread stays a while and refuses late writes
    data TEXT,
    PRIMARY KEY (owner_id, id),
    CHECK ((data IS NULL) = (deleted_at IS NOT NULL))
);

CREATE TABLE chatkit_items (
    owner_id TEXT NOT NULL,
    thread_id TEXT NOT NULL,
    id TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    position INTEGER NOT NULL,  -- counts the thread's items of that instant
    data TEXT NOT NULL,
    PRIMARY KEY (owner_id, thread_id, id),
    FOREIGN KEY (owner_id, thread_id)
        REFERENCES chatkit_threads (owner_id, id) ON DELETE CASCADE
);

-- Not bound to a thread: an upload comes before its message, and stays until it is swept.
CREATE TABLE chatkit_attachments (
    owner_id TEXT NOT NULL,
    id TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (owner_id, id)
);
