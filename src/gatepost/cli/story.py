"""A message's whole story in plain words, as `gatepost explain` tells it: the answer first, then what it rests on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from math import exp

from gatepost.checks.references import reference_of
from gatepost.mail.authresults import AuthResults, DkimResult, SpfResult
from gatepost.mail.client import Client
from gatepost.mail.finding import BEHIND
from gatepost.mail.verdict import Action, Verdict, Weighed
from gatepost.store.records import DeliveryAttempt, HistoryEntry, Judged

Part = tuple[str, str]
"""A label with its indent, and the text that stands behind it and is continued under itself."""

WORDS = {
    Action.DELIVER: "Delivered",
    Action.JUNK: "Delivered to Junk",
    Action.QUARANTINE: "Held in quarantine",
    Action.REFUSE: "Refused",
    Action.DEFER: "Asked to come back later",
}
ON_THE_WAY = {Action.DELIVER: "Accepted for delivery", Action.JUNK: "Accepted for delivery to Junk"}
"""For mail that has not arrived yet."""
GOING_OUT = {Action.QUARANTINE: "Held for approval"}
"""For mail of our own people."""
WOULD = {
    Action.DELIVER: ("be delivered", "been delivered"),
    Action.JUNK: ("go to Junk", "gone to Junk"),
    Action.QUARANTINE: ("be held in quarantine", "been held in quarantine"),
    Action.REFUSE: ("be refused", "been refused"),
    Action.DEFER: ("be asked to come back later", "been asked to come back later"),
}
"""Behind "would", and behind "would have"."""
SECURE_WORDS = {0: "DNSSEC bogus", 1: "DNSSEC not checked", 2: "DNS not signed", 3: "DNSSEC secure"}
MANY = 10
"""Recipients named before the rest is only counted."""
NOT_ASKED = "Nothing: SPF, DKIM, ARC and DMARC are off, or the DNS was not to be asked."
LONGEST_ODDS = 1_000_000


def tell(
    entry: HistoryEntry, attempts: Sequence[DeliveryAttempt], *, only_looked_at: bool = False
) -> Iterator[Part]:
    """The story, part by part; no terminal codes, everything attacker-chosen already printable.

    `only_looked_at`: the message was judged from a file, so that nothing followed.
    """
    groups = alike(entry.judged)
    out = bool(entry.client.account)
    arrived = any(one.status == "delivered" for one in attempts)
    for verdict, people in groups:
        whom = people if len(groups) > 1 else ()
        observing = entry.mode == "observe"
        words = summary(
            verdict, whom, observing=observing, arrived=arrived, only_looked_at=only_looked_at, out=out
        )
        yield "", words
    if not groups:
        yield "", f"Turned away, because {inner(entry.findings[0].text if entry.findings else entry.reply)}."
    yield "", ""
    yield from envelope(entry, only_looked_at=only_looked_at)
    yield "", ""
    yield "", "What decided"
    yield from decided(entry, groups)
    yield "", ""
    yield "", "Who connected"
    yield "  ", connected(entry.client)
    if entry.kind == "message" and not out:
        yield "", ""
        yield "", "What was proved"
        yield from proved(entry.auth)
    yield "", ""
    yield "", "What the checks saw"
    yield from seen(entry)
    if entry.kind == "message" and not only_looked_at:
        yield "", ""
        yield "", "What happened then"
        yield from followed(entry, attempts)


def alike(judged: Iterable[Judged]) -> list[tuple[Verdict, list[str]]]:
    """Recipients of the same verdict together."""
    groups: dict[tuple[Action, Action, str, str], tuple[Verdict, list[str]]] = {}
    for one in judged:
        verdict = one.verdict
        key = (verdict.action, verdict.would_action, verdict.rule, verdict.reason)
        groups.setdefault(key, (verdict, []))[1].append(str(one.recipient.address))
    return list(groups.values())


def summary(
    verdict: Verdict,
    people: Sequence[str],
    *,
    observing: bool,
    arrived: bool,
    only_looked_at: bool,
    out: bool = False,
) -> str:
    """What was done and why, in one sentence; `people` where others of the same message fared differently."""
    action = verdict.action
    if only_looked_at:
        done = f"Would {WOULD[verdict.would_action][0]}"
    else:
        words = WORDS | GOING_OUT if out else WORDS
        done = words[action] if arrived else ON_THE_WAY.get(action, words[action])
    whom = f" for {some(people)}" if people else ""
    if verdict.would_action is action or only_looked_at:
        return f"{done}{whom}, because {because(verdict)}."
    kept, otherwise = (
        ("the gate only observes", "Enforcing, it")
        if observing
        else ("one answer is given for all recipients", "Alone it")
    )
    would = WOULD[verdict.would_action][1]
    return f"{done}{whom}, because {kept}. {otherwise} would have {would}, because {because(verdict)}."


def because(verdict: Verdict) -> str:
    """The reason, so that it fits behind the word."""
    reason = inner(verdict.reason)
    if (
        verdict.rule.startswith("session.") and reason[1:2].islower()
    ):  # an SMTP reply, which begins a sentence
        reason = reason[0].lower() + reason[1:]
    return f"its {reason}" if reason.startswith("score ") else reason


def inner(sentence: str) -> str:
    """Without its full stop."""
    return sentence.rstrip(".")


def some(people: Sequence[str]) -> str:
    """The first few by name."""
    named = ", ".join(people[:MANY])
    return f"{named} and {len(people) - MANY:,} more" if len(people) > MANY else named


def envelope(entry: HistoryEntry, *, only_looked_at: bool) -> Iterator[Part]:
    """What the message says of itself."""
    if not only_looked_at:
        way = ", outgoing" if entry.client.account else ""
        yield "  Message  ", f"{entry.ref} of {moment(entry.at)}{way}"
    if entry.author:
        yield "  From     ", entry.author
    sender = entry.envelope.sender
    if sender or not only_looked_at:
        yield "  Sender   ", str(sender or "<> (a bounce or notice)")
    if entry.signed_by:
        yield "  Signed   ", ", ".join(entry.signed_by)
    people = [str(one.address) for one in entry.envelope.recipients]
    if people or not only_looked_at:
        yield "  To       ", some(people) or "(nobody yet)"
    if entry.subject:
        yield "  Subject  ", entry.subject
    if entry.message_id:
        yield "  Id       ", entry.message_id
    if entry.size:
        yield "  Size     ", f"{entry.size:,} octets"


def decided(entry: HistoryEntry, groups: Sequence[tuple[Verdict, list[str]]]) -> Iterator[Part]:
    """The deciding rules with where to read more, the score, and our answer."""
    for verdict, people in groups:
        if len(groups) > 1:
            yield "  For      ", some(people)
        reference = reference_of(verdict.rule)
        yield "  Rule     ", verdict.rule + (f" (see {reference})" if reference else "")
        if verdict.score or verdict.rule.startswith("score."):
            yield "  Score    ", f"{verdict.score:+.1f}, {odds(verdict.score)}"
    if not groups and entry.findings:
        reference = reference_of(entry.findings[0].name)
        yield "  Rule     ", entry.findings[0].name + (f" (see {reference})" if reference else "")
    if entry.reply:
        yield "  Answer   ", entry.reply


def odds(score: float) -> str:
    """Log-odds in words."""
    if abs(score) < 0.05:
        return "as likely wanted as not"
    to_one = min(exp(min(abs(score), 20.0)), LONGEST_ODDS)
    number = f"{to_one:.1f}" if to_one < 9.95 else f"{float(f'{to_one:.2g}'):,.0f}"
    return f"odds of {number} to 1 that it is {'unwanted' if score > 0 else 'wanted'}"


def connected(client: Client) -> str:
    """The client in one sentence."""
    if client.ip is None:
        return "No client address is known."
    tls = f"{client.tls.version} with {client.tls.cipher}" if client.tls else "without TLS"
    user = f", signed in as {client.user}" if client.user else ""
    user += f" with {client.device}" if client.user and client.device else ""
    user += (
        ", a machine of our own network that need not sign in" if client.excused and not client.user else ""
    )
    return f"{client.ip}, which called itself {client.hello or '(nothing yet)'}, {tls}{user}."


def proved(auth: AuthResults) -> Iterator[Part]:
    """SPF, DKIM, ARC and DMARC in turn."""
    if not auth.asked:
        yield "  ", NOT_ASKED
        return
    yield "  SPF      ", f"sender: {spf_words(auth.spf_mail_from)}"
    yield "           ", f"hello:  {spf_words(auth.spf_hello)}"
    if not auth.dkim:
        yield "  DKIM     ", "no signature"
    for signature in auth.dkim:
        yield "  DKIM     ", dkim_words(signature)
    if auth.dkim_ignored:
        yield "           ", f"{auth.dkim_ignored} more signatures were not looked at"
    if auth.arc.result != "none":
        sealers = ", ".join(auth.arc.sealers) or "nobody readable"
        reason = f" ({auth.arc.reason})" if auth.arc.reason else ""
        yield "  ARC      ", f"{auth.arc.result}, sealed by {sealers}{reason}"
    dmarc = auth.dmarc
    words = f"{dmarc.result} for {dmarc.author_domain or 'no single author domain'}"
    if dmarc.policy_domain:
        words += f"; {dmarc.policy_domain} asks for p={dmarc.published_policy or dmarc.policy}"
    if dmarc.aligned_by:
        words += f"; aligned by {' and '.join(dmarc.aligned_by)}"
    yield "  DMARC    ", f"{words} ({SECURE_WORDS[int(dmarc.security)]})"
    if dmarc.reason:
        yield "           ", dmarc.reason


def spf_words(spf: SpfResult) -> str:
    """One identity's result."""
    words = f"{spf.result} for {spf.domain}" if spf.domain else spf.result
    if spf.mechanism:
        words += f" by {spf.mechanism}"
    if spf.problem:
        words += f" ({spf.problem})"
    return words


