"""Renders the template with its defaults and holds a conversation with the result.

    python -m scripts.demo        (`make demo` prepares an environment first)

Nothing outside a fresh temporary directory is touched. What is rendered stays there, to be looked
at; the server is stopped whatever happens.
"""

import io
import json
import os
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from copier.errors import CopierError
from PIL import Image

from devtools.rendering import FIRST, ROOT, commit, copy_tree, render
from devtools.snapshots import PARTS

SCREEN = shutil.get_terminal_size(fallback=(100, 24)).columns
WIDTH = min(SCREEN, 100)  # longer lines are hard to read
INDENT = 11
IN_COLOUR = (
    sys.stdout.isatty()
    and not os.environ.get("NO_COLOR")
    and os.environ.get("TERM", "dumb") != "dumb"
)
BOLD, FAINT, YELLOW, CYAN = "1", "2", "33", "36"


class DemoError(Exception):
    """Something did not go as the demo says it does."""


FAILURES = (
    DemoError,
    CopierError,
    HTTPException,
    OSError,
    sqlite3.Error,
    subprocess.CalledProcessError,
)


def main() -> int:
    """Run the demo.

    Returns:
        The exit status: 0 if all went as it should, 1 otherwise.
    """
    project = Path(tempfile.mkdtemp(prefix="chat-store-demo-"))
    try:
        heading("Rendering the template with its defaults, the example server and attachments")
        render_template(project)
        print(f"{count_files(project)} files are now in {project}")
        with example_server(project) as port:
            print(f"The example server answers at http://127.0.0.1:{port}/chatkit")
            thread_id = hold_conversation(User("Alice", port))
            let_a_stranger_look(User("Bob", port), thread_id)
        show_rows(project / "chat.db")
    except FAILURES as error:
        print(f"\nThe demo failed: {error}\nIt left {project}", file=sys.stderr)
        return 1
    show_next_steps(project)
    return 0


# --- rendering and serving -----------------------------------------------------------------------


def render_template(project: Path) -> None:
    """Render the template as it stands in the working tree, committed or not."""
    with tempfile.TemporaryDirectory(prefix="chat-store-template-") as name:
        template = copy_tree(Path(name), *PARTS)
        commit(template, FIRST)  # Copier renders the newest tag of a git repository
        extras = {"store_example_server": True, "store_attachments": True}
        render(template, project, extras)


def count_files(project: Path) -> int:
    """Count what was rendered."""
    return sum(path.is_file() for path in project.rglob("*"))


@contextmanager
def example_server(project: Path) -> Generator[int, None, None]:
    """Run the rendered example server in a process of its own; give its port."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    log = project / "example_server.log"
    environment = {
        **os.environ,
        "PYTHONPATH": str(project / "src"),
        "CHAT_STORE_URL": "sqlite:///chat.db",
    }
    command = [sys.executable, "-m", "chat_store.example_server", "--port", str(port)]
    with log.open("w") as output:
        server = subprocess.Popen(
            command, cwd=project, env=environment, stdout=output, stderr=output
        )
    try:
        wait_until_it_answers(server, port, log)
        yield port
    finally:
        server.terminate()
        try:
            server.wait(timeout=15)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def wait_until_it_answers(server: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    """Wait for the server's port to open."""
    deadline = time.monotonic() + 60
    while server.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    end = "\n".join(log.read_text().splitlines()[-15:])
    raise DemoError(f"the example server did not start. The end of {log}:\n{end}")


# --- the conversation ----------------------------------------------------------------------------


