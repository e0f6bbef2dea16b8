"""One look into an attachment: what it is, what is in it, and what is in that. The room's only door.

Synchronous, over octets, meant for the sandboxed child. Never raises and never hangs: every loop has a bound,
and a parser that fails is the fact ``failed``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gatepost.files.kind import kind_of
from gatepost.files.limits import FileLimits
from gatepost.files.notes import Allowance, Member, Notes, Spent
from gatepost.mail.address import printable
from gatepost.mail.filereport import FileReport

__all__ = ["FileLimits", "inspect_file", "warm_up"]

READERS: dict[str, Callable[[Notes], None]] = {}
"""Kind to the function that reads it."""


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
    look.into(member, (), declared.lower())
    return look.reports


def warm_up() -> None:
    """Import what the parsers need, so that a child can do so before its cage closes."""


class _Look:
    """The reports so far and what is left of the allowance."""

    def __init__(self, part: int, allowance: Allowance) -> None:
        self.part = part
        self.allowance = allowance
        self.reports: list[FileReport] = []

    def into(self, file: Member, above: tuple[str, ...], declared: str) -> None:
        """Report `file`, then its members."""
        self.allowance.members -= 1
        kind = kind_of(file.octets, file.name)
        notes = Notes(file.name, file.octets, kind, self.allowance, declared=declared, depth=len(above))
        notes.facts.extend(file.facts)
        self._read(notes)
        path = (*above, printable(file.name, 200))
        self.reports.append(
            FileReport(
                path=path,
                part=self.part,
                kind=kind,
                declared=declared,
                size=file.size,
                facts=tuple(notes.facts),
                links=tuple(notes.links),
                text="".join(notes.text),
                octets=self._kept(file, above),
            )
        )
        for member in notes.members:
            self.into(member, path, "")

    def _read(self, notes: Notes) -> None:
        reader = READERS.get(notes.kind)
        if reader is None:
            return
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
