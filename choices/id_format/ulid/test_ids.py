"""Ids of new rows, as the answer `ulid` promises them."""

import re
import time

import pytest
from chat_store_tools import id_bodies
from chat_store_under_test import ChatStore, RequestContext

DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def test_an_id_is_a_prefix_and_a_ulid(store: ChatStore, alice: RequestContext) -> None:
    for body in id_bodies(store, alice):
        assert re.fullmatch("[0-7][" + DIGITS + "]{25}", body)


def test_ids_begin_with_their_creation_time_in_milliseconds(
    store: ChatStore, alice: RequestContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 1_700_000_000_123_999_999)
    for body in id_bodies(store, alice):
        milliseconds = 0
        for digit in body[:10]:
            milliseconds = milliseconds * 32 + DIGITS.index(digit)
        assert milliseconds == 1_700_000_000_123
