"""Pictures: QR, Aztec and DataMatrix codes, and where they lead. By Pillow and zxing-cpp, within bounds on pixels."""

from __future__ import annotations

import io
import warnings
from typing import Any

from gatepost.files.notes import Notes
from gatepost.mail.address import printable

MAX_FRAMES = 3
MAX_CODES = 10
MAX_SIDE = 2400
"""Larger pictures are made smaller before they are read."""


def read_image(notes: Notes) -> None:
    """A picture that is a file of its own."""
    note_codes(notes, notes.octets, report=True)


def note_codes(notes: Notes, octets: bytes, *, report: bool = False) -> None:
    """The codes in a picture. `report`: say so when it cannot be read."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            picture = Image.open(
                io.BytesIO(octets), formats=("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "ICO")
            )
            if picture.width * picture.height > notes.limits.max_pixels:
                if report:
                    notes.fact("bomb", f"the picture has {picture.width} by {picture.height} pixels")
                return
            for frame in range(min(getattr(picture, "n_frames", 1), MAX_FRAMES)):
                notes.allowance.check_time()
                picture.seek(frame)
                codes_in(notes, _grey(picture))
    except (
        OSError,
        ValueError,
        SyntaxError,
        EOFError,
        Image.DecompressionBombError,
        KeyError,
        IndexError,
        TypeError,
    ) as error:
        if report:
            notes.fact("failed", f"the picture could not be read ({printable(str(error), 100)})")


def _grey(picture: Any) -> Any:
    """On white where it is transparent, and no larger than codes need."""
    from PIL import Image

    picture.draft("L", (MAX_SIDE, MAX_SIDE))
    if picture.mode in {"RGBA", "LA", "PA"} or "transparency" in picture.info:
        over = picture.convert("RGBA")
        ground = Image.new("RGBA", over.size, "white")
        picture = Image.alpha_composite(ground, over)
    grey = picture.convert("L")
    if max(grey.size) > MAX_SIDE:
        grey.thumbnail((MAX_SIDE, MAX_SIDE))
    return grey


def codes_in(notes: Notes, picture: Any, *, fact: str = "qr-code", where: str = "it") -> None:
    """Notes what the codes in a Pillow picture or a greyscale array say."""
    import zxingcpp

    formats = zxingcpp.BarcodeFormat
    found = zxingcpp.read_barcodes(
        picture,
        formats=zxingcpp.BarcodeFormats(
            [formats.QRCode, formats.MicroQRCode, formats.Aztec, formats.DataMatrix]
        ),
    )
    for code in found[:MAX_CODES]:
        text = code.text
        if not text:
            continue
        shown = printable(text, 120)
        notes.fact(fact, f"{where} shows a code that says {shown}", {"text": printable(text, 500)})
        if "://" in text or text.lower().startswith(("www.", "mailto:", "tel:", "sms", "smsto", "wifi:")):
            notes.link(text)
