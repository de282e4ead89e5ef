"""Ids of new rows, as the answer `uuid4` promises them."""

from uuid import RFC_4122, UUID

from chat_store_tools import id_bodies
from chat_store_under_test import ChatStore, RequestContext


def test_an_id_is_a_prefix_and_a_uuid4(store: ChatStore, alice: RequestContext) -> None:
    for body in id_bodies(store, alice):
        made = UUID(body)
        assert made.hex == body
        assert (made.version, made.variant) == (4, RFC_4122)