def dkim_words(signature: DkimResult) -> str:
    """One signature's result."""
    words = f"{signature.result} by {signature.domain or 'an unreadable domain'}"
    if signature.selector:
        words += f", selector {signature.selector}, {signature.algorithm}"
    if signature.reason:
        words += f": {signature.reason}"
    return words


def seen(entry: HistoryEntry) -> Iterator[Part]:
    """Every finding with what the policy made of it, the heaviest first; facts of weight nought last."""
    shown: dict[tuple[str, str], Weighed] = {}
    for judged in entry.judged:
        for weighed in judged.verdict.weighed:
            shown.setdefault((weighed.finding.key, weighed.finding.text), weighed)
    if not shown:
        for finding in entry.findings:
            yield " " * SEEN_INDENT, f"{inner(finding.text)}  [{named(finding.key)}]"
        if not entry.findings:
            yield "  ", "nothing"
        return
    for weighed in sorted(shown.values(), key=place):
        name = named(weighed.finding.key) + (
            f"; excused by {weighed.excused_by}" if weighed.excused_by else ""
        )
        yield f"  {weight_words(weighed):>7}  ", f"{inner(weighed.finding.text)}  [{name}]"
        words = weighed.finding.evidence.get("words")
        if isinstance(words, list) and words:
            yield " " * SEEN_INDENT, f"by the words {', '.join(words)}"
        if BEHIND in weighed.finding.evidence:
            yield " " * SEEN_INDENT, f"behind us: {weighed.finding.evidence[BEHIND]}"
    if any(weight_words(one).startswith("(") for one in shown.values()):
        yield "  ", "In parentheses: what only observes; it was not counted."


