"""The example server, under requests that nobody's client would send.

`make fuzz` runs this. No request makes a fault of the server's, and none keeps the event loop from the
others for half a second.
"""

import json
import sys
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devtools.combinations import FLAVORS
from devtools.databases import server_database
from devtools.rendered import start_script
from devtools.rendering import render

pytestmark = pytest.mark.fuzz

EXAMPLES = 1_000  # for each flavor
LONGEST_STALL = 0.5  # seconds

SERVE = """
import time
import os

import uvicorn

os.environ["CHAT_STORE_URL"] = url

from chat_store import example_server

example_server.WORD_DELAY = 0
worst = 0.0


async def watch():
    global worst
    while True:
        began = time.perf_counter()
        await asyncio.sleep(0.005)
        worst = max(worst, time.perf_counter() - began)


server = uvicorn.Server(uvicorn.Config(example_server.app, port=0, log_level="error"))
serving = asyncio.ensure_future(server.serve())
while not server.started:
    await asyncio.sleep(0.01)
watching = asyncio.ensure_future(watch())
print(server.servers[0].sockets[0].getsockname()[1], flush=True)
await asyncio.to_thread(sys.stdin.readline)
server.should_exit = True
await serving
print(worst)
"""

MAX_BODY = 2 * 2**20


class User:
    """Somebody who sends requests, and has a thread with some items."""

    def __init__(self, port: int) -> None:
        self._port = port
        _, events = self.ask("threads.create", {"input": message("Show me a widget")})
        self.thread_id = events.partition('"thread":{"id":"')[2].partition('"')[0]
        _, thread = self.ask("threads.get_by_id", {"thread_id": self.thread_id})
        self.item_id = json.loads(thread)["items"]["data"][-1]["id"]

    def send(self, body: bytes, user: str = "alice") -> tuple[int, str]:
        """Send a body; give the status, and all of the answer."""
        connection = HTTPConnection("127.0.0.1", self._port, timeout=30)
        headers = {"x-user-id": user.encode("latin-1", "replace")}
        connection.request("POST", "/chatkit", body, headers)
        with connection.getresponse() as response:
            answer = response.read().decode()
        connection.close()
        return response.status, answer

    def ask(self, request_type: Any, params: Any) -> tuple[int, str]:
        """Send a request."""
        return self.send(json.dumps({"type": request_type, "params": params}).encode())


@pytest.fixture(scope="module", params=FLAVORS)
def user(
    request: pytest.FixtureRequest,
    template_files: Path,
    tmp_path_factory: pytest.TempPathFactory,
    server_of: Callable[[str], Any],
) -> Iterator[User]:
    """A user of a running example server; when it stops, nothing has waited for long."""
    answers = {**FLAVORS[request.param], "store_example_server": True}
    directory = tmp_path_factory.mktemp("example_server")
    project = render(template_files, directory / "project", answers)
    database = str(answers["store_database"])
    if database == "sqlite":
        url = f"sqlite:///{directory / 'chat.db'}"
    else:
        url = server_database(database).create_database(server_of(database).url)
    process = start_script(project, SERVE, url)
    assert process.stdout is not None
    port = process.stdout.readline()
    assert port.strip().isdigit(), port + process.stdout.read()
    yield User(int(port))
    printed, _ = process.communicate("stop\n", timeout=60)
    assert "Traceback" not in printed
    assert float(printed.splitlines()[-1]) < LONGEST_STALL


def message(text: Any) -> dict[str, Any]:
    """Give what a client sends as a message."""
    content = [{"type": "input_text", "text": text}]
    return {"content": content, "attachments": [], "inference_options": {}, "quoted_text": None}


def requests(user: User) -> list[tuple[str, dict[str, Any]]]:
    """Give one of each request that a client sends."""
    thread = {"thread_id": user.thread_id}
    item = {**thread, "item_id": user.item_id}
    action = {"type": "like", "payload": {"a": [1]}}
    audio = {"audio_base64": "", "mime_type": "audio/wav"}
    file = {"name": "a", "size": 1, "mime_type": "text/plain"}
    return [
        ("threads.create", {"input": message("Hello")}),
        ("threads.create", {"input": message("tool")}),
        ("threads.add_user_message", {**thread, "input": message("Hello")}),
        ("threads.add_client_tool_output", {**thread, "result": {"a": 1}}),
        ("threads.add_structured_input", {**item, "input": {"status": "skipped", "answers": {}}}),
        ("threads.custom_action", {**item, "action": action}),
        ("threads.sync_custom_action", {**item, "action": action}),
        ("threads.retry_after_item", item),
        ("threads.get_by_id", thread),
        ("threads.list", {"limit": 20, "order": "desc", "after": None}),
        ("items.list", {**thread, "limit": 20, "order": "asc", "after": user.item_id}),
        ("items.feedback", {**thread, "item_ids": [user.item_id], "kind": "positive"}),
        ("threads.update", {**thread, "title": "Title"}),
        ("threads.delete", {"thread_id": "thr_0"}),
        ("attachments.create", file),
        ("attachments.delete", {"attachment_id": "atc_1"}),
        ("input.transcribe", audio),
    ]


