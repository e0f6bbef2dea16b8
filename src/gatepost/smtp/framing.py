"""Lines, dot-stuffing and chunks: the only owner of CR and LF (RFC 5321 §2.3.8, §4.1.1.4, §4.5.2, RFC 3030 §2).

Only CR LF ends a line, and only CR LF "." CR LF ends data. Everything that stands for less (a bare LF, a
bare CR, a NUL before them) is found here and named, so that two servers can never disagree about where a
message ends. Searching and counting is left to bytes methods: no loop here runs once per line or octet.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

END_OF_DATA = b"\r\n.\r\n"
_BARE_LF = re.compile(rb"(?<!\r)\n")
# As numbers: whether octets hold b"\r" takes four times as long to answer, since Python tries it as a number first.
_NUL, _LF, _CR = 0, 10, 13
_DROP_AT_OCTETS = 65_536
_SMALL_OCTETS = 65_536


class Fault(StrEnum):
    """What is wrong with a line or a body; also the name of the violation."""

    NUL = "nul"
    BARE_CR = "bare-cr"
    BARE_LF = "bare-lf"
    TOO_LONG = "line-too-long"


def fault_in(octets: bytes | bytearray) -> Fault | None:
    """What makes these octets unfit to be text with CR LF line ends.

    Of several the first in the order of `Fault`: where it is a bare LF, nothing else is wrong.
    """
    if _NUL in octets:
        return Fault.NUL
    if len(octets) <= _SMALL_OCTETS:
        # To take out the pairs and look for what is left is quicker than to count all, but it is a copy.
        rest = octets.replace(b"\r\n", b"")
        if _CR in rest:
            return Fault.BARE_CR
        return Fault.BARE_LF if _LF in rest else None
    ends = octets.count(b"\r\n")
    if octets.count(b"\r") != ends:
        return Fault.BARE_CR
    return Fault.BARE_LF if octets.count(b"\n") != ends else None


def has_line_beyond(octets: bytes, limit: int) -> bool:
    """Whether a line has more than `limit` octets, its CR LF not counted; leaps from line end to line end."""
    start, length = 0, len(octets)
    while length - start > limit:
        end = octets.rfind(b"\n", start, start + limit + 2)
        if end < 0:
            return True
        start = end + 1
    return False


def with_crlf(octets: bytes) -> bytes:
    """Every bare LF made CR LF: only for a client whom the operator exempted, only within a body that has ended."""
    return _BARE_LF.sub(b"\r\n", octets)


def stuff(octets: bytes) -> bytes:
    """Each line that starts with a dot gets another one (RFC 5321 §4.5.2)."""
    stuffed = octets.replace(b"\r\n.", b"\r\n..")
    return b"." + stuffed if octets.startswith(b".") else stuffed


def unstuff(octets: bytes) -> bytes:
    """The other way round: each line that starts with a dot loses it."""
    plain = octets[1:] if octets.startswith(b".") else octets
    return plain.replace(b"\r\n.", b"\r\n")


def as_data(octets: bytes) -> bytes:
    """A message as it follows a 354, its end included; a missing last CR LF is added.

    The message must have passed `fault_in`, lest the next server sees an end where there is none.
    """
    stuffed = stuff(octets)
    return stuffed + (b".\r\n" if stuffed.endswith(b"\r\n") or not stuffed else END_OF_DATA)


class Incoming:
    """Octets from the peer that have not been understood yet; each is looked at once, however it trickles in."""

    __slots__ = ("_scanned", "octets")

    def __init__(self) -> None:
        self.octets = bytearray()
        self._scanned = 0

    def __len__(self) -> int:
        return len(self.octets)

    def feed(self, octets: bytes | bytearray | memoryview) -> None:
        """More from the peer."""
        self.octets += octets

    def clear(self) -> None:
        """Forget everything: nothing of it will be read as a command."""
        self.octets.clear()
        self._scanned = 0

    def line(self, limit: int) -> bytes | Fault | None:
        """The next line without its CR LF, of at most `limit` octets; None when it is not whole yet.

        A fault leaves the octets where they are: the caller must not go on reading.
        """
        octets = self.octets
        end = octets.find(b"\n", self._scanned)
        if end < 0:
            self._scanned = len(octets)
            return Fault.TOO_LONG if self._scanned > limit + 1 else None
        if end > limit + 1:
            return Fault.TOO_LONG
        if end == 0 or octets[end - 1] != _CR:
            return Fault.BARE_LF
        line = bytes(octets[: end - 1])
        if _CR in line:
            return Fault.BARE_CR
        if _NUL in line:
            return Fault.NUL
        del octets[: end + 1]
        self._scanned = 0
        return line

    def take(self, count: int, keep: int | None = None) -> bytes:
        """Up to `count` octets, as a chunk holds them (RFC 3030 §2); only the first `keep` of them come back."""
        with memoryview(self.octets) as view:
            taken = bytes(view[: count if keep is None else keep])
        del self.octets[:count]
        self._scanned = 0
        return taken

    def find_end(self, start: int) -> int:
        """Where CR LF "." CR LF begins at or after `start`, or -1; what was searched is not searched again."""
        found = self.octets.find(END_OF_DATA, max(start, self._scanned - len(END_OF_DATA) + 1))
        self._scanned = 0 if found >= 0 else len(self.octets)
        return found


@dataclass(frozen=True, slots=True)
class Content:
    """A body as transferred, its end removed, dots still stuffed."""

    octets: bytes
    """Empty when it was longer than allowed."""
    size: int
    """Octets transferred, those of the end not counted."""
    fault: Fault | None
    """What is wrong with its line ends, as `fault_in` says; also of what was not kept."""


class DataReader:
    """Reads what follows a 354 up to its real end; beyond `limit` octets it reads on and keeps nothing."""

    __slots__ = ("_dropped", "_fault", "_limit")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._dropped = 0
        self._fault: Fault | None = None

    @property
    def dropped(self) -> int:
        """Octets read and thrown away because the message is too big."""
        return self._dropped

    def read(self, incoming: Incoming) -> Content | None:
        """The content once its end has come, else None."""
        if not incoming.octets:
            return None
        if not self._dropped and incoming.octets.startswith(END_OF_DATA[2:]):
            incoming.take(3)
            return Content(b"", 0, None)
        end = incoming.find_end(0)
        if end < 0:
            if len(incoming) > (_DROP_AT_OCTETS if self._dropped else self._limit + len(END_OF_DATA)):
                self._drop(incoming)
            return None
        body = incoming.take(end + len(END_OF_DATA), end + 2)
        size = self._dropped + len(body)
        fault = _worse(self._fault, fault_in(body))
        return Content(b"" if size > self._limit else body, size, fault)

    def _drop(self, incoming: Incoming) -> None:
        """Keep only what may be the start of the end; never cut between CR and LF, so that faults show."""
        cut = len(incoming) - len(END_OF_DATA) + 1
        if incoming.octets[cut - 1] == _CR:
            cut -= 1
        # In place: a copy of what is thrown away would double what a message at the limit costs.
        octets = incoming.octets
        rest = octets[cut:]
        del octets[cut:]
        self._dropped += cut
        self._fault = _worse(self._fault, fault_in(octets))
        incoming.clear()
        incoming.feed(rest)


_SEVERITY = {fault: rank for rank, fault in enumerate(Fault)}


def _worse(one: Fault | None, other: Fault | None) -> Fault | None:
    if one is None or other is None:
        return one or other
    return min(one, other, key=_SEVERITY.__getitem__)
