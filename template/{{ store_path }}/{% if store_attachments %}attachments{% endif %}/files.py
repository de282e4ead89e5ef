# Extra "attachments": store_attachments=false deletes it, including your edits.
"""File storage with obstore: on disk, or in a bucket of S3, Google Cloud or Azure.

The files of an attachment are in one directory, its `place`, which the row names. The
name is random: it does not reveal the owner, and is kept when the owner changes.
"""

import asyncio
import os
import re
import secrets
import shutil
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit
from urllib.request import url2pathname

import obstore
from obstore.exceptions import BaseError
from obstore.store import AzureStore, GCSStore, ObjectStore, S3Store, from_url

from ..errors import ChatStoreError

if TYPE_CHECKING:
    from obstore import ObjectMeta

INCOMING = "incoming"
"""The name of a browser's upload to the bucket, until it is checked."""

_CHUNK = 256 * 1024  # bytes
_PLACE = re.compile("[0-9a-f]{2}/[0-9a-f]{30}")


class FileStorageError(ChatStoreError):
    """The file storage is full, denied access, or cannot be reached."""


@dataclass(frozen=True)
class StoredFile:
    """A stored file: its size in bytes, and its content, which can be read once."""

    size: int
    chunks: AsyncIterator[bytes]


class Files:
    """The file storage. Reading a missing file raises FileNotFoundError.

    Args:
        url: file:///var/lib/uploads, s3://bucket/prefix, gs://bucket/prefix,
            az://container/prefix, or memory:/// for tests; by default the environment
            variable CHAT_STORE_FILES.
        options: Arguments of obstore's `from_url`, such as `endpoint`. Credentials come
            from the usual environment variables, such as AWS_ACCESS_KEY_ID.

    Raises:
        ValueError: The URL or an option is invalid.
    """

    def __init__(self, url: str | None = None, **options: Any) -> None:
        url = (url or os.environ.get("CHAT_STORE_FILES", "")).strip()
        self._directory: Path | None = None
        try:
            parts = _split(url)
            if parts.scheme == "file":
                if options or not parts.path.startswith("/"):
                    raise ValueError("file: takes an absolute path, and no options")
                self._directory = Path(url2pathname(parts.path))
                # Private, since obstore creates files that everyone can read.
                self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._store: ObjectStore = from_url(url, **options)
        except (BaseError, OSError, ValueError) as error:
            raise ValueError(
                f"The file storage cannot be used: {_explain(error)}. Set "
                "CHAT_STORE_FILES, or pass a URL such as file:///var/lib/uploads."
            ) from None

    async def write(self, place: str, name: str, content: AsyncIterator[bytes]) -> None:
        """Store a file. If reading the content fails, nothing is stored."""
        with _translated():
            await obstore.put_async(self._store, f"{place}/{name}", content)

    async def open(self, place: str, name: str) -> StoredFile:
        """Open a file for reading."""
        with _translated():
            found = await obstore.get_async(self._store, f"{place}/{name}")

        async def chunks() -> AsyncIterator[bytes]:
            with _translated():
                async for chunk in found.stream(min_chunk_size=_CHUNK):
                    yield bytes(chunk)

        return StoredFile(found.meta["size"], chunks())

    def read_now(self, place: str, name: str) -> bytes:
        """Read a whole file, blocking the thread."""
        with _translated():
            return bytes(obstore.get(self._store, f"{place}/{name}").bytes())

    async def copy(self, place: str, old: str, new: str) -> None:
        """Copy a file to another name."""
        with _translated():
            await obstore.copy_async(self._store, f"{place}/{old}", f"{place}/{new}")

    async def delete(self, place: str, name: str) -> None:
        """Delete a file, if it exists."""
        with _translated(), suppress(FileNotFoundError):
            await obstore.delete_async(self._store, f"{place}/{name}")

    async def delete_all(self, place: str) -> None:
        """Delete all files of a place.

        Raises:
            ValueError: It is not the place of an attachment.
        """
        if not is_place(place):
            raise ValueError(f"{place!r} is not the place of an attachment")
        with _translated():
            if self._directory is None:
                paths = [found["path"] async for found in self._list(place)]
                await obstore.delete_async(self._store, paths)
                return
            # Includes partial uploads of killed processes, which `_list` omits.
            with suppress(FileNotFoundError):
                await asyncio.to_thread(shutil.rmtree, self._directory / place)

    async def delete_of(self, metadata: dict[str, Any]) -> None:
        """Delete all files of an attachment, by its metadata."""
        if is_place(place := metadata.get("place")):
            await self.delete_all(str(place))

    async def places(self, after: datetime, before: datetime) -> dict[str, bool]:
        """Find the places with files that were written between two times.

        Other files in the storage are ignored.

        Returns:
            For each place, whether it has a file that was not checked.
        """
        found: dict[str, bool] = {}
        with _translated():
            async for file in self._list():
                place, _, name = file["path"].rpartition("/")
                if is_place(place) and after < file["last_modified"] < before:
                    found[place] = found.get(place, False) or name == INCOMING
        return found

    def require_bucket(self) -> AzureStore | GCSStore | S3Store:
        """Return the bucket, to which browsers can upload directly.

        Raises:
            ValueError: The files are on disk or in memory.
        """
        if isinstance(self._store, (AzureStore, GCSStore, S3Store)):
            return self._store
        raise ValueError("straight_to_bucket requires a URL with s3://, gs:// or az://")

    async def sign_upload(self, place: str, name: str, lifetime: timedelta) -> str:
        """Return a URL for a PUT to the bucket."""
        with _translated():
            bucket, path = self.require_bucket(), f"{place}/{name}"
            return await obstore.sign_async(bucket, "PUT", path, lifetime)

    @property
    def upload_headers(self) -> dict[str, str]:
        """The headers that a PUT to the bucket requires."""
        is_azure = isinstance(self._store, AzureStore)
        return {"x-ms-blob-type": "BlockBlob"} if is_azure else {}

    async def _list(self, place: str | None = None) -> AsyncIterator["ObjectMeta"]:
        # The method's type refers to pyarrow, which is not required.
        listed = self._store.list(place)  # pyright: ignore[reportUnknownMemberType]
        async for batch in listed:
            for file in batch:
                yield file


def new_place() -> str:
    """Return a random place for the files of a new attachment."""
    name = secrets.token_hex(16)
    return f"{name[:2]}/{name[2:]}"


def is_place(text: object) -> bool:
    """Return whether a value can be the place of an attachment."""
    return isinstance(text, str) and bool(_PLACE.fullmatch(text))


def new_name() -> str:
    """Return a unique name for a file."""
    return secrets.token_hex(8)


def _split(url: str) -> SplitResult:
    # What obstore would ignore is refused. Errors never show a password.
    with suppress(ValueError):
        parts = urlsplit(url)
        if parts.password is None and not parts.query and not parts.fragment:
            return parts
    raise ValueError(
        "the URL cannot be read, or has a password, a query or a fragment; give "
        "options as arguments"
    )


@contextmanager
def _translated() -> Generator[None, None, None]:
    try:
        yield
    except FileNotFoundError:  # its message contains a path of this machine
        raise FileNotFoundError("File not found") from None
    except (BaseError, OSError) as error:
        raise FileStorageError(
            f"The file storage cannot be used: {_explain(error)}"
        ) from None


def _explain(error: Exception) -> str:
    # The first line names the cause. A query may contain a signature.
    return re.sub(r"\?\S*", "?…", str(error).partition("\n")[0])
