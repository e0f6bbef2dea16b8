"""Screen and receive: the story of a message, in one file.

At RCPT TO we ask whether we want to talk about this recipient at all. At the end of the data we
authenticate the sender, let every check say what it sees, decide once for each recipient, and carry the
decision out before we answer. A 250 means stored and synced.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Any

from gatepost.accepting.copies import TURNED_DOWN, copies, refusal, strictest, together
from gatepost.accepting.desk import MAX_RECEIVED, Contact, Desk
from gatepost.begin import Done, begin
from gatepost.checks.run import Configured, run
from gatepost.checks.sender.identity import claimed_identity, correspondent
from gatepost.mail.address import Address
from gatepost.mail.author import authors, displayed_author, message_id, subject_text
from gatepost.mail.authresults import AuthResults, DmarcResult, SpfResult
from gatepost.mail.client import Attempt, Client, Envelope, Mail
from gatepost.mail.finding import Finding
from gatepost.mail.marking import CannotChange, changed
from gatepost.mail.message import Message
from gatepost.mail.trace import Networks, client_behind, within
from gatepost.mail.verdict import Action
from gatepost.mailauth.authenticate import AuthSettings, authenticate
from gatepost.mailauth.header import authentication_results, foreign_fields, received_field
from gatepost.policy import Marking, category, decide_at_door, marks, strip
from gatepost.policy.marking import STRIP
from gatepost.smtp.handler import Screened
from gatepost.smtp.reply import Reply
from gatepost.store.records import Acceptance, HistoryEntry, Judged
from gatepost.tools import Tools

OWN_FIELDS = (b"x-gatepost", b"x-gatepost-verdict")
_RECIPIENT_OK = Reply(250, "2.1.5", "Recipient ok")


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake(Desk):
    """One configuration's way of receiving mail; a reload makes another. Implements `smtp.handler.Handler`."""

    door: tuple[Configured, ...]
    """Checks asked at RCPT TO."""
    content: tuple[Configured, ...]
    """Checks asked at the end of the data."""
    auth: AuthSettings
    trusted_relays: Networks
    tools: Callable[[float], Tools]
    """A message's tools, for its moment."""
    acquaint: Callable[[Contact], None]
    """Remember who wrote to whom."""
    prove: Callable[..., Coroutine[Any, Any, AuthResults]] = authenticate
    """`mailauth.authenticate`, or what stands for it where no DNS may be asked."""
    marking: Marking = field(default_factory=Marking)
    ours: Callable[[str], bool] = lambda _: True
    """Is it one of our domains, or does mail to it leave us?"""
    patience_s: float = 20.0
    """The whole budget of one message's lookups and checks."""

    async def screen(self, attempt: Attempt) -> Screened:
        """Do we want to talk about this recipient at all?"""
        now = self.clock()
        if not self.store.has_room():
            return self.no_room(attempt, now)
        if within(attempt.client.ip, self.trusted_relays):
            attempt = replace(attempt, client=replace(attempt.client, ip=None, hello=""))
        findings = await self._ask_at_door(attempt, now)
        policy = self.policies.for_recipient(attempt.recipient.address)
        verdict = decide_at_door(findings, policy)
        if verdict.action is Action.DELIVER:
            return Screened(_RECIPIENT_OK, tuple(findings))
        return self.turned_away(attempt, verdict, policy.reply_codes(verdict), findings, now)

    async def receive(
        self, client: Client, envelope: Envelope, octets: bytes, screened: Sequence[Screened]
    ) -> Sequence[Reply]:
        """Judge and carry out; the 250 comes last. One reply, or for LMTP one for each recipient."""
        now = self.clock()
        ref = self.new_ref(now)
        message = Message.parse(octets)
        if message.count(b"received") > MAX_RECEIVED:
            return self.loop(client, envelope, now, ref)
        if within(client.ip, self.trusted_relays):
            client = client_behind(client, message, self.trusted_relays)
            screened = await self.screen_again(client, envelope, now)
        kept = Reply(250, "2.0.0", f"Kept for delivery [ref {ref}]")
        entry = await self.examine(client, envelope, message, screened, now=now, ref=ref, reply=str(kept))
        return await self._carry_out(entry, message, kept, per_recipient=client.role == "lmtp")

    async def examine(
        self,
        client: Client,
        envelope: Envelope,
        message: Message,
        screened: Sequence[Screened],
        *,
        now: float,
        ref: str,
        reply: str = "",
    ) -> HistoryEntry:
        """Authenticate, let every check say what it sees, and decide for each recipient. Changes nothing.

        `reply` is what will be said should the message be kept.
        """
        started = perf_counter()
        tools = self.tools(now)
        auth = await self._prove(client, envelope, message, tools, now)
        proved = perf_counter()
        mail = Mail(client=client, envelope=envelope, message=message, auth=auth)
        remaining_s = max(1.0, self.patience_s - (proved - started))
        seen = await run(self.content, mail, tools, deadline_s=remaining_s, on_bug=self.on_bug)
        judged = self.judge(envelope, screened, seen)
        return HistoryEntry(
            ref=ref, at=now, kind="message", client=client, envelope=envelope, judged=judged, reply=reply,
            findings=tuple(seen), auth=auth, author=displayed_author(message), subject=subject_text(message),
            message_id=message_id(message), size=len(message.octets), mode=self.policies.mode.value,
            milliseconds={"authentication": round((proved - started) * 1000, 3),
                          "total": round((perf_counter() - started) * 1000, 3)},
        )  # fmt: skip

    async def _prove(
        self, client: Client, envelope: Envelope, message: Message, tools: Tools, now: float
    ) -> AuthResults:
        """Authenticate within the message's patience; name servers that dawdle are name servers that failed."""
        begun = begin(
            self.prove(client, envelope, message, tools.resolver, now, self.auth, receiver=self.hostname)
        )
        if isinstance(begun, Done):  # all of it was remembered
            return begun.result
        try:
            async with asyncio.timeout(self.patience_s):
                return await begun
        except TimeoutError:
            return not_proved_in_time(message, self.patience_s)

    async def screen_again(self, client: Client, envelope: Envelope, now: float) -> list[Screened]:
        """The door's questions about a client learnt only from the message, as facts: the door has let it in."""
        screened = []
        for recipient in envelope.recipients:
            attempt = Attempt(client=client, sender=envelope.sender, recipient=recipient, size=envelope.size)
            findings = await self._ask_at_door(attempt, now)
            screened.append(Screened(_RECIPIENT_OK, tuple(findings)))
        return screened

    async def _ask_at_door(self, attempt: Attempt, now: float) -> list[Finding]:
        return await run(self.door, attempt, self.tools(now), deadline_s=self.patience_s, on_bug=self.on_bug)

    async def _carry_out(
        self, entry: HistoryEntry, message: Message, kept: Reply, *, per_recipient: bool
    ) -> Sequence[Reply]:
        """Store what is accepted in one commit, and only then say so."""
        actions = [one.verdict.action for one in entry.judged]
        if not per_recipient:
            actions = together(actions)
        judged = tuple(
            one if one.verdict.action is action else replace(one, verdict=replace(one.verdict, action=action))
            for one, action in zip(entry.judged, actions, strict=True)
        )
        if self.marking.active or any(one.name == STRIP for one in entry.findings):
            judged = self._with_changes(judged, entry, message)
            actions = [one.verdict.action for one in judged]
        if any(a is not b for a, b in zip(judged, entry.judged, strict=True)):
            entry = replace(entry, judged=judged)
        accepted = [(one, one.verdict.action) for one in judged if one.verdict.action not in TURNED_DOWN]
        if accepted:
            failure = await self._keep(entry, message, accepted)
            if failure is not None:
                return self.not_kept(entry, failure, per_recipient=per_recipient)
            self._acquaint(entry, message)
        replies = [
            kept if action not in TURNED_DOWN else refusal(one.verdict, self._codes(one), entry.ref)
            for one, action in zip(entry.judged, actions, strict=True)
        ]
        if not per_recipient:
            replies = [kept if accepted else strictest(replies)]
        if not accepted:
            entry = replace(entry, reply=str(replies[0]))
            self.store.record_soon(entry)
        self.announce(entry)
        return replies

    def _with_changes(
        self, judged: Sequence[Judged], entry: HistoryEntry, message: Message
    ) -> tuple[Judged, ...]:
        """Each verdict with what is changed in its copy. Where a part cannot be taken out, the whole is held."""
        found = []
        for one in judged:
            verdict, settings = one.verdict, self.marking.for_recipient(one.recipient.address)
            sent_on = not all(self.ours(to.rpartition("@")[2].lower()) for to in one.deliver_to)
            changes = marks(verdict, settings, entry.auth, sent_on=sent_on)
            taken = strip(verdict, settings, entry.ref)
            if taken is not None:
                changes = (*(change for change in changes if change.kind != "kept"), taken)
                try:
                    changed(message.octets, (taken,))
                except CannotChange as why:
                    reason = f"an attachment should be taken out, and {why}"
                    verdict = replace(verdict, action=Action.QUARANTINE, rule=STRIP, reason=reason)
                    changes = ()
            found.append(
                replace(one, verdict=replace(verdict, changes=changes))
                if changes or verdict is not one.verdict
                else one
            )
        return tuple(found)

    def _acquaint(self, entry: HistoryEntry, message: Message) -> None:
        """Whoever was let into an inbox is a little less of a stranger next time.

        Mail that only claims a known identity is counted too, so that a habit of being proved is seen to end.
        """
        mail = Mail(client=entry.client, envelope=entry.envelope, message=message, auth=entry.auth)
        delivered = [one.recipient.address for one in entry.judged if one.verdict.action is Action.DELIVER]
        identity = correspondent(mail)
        claimed = identity or claimed_identity(mail)
        if claimed is not None:
            for domain in {address.domain for address in delivered}:
                contact = Contact(claimed, domain, entry.at, proved=identity is not None, ip=entry.client.ip)
                self.acquaint(contact)

    async def _keep(
        self, entry: HistoryEntry, message: Message, accepted: Sequence[tuple[Judged, Action]]
    ) -> Reply | None:
        """One commit with everything; the reply that asks to come back when the disk cannot keep it."""
        acceptance = Acceptance(
            entry=entry,
            octets=message.octets,
            added_header=self._added_header(entry),
            removed_fields=not_theirs_to_write(message, self.hostname, self.marking.settings.junk_headers),
            deliveries=tuple(
                copy for one, action in accepted for copy in copies(one, action, self._category)
            ),
            may_bounce=sender_proved(entry.envelope.sender, entry.auth),
        )
        return await self.keep(acceptance)

    def _category(self, judged: Judged) -> str:
        return category(judged.verdict, self.policies.for_recipient(judged.recipient.address))

    def _codes(self, judged: Judged) -> tuple[int, str]:
        return self.policies.for_recipient(judged.recipient.address).reply_codes(judged.verdict)

    def _added_header(self, entry: HistoryEntry) -> bytes:
        """Our trace and Authentication-Results, and the verdict in one line for people and Sieve."""
        verdict = max((one.verdict for one in entry.judged), key=lambda one: one.score)
        told = f"X-Gatepost: ref={entry.ref}; score={verdict.score:.1f}; rule={verdict.rule}\r\n"
        recipients = entry.envelope.recipients
        return (
            received_field(
                entry.client, receiver=self.hostname, ref=entry.ref, now=entry.at,
                recipient=recipients[0].address if len(recipients) == 1 else None,
                smtputf8=entry.envelope.smtputf8,
            )
            + authentication_results(self.hostname, entry.auth)
            + told.encode("ascii", "replace")
        )  # fmt: skip


