# Extra "attachments", rendered for the answer store_attachments. Changing the answer to false
# deletes this directory, with your edits.
"""Small pictures of images, where Pillow is installed."""

import asyncio
import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

PREVIEW_TYPE = "image/webp"
"""What a preview is."""

MAX_BYTES = 50 * 2**20
"""The largest file that a preview is made of."""

_MAX_PIXELS = 50_000_000  # a small file can have billions, which take gigabytes
_SIDE = 512  # pixels

# An image takes four bytes a pixel and more while it is made smaller, and its file is read
# into memory: only so many at a time.
_executor = ThreadPoolExecutor(max_workers=2, thread_name_prefix="chat_store_previews")


async def make_preview(read: Callable[[], bytes]) -> bytes | None:
    """Make a small picture of an image, without what cameras write about it.

    Args:
        read: Returns the image's file. It is called in a thread.

    Returns:
        A WebP of at most 512 pixels each way; None where Pillow is not installed, or
        cannot read the image, or it has too many pixels.
    """
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_executor, lambda: _shrink(read()))


def _shrink(content: bytes) -> bytes | None:
    try:
        from PIL import Image, ImageOps
    except ImportError:
        return None
    try:
        with Image.open(io.BytesIO(content)) as image:
            if image.width * image.height > _MAX_PIXELS:
                return None
            image.draft("RGB", (2 * _SIDE, 2 * _SIDE))  # JPEG: decodes less
            image.thumbnail((_SIDE, _SIDE))
            made = io.BytesIO()
            ImageOps.exif_transpose(image).convert("RGBA").save(made, "WEBP")
    except Exception:  # noqa: BLE001 (a broken image makes Pillow raise anything)
        return None
    return made.getvalue()
