"""One look into an attachment: what it is, what is in it, and what is in that. The room's only door.

Synchronous, over octets, meant for the sandboxed child. Never raises and never hangs: every loop has a bound,
and a parser that fails is the fact ``failed``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from pkgutil import iter_modules

from gatepost import files
from gatepost.files import (
    archive,
    html,
    image,
    message,
    ole,
    ooxml,
    pdf,
    program,
    rtf,
    script,
    shortcut,
    zipped,
)
from gatepost.files.kind import kinds_of
from gatepost.files.kinds import KINDS
from gatepost.files.limits import FileLimits
from gatepost.files.names import judge_name
from gatepost.files.notes import Allowance, Member, Notes, Spent
from gatepost.mail.address import printable
from gatepost.mail.filereport import FileReport

__all__ = ["FileLimits", "inspect_file", "warm_up"]

READERS: dict[str, Callable[[Notes], None]] = {
    **dict.fromkeys(("zip", "jar", "apk", "msix", "epub"), zipped.read_zip),
    "tar": archive.read_tar,
    **dict.fromkeys(("gz", "bz2", "xz", "lzma"), archive.read_single),
    **dict.fromkeys(
        (
            "7z",
            "rar",
            "cab",
            "iso",
            "lzh",
            "cpio",
            "ar",
            "deb",
            "rpm",
            "xar",
            "zstd",
            "lz4",
            "compress",
            "lzip",
        ),
        archive.read_other,
    ),
    **dict.fromkeys(("arj", "vhd", "vhdx", "vmdk", "wim", "dmg", "disk"), program.read_with_program),
    "udf": archive.read_udf,
    **dict.fromkeys(("ace", "alz", "sit", "zoo"), archive.read_unreadable),
}
CONTAINERS = frozenset(READERS)
"""Kinds that are opened only so deep."""
READERS.update(
    {
        **dict.fromkeys(("html", "svg", "hta"), html.read_html),
        **dict.fromkeys(
            (
                "javascript",
                "vbscript",
                "wsf",
                "batch",
                "powershell",
                "shell",
                "python",
                "perl",
                "autoit",
                "registry",
                "inf",
            ),
            script.read_script,
        ),
        **dict.fromkeys(("word", "excel", "powerpoint", "ole", "mdb"), ole.read_ole),
        **dict.fromkeys(("docx", "docm", "xlsx", "xlsm", "xlsb", "pptx", "pptm", "ooxml"), ooxml.read_ooxml),
        "odf": ooxml.read_odf,
        "flat-opc": ooxml.read_flat,
        "rtf": rtf.read_rtf,
        "pdf": pdf.read_pdf,
        "certificate": message.read_text,
        **dict.fromkeys(("png", "jpeg", "gif", "webp", "bmp", "tiff", "ico"), image.read_image),
        "lnk": shortcut.read_lnk,
        **dict.fromkeys(
            (
                "url",
                "webloc",
                "desktop",
                "rdp",
                "iqy",
                "slk",
                "settings-ms",
                "library-ms",
                "theme",
                "mobileconfig",
                "clickonce",
                "jnlp",
                "appinstaller",
                "msc",
            ),
            shortcut.read_url,
        ),
        "onenote": shortcut.read_onenote,
        **dict.fromkeys(("eml", "mht"), message.read_eml),
        **dict.fromkeys(("ics", "vcf"), message.read_calendar),
        **dict.fromkeys(("text", "xml"), message.read_text),
        "uue": message.read_uue,
        "applesingle": message.read_applesingle,
        "pkcs7": message.read_cms,
        "pgp": message.read_pgp,
        "msg": message.read_msg,
        "tnef": message.read_tnef,
    }
)
"""Kind to the function that reads it."""


_LIBRARIES = (
    "olefile", "msoffcrypto", "msoffcrypto.format.ooxml", "msoffcrypto.format.doc97", "msoffcrypto.format.xls97",
    "msoffcrypto.format.ppt97", "PIL.Image", "PIL.PngImagePlugin", "PIL.JpegImagePlugin", "PIL.GifImagePlugin",
    "PIL.WebPImagePlugin", "PIL.BmpImagePlugin", "PIL.TiffImagePlugin", "PIL.IcoImagePlugin", "pypdf", "pypdfium2", "selectolax.lexbor",
    "zxingcpp", "cryptography.hazmat.primitives.ciphers", "encodings.cp1252", "encodings.utf_16", "encodings.idna",
)  # fmt: skip


def inspect_file(
    name: str,
    declared: str,
    octets: bytes,
    part: int,
    *,
    passwords: Sequence[str],
    limits: FileLimits,
    scratch: str | None,
) -> list[FileReport]:
    """The attachment first, then what is inside, depth first; at least one report, at most `limits.max_members`.

    `name` and `declared` are as the message gives them, `octets` decoded; `part` is the index of the MIME part.
    `passwords` are tried on whatever is locked, the likeliest first. `scratch` is a folder for temporary files,
    None where there is none; nothing is left in it.
    """
    look = _Look(part, Allowance(limits, passwords, scratch))
    member = Member(name=name, octets=octets, size=len(octets))
    look.into(member, (), (), declared.lower())
    return look.reports


def warm_up() -> None:
    """Import what the parsers need, so that a child can do so before its cage closes: some libraries start programs or
    open files when they are first imported, and without Landlock no file can be opened afterwards. A library that is
    missing is left for the look to report."""
    for one in iter_modules(files.__path__):
        import_module(f"gatepost.files.{one.name}")
    for name in _LIBRARIES:
        with suppress(ImportError, OSError, TypeError):
            import_module(name)
    with suppress(archive.Missing):
        archive.library()


class _Look:
    """The reports so far and what is left of the allowance."""

    def __init__(self, part: int, allowance: Allowance) -> None:
        self.part = part
        self.allowance = allowance
        self.reports: list[FileReport] = []

    def into(self, file: Member, above: tuple[str, ...], outside: tuple[bytes, ...], declared: str) -> None:
        """Report `file`, then its members. `outside` are the octets of the files it is in."""
        kinds = kinds_of(file.octets, file.name)
        notes = Notes(file.name, file.octets, kinds[0], self.allowance, declared=declared)
        notes.facts.extend(file.facts)
        judge_name(notes)
        if len(kinds) > 1 and kinds[0] != "pe":
            titles = " and ".join(KINDS[kind].title for kind in kinds if kind)
            notes.fact("polyglot", f"it is {titles} at once", {"kinds": list(kinds)})
        if any(file.octets == one for one in outside if file.octets):
            notes.fact("bomb", "the archive contains itself")
        else:
            for kind in kinds:
                self._read(notes, kind, len(above))
        path = (*above, printable(file.name, 200))
        kept = self._kept(file, above)
        if kept is None and above and file.hidden and file.octets:
            notes.fact("truncated", "with all else that is unpacked it is too large for the virus scanner")
        self.reports.append(
            FileReport(
                path=path,
                part=self.part,
                kind=kinds[0],
                declared=declared,
                size=file.size,
                facts=tuple(notes.facts),
                links=tuple(notes.links),
                text="".join(notes.text),
                octets=kept,
            )
        )
        for member in notes.members:
            self.into(member, path, (*outside, file.octets), "")

    def _read(self, notes: Notes, kind: str, depth: int) -> None:
        reader = READERS.get(kind)
        if reader is None or not notes.octets:
            return
        if depth >= self.allowance.limits.max_depth and kind in CONTAINERS:
            notes.fact("truncated", "it is too deep inside other files to be opened")
            return
        notes.kind = kind
        try:
            reader(notes)
        except Spent as why:
            notes.fact("truncated", f"not all of it was looked at: {why}")
        except (MemoryError, RecursionError):
            notes.fact("failed", "reading it takes more memory than there is")
        except Exception as error:  # noqa: BLE001 - whatever a parser of hostile octets throws is a fact about the file
            notes.fact(
                "failed", f"it could not be read: {printable(str(error) or type(error).__name__, 120)}"
            )

    def _kept(self, file: Member, above: tuple[str, ...]) -> bytes | None:
        if not above or not file.hidden or len(file.octets) > self.allowance.kept:
            return None
        self.allowance.kept -= len(file.octets)
        return file.octets
