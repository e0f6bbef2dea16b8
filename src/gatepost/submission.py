"""Screen and receive what our own people and machines send: the story of an outgoing message, in one file.

Whoever signed in, and machines that need not, may send to anybody, in their own name only and within their share. At
the end of the data the checks say what they see; the message is let out, held for approval or refused; what a mail
program forgot is added; and when the account behaves as if somebody else had it, all its mail is held. What stays
between our own domains is delivered by their routes, everything else goes to the MX of its domain. RFC 6409.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Protocol, TypeVar

from gatepost.accepting.acquainting import written_to
from gatepost.accepting.copies import TURNED_DOWN, copies, refusal, strictest, together
from gatepost.accepting.desk import MAX_RECEIVED, Contact, Desk
from gatepost.checks.outgoing.account import (
    BCC_REMOVED,
    DATE_ADDED,
    HELD,
    ID_ADDED,
    IS_HELD,
    MERGED,
    TRACE_WITHHELD,
)
from gatepost.checks.outgoing.habits import HabitsSettings, learn
from gatepost.checks.outgoing.quota import QuotaSettings, count_sent
from gatepost.checks.run import Configured, run
from gatepost.mail.author import authors, displayed_author, message_id, subject_text
from gatepost.mail.authresults import AuthResults, DmarcResult
from gatepost.mail.client import Attempt, Client, Envelope, Mail
from gatepost.mail.finding import Finding, Mode
from gatepost.mail.message import Message
from gatepost.mail.verdict import Action, Weighed
from gatepost.mailauth.header import foreign_fields
from gatepost.policy import category, decide_at_door
from gatepost.policy.outgoing import APPROVAL, suspicion, told
from gatepost.smtp.handler import Screened
from gatepost.smtp.reply import Reply
from gatepost.store.heldaccounts import VOUCHED
from gatepost.store.records import Acceptance, AccountHold, HistoryEntry, Judged, Notice
from gatepost.submitting.header import Prepared, prepare
from gatepost.submitting.senders import as_machine
from gatepost.submitting.settings import SubmissionSettings
from gatepost.tools import Tools

T = TypeVar("T")
SAID = 3
"""Sentences of evidence that a hold is explained with."""


class Holds(Protocol):
    """What is needed of the store to hold an account's mail."""

    async def hold_account(self, hold: AccountHold) -> None:
        """Hold everything of an account: what is queued, and what it hands in from now on."""
        ...

    def held_because(self, account: str) -> str | None:
        """Why this account's mail is held; None when it is not."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission(Desk):
    """One configuration's way of taking mail that goes out; a reload makes another. Implements `smtp.handler.Handler`."""

    settings: SubmissionSettings
    door: tuple[Configured, ...]
    """Checks asked at RCPT TO."""
    content: tuple[Configured, ...]
    """Checks asked at the end of the data."""
    own_domains: Sequence[str]
    tools: Callable[[float], Tools]
    """A message's tools, for its moment."""
    acquaint: Callable[[Contact], None]
    """Remember whom we wrote to."""
    holds: Holds
    notify: Callable[[str, str, float], tuple[Notice, ...]]
    """Subject, text and moment of a letter to the postmaster -> what is to be queued for it."""
    patience_s: float = 20.0
    """The whole budget of one message's lookups and checks."""

    async def screen(self, attempt: Attempt) -> Screened:
        """May this client send to this recipient, as this sender?"""
        now = self.clock()
        if not self.store.has_room():
            return self.no_room(attempt, now)
        attempt = replace(attempt, client=self._known(attempt.client))
        findings = await run(
            self.door, attempt, self.tools(now), deadline_s=self.patience_s, on_bug=self.on_bug
        )
        policy = self.policies.default
        verdict = decide_at_door(findings, policy)
        if verdict.action is Action.DELIVER:
            return Screened(Reply(250, "2.1.5", "Recipient ok"), tuple(findings))
        return self.turned_away(attempt, verdict, policy.reply_codes(verdict), findings, now)

    async def receive(
        self, client: Client, envelope: Envelope, octets: bytes, screened: Sequence[Screened]
    ) -> Sequence[Reply]:
        """Judge and carry out; the 250 comes last."""
        now = self.clock()
        ref = self.new_ref(now)
        client = self._known(client)
        message = Message.parse(octets)
        if message.count(b"received") > MAX_RECEIVED:
            return self.loop(client, envelope, now, ref)
        prepared = prepare(
            message, client, envelope, hostname=self.hostname, ref=ref, now=now, trace=self.settings.earlier_received
        )  # fmt: skip
        tools = self.tools(now)
        mail = Mail(client=client, envelope=envelope, message=message, auth=signed_in_as_author(message))
        entry = await self._examine(mail, screened, prepared, tools, now=now, ref=ref)
        replies = await self._carry_out(entry, mail, prepared, tools)
        return replies * len(envelope.recipients) if client.role == "lmtp" else replies

    def _known(self, client: Client) -> Client:
        return as_machine(client, self.own_domains, self.settings.machines_send_as)

    async def _examine(
        self,
        mail: Mail,
        screened: Sequence[Screened],
        prepared: Prepared,
        tools: Tools,
        *,
        now: float,
        ref: str,
    ) -> HistoryEntry:
        """Let every check say what it sees, and decide for each recipient. Changes nothing."""
        started = perf_counter()
        seen = await run(self.content, mail, tools, deadline_s=self.patience_s, on_bug=self.on_bug)
        seen += changes(prepared)
        message = mail.message
        return HistoryEntry(
            ref=ref, at=now, kind="message", client=mail.client, envelope=mail.envelope,
            judged=self.judge(mail.envelope, screened, seen), findings=tuple(seen), auth=mail.auth,
            author=displayed_author(message), subject=subject_text(message),
            message_id=message_id(message) or prepared.message_id, size=len(message.octets),
            mode=self.policies.mode.value,
            milliseconds={"total": round((perf_counter() - started) * 1000, 3)},
        )  # fmt: skip

    async def _carry_out(
        self, entry: HistoryEntry, mail: Mail, prepared: Prepared, tools: Tools
    ) -> list[Reply]:
        """Store what is accepted in one commit, with the hold of its account where one is due, and only then say so."""
        vouched = await tools.memory.get(VOUCHED + entry.client.account)
        hold = self._hold(entry) if vouched is None else None
        actions = together([outgoing(one.verdict.action) for one in entry.judged])
        if hold is not None:  # one queue holds it all, to be let go or dropped together
            actions = [
                Action.DELIVER if by_score(one, act) else act
                for one, act in zip(entry.judged, actions, strict=True)
            ]
        held = hold is not None or self.holds.held_because(entry.client.account) is not None
        added = held_findings(hold, held=held)
        judged = tuple(
            one if one.verdict.action is act and not added else with_facts(one, act, added)
            for one, act in zip(entry.judged, actions, strict=True)
        )
        entry = replace(entry, judged=judged, findings=(*entry.findings, *added))
        accepted = [one for one in judged if one.verdict.action not in TURNED_DOWN]
        if not accepted:
            return await self._turn_down(entry, hold)
        waits = all(one.verdict.action is Action.QUARANTINE for one in accepted)
        what = "Held until it is approved" if waits else "Kept for delivery"
        kept = Reply(250, "2.0.0", f"{what} [ref {entry.ref}]")
        entry = replace(entry, reply=str(kept))
        failure = await self.keep(
            Acceptance(
                entry=entry,
                octets=mail.message.octets,
                added_header=prepared.added,
                removed_fields=merged(prepared.removed, foreign_fields(mail.message, self.hostname)),
                deliveries=tuple(
                    copy for one in accepted for copy in copies(one, one.verdict.action, self._held_as)
                ),
                may_bounce=entry.envelope.sender is not None,
                account=entry.client.account,
                hold=hold,
            )
        )
        if failure is not None:
            return list(self.not_kept(entry, failure))
        await self._remember(entry, mail, tools, held=held)
        self.announce(entry)
        return [kept]

    async def _turn_down(self, entry: HistoryEntry, hold: AccountHold | None) -> list[Reply]:
        """Nobody gets it; what it says of its account counts all the same."""
        if hold is not None:
            await self.holds.hold_account(hold)
        policy = self.policies.default
        replies = [refusal(one.verdict, policy.reply_codes(one.verdict), entry.ref) for one in entry.judged]
        reply = strictest(replies)
        self.turned_down(replace(entry, reply=str(reply)))
        return [reply]

    def _held_as(self, judged: Judged) -> str:
        """For approval; malware, where it goes to the gate's own readers beside others, as what it is."""
        found = category(judged.verdict, self.policies.default)
        return found if found == "malware" else APPROVAL

    def _hold(self, entry: HistoryEntry) -> AccountHold | None:
        """The hold of the account, where what is seen of it reaches the line; nothing where the gate only observes."""
        line, policy, account = (
            self.settings.policy.account_hold_at,
            self.policies.default,
            entry.client.account,
        )
        verdicts = [
            one.verdict
            for one in entry.judged
            if self.policies.for_recipient(one.recipient.address).mode is Mode.ENFORCE
        ]
        if not line or not verdicts or not account:
            return None
        verdict = max(verdicts, key=lambda one: suspicion(one, policy))
        found = suspicion(verdict, policy)
        if found < line:
            return None
        said = "; ".join(one.rstrip(".") for one in told(verdict, policy)[:SAID])
        reason = f"the account {account} may have been hijacked ({found:.1f} reaches {line:g}): {said}"
        return AccountHold(
            account=account, at=entry.at, reason=reason, ref=entry.ref,
            notices=self.notify(f"Mail of {account} is held [ref {entry.ref}]", letter(account, reason, entry), entry.at),
        )  # fmt: skip

    async def _remember(self, entry: HistoryEntry, mail: Mail, tools: Tools, *, held: bool) -> None:
        """Count it; and where it goes out, whom we write to is no stranger, and what the account does is its habit."""
        await count_sent(
            mail,
            tools.memory,
            tools.now,
            settings_of(self.door, QuotaSettings) or QuotaSettings(),
            met=not held,
        )
        if held or not any(one.verdict.action is Action.DELIVER for one in entry.judged):
            return
        habits = settings_of(self.content, HabitsSettings)
        if habits is not None:
            await learn(mail, tools.memory, tools.now, habits)
        out = [one.recipient.address for one in entry.judged if one.verdict.action is Action.DELIVER]
        for contact in written_to(entry, out, at=entry.at):
            self.acquaint(contact)


