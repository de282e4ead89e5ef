# Extra "attachments": store_attachments=false deletes it, including your edits.
"""Creates previews of images, if Pillow is installed."""

import asyncio
import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

PREVIEW_TYPE = "image/webp"
"""The type of a preview."""

MAX_BYTES = 50 * 2**20
"""The maximum size of a file that gets a preview."""

_MAX_PIXELS = 50_000_000  # a small file can expand to gigabytes
_SIDE = 512  # pixels

# Limits memory: the file is read completely, and decoding takes at least four bytes per
# pixel.
_executor = ThreadPoolExecutor(max_workers=2, thread_name_prefix="chat_store_previews")


async def make_preview(read: Callable[[], bytes]) -> bytes | None:
    """Create a preview of an image, without the camera's metadata.

    Args:
        read: Returns the image's file. It is called in a thread.

    Returns:
        A WebP image of at most 512 by 512 pixels; None if Pillow is not installed or
        cannot read the image, or if it has too many pixels.
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
    except Exception:  # noqa: BLE001 (Pillow raises any error for a damaged image)
        return None
    return made.getvalue()
