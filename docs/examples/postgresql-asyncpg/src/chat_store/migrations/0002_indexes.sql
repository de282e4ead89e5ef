-- runs with code from: 1
--
-- One index for each order of pages, so that a page is one range of it, without a sort,
-- however long the thread is; and one for the purge of deleted threads.

CREATE INDEX chatkit_threads_page
ON chatkit_threads (owner_id, created_at, position) WHERE deleted_at IS NULL;

CREATE INDEX chatkit_items_page
ON chatkit_items (owner_id, thread_id, created_at, position);

CREATE INDEX chatkit_threads_deleted ON chatkit_threads (deleted_at)
WHERE deleted_at IS NOT NULL;
