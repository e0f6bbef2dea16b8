"""PDF (ISO 32000-2): links, script, what happens on opening, embedded files, text, codes on the first pages.

Structure by pypdf, which is Python and so cannot be made to corrupt memory; pages are drawn by pypdfium2 only to
look for codes. What neither finds, because the file is broken, is looked for by name in the raw octets.
"""

from __future__ import annotations

import io
import logging
import re
import zlib
from collections.abc import Iterator
from typing import Any

from gatepost.files.image import codes_in
from gatepost.files.notes import Notes
from gatepost.mail.address import printable

MAX_TEXT_PAGES = 10
MAX_PAGES = 200
MAX_OBJECTS = 20_000
MAX_FILES = 100
MAX_DRAWN = 24 << 20
"""A larger file is not drawn."""
SCALE = 1.6

_RAW_URI = re.compile(rb"/URI\s*\(((?:[^()\\]|\\.){3,2000})\)")
_HEX_NAME = re.compile(rb"#([0-9a-fA-F]{2})")
_STREAM = re.compile(rb"stream\r?\n")


def read_pdf(notes: Notes) -> None:
    """Notes what a PDF does, holds and says."""
    import pypdf
    import pypdf.errors

    logging.getLogger("pypdf").disabled = True
    start = max(notes.octets.find(b"%PDF-", 0, 1024), 0)
    found = _Pdf(notes)
    try:
        reader = pypdf.PdfReader(io.BytesIO(notes.octets[start:]), strict=False)
        if reader.is_encrypted and not _unlock(notes, reader):
            _raw(notes, notes.octets)
            return
        found.catalog(reader)
        found.pages(reader)
        found.files(reader)
    except (pypdf.errors.PyPdfError, ValueError, KeyError, IndexError, TypeError, AttributeError, OSError, zlib.error, AssertionError, NotImplementedError, OverflowError) as error:  # fmt: skip
        notes.fact("failed", f"the PDF is damaged ({printable(str(error) or type(error).__name__, 100)})")
    _raw(notes, notes.octets)
    if not found.has_text or found.pictures:
        _codes(notes)


def _unlock(notes: Notes, reader: Any) -> bool:
    """Most are locked with an empty password, which only forbids printing; that is no lock."""
    for password in ("", *notes.allowance.passwords):
        notes.allowance.check_time()
        if reader.decrypt(password):
            if password:
                notes.fact("encrypted", "the PDF is locked with a password")
                notes.fact(
                    "password-found",
                    "a password from the mail opened it",
                    {"password": printable(password, 60)},
                )
            return True
    notes.fact("encrypted", "the PDF is locked with a password")
    return False


