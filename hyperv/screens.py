"""Screens: from the pixels that Hyper-V gives to PNG."""

import base64
import io

__all__ = ["png_of"]


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
