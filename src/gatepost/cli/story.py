"""A message's whole story in plain words, as `gatepost explain` tells it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from gatepost.mail.authresults import AuthResults, DkimResult, SpfResult
from gatepost.mail.client import Client
from gatepost.mail.verdict import Action, Weighed
from gatepost.store.records import DeliveryAttempt, HistoryEntry, Judged

WORDS = {
    Action.DELIVER: "Delivered",
    Action.JUNK: "Delivered to Junk",
    Action.QUARANTINE: "Held in quarantine",
    Action.REFUSE: "Refused",
    Action.DEFER: "Asked to come back later",
}
SECURE_WORDS = {0: "DNSSEC bogus", 1: "DNSSEC not checked", 2: "DNS not signed", 3: "DNSSEC secure"}


def tell(
    entry: HistoryEntry, attempts: Sequence[DeliveryAttempt], *, only_looked_at: bool = False
) -> Iterator[str]:
    """The story, line by line; no terminal codes, everything attacker-chosen already printable.

    `only_looked_at`: the message was judged from a file, so that nothing followed.
    """
    yield f"Message {entry.ref} of {moment(entry.at)}"
    if entry.author:
        yield f"  From     {entry.author}"
    yield f"  Sender   {entry.envelope.sender or '<> (a bounce or notice)'}"
    yield f"  To       {', '.join(str(one.address) for one in entry.envelope.recipients) or '(nobody yet)'}"
    if entry.subject:
        yield f"  Subject  {entry.subject}"
    if entry.message_id:
        yield f"  Id       {entry.message_id}"
    if entry.size:
        yield f"  Size     {entry.size:,} octets"
    yield ""
    yield "What was decided"
    for judged in entry.judged:
        yield from decided(judged, observing=entry.mode == "observe")
    if entry.reply:
        yield f"  We answered: {entry.reply}"
    yield ""
    yield "Who connected"
    yield f"  {connected(entry.client)}"
    if entry.kind == "message":
        yield ""
        yield "What was proved"
        yield from proved(entry.auth)
    yield ""
    yield "What the checks saw"
    yield from seen(entry)
    if entry.kind == "message" and not only_looked_at:
        yield ""
        yield "What happened then"
        yield from followed(entry, attempts)


def decided(judged: Judged, *, observing: bool) -> Iterator[str]:
    """One recipient's verdict and its reason."""
    verdict = judged.verdict
    yield f"  {WORDS[verdict.action]} for {judged.recipient.address}"
    yield f"    because  {verdict.reason}"
    yield f"    rule     {verdict.rule}   score {verdict.score:+.1f} (log-odds; 0 is even)"
    if observing and verdict.would_action is not verdict.action:
        yield f"    the gate only observes: enforcing would have {WORDS[verdict.would_action].lower()} it"
    elif verdict.would_action is not verdict.action:
        yield f"    alone it would have been: {WORDS[verdict.would_action].lower()} (one answer is given for all recipients)"


def connected(client: Client) -> str:
    """The client in one sentence."""
    if client.ip is None:
        return "No client address is known."
    tls = f"{client.tls.version} with {client.tls.cipher}" if client.tls else "without TLS"
    user = f", signed in as {client.user}" if client.user else ""
    return f"{client.ip}, which called itself {client.hello or '(nothing yet)'}, {tls}{user}."


def proved(auth: AuthResults) -> Iterator[str]:
    """SPF, DKIM, ARC and DMARC in turn."""
    yield f"  SPF      sender: {spf_words(auth.spf_mail_from)}"
    yield f"           hello:  {spf_words(auth.spf_hello)}"
    if not auth.dkim:
        yield "  DKIM     no signature"
    for signature in auth.dkim:
        yield f"  DKIM     {dkim_words(signature)}"
    if auth.dkim_ignored:
        yield f"           {auth.dkim_ignored} more signatures were not looked at"
    if auth.arc.result != "none":
        sealers = ", ".join(auth.arc.sealers) or "nobody readable"
        yield f"  ARC      {auth.arc.result}, sealed by {sealers}" + (
            f" ({auth.arc.reason})" if auth.arc.reason else ""
        )
    dmarc = auth.dmarc
    words = f"  DMARC    {dmarc.result} for {dmarc.author_domain or 'no single author domain'}"
    if dmarc.policy_domain:
        words += f"; {dmarc.policy_domain} asks for p={dmarc.published_policy or dmarc.policy}"
    if dmarc.aligned_by:
        words += f"; aligned by {' and '.join(dmarc.aligned_by)}"
    yield words + f" ({SECURE_WORDS[int(dmarc.security)]})"
    if dmarc.reason:
        yield f"           {dmarc.reason}"


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


def seen(entry: HistoryEntry) -> Iterator[str]:
    """Every finding with what the policy made of it, the heaviest first; facts of weight nought last."""
    shown: dict[tuple[str, str], Weighed] = {}
    for judged in entry.judged:
        for weighed in judged.verdict.weighed:
            shown.setdefault((weighed.finding.key, weighed.finding.text), weighed)
    if not shown:
        shown = {}
        for finding in entry.findings:
            yield f"         {finding.key:<28} {finding.text}"
        if not entry.findings:
            yield "  nothing"
        return
    for weighed in sorted(shown.values(), key=lambda one: -abs(one.weight)):
        yield f"  {weight_words(weighed):>9}  {weighed.finding.key:<28} {weighed.finding.text}"


def weight_words(weighed: Weighed) -> str:
    """``+3.0``, ``(+3.0)`` when it only observes, ``excused``, or nothing for a plain fact."""
    if weighed.excused_by:
        return "excused"
    if weighed.weight == 0:
        return ""
    words = f"{weighed.weight:+.1f}"
    return words if weighed.mode == "enforce" else f"({words})"


def followed(entry: HistoryEntry, attempts: Sequence[DeliveryAttempt]) -> Iterator[str]:
    """The deliveries, in time's order."""
    if not attempts:
        actions = {one.verdict.action for one in entry.judged}
        if actions <= {Action.REFUSE, Action.DEFER}:
            yield "  Nothing was taken: the sender's side still has it and was told why."
        elif Action.QUARANTINE in actions:
            yield f"  It is held. To let it go: gatepost quarantine release {entry.ref}"
        else:
            yield "  It waits in the queue for its first delivery."
    for attempt in attempts:
        where = (
            f" at {attempt.host}" + (f" [{attempt.address}]" if attempt.address else "")
            if attempt.host
            else ""
        )
        tls = f", {attempt.tls_version}" if attempt.tls_version else ""
        yield f"  {moment(attempt.at)}  {attempt.status} to {attempt.to}{where}{tls}: {attempt.reply or attempt.reason}"


def moment(at: float) -> str:
    """A time as people read it, in UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
