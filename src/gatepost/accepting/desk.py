"""The desk that mail passes, whichever way it goes: what is kept, what is turned down, and how both get on record."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from gatepost.accepting.copies import refusal
from gatepost.mail.address import Address
from gatepost.mail.client import Attempt, Client, Envelope, IpAddress
from gatepost.mail.finding import ONLY_FOR, Finding
from gatepost.mail.verdict import Action, Verdict
from gatepost.policy import PolicyBook, decide
from gatepost.smtp.handler import Screened
from gatepost.smtp.reply import Reply
from gatepost.store.failures import StoreFailed, StoreFull
from gatepost.store.records import Acceptance, HistoryEntry, Judged

MAX_RECEIVED = 100
"""A message that has passed more hops than this is in a loop (RFC 5321 §6.3)."""

DISK_FULL = Reply(452, "4.3.1", "There is no room for more mail just now; please try again later")
DISK_FAILED = Reply(451, "4.3.0", "The message could not be stored; please try again later")

RECIPIENTS_KEPT = 20
"""Of a session's broken rule, in history."""


class Keeper(Protocol):
    """What is needed of the store."""

    async def carry_out(self, acceptance: Acceptance) -> None:
        """Make everything durable in one commit; raises StoreFull or StoreFailed, and then nothing was kept."""
        ...

    def has_room(self) -> bool:
        """Is there room for more mail? Turned down in time, nothing that was accepted is in danger."""
        ...

    def record_soon(self, entry: HistoryEntry) -> None:
        """Remember something we turned down; need not be durable before the reply."""
        ...