PARTS = [
    *(
        "9",
        "\0",
        '"',
        "\\",
        "\ufffd",
        "\ud800",
        "\U0001f600",
        "[",
        "NaN",
        "\n",
        "\x1b[2J",
        "'",
        "%s",
    ),
    *("$1", "a", " ", "\u202e", "\\u0000", "0x", "-", "e9"),
]
TEXTS = st.text() | st.builds(
    lambda parts, times: "".join(parts) * times,
    st.lists(st.sampled_from(PARTS), min_size=1, max_size=4),
    st.sampled_from([1, 2, 64, 255, 256, 5_000]),
)
NUMBERS = st.integers() | st.floats() | st.sampled_from([10**400, -(2**63), 2**64, 10**4299])
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
    max_leaves=8,
)


def paths(value: Any) -> Iterator[tuple[Any, ...]]:
    """Give the path of each value in a tree."""
    yield ()
    inner: dict[Any, Any] = {}
    if isinstance(value, dict):
        inner = value
    if isinstance(value, list):
        inner = dict(enumerate(value))
    for key, one in inner.items():
        yield from ((key, *path) for path in paths(one))


def replaced(value: Any, path: tuple[Any, ...], by: Any) -> Any:
    """Give a tree with another value at a path."""
    if not path:
        return by
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replaced(copy[path[0]], path[1:], by)
    return copy


def check(status: int, answer: str) -> None:
    """Check that an answer is not a fault of the server's."""
    assert status < 500, answer
    assert '"type":"error"' not in answer, answer[-2_000:]


def test_each_request_of_a_client_is_answered(user: User) -> None:
    statuses = {name: user.ask(name, params)[0] for name, params in requests(user)}
    refused = {name for name, status in statuses.items() if status != 200}
    assert refused == {
        # What the example server does not have, and what does not fit the thread's items.
        *("attachments.create", "attachments.delete", "input.transcribe"),
        *("threads.add_structured_input", "threads.add_client_tool_output"),
        "threads.retry_after_item",
    }


def test_no_request_is_a_fault_of_the_servers(user: User) -> None:
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def send(data: st.DataObject) -> None:
        request_type, params = data.draw(st.sampled_from(requests(user)))
        tree = {"type": request_type, "params": params}
        for _ in range(data.draw(st.integers(0, 2))):
            path = data.draw(st.sampled_from(list(paths(tree))))
            tree = replaced(tree, path, data.draw(VALUES))
        with_any_integer = sys.get_int_max_str_digits()
        sys.set_int_max_str_digits(0)
        try:
            body = json.dumps(tree).encode()
        finally:
            sys.set_int_max_str_digits(with_any_integer)
        check(*user.send(body, data.draw(st.sampled_from(["alice", "bob", "", "'", "a" * 300]))))

    send()


@pytest.mark.parametrize("part", ["9", "\0", '"', "\\", "\ufffd", "\U0001f600", "NaN ", "word "])
def test_no_body_of_the_largest_size_is_a_fault_of_the_servers(user: User, part: str) -> None:
    text = part * (MAX_BODY // len(json.dumps(part)) - 200)
    thread = {"thread_id": user.thread_id}
    for name, params in (
        ("threads.create", {"input": message(text)}),
        ("threads.add_user_message", {**thread, "input": message(text)}),
        ("threads.add_client_tool_output", {**thread, "result": text}),
        ("threads.update", {**thread, "title": text}),
        ("threads.get_by_id", {"thread_id": text}),
        ("items.list", {**thread, "after": text}),
        (text, {}),
    ):
        check(*user.ask(name, params))


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b"null", b"[]", b'"', b"\xff\xfe", b"\0" * MAX_BODY, b"[" * MAX_BODY),
        *(b'{"a":' * (MAX_BODY // 5), b"9" * MAX_BODY, b'{"type":"threads.list","params":{}} x'),
        b'{"type":"threads.list","params":{"limit":' + b"9" * (MAX_BODY // 2) + b"}}",
        b'{"type":"threads.list","params":{"limit":1e999}}',
        b"x" * (MAX_BODY + 1),
    ],
    ids=lambda body: f"{body[:12]!r}",
)
def test_no_malformed_body_is_a_fault_of_the_servers(user: User, body: bytes) -> None:
    check(*user.send(body))
