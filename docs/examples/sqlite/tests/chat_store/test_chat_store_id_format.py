"""Ids of new rows, as the answer `uuid7` promises them."""

import time
from uuid import RFC_4122, UUID

import pytest
from chat_store_tools import id_bodies
from chat_store_under_test import ChatStore, RequestContext


def test_an_id_is_a_prefix_and_a_uuid7(store: ChatStore, alice: RequestContext) -> None:
    for body in id_bodies(store, alice):
        made = UUID(body)
        assert made.hex == body
        assert (made.version, made.variant) == (7, RFC_4122)


def test_ids_begin_with_their_creation_time_in_milliseconds(
    store: ChatStore, alice: RequestContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 1_700_000_000_123_999_999)
    for body in id_bodies(store, alice):
        assert int(body[:12], 16) == 1_700_000_000_123