class User:
    """Somebody with a ChatKit client."""

    def __init__(self, name: str, port: int) -> None:
        self.name = name
        self._port = port

    @contextmanager
    def request(self, request_type: str, **params: Any) -> Iterator[HTTPResponse]:
        """Send a request; leaving the block cuts the connection, as pressing Stop does."""
        headers = {"x-user-id": self.name.lower(), "idempotency-key": os.urandom(8).hex()}
        body = json.dumps({"type": request_type, "params": params})
        with closing(HTTPConnection("127.0.0.1", self._port, timeout=30)) as connection:
            connection.request("POST", "/chatkit", body, headers)
            with connection.getresponse() as response:
                yield response

    def ask(self, request_type: str, *, expected: int = 200, **params: Any) -> Any:
        """Send a request; give the answer, which must have the expected status."""
        with self.request(request_type, **params) as response:
            check_status(response, request_type, expected)
            return json.loads(response.read())

    def attach(self, name: str, mime_type: str, content: bytes) -> Any:
        """Announce a file and send it, as a browser does; give the attachment."""
        about: dict[str, Any] = {"name": name, "mime_type": mime_type, "size": len(content)}
        descriptor = self.ask("attachments.create", **about)["upload_descriptor"]
        form = (
            b'--edge\r\nContent-Disposition: form-data; name="file"; filename="file"\r\n\r\n'
            b"%s\r\n--edge--\r\n"
        ) % content
        headers = {"Content-Type": "multipart/form-data; boundary=edge"}
        return json.loads(self.fetch(descriptor["url"], descriptor["method"], form, headers))

    def fetch(
        self,
        url: str,
        method: str = "GET",
        body: bytes = b"",
        headers: dict[str, str] | None = None,
    ) -> bytes:
        """Use a signed URL, without any header that says who asks."""
        with closing(HTTPConnection("127.0.0.1", self._port, timeout=30)) as connection:
            connection.request(method, urlsplit(url).path, body, headers or {})
            with connection.getresponse() as response:
                check_status(response, urlsplit(url).path.split("/")[2], 200)
                return response.read()

    def stream(
        self, request_type: str, *, stop_after: int | None = None, **params: Any
    ) -> list[dict[str, Any]]:
        """Send a request and show the words of the answer as they come; stop it after some."""
        events: list[dict[str, Any]] = []
        words = 0
        speech = Speech("Server")
        with self.request(request_type, **params) as response:
            check_status(response, request_type, 200)
            for line in response:
                if not line.startswith(b"data: "):
                    continue
                event = json.loads(line.removeprefix(b"data: "))
                check(event["type"] != "error", f"{request_type} ended in an error")
                events.append(event)
                if event["type"] == "thread.item.updated":
                    words += 1
                    speech.add(event["update"]["delta"])
                if words == stop_after:
                    speech.add(" …")
                    break
        speech.end()
        check(stop_after in (None, words), "the answer ended before it was stopped")
        return events


def hold_conversation(alice: User) -> str:
    """Talk to the server, showing what is said; give the thread's id."""
    heading("A conversation over HTTP")

    question = "Hello! What are you?"
    said("Alice", question)
    events = alice.stream("threads.create", input=message(question))
    thread_id: str = events[0]["thread"]["id"]
    in_thread: dict[str, Any] = {"thread_id": thread_id}
    answer_of(events)

    question = "Show me a widget."
    said("Alice", question)
    card = answer_of(alice.stream(**a_turn(thread_id, question)))
    show_card(card)
    did("Alice", "presses “I like it”")
    like = card["widget"]["children"][-1]["onClickAction"]
    params = {**in_thread, "item_id": card["id"], "action": like}
    show_card(alice.ask("threads.sync_custom_action", **params)["updated_item"])

    question = "Please use a tool."
    said("Alice", question)
    call = answer_of(alice.stream(**a_turn(thread_id, question)))
    did("Server", f"calls the tool {call['name']}, which runs in the browser")
    did("Browser", "runs it, and sends back “14:05”")
    answer_of(alice.stream("threads.add_client_tool_output", **in_thread, result="14:05"))

    question = "What do you say of this picture?"
    said("Alice", question)
    sunset = io.BytesIO()
    Image.new("RGB", (1200, 800), "orange").save(sunset, "PNG")
    picture = alice.attach("sunset.png", "image/png", sunset.getvalue())
    did("Alice", f"attaches {picture['name']}")
    preview = alice.fetch(picture["preview_url"])
    with Image.open(io.BytesIO(preview)) as small:
        did("Browser", f"shows its preview, {small.width} by {small.height} pixels")
    turn = a_turn(thread_id, question)
    turn["input"]["attachments"] = [picture["id"]]
    answer_of(alice.stream(**turn))

    question = "Can you be stopped?"
    said("Alice", question)
    asked = stopped(alice, thread_id, a_turn(thread_id, question), words=9)
    did("Alice", "presses Retry: what was answered is removed, and the question asked again")
    retry = {"request_type": "threads.retry_after_item", "item_id": asked["id"]}
    answer_of(alice.stream(**retry, **in_thread))

    question = "And once more?"
    said("Alice", question)
    stopped(alice, thread_id, a_turn(thread_id, question), words=14)
    return thread_id


