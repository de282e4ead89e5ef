"""Servers with a bucket, for the extra `attachments`."""

import base64
import hmac
import json
import shutil
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from email.utils import formatdate
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import ClassVar, Self
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import from_url

from devtools.databases import MissingError
from devtools.rendering import run


class Server(ABC):
    """A server with a bucket, which runs for the time of a block.

    Attributes:
        url: The bucket.
        environment: The variables that lead obstore there.
        endpoint: Which of them is the server's URL.
        secrets: Which of them nobody may see.
        headers: What a browser has to send to the bucket beside a file.
    """

    url: ClassVar[str]
    endpoint: ClassVar[str]
    secrets: ClassVar[Sequence[str]]
    headers: ClassVar[Mapping[str, str]] = {}

    environment: dict[str, str]

    def __init__(self) -> None:
        self._stack = ExitStack()

    @abstractmethod
    def _prepare(self, directory: Path) -> Sequence[str | Path]:
        """Make what the server needs; give the command that starts it."""

    @abstractmethod
    def _is_ready(self) -> bool:
        """Tell whether the bucket is there; make it."""

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            directory = Path(stack.enter_context(TemporaryDirectory(prefix="bucket_")))
            command = self._prepare(directory)
            log = directory / "log"
            with log.open("wb") as output:
                process = subprocess.Popen(command, cwd=directory, stdout=output, stderr=output)
            stack.callback(process.wait)
            stack.callback(process.kill)  # asked to end, SeaweedFS would take half a minute
            for _ in range(600):
                assert process.poll() is None, log.read_text("utf-8")
                if self._is_ready():
                    self._stack = stack.pop_all()
                    return self
                time.sleep(0.1)
        raise AssertionError("The server did not start.")

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()


class S3(Server):
    """SeaweedFS, which speaks S3, and refuses signatures that are forged or have expired."""

    url = "s3://bucket"
    endpoint = "AWS_ENDPOINT"
    secrets = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")

    _PORTS = ("master", "volume", "filer", "s3")

    def _prepare(self, directory: Path) -> Sequence[str | Path]:
        program = shutil.which("weed", path=str(Path(sys.executable).parent))
        if program is None:
            raise MissingError("SeaweedFS is missing: pip install -r requirements-dev.txt")
        names = [f"{name}.port{kind}" for name in self._PORTS for kind in ("", ".grpc")]
        ports = dict(zip(names, free_ports(len(names)), strict=True))
        key, secret = "a-key-of-the-tests", "s3cret-of-the-tests"
        self.environment = {
            "AWS_ACCESS_KEY_ID": key,
            "AWS_SECRET_ACCESS_KEY": secret,
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT": f"http://127.0.0.1:{ports['s3.port']}",
            "AWS_ALLOW_HTTP": "true",
        }
        account = {
            "name": "tests",
            "credentials": [{"accessKey": key, "secretKey": secret}],
            "actions": ["Admin", "Read", "Write", "List"],
        }
        accounts = directory / "s3.json"
        accounts.write_text(json.dumps({"identities": [account]}), encoding="utf-8")
        return [
            *(program, f"-logdir={directory}", "server"),
            *("-s3", "-ip=127.0.0.1", f"-dir={directory}"),
            *(f"-s3.config={accounts}", "-s3.port.iceberg=0", "-s3.port.lance=0"),
            *(f"-{name}={port}" for name, port in ports.items()),
        ]

    def _is_ready(self) -> bool:
        environment = self.environment
        bucket = from_url(
            self.url,
            access_key_id=environment["AWS_ACCESS_KEY_ID"],
            secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
            region=environment["AWS_REGION"],
            endpoint=environment["AWS_ENDPOINT"],
            client_options={"allow_http": True},
        )
        try:  # the first file makes the bucket
            obstore.put(bucket, "ready", b"")
        except BaseError:
            return False
        obstore.delete(bucket, "ready")
        return True


class Azure(Server):
    """Azurite, which is Azure's storage for tests; npm installs it."""

    url = "az://container"
    endpoint = "AZURE_ENDPOINT"
    secrets = ("AZURE_STORAGE_ACCOUNT_KEY",)
    headers: ClassVar[Mapping[str, str]] = {"x-ms-blob-type": "BlockBlob"}

    _PACKAGE = "azurite@3.35.0"
    # Everybody knows them.
    _ACCOUNT = "devstoreaccount1"
    _KEY = (
        "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
    )

    def _prepare(self, directory: Path) -> Sequence[str | Path]:
        npm = shutil.which("npm")
        if npm is None:
            raise MissingError("Azurite is missing: apt-get install npm")
        options = ("--no-audit", "--no-fund", "--prefix", directory)
        done = run(npm, "install", *options, self._PACKAGE, cwd=directory)
        if done.returncode:
            raise MissingError(f"npm cannot install Azurite: {done.stdout[-500:]}")
        [port] = free_ports(1)
        self.environment = {
            "AZURE_STORAGE_ACCOUNT_NAME": self._ACCOUNT,
            "AZURE_STORAGE_ACCOUNT_KEY": self._KEY,
            "AZURE_ENDPOINT": f"http://127.0.0.1:{port}/{self._ACCOUNT}",
            "AZURE_ALLOW_HTTP": "true",
        }
        return [
            *(directory / "node_modules" / ".bin" / "azurite-blob", "--blobPort", str(port)),
            *("--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry"),
        ]

    def _is_ready(self) -> bool:
        # obstore makes no containers.
        headers = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": "2023-11-03"}
        path = f"/{self._ACCOUNT}/{self._ACCOUNT}/container"
        about = "\n".join(f"{name}:{value}" for name, value in headers.items())
        signed = "PUT" + "\n" * 12 + f"{about}\n{path}\nrestype:container"
        digest = hmac.digest(base64.b64decode(self._KEY), signed.encode(), "sha256")
        signature = base64.b64encode(digest).decode()
        headers["Authorization"] = f"SharedKey {self._ACCOUNT}:{signature}"
        server = urlsplit(self.environment[self.endpoint]).netloc
        with closing(HTTPConnection(server, timeout=10)) as connection, suppress(OSError):
            to = f"/{self._ACCOUNT}/container?restype=container"
            connection.request("PUT", to, headers=headers)
            return connection.getresponse().status == HTTPStatus.CREATED
        return False


def free_ports(count: int) -> list[int]:
    """Find ports that nobody uses."""
    with ExitStack() as stack:
        listeners = [
            stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)
        ]
        return [listener.getsockname()[1] for listener in listeners]
