"""Faults of the server, and between the Store and it: R31, R33 to R35 and R40.

The network's faults are a proxy's, through which the Stores that are tested reach the
server; it delays, cuts and swallows what passes. The Store of the fixture goes around it.
"""

import asyncio
import contextlib
import itertools
import random
import socket
import struct
import threading
from collections.abc import Coroutine, Generator, Iterator
from dataclasses import dataclass
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit, urlunsplit

import pytest
from chat_store_appending import append_until
from chat_store_database import Probe
from chat_store_processes import (
    APPENDER,
    WITHOUT_END,
    assert_nothing_is_lost,
    kill,
    make_thread,
    processes,
    read_acknowledged,
    texts_in,
)
from chat_store_tools import (
    CALLS,
    READS,
    THOROUGH,
    WRITES,
    a_chance,
    a_message,
    a_thread,
    async_test,
    finish,
    run_async,
    save_one_of_each,
    stored_rows,
    walk,
)
from chat_store_under_test import (
    ChatStore,
    DatabaseError,
    DatabaseOptions,
    DatabaseTimeoutError,
    RequestContext,
    keys,
)
from chatkit.store import NotFoundError

T = TypeVar("T")

ENDS = ("server", "client")
WAYS = ("closed", "reset")


class Proxy:
    """Stands between Stores and their server, and disturbs them, on a thread of its own.

    Attributes:
        port: Where it listens.
        delay: How many seconds late each piece of what is sent arrives.
    """

    def __init__(self, address: tuple[str, int]) -> None:
        self.port = 0
        self.delay = 0.0
        self._address = address
        self._cut: _Cut | None = None
        self._passes: int | None = None  # how many pieces before all are lost
        self._links: list[_Link] = []
        self._listener: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._run(self._accept())
        return self

    def __exit__(self, *error: object) -> None:
        self._run(self._shut_down())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def url(self, probe: Probe) -> str:
        """Return the URL by which a Store reaches the probe's database through it."""
        parts = urlsplit(probe.url)
        account, at, _ = parts.netloc.rpartition("@")
        place = f"{account}{at}127.0.0.1:{self.port}"
        return urlunsplit(parts._replace(netloc=place))

    def cut_once(self, towards: str, pieces: int, share: float, way: str) -> None:
        """Cut the first connection on which so much has been sent from now on.

        Args:
            towards: The end that gets no more: the "server" or the "client".
            pieces: How many pieces of what is sent there still pass, on any connection.
            share: How much of the piece after these passes, from 0 to 1.
            way: Whether the connection is then "closed" in good order, or "reset".
        """
        self._cut = _Cut(towards, pieces, share, way)

    @property
    def has_cut(self) -> bool:
        """Whether `cut_once` has happened."""
        return self._cut is None

    def cut_all(self, way: str) -> None:
        """Cut all connections now."""
        self._run(self._cut_all(way))

    @contextlib.contextmanager
    def refusing(self) -> Generator[None, None, None]:
        """Cut all connections, and accept no others."""
        self._run(self._refuse())
        try:
            yield
        finally:
            self._run(self._accept())

    @contextlib.contextmanager
    def swallowing(self, after: int = 0) -> Generator[None, None, None]:
        """Lose all that is sent, once so many pieces have passed.

        A connection on which something was lost stays silent: afterwards the server knows
        that it is gone, but the Store does not.
        """
        self._passes = after
        try:
            yield
        finally:
            self._passes = None
            self._run(self._part_from_server())

    def _run(self, command: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(command, self._loop).result()

    async def _accept(self) -> None:
        self._listener = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._listener.sockets[0].getsockname()[1]

    async def _refuse(self) -> None:
        assert self._listener is not None
        self._listener.close()
        await self._cut_all("reset")

    async def _shut_down(self) -> None:
        await self._refuse()
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            await self._cut_all("reset")  # also those that were just being made
            await asyncio.wait(others, timeout=0.01)

    async def _cut_all(self, way: str) -> None:
        for link in self._links:
            link.end(way)
        self._links.clear()

    async def _part_from_server(self) -> None:
        for link in self._links:
            if link.is_silent:
                _end(link.server, "closed")

    async def _serve(
        self, from_client: asyncio.StreamReader, client: asyncio.StreamWriter
    ) -> None:
        from_server, server = await asyncio.open_connection(*self._address)
        link = _Link(client, server)
        self._links.append(link)
        await asyncio.gather(
            self._pass_on(from_client, link, "server"),
            self._pass_on(from_server, link, "client"),
        )

    async def _pass_on(
        self, reader: asyncio.StreamReader, link: "_Link", towards: str
    ) -> None:
        writer = link.server if towards == "server" else link.client
        with contextlib.suppress(OSError):
            while piece := await reader.read(2**16):
                await asyncio.sleep(self.delay)
                if self._passes == 0 or link.is_silent:
                    link.is_silent = True
                    continue
                if self._passes is not None:
                    self._passes -= 1
                cut = self._cut
                if cut is not None and cut.towards == towards:
                    if cut.pieces == 0:
                        self._cut = None
                        writer.write(piece[: int(len(piece) * cut.share)])
                        link.end(cut.way)
                        return
                    cut.pieces -= 1
                writer.write(piece)
        if not link.is_silent:
            link.end("closed")


@dataclass
class _Cut:
    """What `cut_once` was given."""

    towards: str
    pieces: int
    share: float
    way: str


@dataclass
class _Link:
    """A client's connection to the proxy, and the proxy's to the server for it."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    is_silent: bool = False

    def end(self, way: str) -> None:
        """Close or reset both."""
        _end(self.client, way)
        _end(self.server, way)


def _end(writer: asyncio.StreamWriter, way: str) -> None:
    if way == "reset":
        with contextlib.suppress(OSError):
            writer.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )
        writer.transport.abort()
    else:
        writer.close()


@pytest.fixture
def proxy(probe: Probe) -> Iterator[Proxy]:
    """A proxy before the probe's server."""
    with Proxy(probe.address) as proxy:
        yield proxy


async def start_again(
    store: ChatStore, context: RequestContext, probe: Probe
) -> list[list[tuple[Any, ...]]]:
    """Save one of each under the ids of CALLS; return the rows of every table."""
    for table in ("chatkit_items", "chatkit_threads"):  # those that were deleted, too
        probe.execute(f"DELETE FROM {table}")
    await save_one_of_each(store, context, "before")
    return stored_rows(probe)


async def recover(store: ChatStore, context: RequestContext) -> None:
    """Use connections until none is left that has died, and the Store answers again."""
    for _ in range(20):
        outcomes = await finish(
            asyncio.gather(
                *(read(store, context) for read in READS.values()),
                return_exceptions=True,
            ),
            30,
        )
        if not any(isinstance(outcome, DatabaseError) for outcome in outcomes):
            return
    raise AssertionError("The Store does not answer any more.")


# --- a server that crashes, or refuses


def test_R35_what_was_acknowledged_survives_kill_9_of_the_server(
    probe: Probe, alice: RequestContext
) -> None:
    chance = a_chance()
    run_async(make_thread(probe.url, alice, "thr_1"))
    with processes(APPENDER, (probe.url, "a", "thr_1", WITHOUT_END)) as (process,):
        acknowledged: list[str] = []
        for _ in range(50 if THOROUGH else 2):
            acknowledged += read_acknowledged(process, chance.randrange(1, 100))
            probe.crash_server()
        acknowledged += read_acknowledged(process, 50)
        acknowledged += kill(process)
    found = run_async(texts_in(probe.url, alice, "thr_1"))
    assert_nothing_is_lost(acknowledged, found)


@async_test
async def test_R34_opening_waits_for_a_server_that_is_starting(
    probe: Probe, proxy: Proxy
) -> None:
    store = ChatStore(proxy.url(probe), auto_migrate=True)
    with proxy.refusing():
        opening = asyncio.ensure_future(store.open())
        await asyncio.sleep(0.3)
        assert not opening.done()
    await finish(opening)
    await finish(store.close())


@pytest.mark.parametrize("method", WRITES)
@async_test
async def test_R34_a_write_that_meets_a_deadlock_is_made_once_more(
    store: ChatStore, alice: RequestContext, probe: Probe, method: str
) -> None:
    await save_one_of_each(store, alice, "before")
    before = stored_rows(probe)
    probe.conflict_once()
    await finish(WRITES[method](store, alice))
    assert stored_rows(probe) != before


# --- a network that is slow, or cuts


@async_test
async def test_R34_calls_succeed_over_a_slow_network(
    store: ChatStore, alice: RequestContext, probe: Probe, proxy: Proxy
) -> None:
    async with ChatStore(proxy.url(probe)) as remote:
        proxy.delay = 0.01
        for method, call in CALLS.items():
            before = await start_again(store, alice, probe)
            await finish(call(remote, alice), 30)
            assert (stored_rows(probe) != before) == (method in WRITES), method


@pytest.mark.parametrize("method", CALLS)
@async_test
async def test_R34_a_call_succeeds_wherever_its_connection_is_cut(
    store: ChatStore, alice: RequestContext, probe: Probe, proxy: Proxy, method: str
) -> None:
    async with ChatStore(proxy.url(probe), pool_size=1) as remote:
        kinds = [(0, "closed"), (0.5, "reset")]
        for towards, (share, way) in itertools.product(ENDS, kinds):
            for pieces in itertools.count():
                before = await start_again(store, alice, probe)
                proxy.cut_once(towards, pieces, share, way)
                await finish(CALLS[method](remote, alice))
                assert (stored_rows(probe) != before) == (method in WRITES)
                if not proxy.has_cut:  # the call has ended before that piece
                    assert pieces > 0
                    break


@async_test
async def test_R34_an_item_without_an_id_is_stored_once_wherever_it_is_cut(
    store: ChatStore, alice: RequestContext, probe: Probe, proxy: Proxy
) -> None:
    await store.save_thread(a_thread(), alice)
    item = a_message(keys.PLACEHOLDER_ID)
    async with ChatStore(proxy.url(probe), pool_size=1) as remote:
        for number, towards in enumerate(ENDS * 3):
            proxy.cut_once(towards, pieces=number // 2, share=0, way="closed")
            await finish(remote.add_thread_item("thr_1", item, alice))
            assert len(await walk(store, alice)) == number + 1


@pytest.mark.parametrize("method", WRITES)
@async_test
async def test_R31_a_write_finishes_though_its_task_is_cancelled_and_its_answer_is_cut(
    store: ChatStore, alice: RequestContext, probe: Probe, proxy: Proxy, method: str
) -> None:
    async with ChatStore(proxy.url(probe)) as remote:
        for towards in ENDS:
            before = await start_again(store, alice, probe)
            proxy.cut_once(towards, pieces=0, share=0, way="reset")
            call = asyncio.ensure_future(WRITES[method](remote, alice))
            await asyncio.sleep(0)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await finish(call)
            assert proxy.has_cut
            assert stored_rows(probe) != before


@async_test
async def test_R34_calls_wait_for_a_server_that_refuses_connections_for_a_moment(
    store: ChatStore, alice: RequestContext, probe: Probe, proxy: Proxy
) -> None:
    await save_one_of_each(store, alice)
    async with ChatStore(proxy.url(probe), pool_timeout=30) as remote:
        with proxy.refusing():
            calls = [
                asyncio.ensure_future(call(remote, alice)) for call in CALLS.values()
            ]
            for _ in range(20):
                await asyncio.sleep(0.005)
            assert not any(call.done() for call in calls)
        await finish(asyncio.gather(*calls, return_exceptions=True), 60)
        errors = [call.exception() for call in calls]
        # Some calls find that others have deleted what they are about.
        assert {type(error) for error in errors} <= {type(None), NotFoundError}


# --- a network that loses everything


@async_test
async def test_R33_calls_end_with_an_error_when_the_network_loses_everything(
    store: ChatStore, alice: RequestContext, probe: Probe, proxy: Proxy
) -> None:
    async with ChatStore(proxy.url(probe), **lost_options()) as remote:
        await save_one_of_each(store, alice)
        before = stored_rows(probe)
        with proxy.swallowing():
            for _ in range(3 if THOROUGH else 1):  # later, all connections are new
                calls = asyncio.gather(
                    *(call(remote, alice) for call in CALLS.values()),
                    return_exceptions=True,
                )
                await finish(store.load_thread("thr_1", alice))  # the loop goes on
                for method, outcome in zip(CALLS, await finish(calls)):
                    assert isinstance(outcome, DatabaseTimeoutError), method
        assert stored_rows(probe) == before
        await recover(remote, alice)


@async_test
async def test_R33_a_write_that_fails_half_way_leaves_no_transaction_open(
    store: ChatStore, probe: Probe, alice: RequestContext
) -> None:
    async with ChatStore(probe.url, pool_size=1) as late:
        await save_one_of_each(late, alice)
        probe.refuse_deleting_items()
        with pytest.raises(DatabaseError):
            await finish(late.delete_thread("thr_1", alice))
        await finish(late.delete_attachment("atc_1", alice))
        assert stored_rows(probe)[-1] == []


@async_test
async def test_R33_a_call_that_times_out_does_not_leave_its_task_cancelled(
    store: ChatStore, probe: Probe, proxy: Proxy
) -> None:
    async with ChatStore(proxy.url(probe), **lost_options()) as remote:
        with proxy.swallowing(), pytest.raises(DatabaseTimeoutError):
            await remote.status()
        task = asyncio.current_task()
        assert task is not None and task.cancelling() == 0


@pytest.mark.parametrize("after", [0, 4])
@async_test
async def test_R33_opening_ends_with_an_error_when_the_network_loses_everything(
    store: ChatStore, probe: Probe, proxy: Proxy, after: int
) -> None:
    remote = ChatStore(proxy.url(probe), **lost_options())
    with proxy.swallowing(after), pytest.raises(DatabaseError):
        await finish(remote.open())
    await finish(remote.open())
    await finish(remote.close())


@async_test
async def test_R40_closing_ends_when_the_network_loses_everything(
    store: ChatStore, alice: RequestContext, probe: Probe, proxy: Proxy
) -> None:
    await save_one_of_each(store, alice)
    remote = ChatStore(proxy.url(probe), **lost_options())
    for methods in ([], ["save_thread"]):  # idle, and in mid-write
        await finish(remote.open())
        await finish(remote.load_thread("thr_1", alice))
        with proxy.swallowing():
            calls = [WRITES[method](remote, alice) for method in methods]
            writes = asyncio.gather(*calls, return_exceptions=True)
            await asyncio.sleep(0)
            await finish(remote.close())
            await finish(writes)
    await finish(remote.open())
    await recover(remote, alice)
    await finish(remote.close())


@async_test
async def test_R33_statement_timeout_is_independent_of_pool_timeout(
    store: ChatStore, alice: RequestContext, probe: Probe, proxy: Proxy
) -> None:
    await save_one_of_each(store, alice)
    options = DatabaseOptions(pool_timeout=15.0, statement_timeout=0.5)
    async with ChatStore(proxy.url(probe), **options) as remote:
        await finish(remote.load_thread("thr_1", alice))
        with proxy.swallowing(), pytest.raises(DatabaseTimeoutError, match="0.5 s"):
            await finish(remote.load_thread("thr_1", alice))


def lost_options() -> DatabaseOptions:
    """Return short waits, and connections enough for a call of each method at once."""
    return DatabaseOptions(
        pool_size=len(CALLS), pool_timeout=1.0, statement_timeout=1.0
    )


# --- whatever the network does


@async_test
async def test_R34_acknowledged_writes_are_stored_once_despite_network_faults(
    store: ChatStore, alice: RequestContext, probe: Probe, proxy: Proxy
) -> None:
    chance = a_chance()
    ended = asyncio.Event()
    await store.save_thread(a_thread(), alice)
    options = DatabaseOptions(pool_size=3, pool_timeout=1, statement_timeout=0.5)
    async with ChatStore(proxy.url(probe), **options) as remote:
        writers = [
            asyncio.ensure_future(
                append_until(ended, remote, alice, name, DatabaseError)
            )
            for name in "abcde"
        ]
        for _ in range(800 if THOROUGH else 12):
            await disturb(proxy, chance)
        ended.set()
        acknowledged = await finish(asyncio.gather(*writers), 60)
        await recover(remote, alice)
    found = [item.id for item in await walk(store, alice, limit=500)]
    assert len(found) == len(set(found))
    for ids in acknowledged:
        assert [item_id for item_id in found if item_id in set(ids)] == ids


async def disturb(proxy: Proxy, chance: random.Random) -> None:
    """Do one thing to the network, for a moment or for one connection."""
    moment = chance.uniform(0, 0.05)
    fault = chance.choice(["cut", "cut", "cut", "cut all", "slow", "refuse", "lose"])
    if fault == "cut":
        pieces, share = chance.randrange(4), chance.random()
        proxy.cut_once(chance.choice(ENDS), pieces, share, chance.choice(WAYS))
    if fault == "cut all":
        proxy.cut_all(chance.choice(WAYS))
    proxy.delay = chance.uniform(0, 0.01) if fault == "slow" else 0.0
    with contextlib.ExitStack() as stack:
        if fault == "refuse":
            stack.enter_context(proxy.refusing())
        if fault == "lose":
            stack.enter_context(proxy.swallowing())
        await asyncio.sleep(moment)
