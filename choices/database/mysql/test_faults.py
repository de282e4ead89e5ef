{% include "choices/database/server/faults.py" %}


@async_test
async def test_R37_a_migration_that_was_interrupted_is_completed(
    store: ChatStore, probe: Probe
) -> None:
    recorded = probe.query("SELECT name FROM chatkit_migrations ORDER BY version")
    probe.execute("DROP INDEX chatkit_items_page ON chatkit_items")
    probe.execute("DELETE FROM chatkit_migrations")
    assert await finish(store.migrate()) == [name for (name,) in recorded]
    found = "SHOW INDEX FROM chatkit_items WHERE key_name = 'chatkit_items_page'"
    assert probe.query(found)