def not_theirs_to_write(
    message: Message, authserv_id: str, junk_headers: Sequence[str] = ()
) -> tuple[tuple[int, int], ...]:
    """Spans of fields that only we write: results under our name, and our own verdict, which Sieve believes."""
    names = {*OWN_FIELDS, *(one.partition(":")[0].lower().encode() for one in junk_headers)}
    ours = [(one.start, one.end) for name in names for one in message.named(name)]
    return tuple(sorted((*foreign_fields(message, authserv_id), *ours)))


def not_proved_in_time(message: Message, patience_s: float) -> AuthResults:
    """Nothing could be asked in time: a temporary error like any other (RFC 7208 §2.6.6, RFC 9989)."""
    problem = f"the name servers did not answer within {patience_s:.0f} s"
    return AuthResults(
        spf_mail_from=SpfResult(result="temperror", identity="mail_from", problem=problem),
        spf_hello=SpfResult(result="temperror", identity="hello", problem=problem),
        dmarc=DmarcResult(result="temperror", author_domain=authors(message).domain, reason=problem),
    )


def sender_proved(sender: Address | None, auth: AuthResults) -> bool:
    """May a delivery report go to the envelope sender? Only when SPF or a signature of its own domain proved it."""
    if sender is None:
        return False
    if auth.spf_mail_from.result == "pass":
        return True
    return any(
        one.result == "pass"
        and one.covers_all
        and (sender.domain == one.domain or sender.domain.endswith("." + one.domain))
        for one in auth.dkim
    )
