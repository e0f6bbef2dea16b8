"""What came of one try to hand mail over, and the words for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from gatepost.net.link import Broken, Link
from gatepost.smtp.client import Finished
from gatepost.smtp.sending import Hop, Outcome, Outgoing, Result, deferred, failed, outcome_of
from gatepost.tlspolicy.requirement import Proof, Requirement
from gatepost.tlspolicy.tlsrpt import Trouble

NOT_OFFERED = frozenset({"5.7.30", "5.6.7", "5.6.3"})
"""Our own words for a host without REQUIRETLS, SMTPUTF8 or 8BITMIME."""


class Sent(NamedTuple):
    """What came of one try."""

    host: str
    address: str
    outcomes: tuple[Outcome, ...]
    """One for each recipient, in their order."""
    dsn_offered: bool = False
    tls_version: str | None = None
    tls_policy: str = "none"
    """dane, mta-sts, required, opportunistic or none."""
    tls_verified: bool = False
    reason: str = ""
    """What was required of TLS and why, and what came of it, in one sentence."""
    unreachable: bool = False
    """No session came about: the destination, not the message, is the trouble."""
    committed: bool = False
    also: str = ""
    """What other hosts of the domain, which were asked too, said; one sentence each."""


def beside(sent: Sent, others: Sequence[Sent]) -> Sent:
    """With the words of the others that were asked for the same message: people look for the host that is in the way."""
    if not others:
        return sent
    told = (f"{one.host} was asked, too: {one.outcomes[0].words.rstrip('.')}." for one in others)
    return sent._replace(also=" ".join(told))


def unfit(sent: Sent) -> bool:
    """Nothing was said but that this host does not offer what the message needs: another one may."""
    return all(one.status in NOT_OFFERED and one.reply is None for one in sent.outcomes)


def put_off(sent: Sent) -> bool:
    """It said "not now" of every recipient, or fell silent, and cannot have the message: another host may be asked at once."""
    return not sent.unreachable and all(
        one.result is Result.DEFERRED and (one.reply is not None or not sent.committed)
        for one in sent.outcomes
    )


def came_of(hop: Hop, link: Link, need: Requirement, done: Finished) -> Sent:
    """A session took place."""
    return Sent(
        host=hop.host or hop.path,
        address=link.address,
        outcomes=done.outcomes,
        dsn_offered=done.dsn_offered,
        tls_version=link.tls_version,
        tls_policy=need.policy,
        tls_verified=link.tls_verified,
        reason=told(need, link),
        committed=done.committed,
    )


def told(need: Requirement, link: Link) -> str:
    """What was required and what came of it."""
    if link.tls_version is None:
        came = "nothing was encrypted"
        if need.tried:
            came += f" ({link.unverified.words})" if link.unverified else ", because STARTTLS is not offered"
    elif link.tls_verified:
        came = f"{link.tls_version} with a certificate that "
        came += "fits them" if need.proof is Proof.DANE else "verifies"
    else:
        came = f"{link.tls_version} with a certificate that "
        came += "was not looked at" if need.encrypted else "does not verify"
        came += f" ({link.unverified.words})" if link.unverified and not need.encrypted else ""
    return f"{need.reason[:1].upper()}{need.reason[1:]}: {came}."


def kept_back(hop: Hop, need: Requirement, message: Outgoing) -> Sent:
    """The policy forbids this host now."""
    assert need.obstacle is not None
    words = f"{need.obstacle.words[:1].upper()}{need.obstacle.words[1:]}."
    status = "4.4.3" if need.obstacle.trouble is Trouble.DNSSEC_INVALID else "4.7.5"
    outcome = failed("5.7.10", words) if need.permanent else deferred(status, words)
    return Sent(
        host=hop.host,
        address="",
        outcomes=(outcome,) * len(message.recipients),
        tls_policy=need.policy,
        reason=words,
        unreachable=True,
    )


def unreached(hop: Hop, address: str, need: Requirement, message: Outgoing, broken: Broken) -> Sent:
    """No session, or none that could be used."""
    fault = broken.fault
    if fault.permanent:
        outcome = failed("5.3.2", f"{hop.host} says that it takes no mail: {fault.words}")
    elif fault.stage == "auth":
        outcome = deferred("4.7.8", fault.words)
    elif fault.stage == "tls":
        words = f"{fault.words}; {need.reason}" if need.encrypted else fault.words
        outcome = failed("5.7.10", words) if need.permanent else deferred("4.7.5", words)
    elif fault.reply is not None and fault.reply.code // 100 == 4:
        outcome = outcome_of(fault.reply)
    else:
        outcome = deferred("4.4.1" if fault.stage == "connect" else "4.4.2", fault.words)
    return Sent(
        host=hop.host or hop.path,
        address=address,
        outcomes=(outcome,) * len(message.recipients),
        tls_policy=need.policy,
        reason=f"{need.reason[:1].upper()}{need.reason[1:]}.",
        unreachable=True,
    )


def nowhere(host: str, message: Outgoing, outcome: Outcome) -> Sent:
    """There is no host to ask."""
    return Sent(host=host, address="", outcomes=(outcome,) * len(message.recipients), unreachable=True)
