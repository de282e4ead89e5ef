"""Stands between a Store and a server, at a port that stays, as a name or a load balancer does."""

import ctypes
import socket
import struct
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

_ATTACH_FILTER = 26  # Linux's SO_ATTACH_FILTER
_NOTHING = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))
_NOTHING_PASSES = struct.pack("HL", 1, ctypes.addressof(_NOTHING))


class Forwarder:
    """Serves connections to a port by connections to a server; a context manager.

    Args:
        server: The URL of the server; the first one.
    """

    def __init__(self, server: str) -> None:
        self._server = _place_of(server)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._links: list[_Link] = []
        self._thread = threading.Thread(target=self._accept)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()
        self._end_all()

    def url(self, url: str) -> str:
        """Give the URL by which a Store reaches the server through it."""
        parts = urlsplit(url)
        account, at, _ = parts.netloc.rpartition("@")
        port = self._listener.getsockname()[1]
        return parts._replace(netloc=f"{account}{at}127.0.0.1:{port}").geturl()

    def turn_to(self, server: str) -> None:
        """Lead to another server from now on; what there was is cut."""
        self._server = _place_of(server)
        self._end_all()

    def silence(self) -> None:
        """Lose every packet of the connections that there are; neither end is told.

        Not even the kernel acknowledges what is sent. Others that are made later are served.
        """
        for link in self._links:
            link.is_silent = True
            link.client.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, _NOTHING_PASSES)

    def _end_all(self) -> None:
        while self._links:
            self._links.pop().end()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # shut down
                return
            try:
                server = socket.create_connection(self._server)
            except OSError:
                client.close()
                continue
            self._links.append(_Link(client, server))


class _Link:
    """A client's connection, and that to the server for it."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.client = client
        self.is_silent = False
        self._server = server
        self._threads = [
            threading.Thread(target=self._pass_on, args=ends)
            for ends in ((client, server), (server, client))
        ]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Close both."""
        for end in (self.client, self._server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self.client.close()
        self._server.close()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while piece := source.recv(2**16):
                if not self.is_silent:
                    target.sendall(piece)
        if not self.is_silent:
            with suppress(OSError):
                target.shutdown(socket.SHUT_RDWR)


def _place_of(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    assert parts.hostname is not None and parts.port is not None
    return parts.hostname, parts.port
