"""Screens: from the pixels that Hyper-V gives to PNG."""

import base64
import io

__all__ = ["png_of", "shown_size"]

_MOST = 4096  # pixels each way, as Get-TzarWorkerScreenshot takes them


def shown_size(width: int, height: int) -> tuple[int, int]:
    """The size, in pixels, in which a screen of this size is asked for: the same, or smaller in both ways."""
    scale = min(1.0, _MOST / width, _MOST / height)
    return round(width * scale), round(height * scale)


def png_of(width: int, height: int, rgb565: str) -> bytes:
    """A PNG of a screen.

    Args:
        width: in pixels.
        height: in pixels.
        rgb565: base64 of two bytes a pixel, the low one first, row by row.

    Raises:
        ImportError: Pillow is not installed.
    """
    from PIL import Image  # only here: a fleet plays without ever making a picture

    image = Image.frombytes("RGB", (width, height), base64.b64decode(rgb565), "raw", "BGR;16")
    png = io.BytesIO()
    image.save(png, "PNG")
    return png.getvalue()
