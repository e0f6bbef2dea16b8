"""Who waits for an approval is told, and who has to give it; and that a message was not sent after all.

Whoever sends mail gets a 250 when it is held, so nothing may end in silence. The postmaster gets one letter about all
that is new, at most one in a quarter of an hour; a sender gets one for each message.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from gatepost.jobs.letter import Letters
from gatepost.jobs.rounds import Round
from gatepost.mail.address import parse_address, printable
from gatepost.store import approvals
from gatepost.store.records import Held
from gatepost.store.store import Store
from gatepost.tools import Memory

EVERY_S = 30.0
POSTMASTER_AGAIN_S = 900.0
KEPT_S = 10 * 365 * 86_400.0
KEY = "approvals:told"
NAMED = 20
"""Messages that are named in one letter."""


@dataclass(frozen=True, slots=True)
class Told:
    """How far everybody has been told."""

    sender: int
    """The number of the last copy whose sender was told that it waits."""
    postmaster: int
    """The same for the postmaster."""
    ended: float
    """When the last copy was decided whose sender was told that it was not sent."""
    letter_at: float
    """When the postmaster got the last letter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Approvals:
    """The round."""

    store: Store
    memory: Memory
    letters: Letters
    clock: Callable[[], float]
    """Unix seconds."""

    def rounds(self) -> Sequence[Round]:
        """One."""
        return [Round("approvals", EVERY_S, self.tell)]

    async def tell(self) -> None:
        """Write the letters that are due. Raises StoreFailed."""
        now = self.clock()
        told = read(await self.memory.get(KEY))
        if told is None:  # what was there before this gate ran was told by the one before
            told = Told(0, 0, now, 0.0)
        waiting = self.store.database.read(lambda c: approvals.waiting(c, min(told.sender, told.postmaster)))
        ended = self.store.database.read(lambda c: approvals.not_sent(c, told.ended))
        for one in messages(copy for copy in waiting if copy.id > told.sender):
            await self._write(one, "waits for approval", WAITS, now)
        for one in messages(ended):
            await self._write(one, "was not sent", NOT_SENT, now)
        for_postmaster = [copy for copy in waiting if copy.id > told.postmaster]
        due = bool(for_postmaster) and now - told.letter_at >= POSTMASTER_AGAIN_S
        if due:
            await self.letters.send("Outgoing mail waits for approval", for_the_postmaster(for_postmaster))
        last = max((copy.id for copy in waiting), default=told.sender)
        after = Told(
            sender=max(told.sender, last),
            postmaster=last if due else told.postmaster,
            ended=max((copy.changed_at for copy in ended), default=told.ended),
            letter_at=now if due else told.letter_at,
        )
        await self.memory.put(KEY, written(after), ttl_s=KEPT_S)

    async def _write(self, copies: list[Held], what: str, text: str, now: float) -> None:
        """To the sender, where there is one."""
        first = copies[0]
        whom = parse_address(first.sender, smtputf8=True) if first.sender else None
        if whom is None:
            return
        entry = self.store.entry(first.ref)
        subject = entry.subject if entry is not None else ""
        reason = first.changed_why or {"deleted": "the postmaster declined it", "expired": "nobody decided in time"}.get(
            first.state, ""
        )  # fmt: skip
        words = text.format(
            subject=printable(subject, 200), to=", ".join(printable(copy.to, 100) for copy in copies[:NAMED]),
            why=printable(first.reason, 500), end=printable(reason, 300), ref=first.ref,
        )  # fmt: skip
        for notice in self.letters.notices(f"Your message {what} [ref {first.ref}]", words, now, whom=whom):
            await self.store.enqueue_notice(notice)


WAITS = """\
Your message waits until the postmaster approves it. You need do nothing.

Subject:  {subject}
To:       {to}
Why:      {why}
"""
NOT_SENT = """\
Your message was held for approval, and was not sent.

Subject:  {subject}
To:       {to}
Held:     {why}
Now:      {end}

Ask your postmaster, and name the reference {ref}.
"""


def for_the_postmaster(copies: list[Held]) -> str:
    """All that is new, in one letter."""
    lines = [
        f"{one[0].ref}  {printable(one[0].sender, 80)} -> {', '.join(printable(copy.to, 60) for copy in one[:3])}\n    {printable(one[0].reason, 300)}"
        for one in messages(copies)[:NAMED]
    ]
    more = len(messages(copies)) - NAMED
    return (
        "This mail of our own people is held until you approve it:\n\n"
        + "\n".join(lines)
        + (f"\n… and {more} more" if more > 0 else "")
        + "\n\ngatepost explain REF               tells its story\n"
        "gatepost quarantine release REF    lets it go out\n"
        "gatepost quarantine delete REF     declines it; --why tells the sender the reason\n"
    )


def messages(copies: Iterable[Held]) -> list[list[Held]]:
    """The copies of each message together."""
    ordered = sorted(copies, key=lambda copy: (copy.ref, copy.id))
    return [list(some) for _, some in groupby(ordered, key=lambda copy: copy.ref)]


def read(value: str | None) -> Told | None:
    """As it was written; None when it never was."""
    parts = (value or "").split()
    if len(parts) != 4:
        return None
    try:
        return Told(int(parts[0]), int(parts[1]), float(parts[2]), float(parts[3]))
    except ValueError:
        return None


def written(told: Told) -> str:
    """For memory."""
    return f"{told.sender} {told.postmaster} {told.ended!r} {told.letter_at!r}"
