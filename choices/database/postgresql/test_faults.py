{% include "choices/database/server/faults.py" %}


@async_test
async def test_R34_a_connection_to_a_server_that_was_read_only_is_replaced(
    store: ChatStore, probe: Probe, alice: RequestContext
) -> None:
    [(name,)] = probe.query("SELECT current_database()")
    setting = "default_transaction_read_only"
    probe.execute(f'ALTER DATABASE "{name}" SET {setting} = on')
    async with ChatStore(probe.url) as late:
        await finish(late.load_threads(20, None, "asc", alice))
        probe.execute(f'ALTER DATABASE "{name}" RESET {setting}')
        await finish(late.save_thread(a_thread(), alice))
    assert await store.load_thread("thr_1", alice) == a_thread()
