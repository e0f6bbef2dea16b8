"""The pictures of the README, made anew from the demo: `.venv/bin/python tools/pictures.py` (a minute; needs Chromium).

A verdict as `gatepost explain` tells it (docs/images/explain.svg), and the console's page of a message (docs/images/message.png).
"""

from __future__ import annotations

import contextlib
import io
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright
from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs/images"
COMMAND = [sys.executable, "-m", "gatepost"]
SUBJECT = "[sailors] Knots"
"""Of the demo's message that is shown: one whose story has two sides."""
COLUMNS = 104
SIZE = {"width": 1180, "height": 960}
COLOURS = 64
"""Of the page's picture: enough for a page of words, and a third of the size."""


@contextmanager
def demo() -> Iterator[tuple[str, dict[str, str]]]:
    """The link to its console, and the environment that its commands want."""
    words = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        [*COMMAND, "demo", "--port", "0"], stdout=subprocess.PIPE, text=True, env=words
    ) as running:
        try:
            told = ""
            for line in running.stdout or ():
                told += line
                if line.startswith("Ctrl-C ends it"):
                    break
            link, configuration = (
                re.search(r"http://localhost:\S+/demo/\S+", told),
                re.search(r"/\S+gatepost\.toml", told),
            )
            if link is None or configuration is None:
                sys.exit(f"The demo did not come up:\n{told}")
            yield link[0], {**words, "GATEPOST_CONFIG": configuration[0]}
        finally:
            running.send_signal(signal.SIGINT)


def gatepost(words: dict[str, str], *arguments: str) -> str:
    """What a command says."""
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, check=True, env=words
    ).stdout


def on_a_terminal(words: dict[str, str], *arguments: str) -> str:
    """What a command shows on a terminal of COLUMNS, with its bold type."""
    ours, theirs = pty.openpty()
    with subprocess.Popen([*COMMAND, *arguments], stdout=theirs, env={**words, "COLUMNS": str(COLUMNS)}):
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # how a terminal that is closed ends
            while octets := os.read(ours, 65536):
                shown += octets
    os.close(ours)
    return shown.decode().replace("\r\n", "\n")


def terminal(ref: str, told: str) -> None:
    """The words of `explain`."""
    console = Console(
        record=True, width=COLUMNS + 1, file=io.StringIO(), force_terminal=True, highlight=False
    )
    console.print(Text(f"$ gatepost explain {ref}", style="bold green"))
    console.print(Text.from_ansi(told))
    console.save_svg(str(IMAGES / "explain.svg"), title="gatepost explain")
    drawn = (IMAGES / "explain.svg").read_text()
    # Fonts of the reader's own: no picture of ours asks another host for one.
    drawn = re.sub(r"@font-face \{.*?\}\n?", "", drawn, flags=re.DOTALL)
    (IMAGES / "explain.svg").write_text(drawn.replace("Fira Code", "ui-monospace, DejaVu Sans Mono"))


def page(link: str, ref: str) -> None:
    """The console's page of the same message."""
    chromium = shutil.which("chromium") or sys.exit("Chromium is not here (apt-get install chromium).")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        shown = browser.new_page(viewport=SIZE)  # type: ignore[arg-type]
        shown.goto(link)
        shown.goto(re.sub(r"/demo/.*", f"/messages/{ref}", link))
        octets = shown.screenshot()
        browser.close()
    picture = Image.open(io.BytesIO(octets)).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    picture.save(IMAGES / "message.png", optimize=True)


def main() -> None:
    """Both."""
    with demo() as (link, words):
        found = gatepost(words, "history", "--subject", SUBJECT, "--limit", "1").split(maxsplit=1)
        if not found:
            sys.exit(f"The demo has no message with the subject {SUBJECT!r}.")
        terminal(found[0], on_a_terminal(words, "explain", found[0]))
        page(link, found[0])
    print(f"{IMAGES}: explain.svg, message.png")


if __name__ == "__main__":
    main()
