"""Any sequence of calls: the Store is compared with a model of it, step by step (R01 to R30).

Hypothesis makes up the sequences. There are few owners, ids and times, so that they collide and
tie often. After a failure it looks for a short sequence that shows the same, which may take some
minutes, and prints that as Python code.

The quick profile makes the same sequences on each run. With CHAT_STORE_THOROUGH=1 they are more,
and others each time; a failure is repeated by putting the decorator that it prints on the class
`Machine`.

This directory exists only if the template answer store_tests is "full".
"""

import itertools
import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, TypeVar

import pytest
from chat_store_adapter import make_context
from chat_store_model import Model
from chat_store_samples import ITEM_TYPES, TEXT, samples_of
from chat_store_tools import NOON, THOROUGH, a_note, a_thread, later, run_async
from chat_store_under_test import ChatStore
from chatkit.store import NotFoundError
from chatkit.types import (
    Attachment,
    FileAttachment,
    ImageAttachment,
    Page,
    Thread,
    ThreadItem,
    ThreadMetadata,
)
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.configuration import set_hypothesis_home_dir
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from pydantic import BaseModel

Sample = TypeVar("Sample", bound=BaseModel)

# Ids that a careless comparison takes for one another (R11, R12).
OWNERS = ("alice", "Alice")
THREADS = ("thr_1", "THR_1", "thr_1 ")
ITEMS = ("msg_1", "MSG_1", "msg_1 ", "msg_2")
ATTACHMENTS = ("atc_1", "ATC_1")
ORDERS = ("asc", "desc")

# Three instants, of which one is written in two ways (R24, R25).
TIMES = (
    NOON,
    NOON.astimezone(timezone(timedelta(hours=9))),
    later(1e-6),
    later(-60).astimezone(timezone(timedelta(0))),
)

# What databases and drivers treat in ways of their own (R27).
PIECES = ("a", "\0", "\\u0000", "\ufffd", "\\", '"', "'", "\u202e", "\U0001f600", "%s")

# The tests of R26 have the longest widgets, which would take most of the time here. The
# shortest come first, since a failure is shown with the first that will do.
ITEM_SAMPLES = sorted(
    (
        sample
        for item_type in ITEM_TYPES
        for sample in samples_of(item_type)
        if len(str(sample)) < 3000
    ),
    key=lambda sample: len(str(sample)),
)
THREAD_SAMPLES = samples_of(ThreadMetadata)
ATTACHMENT_SAMPLES: list[Attachment] = [
    *samples_of(FileAttachment),
    *samples_of(ImageAttachment),
]

owners = st.sampled_from(OWNERS)
thread_ids = st.sampled_from(THREADS)
item_ids = st.sampled_from(ITEMS)
attachment_ids = st.sampled_from(ATTACHMENTS)
times = st.sampled_from(TIMES)
texts = st.lists(st.sampled_from(PIECES), max_size=3).map("".join)
orders = st.sampled_from(ORDERS)
limits = st.sampled_from([1, 2, 3, 1000])


def with_text(sample: Sample, text: str) -> Sample:
    """Put a text into a sample, wherever its fields take any text."""
    old, new = (json.dumps(value)[1:-1] for value in (TEXT, text))
    return type(sample).model_validate_json(sample.model_dump_json().replace(old, new))


@st.composite
def threads(draw: st.DrawFn) -> ThreadMetadata:
    """Make a thread's metadata, or a thread with items (R03)."""
    sample = with_text(draw(st.sampled_from(THREAD_SAMPLES)), draw(texts))
    keys = {"id": draw(thread_ids), "created_at": draw(times)}
    if draw(st.booleans()):
        fields = sample.model_dump() | keys
        return Thread.model_validate({**fields, "items": Page[ThreadItem]()})
    return sample.model_copy(update=keys)


@st.composite
def items(draw: st.DrawFn) -> ThreadItem:
    """Make an item of any type, for any thread."""
    sample = with_text(draw(st.sampled_from(ITEM_SAMPLES)), draw(texts))
    keys = {"id": draw(item_ids), "thread_id": draw(thread_ids)}
    return sample.model_copy(update={**keys, "created_at": draw(times)})


