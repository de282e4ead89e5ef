"""Runs an application under real uvicorn, and speaks ChatKit's protocol over HTTP."""

import json
import signal
import time
import uuid
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection, HTTPResponse
from threading import Thread
from typing import Any

import uvicorn
from starlette.types import ASGIApp


@contextmanager
def serving(app: ASGIApp, grace: int = 10) -> Generator[int, None, None]:
    """Serve an application in a thread, on a free port of this machine.

    Args:
        app: The application; its lifespan runs too.
        grace: How long streams may go on when the server stops, in seconds.

    Yields:
        The port. When the block ends, the server stops as it does at SIGTERM.
    """
    # uvicorn's own set-up of logging would stay behind for other tests.
    config = uvicorn.Config(
        app, port=0, log_config=None, lifespan="on", timeout_graceful_shutdown=grace
    )
    server = uvicorn.Server(config)
    thread = Thread(target=server.run, daemon=True)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "The server did not start; see the log."
            time.sleep(0.01)
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.handle_exit(signal.SIGTERM, None)
        thread.join(timeout=20)
    assert not thread.is_alive(), "The server did not stop."


def user_input(text: str, *attachment_ids: str) -> dict[str, Any]:
    """Make the `input` of a request that carries a user's message."""
    return {
        "content": [{"type": "input_text", "text": text}],
        "attachments": attachment_ids,
        "inference_options": {},
    }


class Client:
    """A user, as the server sees one: a header that names the user, and requests."""

    def __init__(self, port: int, user: str) -> None:
        self._port = port
        self._user = user

    @contextmanager
    def request(
        self, request_type: str, **params: Any
    ) -> Generator[HTTPResponse, None, None]:
        """Send a request; when the block ends, the connection is cut, answered or not."""
        headers = {
            "x-user-id": self._user,
            "x-tenant-id": self._user,
            "idempotency-key": uuid.uuid4().hex,
        }
        body = json.dumps({"type": request_type, "params": params})
        with closing(HTTPConnection("127.0.0.1", self._port, timeout=20)) as connection:
            connection.request("POST", "/chatkit", body, headers)
            with connection.getresponse() as response:
                yield response

    def ask(self, request_type: str, **params: Any) -> tuple[int, Any]:
        """Send a request; return the status and the JSON of the whole answer."""
        with self.request(request_type, **params) as response:
            return response.status, json.loads(response.read())

    def stream(self, request_type: str, **params: Any) -> list[dict[str, Any]]:
        """Send a request; return the events of the whole answer."""
        with self.request(request_type, **params) as response:
            assert response.status == 200, response.read()
            return list(events_of(response))

    def stop(self, word: str, request_type: str, **params: Any) -> None:
        """Send a request, and disconnect as soon as the answer has come to a word."""
        with self.request(request_type, **params) as response:
            read_up_to(word, response)


def events_of(response: HTTPResponse) -> Iterator[dict[str, Any]]:
    """Return the events of a stream, each as soon as it arrives."""
    for line in response:
        if line.startswith(b"data: "):
            yield json.loads(line.removeprefix(b"data: "))


def read_up_to(word: str, response: HTTPResponse) -> None:
    """Read a stream until the answer has come to a word."""
    for event in events_of(response):
        if event.get("update", {}).get("delta", "").strip() == word:
            return
    raise AssertionError(f"The stream ended before {word!r}.")