SEEN_INDENT = 11
WHEN_INDENT = 27
BOOKKEEPING = ("dnsbl.asked", "dnsbl.out_of_service", "spam.learning")
"""About our lists and what the classifier still lacks, not about the message."""


def place(weighed: Weighed) -> tuple[int, float]:
    """What counts, the heaviest first; what was excused; what is worth nothing; what is about ourselves."""
    if weighed.excused_by:
        return 1, -abs(weighed.weight)
    if weighed.weight:
        return 0, -abs(weighed.weight)
    return 3 if weighed.finding.name in BOOKKEEPING else 2, 0.0


def named(key: str) -> str:
    """A fact's name with where to read more."""
    reference = reference_of(key)
    return f"{key}, {reference}" if reference.startswith("RFC") else key


def weight_words(weighed: Weighed) -> str:
    """``+3.0``, ``(+3.0)`` when it only observes, ``excused``, or nothing for a plain fact."""
    if weighed.excused_by:
        return "excused"
    if weighed.weight == 0:
        return ""
    words = f"{weighed.weight:+.1f}"
    return words if weighed.mode == "enforce" else f"({words})"


def followed(entry: HistoryEntry, attempts: Sequence[DeliveryAttempt]) -> Iterator[Part]:
    """The deliveries, in time's order."""
    actions = {one.verdict.action for one in entry.judged}
    if not attempts:
        if actions <= {Action.REFUSE, Action.DEFER}:
            yield "  ", "Nothing was taken: the sender's side still has it and was told why."
        elif Action.QUARANTINE not in actions:
            yield "  ", "It waits in the queue for its first delivery."
    if Action.QUARANTINE in actions and not attempts:
        yield "  ", f"It is held. To let it go: gatepost quarantine release {entry.ref}"
    for one in entry.findings:
        if one.name in ("account.held", "account.is_held") and not attempts:
            yield (
                "  ",
                f"{inner(one.text)}. To let it all go: gatepost queue release-account {entry.client.account}",
            )
    for attempt in attempts:
        where = (
            f" at {attempt.host}" + (f" [{attempt.address}]" if attempt.address else "")
            if attempt.host
            else ""
        )
        tls = f", {attempt.tls_version}" if attempt.tls_version else ""
        words = f"{attempt.status} to {attempt.to}{where}{tls}: {attempt.reply or attempt.reason}"
        yield f"  {moment(attempt.at)}  ", words
        if attempt.reason and attempt.reason != attempt.reply:
            yield " " * WHEN_INDENT, attempt.reason


def moment(at: float) -> str:
    """A time as people read it, in UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
