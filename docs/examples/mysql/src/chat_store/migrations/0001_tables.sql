-- Threads, their items, and attachments. The owner leads every key; the payload is the
-- SDK's model as JSON in `data`, and the columns beside it only serve keys and order.
-- Ids are bytes: a collation would take 'a' for 'A' or for 'a '. 1,020 bytes hold 255
-- characters. `data` is text, since MariaDB's JSON refuses what is nested 32 deep.

CREATE TABLE IF NOT EXISTS chatkit_threads (
    owner_id VARBINARY(1020) NOT NULL,
    id VARBINARY(1020) NOT NULL,
    created_at BIGINT NOT NULL,  -- of the first save; microseconds since 1970, UTC
    position BIGINT NOT NULL AUTO_INCREMENT,  -- breaks ties of created_at
    newest_created_at BIGINT,  -- the latest that a save carried, after the first
    deleted_at BIGINT,  -- a deleted thread stays a while and refuses late writes
    saves BIGINT NOT NULL DEFAULT 1,
    data LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
    PRIMARY KEY (owner_id, id),
    KEY chatkit_threads_position (position),
    CHECK ((data IS NULL) = (deleted_at IS NOT NULL))
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC;

CREATE TABLE IF NOT EXISTS chatkit_items (
    owner_id VARBINARY(1020) NOT NULL,
    thread_id VARBINARY(1020) NOT NULL,
    id VARBINARY(1020) NOT NULL,
    created_at BIGINT NOT NULL,
    position BIGINT NOT NULL AUTO_INCREMENT,
    saves BIGINT NOT NULL DEFAULT 1,
    data LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    PRIMARY KEY (owner_id, thread_id, id),
    KEY chatkit_items_position (position),
    FOREIGN KEY (owner_id, thread_id) REFERENCES chatkit_threads (owner_id, id)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC;

-- Not bound to a thread: an upload comes before its message, and stays until it is swept.
CREATE TABLE IF NOT EXISTS chatkit_attachments (
    owner_id VARBINARY(1020) NOT NULL,
    id VARBINARY(1020) NOT NULL,
    created_at BIGINT NOT NULL,
    saves BIGINT NOT NULL DEFAULT 1,
    data LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    PRIMARY KEY (owner_id, id)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC;
