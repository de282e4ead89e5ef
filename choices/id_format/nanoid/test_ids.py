"""Ids of new rows, as the answer `nanoid` promises them."""

import re

from chat_store_tools import id_bodies
from chat_store_under_test import ChatStore, RequestContext


def test_an_id_is_a_prefix_and_a_nano_id(
    store: ChatStore, alice: RequestContext
) -> None:
    for body in id_bodies(store, alice):
        assert re.fullmatch("[A-Za-z0-9_-]{21}", body)
