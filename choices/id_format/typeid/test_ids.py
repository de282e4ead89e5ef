"""Ids of new rows, as the answer `typeid` promises them."""

import time
from uuid import RFC_4122, UUID

import pytest
from chat_store_tools import id_bodies
from chat_store_under_test import ChatStore, RequestContext

DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"


def test_an_id_is_a_prefix_and_a_uuid7_in_base_32(
    store: ChatStore, alice: RequestContext
) -> None:
    for body in id_bodies(store, alice):
        assert len(body) == 26
        made = _uuid(body)
        assert (made.version, made.variant) == (7, RFC_4122)


def test_ids_begin_with_their_creation_time_in_milliseconds(
    store: ChatStore, alice: RequestContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 1_700_000_000_123_999_999)
    for body in id_bodies(store, alice):
        assert _uuid(body).int >> 80 == 1_700_000_000_123


def _uuid(body: str) -> UUID:
    number = 0
    for digit in body:
        number = number * 32 + DIGITS.index(digit)
    return UUID(int=number)  # refuses more than 128 bits