def signed_in_as_author(message: Message) -> AuthResults:
    """Nothing was looked up: the author is one of ours by signing in, which no record in the DNS could prove better."""
    return AuthResults(
        dmarc=DmarcResult(result="none", author_domain=authors(message).domain, reason="handed in by our own people")
    )  # fmt: skip


def outgoing(action: Action) -> Action:
    """There is no Junk on the way out."""
    return Action.DELIVER if action is Action.JUNK else action


def by_score(judged: Judged, action: Action) -> bool:
    """Is it held for the sum of what was seen, and not for one thing that decides?"""
    return action is Action.QUARANTINE and judged.verdict.rule.startswith("score.")


def settings_of(checks: Sequence[Configured], kind: type[T]) -> T | None:
    """The settings of the check that has them; None where it is off."""
    return next((one.settings for one in checks if isinstance(one.settings, kind)), None)


def merged(*spans: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """All spans, each once, in order."""
    return tuple(sorted({one for some in spans for one in some}))


def changes(prepared: Prepared) -> list[Finding]:
    """What is added and left out, as facts."""
    found = []
    if prepared.date:
        found.append(DATE_ADDED.found("the message had no Date, and gets one"))
    if prepared.message_id:
        found.append(ID_ADDED.found(f"the message had no Message-ID, and gets {prepared.message_id}"))
    if prepared.bcc:
        found.append(BCC_REMOVED.found("Bcc is left out, so that nobody reads who else got it"))
    if prepared.merged:
        text = f"{', '.join(prepared.merged)} stood several times and became one field each (RFC 5322 §3.6)"
        found.append(MERGED.found(text, {"fields": list(prepared.merged)}))
    if prepared.trace:
        text = f"{prepared.trace} earlier Received fields are left out: they show addresses or names of our inside"
        found.append(TRACE_WITHHELD.found(text, {"fields": prepared.trace}))
    return found


def held_findings(hold: AccountHold | None, *, held: bool) -> tuple[Finding, ...]:
    """Says in the message's story that it waits with all other mail of its account."""
    if hold is not None:
        return (HELD.found(f"{hold.reason}; its mail is held from now on"),)
    if held:
        return (IS_HELD.found("all mail of this account is held until a postmaster lets it go"),)
    return ()


def with_facts(judged: Judged, action: Action, facts: Sequence[Finding]) -> Judged:
    """What is done with it, and facts that came up after it was decided: for its story, they weigh nothing."""
    weighed = (*judged.verdict.weighed, *(Weighed(one, 0.0, Mode.ENFORCE) for one in facts))
    return replace(judged, verdict=replace(judged.verdict, action=action, weighed=weighed))


def letter(account: str, reason: str, entry: HistoryEntry) -> str:
    """To the postmaster."""
    return (
        f"From now on all mail of {account} is held: what was queued, and what it hands in.\n\n"
        f"Why:      {reason}\n"
        f"From:     {entry.client.ip}"
        + (f", device {entry.client.device}" if entry.client.device else "")
        + "\n"
        f"Message:  {entry.ref}, to {len(entry.envelope.recipients)} recipients, subject: {entry.subject}\n\n"
        "Signing in still works. If it was not the owner, change the password and revoke the app passwords first.\n\n"
        f"gatepost explain {entry.ref}                  tells what was seen\n"
        f"gatepost history --account {account}   what the account sent\n"
        f"gatepost queue release-account {account}     it was the owner: everything goes out\n"
        f"gatepost queue drop-account {account}        it was not: everything held is deleted\n"
    )
