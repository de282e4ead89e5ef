-- The owner is the first column of every key. `data` is the SDK's model as JSON; the
-- other columns serve only for keys and order.
-- Ids are bytes, since a collation may equate 'a' with 'A' or 'a '; 1,020 bytes are 255
-- characters. `data` is text, since MariaDB's JSON rejects 32 levels of nesting.

CREATE TABLE IF NOT EXISTS chatkit_threads (
    owner_id VARBINARY(1020) NOT NULL,
    id VARBINARY(1020) NOT NULL,
    created_at BIGINT NOT NULL,  -- of the first save; microseconds since 1970, UTC
    position BIGINT NOT NULL AUTO_INCREMENT,  -- breaks ties of created_at
    newest_created_at BIGINT,  -- the latest created_at of later saves
    deleted_at BIGINT,  -- a deleted thread's row rejects late writes
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

-- Without a foreign key to a thread, since an upload precedes its message.
CREATE TABLE IF NOT EXISTS chatkit_attachments (
    owner_id VARBINARY(1020) NOT NULL,
    id VARBINARY(1020) NOT NULL,
    created_at BIGINT NOT NULL,
    saves BIGINT NOT NULL DEFAULT 1,
    data LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    PRIMARY KEY (owner_id, id)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC;
