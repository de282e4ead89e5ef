# Extra "attachments", rendered for the answer store_attachments. Changing the answer to false
# deletes this directory, with your edits.
"""The bytes of attachments: on disk, or in a bucket of S3, Google or Azure (obstore).

All files of an attachment lie in one place. Its name is random, and stands in the row: so
it does not tell whose it is, and stays when the owner changes.
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
from urllib.parse import urlsplit
from urllib.request import url2pathname

import obstore
from obstore.exceptions import BaseError
from obstore.store import AzureStore, GCSStore, ObjectStore, S3Store, from_url

from ..errors import ChatStoreError

if TYPE_CHECKING:
    from obstore import ObjectMeta

INCOMING = "incoming"
"""The name of what a browser has sent to the bucket, until it is checked."""

_CHUNK = 256 * 1024  # bytes
_PLACE = re.compile("[0-9a-f]{2}/[0-9a-f]{30}")


class FileStorageError(ChatStoreError):
    """The storage of files is full, refused a call, or cannot be reached."""


@dataclass(frozen=True)
class StoredFile:
    """A stored file: its size in bytes, and its content, which can be read once."""

    size: int
    chunks: AsyncIterator[bytes]


class Files:
    """Where files are kept. A name that is absent raises FileNotFoundError.

    Args:
        url: file:///var/lib/uploads, s3://bucket/prefix, gs://bucket/prefix,
            az://container/prefix, or memory:/// for tests; by default the environment
            variable CHAT_STORE_FILES.
        options: What obstore's `from_url` takes, such as `endpoint`. Credentials come
            from the usual environment variables, such as AWS_ACCESS_KEY_ID.

    Raises:
        ValueError: The URL or an option cannot be used.
    """

    def __init__(self, url: str | None = None, **options: Any) -> None:
        url = url or os.environ.get("CHAT_STORE_FILES", "")
        self._directory: Path | None = None
        try:
            if url.startswith("file:"):
                self._directory = Path(url2pathname(urlsplit(url).path))
                # Only its owner may enter it: obstore lets everybody read the files.
                self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._store: ObjectStore = from_url(url, **options)
        except (BaseError, OSError, ValueError) as error:
            raise ValueError(
                f"Files cannot be kept there: {_explain(error)}. Give a URL such as "
                "file:///var/lib/uploads or s3://bucket/prefix, or set CHAT_STORE_FILES."
            ) from None

    async def write(self, place: str, name: str, content: AsyncIterator[bytes]) -> None:
        """Store a file. If the content ends with an error, nothing is left."""
        with _translated():
            await obstore.put_async(self._store, f"{place}/{name}", content)

    async def open(self, place: str, name: str) -> StoredFile:
        """Begin to read a file."""
        with _translated():
            found = await obstore.get_async(self._store, f"{place}/{name}")

        async def chunks() -> AsyncIterator[bytes]:
            with _translated():
                async for chunk in found.stream(min_chunk_size=_CHUNK):
                    yield bytes(chunk)

        return StoredFile(found.meta["size"], chunks())

    def read_now(self, place: str, name: str) -> bytes:
        """Read a whole file, in a thread that may wait for it."""
        with _translated():
            return bytes(obstore.get(self._store, f"{place}/{name}").bytes())

    async def copy(self, place: str, old: str, new: str) -> None:
        """Store a file under another name, too."""
        with _translated():
            await obstore.copy_async(self._store, f"{place}/{old}", f"{place}/{new}")

    async def delete(self, place: str, name: str) -> None:
        """Delete a file, if it is there."""
        with _translated(), suppress(FileNotFoundError):
            await obstore.delete_async(self._store, f"{place}/{name}")

    async def delete_all(self, place: str) -> None:
        """Delete all files of a place.

        Raises:
            ValueError: It is no place of an attachment.
        """
        if not is_place(place):
            raise ValueError(f"{place!r} is not where files of an attachment lie")
        with _translated():
            if self._directory is None:
                paths = [found["path"] async for found in self._list(place)]
                await obstore.delete_async(self._store, paths)
                return
            # Also what `_list` hides: the part of an upload whose process was killed.
            with suppress(FileNotFoundError):
                await asyncio.to_thread(shutil.rmtree, self._directory / place)

    async def delete_of(self, metadata: dict[str, Any]) -> None:
        """Delete all files of an attachment, by its metadata."""
        if is_place(place := metadata.get("place")):
            await self.delete_all(str(place))

    async def places(self, after: datetime, before: datetime) -> dict[str, bool]:
        """Find the places with files that were written between two times.

        What else lies beside them is not ours, and left alone.

        Returns:
            For each place, whether a file is there that nobody has checked.
        """
        found: dict[str, bool] = {}
        with _translated():
            async for file in self._list():
                place, _, name = file["path"].rpartition("/")
                if is_place(place) and after < file["last_modified"] < before:
                    found[place] = found.get(place, False) or name == INCOMING
        return found

    def require_bucket(self) -> AzureStore | GCSStore | S3Store:
        """Return the bucket, to which browsers can send files by themselves.

        Raises:
            ValueError: The files are on disk or in memory.
        """
        if isinstance(self._store, (AzureStore, GCSStore, S3Store)):
            return self._store
        raise ValueError("straight_to_bucket needs a URL with s3://, gs:// or az://")

    async def sign_upload(self, place: str, name: str, lifetime: timedelta) -> str:
        """Make a URL for a PUT that goes straight to the bucket."""
        with _translated():
            bucket, path = self.require_bucket(), f"{place}/{name}"
            return await obstore.sign_async(bucket, "PUT", path, lifetime)

    @property
    def upload_headers(self) -> dict[str, str]:
        """The headers that a PUT to the bucket needs."""
        is_azure = isinstance(self._store, AzureStore)
        return {"x-ms-blob-type": "BlockBlob"} if is_azure else {}

    async def _list(self, place: str | None = None) -> AsyncIterator["ObjectMeta"]:
        # This method's type names pyarrow, which is not needed.
        listed = self._store.list(place)  # pyright: ignore[reportUnknownMemberType]
        async for batch in listed:
            for file in batch:
                yield file


def new_place() -> str:
    """Return where the files of a new attachment are to lie."""
    name = secrets.token_hex(16)
    return f"{name[:2]}/{name[2:]}"


def is_place(text: object) -> bool:
    """Tell whether files of an attachment may lie there."""
    return isinstance(text, str) and bool(_PLACE.fullmatch(text))


def new_name() -> str:
    """Return a name for a file that no other has."""
    return secrets.token_hex(8)


@contextmanager
def _translated() -> Generator[None, None, None]:
    try:
        yield
    except FileNotFoundError:  # its text names a path of this machine
        raise FileNotFoundError("This file is not there") from None
    except (BaseError, OSError) as error:
        raise FileStorageError(
            f"The storage of files cannot be used: {_explain(error)}"
        ) from None


def _explain(error: Exception) -> str:
    # The first line names the cause. A query may hold a signature.
    return re.sub(r"\?\S*", "?…", str(error).partition("\n")[0])