class _Pdf:
    """What pypdf can reach."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._seen: set[int] = set()
        self.has_text = False
        self.pictures = False

    def catalog(self, reader: Any) -> None:
        """What the document as a whole does."""
        root = _got(reader.trailer, "/Root")
        opening = _got(root, "/OpenAction")
        if isinstance(opening, dict):
            self._action(opening, by_itself=True)
        self._additional(root)
        form = _got(root, "/AcroForm")
        if _got(form, "/XFA") is not None:
            self._notes.fact("pdf-xfa", "it holds an XFA form")
        for field in self._list(_got(form, "/Fields"))[:500]:
            self._additional(field)
            self._action(_got(field, "/A"))
        names = _got(_got(root, "/Names"), "/JavaScript")
        for one in _tree(names):
            self._action(one, by_itself=True)

    def pages(self, reader: Any) -> None:
        """Annotations, and the text of the first pages."""
        for number, page in enumerate(_pages(reader)):
            self._notes.allowance.check_time()
            self._additional(page)
            for annotation in self._list(_got(page, "/Annots"))[:500]:
                self._action(_got(annotation, "/A"))
                self._additional(annotation)
                if _got(annotation, "/Subtype") in {"/RichMedia", "/Movie", "/Screen", "/3D"}:
                    self._notes.fact("embedded-object", "a film or another program's object is embedded")
            if number < MAX_TEXT_PAGES:
                self._text(page)
            objects = _got(_got(page, "/Resources"), "/XObject")
            if number < self._notes.limits.max_pages and isinstance(objects, dict) and objects:
                self.pictures = True

    def files(self, reader: Any) -> None:
        """Embedded files become members."""
        root = _got(reader.trailer, "/Root")
        listed = list(_tree(_got(_got(root, "/Names"), "/EmbeddedFiles")))
        listed += self._list(_got(root, "/AF"))
        for page in _pages(reader):
            for annotation in self._list(_got(page, "/Annots"))[:500]:
                if _got(annotation, "/Subtype") == "/FileAttachment":
                    listed.append(_got(annotation, "/FS"))
        for specification in listed[:MAX_FILES]:
            self._file(specification)
        if len(listed) > MAX_FILES:
            self._notes.fact("truncated", f"more than {MAX_FILES} files are embedded")

    def _file(self, specification: Any) -> None:
        name = str(_got(specification, "/UF") or _got(specification, "/F") or "embedded")
        for system in ("/UF", "/F", "/Unix", "/DOS", "/Mac"):  # which of them is opened depends on the reader
            stream = _got(_got(specification, "/EF"), system)
            if stream is None or id(stream) in self._seen or not hasattr(stream, "get_data"):
                continue
            self._seen.add(id(stream))
            self._notes.fact(
                "pdf-embedded-file", f"the file {name!r} is embedded", {"name": printable(name, 200)}
            )
            self._notes.member(name, stream.get_data(), hidden=True)

    def _additional(self, holder: Any) -> None:
        actions = _got(holder, "/AA")
        if isinstance(actions, dict):
            for key in list(actions)[:20]:
                self._action(_got(actions, key), by_itself=key in {"/O", "/WC", "/PO", "/PV", "/WS", "/DS"})

    def _action(self, action: Any, *, by_itself: bool = False, depth: int = 0) -> None:
        if not isinstance(action, dict) or depth > 5 or (id(action) in self._seen and depth):
            return
        self._seen.add(id(action))
        notes, kind = self._notes, str(_got(action, "/S"))
        if by_itself and kind not in {"/GoTo", "None"}:
            notes.fact(
                "pdf-open-action",
                f"it does something by itself when it is opened ({printable(kind[1:], 30)})",
                {"action": printable(kind[1:], 30)},
            )
        if kind == "/URI":
            notes.link(str(_got(action, "/URI") or ""))
        elif kind in {"/JavaScript", "/Rendition"}:
            script = _got(action, "/JS")
            if script is not None:
                text = (
                    script.get_data()[: 1 << 20].decode("latin-1")
                    if hasattr(script, "get_data")
                    else str(script)
                )
                notes.fact(
                    "pdf-javascript",
                    f"it holds JavaScript: {printable(text, 120)}",
                    {"script": printable(text, 500)},
                )
                for url in re.findall(r"https?://[^\s'\"()<>]{4,1000}", text[: 1 << 20])[:50]:
                    notes.link(url)
        elif kind == "/Launch":
            windows = _got(action, "/Win")
            target = str(_got(windows, "/F") or _name_of(_got(action, "/F")))
            shown = printable(f"{target} {_got(windows, '/P') or ''}".strip(), 200)
            notes.fact("pdf-launch", f"it starts {shown or 'a program'}", {"target": shown})
            notes.link(target)
        elif kind in {"/GoToR", "/GoToE", "/ImportData"}:
            target = _name_of(_got(action, "/F"))
            if target.startswith(("\\\\", "//", "http")):
                notes.fact(
                    "external-object",
                    f"it opens {printable(target, 120)}",
                    {"target": printable(target, 300), "by": "share"},
                )
                notes.link(target)
        elif kind == "/SubmitForm":
            target = _name_of(_got(action, "/F"))
            notes.fact(
                "pdf-form",
                f"it sends what is filled in to {printable(target, 120)}",
                {"target": printable(target, 300)},
            )
            notes.link(target)
        following = _got(action, "/Next")
        for one in (self._list(following) if isinstance(following, list) else [following])[:20]:
            self._action(one, by_itself=by_itself, depth=depth + 1)

    def _text(self, page: Any) -> None:
        contents = _got(page, "/Contents")
        size = sum(
            len(getattr(one, "_data", b""))
            for one in (self._list(contents) if isinstance(contents, list) else [contents])
        )
        if size > 1 << 20:
            return
        text = page.extract_text()
        if text.strip():
            self.has_text = True
            self._notes.read(text + "\n")

    def _list(self, value: Any) -> list[Any]:
        return [_resolved(one) for one in value[:2000]] if isinstance(value, list) else []


def _pages(reader: Any) -> Iterator[Any]:
    pages = reader.pages
    for number in range(min(len(pages), MAX_PAGES)):
        yield pages[number]


def _resolved(value: Any) -> Any:
    return value.get_object() if hasattr(value, "get_object") else value


def _got(holder: Any, key: str) -> Any:
    return _resolved(holder.get(key)) if isinstance(holder, dict) else None


def _name_of(specification: Any) -> str:
    if isinstance(specification, dict):
        return str(_got(specification, "/UF") or _got(specification, "/F") or "")
    return str(specification or "")


def _tree(node: Any, depth: int = 0, left: list[int] | None = None) -> Iterator[Any]:
    """The values of a name tree (§7.9.6)."""
    left = [500] if left is None else left
    if not isinstance(node, dict) or depth > 10 or left[0] <= 0:
        return
    names = _got(node, "/Names")
    for value in names[1::2] if isinstance(names, list) else ():
        left[0] -= 1
        if left[0] < 0:
            return
        yield _resolved(value)
    kids = _got(node, "/Kids")
    for kid in kids[:100] if isinstance(kids, list) else ():
        left[0] -= 1
        yield from _tree(_resolved(kid), depth + 1, left)


_RAW: tuple[tuple[bytes, str, str], ...] = (
    (b"/JavaScript", "pdf-javascript", "it holds JavaScript"),
    (b"/JS", "pdf-javascript", "it holds JavaScript"),
    (b"/Launch", "pdf-launch", "it starts a program or opens a file"),
    (b"/EmbeddedFile", "pdf-embedded-file", "a file is embedded"),
    (b"/XFA", "pdf-xfa", "it holds an XFA form"),
)


def _raw(notes: Notes, octets: bytes) -> None:
    """Names in the octets as they stand, for what is out of the reader's reach."""
    plain = _HEX_NAME.sub(lambda m: bytes((int(m[1], 16),)), octets) if b"#" in octets else octets
    for name, fact, text in _RAW:
        if not notes.has(fact) and re.search(re.escape(name) + rb"(?![A-Za-z0-9s])", plain):
            notes.fact(fact, text)
    for match in _RAW_URI.finditer(octets):
        notes.link(re.sub(rb"\\(.)", rb"\1", match[1]).decode("latin-1"))
        if len(notes.links) >= notes.limits.max_links:
            break


def _codes(notes: Notes) -> None:
    """Draw the first pages and look for codes; a file pdfium cannot open shows a reader nothing either."""
    if len(notes.octets) > MAX_DRAWN:
        return
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(notes.octets)
    except pypdfium2.PdfiumError:
        return
    try:
        for number in range(min(len(document), notes.limits.max_pages)):
            notes.allowance.check_time()
            page = document[number]
            width, height = page.get_size()
            scale = min(SCALE, 2400 / max(width, height, 1))
            if width * height * scale * scale < notes.limits.max_pixels:
                picture = page.render(scale=scale, grayscale=True).to_pil()
                codes_in(notes, picture, where=f"page {number + 1}")
            page.close()
    except pypdfium2.PdfiumError:
        notes.fact("failed", "a page could not be drawn")
    finally:
        document.close()