def stopped(alice: User, thread_id: str, turn: dict[str, Any], words: int) -> dict[str, Any]:
    """Stop an answer after some words, and show what the Store has kept of it.

    Returns:
        The question, as an item of the thread.
    """
    events = alice.stream(**turn, stop_after=words)
    did("Alice", "presses Stop")
    for _ in range(100):
        # The newest item is soon a hidden one, which the server leaves out.
        newest = alice.ask("items.list", thread_id=thread_id, limit=2)["data"][0]
        if newest["type"] == "assistant_message":
            did("Store", f"keeps “{describe(newest)}”")
            return next(event["item"] for event in events if event["type"] == "thread.item.done")
        time.sleep(0.05)
    raise DemoError("the Store did not keep the answer that was stopped.")


def let_a_stranger_look(bob: User, thread_id: str) -> None:
    """Show that another user sees nothing."""
    heading("Another user looks")
    did("Bob", "lists his threads")
    threads = bob.ask("threads.list")["data"]
    check(threads == [], "another user sees threads that are not his")
    did("Server", "gives none")
    did("Bob", "asks for Alice's thread by its id")
    answer = bob.ask("threads.get_by_id", thread_id=thread_id, expected=404)
    did("Server", f"answers 404: {answer['detail']}")


def a_turn(thread_id: str, text: str) -> dict[str, Any]:
    """Make the request that adds a user's message to a thread."""
    return {
        "request_type": "threads.add_user_message",
        "thread_id": thread_id,
        "input": message(text),
    }


def message(text: str) -> dict[str, Any]:
    """Make the input of a request with a user's message."""
    content = [{"type": "input_text", "text": text}]
    return {"content": content, "attachments": [], "inference_options": {}}


def answer_of(events: list[dict[str, Any]]) -> dict[str, Any]:
    """Give the item that a stream brought last, which must not be the question."""
    done = [event["item"] for event in events if event["type"] == "thread.item.done"]
    check(bool(done) and done[-1]["type"] != "user_message", "there was no answer")
    item: dict[str, Any] = done[-1]
    return item


def describe(item: dict[str, Any]) -> str:
    """Put an item into words."""
    match item["type"]:
        case "widget":
            return "  ".join(words_on(item))
        case "client_tool_call":
            output = f" gave “{item['output']}”" if item.get("output") else " was called"
            return f"{item['name']}{output}"
        case "sdk_hidden_context":
            text: str = item["content"]
            return text
        case _:
            return "".join(part["text"] for part in item["content"])


def words_on(card: dict[str, Any]) -> list[str]:
    """Give what is written on a card: its text, and its buttons."""
    text, *buttons = card["widget"]["children"]
    return [text["value"], *(f"[ {button['label']} ]" for button in buttons)]


def check_status(response: HTTPResponse, request_type: str, expected: int) -> None:
    """Stop the demo where an answer has another status than it should."""
    check(
        response.status == expected,
        f"{request_type} was answered {response.status}, not {expected}",
    )


def check(is_so: bool, complaint: str) -> None:
    """Stop the demo with a complaint where something is not so."""
    if not is_so:
        raise DemoError(f"{complaint}.")


# --- what is shown -------------------------------------------------------------------------------


def heading(text: str) -> None:
    """Begin a part of the demo."""
    print(f"\n{in_style(BOLD, text)}\n{in_style(FAINT, '-' * len(text))}")


