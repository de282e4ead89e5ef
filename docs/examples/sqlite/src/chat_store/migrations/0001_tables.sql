-- The owner is the first column of every key. `data` is the SDK's model as JSON; the
-- other columns serve only for keys and order.

CREATE TABLE chatkit_threads (
    owner_id TEXT NOT NULL,
    id TEXT NOT NULL,
    created_at INTEGER NOT NULL,  -- of the first save; microseconds since 1970, UTC
    position INTEGER NOT NULL,  -- numbers the owner's threads of that time
    newest_created_at INTEGER,  -- the latest created_at of later saves, if any
    deleted_at INTEGER,  -- a deleted thread's row rejects late writes
    data TEXT,
    PRIMARY KEY (owner_id, id),
    CHECK ((data IS NULL) = (deleted_at IS NOT NULL))
);

CREATE TABLE chatkit_items (
    owner_id TEXT NOT NULL,
    thread_id TEXT NOT NULL,
    id TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    position INTEGER NOT NULL,  -- numbers the thread's items of that time
    data TEXT NOT NULL,
    PRIMARY KEY (owner_id, thread_id, id),
    FOREIGN KEY (owner_id, thread_id)
        REFERENCES chatkit_threads (owner_id, id) ON DELETE CASCADE
);

-- Without a foreign key to a thread, since an upload precedes its message.
CREATE TABLE chatkit_attachments (
    owner_id TEXT NOT NULL,
    id TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (owner_id, id)
);
