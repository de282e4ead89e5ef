"""What one caller may cost the others: R43 of the Store's contract, in depth.

This directory comes with the answer store_tests=full, and is deleted with it.
"""

import time

from chat_store_adapter import only_own
from chat_store_tools import a_message, a_thread
from chat_store_under_test import codec
from hypothesis import given, settings
from hypothesis import strategies as st

SIZE = 100_000

PARTS = st.sampled_from(
    [*"0123456789\0\"'\\/\ufffd\ufeff\u2028[]{}:,.-+eE\n ", "NaN", r"\u0000"]
)
TEXTS = st.lists(PARTS | st.characters(exclude_categories=["Cs"]), min_size=1).map(
    "".join
)


def cost_of(text: str) -> float:
    """Give the CPU seconds that it takes to write and to read a text."""
    best = float("inf")
    for _ in range(3):
        began = time.process_time()
        thread = a_thread(title=text, metadata={text[:100]: text})
        payload = codec.dump(codec.THREAD, thread, "Thread")
        assert codec.load(codec.THREAD, payload, "Thread") == thread
        item = a_message(text=text)
        payload = codec.dump(codec.ITEM, item, "Item")
        assert codec.load_all(codec.ITEM, [("msg_1", payload)], "Item") == [item]
        best = min(best, time.process_time() - began)
    return best


@only_own
@settings(max_examples=200, deadline=None, database=None)
@given(TEXTS)
def test_R43_no_text_that_is_made_up_costs_much_more_than_plain_text(part: str) -> None:
    plain = cost_of("word " * (SIZE // 5))
    text = (part * (SIZE // len(part)))[:SIZE]
    # A character may have four bytes, and its escape six.
    assert cost_of(text) < 25 * plain + 0.05
