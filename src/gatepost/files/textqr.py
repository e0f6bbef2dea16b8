"""Codes drawn with letters: block characters, or two characters a module, set into a bitmap and read. Pure but for zxing."""

from __future__ import annotations

import re

MAX_LINES = 400
MAX_WIDTH = 200
MIN_SIDE = 21
"""Modules of the smallest QR code (ISO 18004)."""
QUIET = 8
"""Dots around what is drawn."""

# What each character shows: upper and lower half, left and right half, dark or not.
_HALVES: dict[str, tuple[int, int, int, int]] = {
    "█": (1, 1, 1, 1), "▀": (1, 1, 0, 0), "▄": (0, 0, 1, 1), "▌": (1, 0, 1, 0), "▐": (0, 1, 0, 1),
    "▘": (1, 0, 0, 0), "▝": (0, 1, 0, 0), "▖": (0, 0, 1, 0), "▗": (0, 0, 0, 1), "▚": (1, 0, 0, 1), "▞": (0, 1, 1, 0),
    "▛": (1, 1, 1, 0), "▜": (1, 1, 0, 1), "▙": (1, 0, 1, 1), "▟": (0, 1, 1, 1),
    "■": (1, 1, 1, 1), "⬛": (1, 1, 1, 1), "▓": (1, 1, 1, 1), "◼": (1, 1, 1, 1), "⬜": (0, 0, 0, 0), "□": (0, 0, 0, 0),
    "░": (0, 0, 0, 0), "◻": (0, 0, 0, 0), " ": (0, 0, 0, 0), "\u00a0": (0, 0, 0, 0), "\u2003": (0, 0, 0, 0), "\u3000": (0, 0, 0, 0), "\u2800": (0, 0, 0, 0),
}  # fmt: skip
_BLOCKS = re.compile("[▀-▟■□⬛⬜◼◻]")
_ROW = re.compile("^[ \u00a0\u2003\u3000\u2800▀-▟■□⬛⬜◼◻]+$")


def qr_in_text(text: str) -> list[str]:
    """What codes drawn with block characters say; empty for text without any, after one search."""
    if not _BLOCKS.search(text):
        return []
    found: dict[str, None] = {}
    run: list[str] = []
    for line in [*text.splitlines()[: 20 * MAX_LINES], "end"]:
        line = line.rstrip("\r\n")
        if len(line) <= MAX_WIDTH and _ROW.match(line) and len(run) < MAX_LINES:
            run.append(line)
            continue
        if len(run) * 2 >= MIN_SIDE and sum(map(bool, run)) and _BLOCKS.search("".join(run)):
            found.update(dict.fromkeys(_read(run)))
            if len(found) >= 5:
                break
        run = []
    return list(found)


def _read(lines: list[str]) -> list[str]:
    import zxingcpp
    from PIL import Image

    width = max(map(len, lines))
    if width < MIN_SIDE // 2:
        return []
    halves = any(c in "▀▄" for line in lines for c in line)
    dots = bytearray()
    for line in lines:
        cells = [_HALVES.get(character, (1, 1, 1, 1)) for character in line.ljust(width)]
        dots += bytes(255 * dark for cell in cells for dark in cell[:2])
        dots += bytes(255 * dark for cell in cells for dark in cell[2:])
    grid = Image.new("L", (2 * width + 2 * QUIET, 2 * len(lines) + 2 * QUIET))
    grid.paste(Image.frombytes("L", (2 * width, 2 * len(lines)), bytes(dots)), (QUIET, QUIET))
    # A character is about twice as high as wide, and two stand for a module, or half its height does; wide ones are square.
    square = any(c in "■□⬛⬜◼◻\u3000" for line in lines for c in line)
    for tall in (2, 1) if halves or not square else (1, 2):
        higher = tall + 1 if halves else 2 * tall
        drawn = grid.resize((2 * grid.width, higher * grid.height), Image.Resampling.NEAREST)
        for picture in (drawn.point(range(255, -1, -1)), drawn):
            codes = zxingcpp.read_barcodes(
                picture, formats=zxingcpp.BarcodeFormats([zxingcpp.BarcodeFormat.QRCode])
            )
            if texts := [code.text for code in codes if code.text]:
                return texts
    return []