class Speech:
    """What somebody says, shown as it comes, with a new line where a word does not fit.

    Args:
        who: Who speaks; the name is shown together with the first word.
    """

    def __init__(self, who: str) -> None:
        self._who = who
        self._column = 0

    def add(self, text: str) -> None:
        """Show more of it."""
        for word in re.findall(r"\s*\S+", text):
            if not self._column:
                print_name(self._who)
                self._column = INDENT
            elif self._column + len(word) > WIDTH:
                print("\n" + " " * INDENT, end="")
                self._column = INDENT
                word = word.lstrip()
            print(word, end="", flush=True)
            self._column += len(word)

    def end(self) -> None:
        """End the line, if something was said."""
        if self._column:
            print()


def said(who: str, what: str) -> None:
    """Show what somebody says to begin with."""
    print()
    speech = Speech(who)
    speech.add(what)
    speech.end()


def did(who: str, what: str) -> None:
    """Show what somebody does without words."""
    print_name(who)
    filled = textwrap.fill(f"[{what}]", WIDTH - INDENT).replace("\n", "\n" + " " * INDENT)
    print(in_style(FAINT, filled), flush=True)


def show_card(item: dict[str, Any]) -> None:
    """Draw a card."""
    text, *buttons = words_on(item)
    lines = [text, "  ".join(buttons)]
    width = max(map(len, lines))
    print_name("Server")
    print(f"┌─{'─' * width}─┐")
    for line in lines:
        print(f"{' ' * INDENT}│ {line.ljust(width)} │")
    print(f"{' ' * INDENT}└─{'─' * width}─┘", flush=True)


def print_name(who: str) -> None:
    """Begin a line with who speaks or does something."""
    person = who in ("Alice", "Bob")
    print(in_style(YELLOW if person else CYAN, f"{who:>{INDENT - 2}}"), end="  ")


def in_style(code: str, text: str) -> str:
    """Give text in a terminal's style; unchanged where the output is not a terminal."""
    return f"\033[{code}m{text}\033[0m" if IN_COLOUR else text


def show_rows(database: Path) -> None:
    """Show the rows that now stand in the database, around the Store."""
    heading(f"The rows in {database.name}")
    threads = read_rows(database, "chatkit_threads")
    show_table(
        ("chatkit_threads", "owner", "title"),
        [(row_id, owner, thread["title"]) for row_id, owner, thread in threads],
    )
    items = read_rows(database, "chatkit_items")
    kinds = [item["type"] for _, _, item in items]
    check("sdk_hidden_context" in kinds, "the Store lost what the SDK notes at a Stop")
    print()
    show_table(
        ("chatkit_items", "owner", "type", "text"),
        [(row_id, owner, item["type"], describe(item)) for row_id, owner, item in items],
    )


def read_rows(database: Path, table: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Read a table: the id, the owner and the data of each row; ids are shortened."""
    select = f"SELECT id, owner_id, data FROM {table} ORDER BY created_at, position"
    with closing(sqlite3.connect(database)) as connection:
        return [
            (re.sub(r"^(\w+_).*(.{6})$", r"\1…\2", row_id), owner, json.loads(data))
            for row_id, owner, data in connection.execute(select)
        ]


def show_table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    """Show rows in columns, each on one line; the last column is cut where it does not fit."""
    widths = [max(map(len, column)) for column in zip(head, *rows)][:-1]
    for row in (head, *rows):
        line = "".join(f"{cell:{width}}  " for cell, width in zip(row, widths))
        line += textwrap.shorten(row[-1], max(SCREEN - len(line), 20), placeholder=" …")
        print(in_style(FAINT, line) if row is head else line)


def show_next_steps(project: Path) -> None:
    """Say where everything is, and what to do with it."""
    heading("Next")
    print("What was rendered stays, with the tests that prove it:")
    print(f"  cd {project}")
    print(f"  {sys.executable} -m pip install -r tests/chat_store/requirements.txt")
    print(f"  {sys.executable} -m pytest")
    print("Talk to the server yourself; it goes on with the same conversation:")
    print(f"  PYTHONPATH=src {sys.executable} -m chat_store.example_server")
    print("Render into a project of your own:")
    print(f"  copier copy {ROOT} path/to/your/project")


if __name__ == "__main__":
    sys.exit(main())