@st.composite
def attachments(draw: st.DrawFn) -> Attachment:
    """Make an attachment of any type."""
    sample = with_text(draw(st.sampled_from(ATTACHMENT_SAMPLES)), draw(texts))
    return sample.model_copy(update={"id": draw(attachment_ids)})


def _outcome(call: Callable[[], object]) -> object:
    try:
        return call()
    except NotFoundError:
        return NotFoundError
    except ValueError:
        return ValueError


class Machine(RuleBasedStateMachine):
    """Makes each call to the Store and to the model of its owner."""

    store: ChatStore
    numbers = itertools.count()

    def __init__(self) -> None:
        super().__init__()
        # Deleted threads outlive a sequence (R10), so the next one has owners of its own.
        number = next(self.numbers)
        self.contexts = {owner: make_context(f"{owner} {number}") for owner in OWNERS}
        self.models = {owner: Model() for owner in OWNERS}
        self.cursors: dict[tuple[str, str, str], str | None] = {}
        self.steps = 0

    def call(self, owner: str, method: str, **arguments: Any) -> Any:
        """Make a call to both, and see that the same comes of it."""
        context = self.contexts[owner]
        from_model: Any = _outcome(
            lambda: getattr(self.models[owner], method)(**arguments)
        )
        from_store: Any = _outcome(
            lambda: run_async(getattr(self.store, method)(**arguments, context=context))
        )
        assert from_store == from_model, f"{method} of {owner}"
        return from_store

    def walk(self, owner: str, method: str, **arguments: Any) -> None:
        """Follow `after` through all pages."""
        after: str | None = None
        while True:
            page = self.call(owner, method, after=after, **arguments)
            if page.after is None:
                return
            after = page.after

    def teardown(self) -> None:
        """Leave nothing that a next sequence could meet where owners are mixed up."""
        for owner, model in self.models.items():
            context = self.contexts[owner]
            for thread in model.load_threads(1000, None, "asc").data:
                run_async(self.store.delete_thread(thread.id, context))
            for attachment_id in model.attachments:
                run_async(self.store.delete_attachment(attachment_id, context))

    @invariant()
    def pages_agree(self) -> None:
        """Load all pages, in another size and order after each step (R17 to R19)."""
        self.steps += 1
        bounds = {"limit": self.steps // 2 % 3 + 1, "order": ORDERS[self.steps % 2]}
        for owner in OWNERS:
            self.walk(owner, "load_threads", **bounds)
            for thread_id in THREADS:
                self.walk(owner, "load_thread_items", thread_id=thread_id, **bounds)

    @invariant()
    def rows_agree(self) -> None:
        """Load each id now and then, whether there is such a row or not (R02, R16)."""
        if self.steps % 10:
            return
        for owner in OWNERS:
            for thread_id in THREADS:
                self.call(owner, "load_thread", thread_id=thread_id)
                for item_id in ITEMS:
                    keys = {"thread_id": thread_id, "item_id": item_id}
                    self.call(owner, "load_item", **keys)
            for attachment_id in ATTACHMENTS:
                self.call(owner, "load_attachment", attachment_id=attachment_id)

    @initialize(
        threads=st.lists(threads(), min_size=1, max_size=5),
        items=st.lists(items(), max_size=8),
        attachments=st.lists(attachments(), max_size=2),
    )
    def begin(
        self,
        threads: list[ThreadMetadata],
        items: list[ThreadItem],
        attachments: list[Attachment],
    ) -> None:
        """Save the same rows for both owners (R12)."""
        for owner in OWNERS:
            for thread in threads:
                self.call(owner, "save_thread", thread=thread)
            for item in items:
                self.call(owner, "add_thread_item", thread_id=item.thread_id, item=item)
            for attachment in attachments:
                self.call(owner, "save_attachment", attachment=attachment)

    @rule(owner=owners, thread=threads())
    def save_thread(self, owner: str, thread: ThreadMetadata) -> None:
        """Save a thread, new or not (R01, R03, R04)."""
        self.call(owner, "save_thread", thread=thread)

    @rule(owner=owners, item=items())
    def add_thread_item(self, owner: str, item: ThreadItem) -> None:
        """Add an item, new or not (R05, R08)."""
        self.call(owner, "add_thread_item", thread_id=item.thread_id, item=item)

    @rule(owner=owners, item=items())
    def save_item(self, owner: str, item: ThreadItem) -> None:
        """Save an item, new or not (R07, R08)."""
        self.call(owner, "save_item", thread_id=item.thread_id, item=item)

    @rule(owner=owners, thread_id=thread_ids, item_id=item_ids)
    def delete_thread_item(self, owner: str, thread_id: str, item_id: str) -> None:
        """Delete an item, there or not (R09)."""
        self.call(owner, "delete_thread_item", thread_id=thread_id, item_id=item_id)

    @rule(owner=owners, thread_id=thread_ids, early=times, late=times)
    def delete_thread(
        self, owner: str, thread_id: str, early: datetime, late: datetime
    ) -> None:
        """Delete a thread between two saves by a stream that is still running (R10)."""
        thread = a_thread(thread_id, created_at=early)
        self.call(owner, "save_thread", thread=thread)
        self.call(owner, "delete_thread", thread_id=thread_id)
        thread = a_thread(thread_id, created_at=late)
        self.call(owner, "save_thread", thread=thread)

    @rule(owner=owners, attachment=attachments())
    def save_attachment(self, owner: str, attachment: Attachment) -> None:
        """Save an attachment, new or not (R30)."""
        self.call(owner, "save_attachment", attachment=attachment)

    @rule(owner=owners, attachment_id=attachment_ids)
    def delete_attachment(self, owner: str, attachment_id: str) -> None:
        """Delete an attachment, there or not (R09)."""
        self.call(owner, "delete_attachment", attachment_id=attachment_id)

    @rule(
        owner=owners,
        thread_id=thread_ids,
        item_id=item_ids,
        limit=limits,
        order=orders,
    )
    def load_a_page(
        self, owner: str, thread_id: str, item_id: str, limit: int, order: str
    ) -> None:
        """Load what follows a row that may not be there (R14, R20)."""
        bounds = {"limit": limit, "order": order}
        self.call(owner, "load_threads", after=thread_id, **bounds)
        self.call(
            owner, "load_thread_items", thread_id=thread_id, after=item_id, **bounds
        )

    @rule(owner=owners, thread_id=thread_ids, limit=limits, order=orders)
    def turn_the_page(self, owner: str, thread_id: str, limit: int, order: str) -> None:
        """Go on with a walk that began before what was written since (R18)."""
        walk = (owner, thread_id, order)
        page = self.call(
            owner,
            "load_thread_items",
            thread_id=thread_id,
            after=self.cursors.get(walk),
            limit=limit,
            order=order,
        )
        self.cursors[walk] = page.after if isinstance(page, Page) else None

    @rule(
        owner=owners,
        thread_id=thread_ids,
        item_id=item_ids,
        content=st.sampled_from(["\ud800", float("nan")]),
        bounds=st.sampled_from([(0, "asc"), (-1, "desc"), (1, "ASC")]),
    )
    def ask_for_what_is_refused(
        self,
        owner: str,
        thread_id: str,
        item_id: str,
        content: str | float,
        bounds: tuple[int, str],
    ) -> None:
        """Save what is not JSON (R28), and load pages that cannot be (R21)."""
        item = a_note(content, item_id, thread_id)
        with pytest.raises((ValueError, NotFoundError)):
            run_async(self.store.save_item(thread_id, item, self.contexts[owner]))
        limit, order = bounds
        arguments = {"after": None, "limit": limit, "order": order}
        self.call(owner, "load_thread_items", thread_id=thread_id, **arguments)
        self.call(owner, "load_threads", **arguments)


PROFILE = settings(
    max_examples=100 if THOROUGH else 12,
    stateful_step_count=60 if THOROUGH else 50,
    derandomize=not THOROUGH,
    database=None,
    deadline=None,
    print_blob=THOROUGH,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@pytest.fixture
def _no_files(tmp_path: Path) -> Iterator[None]:
    # Hypothesis would write what it has learnt into the project's directory.
    set_hypothesis_home_dir(tmp_path)
    yield
    set_hypothesis_home_dir(None)


@pytest.mark.usefixtures("_no_files")
def test_any_sequence_of_calls_agrees_with_the_model(
    store: ChatStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Machine, "store", store, raising=False)
    run_state_machine_as_test(Machine, settings=PROFILE)