@dataclass(frozen=True, slots=True)
class Contact:
    """Somebody wrote to somebody, and it was delivered."""

    identity: str
    """Of the other side: a domain, or an address at a domain shared by strangers."""
    domain: str
    """Of our side."""
    at: float
    ours: bool = False
    """We wrote."""
    proved: bool = True
    ip: IpAddress | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What both flows need to keep mail and to turn it down."""

    hostname: str
    policies: PolicyBook
    store: Keeper
    clock: Callable[[], float]
    new_ref: Callable[[float], str]
    announce: Callable[[HistoryEntry], None]
    """Tell log and metrics."""
    on_bug: Callable[[str, BaseException], None]
    """Tell the log about a check that raised."""
    expand: Callable[[Address], tuple[str, ...]]
    """Final addresses after aliases and forwards."""

    def no_room(self, attempt: Attempt, now: float) -> Screened:
        """At the watermark: logged and counted, but not kept, since a row is what there is no room for.

        The reference leads to the line in the log; `gatepost explain` says so.
        """
        ref = self.new_ref(now)
        reply = DISK_FULL.referring(ref)
        verdict = Verdict(
            action=Action.DEFER,
            would_action=Action.DEFER,
            rule="store.full",
            reason=DISK_FULL.text,
            score=0.0,
        )
        self.announce(
            self.refusal_entry(
                "attempt", ref=ref, now=now, client=attempt.client, reply=reply,
                envelope=Envelope(sender=attempt.sender, recipients=(attempt.recipient,), size=attempt.size),
                verdict=verdict, findings=(),
            )
        )  # fmt: skip
        return Screened(reply)

    def turned_away(
        self,
        attempt: Attempt,
        verdict: Verdict,
        codes: tuple[int, str],
        findings: Sequence[Finding],
        now: float,
    ) -> Screened:
        """The refusal of one recipient at RCPT TO."""
        ref = self.new_ref(now)
        reply = refusal(verdict, codes, ref)
        envelope = Envelope(sender=attempt.sender, recipients=(attempt.recipient,), size=attempt.size)
        self.turned_down(
            self.refusal_entry(
                "attempt", ref=ref, now=now, client=attempt.client, envelope=envelope, reply=reply,
                verdict=verdict, findings=tuple(findings),
            )
        )  # fmt: skip
        return Screened(reply, tuple(findings))

    def refused(
        self, client: Client, envelope: Envelope | None, reply: Reply, what: str, ref: str = ""
    ) -> str:
        """The session turned something down by itself: a violation, a limit. Returns the reference for the reply, `ref`
        where the client was told one already."""
        envelope, more = shortened(envelope or Envelope(sender=None))
        finding = Finding(f"session.{what}", reply.text + more)
        verdict = Verdict(
            action=Action.REFUSE, would_action=Action.REFUSE, rule=finding.name, reason=reply.text, score=0.0
        )
        now = self.clock()
        ref = ref or self.new_ref(now)
        self.turned_down(
            self.refusal_entry(
                "session", ref=ref, now=now, client=client, envelope=envelope, reply=reply.referring(ref),
                verdict=verdict, findings=(finding,),
            )
        )  # fmt: skip
        return ref

    def loop(self, client: Client, envelope: Envelope, now: float, ref: str) -> Sequence[Reply]:
        """The refusal of a message that goes round in circles."""
        reply = Reply(
            554, "5.4.6", f"This message has passed more than {MAX_RECEIVED} hosts: a loop [ref {ref}]"
        )
        verdict = Verdict(
            action=Action.REFUSE, would_action=Action.REFUSE, rule="loop.hops", reason=reply.text, score=0.0
        )
        finding = Finding("loop.hops", reply.text)
        self.turned_down(
            self.refusal_entry(
                "message", ref=ref, now=now, client=client, envelope=envelope, reply=reply,
                verdict=verdict, findings=(finding,),
            )
        )  # fmt: skip
        return [reply] * (len(envelope.recipients) if client.role == "lmtp" else 1)

    def judge(
        self, envelope: Envelope, screened: Sequence[Screened], seen: Sequence[Finding]
    ) -> tuple[Judged, ...]:
        """A verdict for each recipient: what the door saw of it, and what everybody sees of the message."""
        judged = []
        scoped = any(ONLY_FOR in one.evidence for one in seen)
        for recipient, at_door in zip(envelope.recipients, screened, strict=True):
            theirs = [one for one in seen if one.concerns(recipient.address.key)] if scoped else seen
            verdict = decide((*at_door.findings, *theirs), self.policies.for_recipient(recipient.address))
            judged.append(
                Judged(recipient=recipient, verdict=verdict, deliver_to=self.expand(recipient.address))
            )
        return tuple(judged)

    async def keep(self, acceptance: Acceptance) -> Reply | None:
        """One commit with everything; the reply that asks to come back when the disk cannot keep it."""
        try:
            await self.store.carry_out(acceptance)
        except StoreFull:
            return DISK_FULL
        except StoreFailed as failure:
            self.on_bug("store", failure)
            return DISK_FAILED
        return None

    def not_kept(
        self, entry: HistoryEntry, failure: Reply, *, per_recipient: bool = False
    ) -> Sequence[Reply]:
        """The disk would not take it: said with a reference, logged and counted, in history if there is room again."""
        failure = failure.referring(entry.ref)
        verdict = Verdict(
            action=Action.DEFER,
            would_action=Action.DEFER,
            rule="store.failed",
            reason=failure.text,
            score=0.0,
        )
        judged = tuple(replace(one, verdict=verdict) for one in entry.judged)
        self.turned_down(replace(entry, judged=judged, reply=str(failure)))
        return [failure] * (len(judged) if per_recipient else 1)

    def turned_down(self, entry: HistoryEntry) -> None:
        """Every refusal has its row in history and its reference like any other message."""
        self.store.record_soon(entry)
        self.announce(entry)

    def refusal_entry(
        self, kind: str, *, ref: str, now: float, client: Client, envelope: Envelope, reply: Reply,
        verdict: Verdict, findings: tuple[Finding, ...],
    ) -> HistoryEntry:  # fmt: skip
        """What history keeps of something turned down."""
        judged = tuple(Judged(recipient=one, verdict=verdict) for one in envelope.recipients)
        return HistoryEntry(
            ref=ref, at=now, kind=kind, client=client, envelope=envelope, judged=judged,
            findings=findings, reply=str(reply), mode=self.policies.mode.value,
        )  # fmt: skip


def shortened(envelope: Envelope) -> tuple[Envelope, str]:
    """The envelope as far as it is kept for a broken rule (one session may break many), and words for the rest."""
    more = len(envelope.recipients) - RECIPIENTS_KEPT
    if more <= 0:
        return envelope, ""
    kept = replace(envelope, recipients=envelope.recipients[:RECIPIENTS_KEPT])
    return kept, f" (to these and {more} more recipients)"
