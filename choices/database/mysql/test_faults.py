{% include "choices/database/server/faults.py" %}


@async_test
async def test_R37_a_migration_that_was_interrupted_is_completed(
    store: ChatStore, probe: Probe
) -> None:
    probe.execute("DROP INDEX chatkit_items_page ON chatkit_items")
    probe.execute("DELETE FROM chatkit_migrations")
    assert await finish(store.migrate()) == ["0001_tables", "0002_indexes"]
    found = "SHOW INDEX FROM chatkit_items WHERE key_name = 'chatkit_items_page'"
    assert probe.query(found)
