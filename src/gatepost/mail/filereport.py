"""What is in an attached file, as those who may look into it report: the sandboxed child reports, checks judge.

One flat list for a message: each attachment, and behind it what was found inside, down to the bound.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from gatepost.mail.finding import Evidence


@dataclass(frozen=True, slots=True)
class FileFact:
    """Something about a file that a check may judge."""

    name: str
    """``macro``, ``macro-autoexec``, ``encrypted``, ``bomb``, ``truncated``, ``failed``, …; `files/facts.py` lists them."""
    text: str
    """One sentence for a person; printable."""
    evidence: Evidence = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileReport:
    """One file: an attachment, or a member of one."""

    path: tuple[str, ...]
    """Names from the attachment downwards, printable: ``("invoice.zip", "invoice.pdf.exe")``."""
    part: int
    """Index of the MIME part it came in."""
    kind: str = ""
    """What it truly is, by its octets: ``pe``, ``zip``, ``word``, ``pdf``, ``html``, …; empty when unknown."""
    declared: str = ""
    """The content type of an attachment, lower case; empty for members."""
    size: int = 0
    """Octets, unpacked."""
    facts: tuple[FileFact, ...] = ()
    links: tuple[str, ...] = ()
    """Where it leads: hyperlinks, launch actions, remote templates, QR codes."""
    text: str = ""
    """What a reader sees in it, bounded."""
    octets: bytes | None = None
    """The unpacked octets, where a scanner that is given the attachment itself might not find them; bounded in sum."""

    @property
    def name(self) -> str:
        """The last name, as a person sees it."""
        return self.path[-1] if self.path else ""

    @property
    def shown(self) -> str:
        """The path in one line."""
        return " › ".join(self.path)
