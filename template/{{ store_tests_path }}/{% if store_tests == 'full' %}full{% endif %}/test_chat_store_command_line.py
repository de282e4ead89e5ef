"""The command line: `python -m` the package, R37 of the contract."""

import pytest
from chat_store_adapter import only_own
from chat_store_database import Probe
from chat_store_fixtures import Command
from chat_store_under_test import ChatStore


@only_own
@pytest.mark.parametrize("is_exposed", [True, False])
def test_R37_the_status_warns_of_a_connection_across_a_network_without_tls(
    store: ChatStore,
    probe: Probe,
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
    is_exposed: bool,
) -> None:
    async def tell(_: object) -> bool:
        return is_exposed

    database = type(store._database)  # pyright: ignore[reportPrivateUsage]
    monkeypatch.setattr(database, "is_exposed", tell)
    _, printed = command("status", url=probe.url)
    assert ("warning" in printed and "without TLS" in printed) is is_exposed


@only_own
@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["status"], "CHAT_STORE_URL"),
        (["status", "--url", "nosuchdb://localhost/chat"], "nosuchdb"),
        (["status", "--sql"], "--sql"),
        (["from_the_future"], "migrate"),
    ],
)
def test_R37_the_command_line_says_what_is_wrong(
    command: Command, arguments: list[str], word: str
) -> None:
    status, printed = command(*arguments)
    assert status == 2
    assert word in printed
    assert "Traceback" not in printed


@only_own
def test_R37_the_command_line_reports_a_database_that_cannot_be_used(
    store: ChatStore, probe: Probe, command: Command
) -> None:
    with probe.unreachable(store):
        for name in ("status", "migrate"):
            status, printed = command(name, "--pool-timeout", "0.1", url=probe.url)
            assert status == 1
            assert "Traceback" not in printed
