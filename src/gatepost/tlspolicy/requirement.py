"""What must hold of the TLS session to one mail host, for one message: one pure function, `requirement`.

In order: what the operator demands of a destination, what the message demands (REQUIRETLS, RFC 8689) or waives
(``TLS-Required: no``), DANE (RFC 7672), MTA-STS (RFC 8461), and else encryption where it is offered (RFC 7435).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import lru_cache

from gatepost.dns.answer import Answer, Security, Status
from gatepost.tlspolicy.dane import DANE_TA, USED_MOST, Tlsa, in_use, read_tlsa
from gatepost.tlspolicy.mta_sts import StsKnown, StsMode, knows
from gatepost.tlspolicy.tlsrpt import Failure, Policy, PolicyKind, Trouble


class Wish(StrEnum):
    """What the operator demands of a destination."""

    AUTO = "auto"
    """What the destination publishes: DANE, then MTA-STS, else encryption where it is offered."""
    NONE = "none"
    """No TLS at all."""
    OPPORTUNISTIC = "opportunistic"
    """Encryption where it is offered, whatever is published."""
    REQUIRED = "required"
    """A certificate that verifies, or nothing is sent; DANE counts where it is published."""
    DANE = "dane"
    """DANE, or nothing is sent."""


class Proof(StrEnum):
    """How the server proves that it is the one."""

    NONE = "none"
    PKIX = "pkix"
    """A certificate of a trusted authority, for the name."""
    DANE = "dane"
    """A certificate that fits a TLSA record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """All that is known before a mail host is asked."""

    domain: str
    """The recipients' domain."""
    host: str
    """Its mail host, as the MX record names it."""
    mx: Security = Security.INDETERMINATE
    """Of the answer that named the host."""
    address: Security = Security.INDETERMINATE
    """Of the host's addresses, the aliases on the way included."""
    tlsa: Answer | None = None
    """The TLSA records; None when nobody asked, because there can be no DANE."""
    tlsa_base: str = ""
    """The name they belong to: the host, or what its aliases lead to (RFC 7672 §2.2.3)."""
    sts: StsKnown = field(default_factory=StsKnown)
    wish: Wish = Wish.AUTO
    names: tuple[str, ...] = ()
    """What the operator takes as the host's name besides its own."""
    require_tls: bool = False
    """REQUIRETLS."""
    waived: bool = False
    """``TLS-Required: no``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """What must hold."""

    policy: str
    """dane, mta-sts, required, opportunistic or none: what decided."""
    reason: str
    """Why, in one sentence."""
    encrypted: bool = False
    """Nothing is sent without TLS."""
    tried: bool = True
    """TLS is used where it is offered."""
    proof: Proof = Proof.NONE
    names: tuple[str, ...] = ()
    """Any of these will do."""
    server_name: str = ""
    """What is asked for in the handshake (SNI)."""
    tlsa: tuple[Tlsa, ...] = ()
    obstacle: Failure | None = None
    """Why nothing may be sent to this host at all now."""
    permanent: bool = False
    """The sender is told at once when no host of the domain does better (RFC 8689 §4.2.1)."""
    reported: tuple[Policy, ...] = ()
    """Under which policies a session is counted for the domain's report."""
    amiss: tuple[tuple[Policy, Failure], ...] = ()
    """What is wrong with a policy that does not keep the mail back: reported."""

    @property
    def session(self) -> tuple[object, ...]:
        """What a session must have in common with another to serve both."""
        return (self.encrypted, self.tried, self.proof, self.names, self.server_name, self.tlsa)


def requirement(at: Situation) -> Requirement:
    """What must hold of a session to `at.host` for mail to `at.domain`. Never raises."""
    if at.require_tls:
        return _under_require_tls(at)
    if at.waived and at.wish in (Wish.AUTO, Wish.OPPORTUNISTIC):  # RFC 8689 §4.2.2
        words = "the message says TLS-Required: no, so policies of the recipient's side are set aside"
        # Nor is it counted: reports themselves go so, and are no part of the next one (RFC 8460 §3).
        return replace(_opportunistic(at, words), reported=())
    return _by_wish(at)


def _by_wish(at: Situation) -> Requirement:
    if at.wish is Wish.NONE:
        return Requirement(
            policy="none", tried=False, reason=f"TLS is switched off for {at.domain} by configuration"
        )
    if at.wish is Wish.OPPORTUNISTIC:
        return _opportunistic(at, f"TLS is opportunistic for {at.domain} by configuration")
    dane = _dane(at)
    if dane is not None and (dane.obstacle is not None or dane.proof is Proof.DANE):
        return dane
    if at.wish is Wish.DANE:
        return _blocked("dane", Trouble.DANE_REQUIRED, f"DANE is required for {at.domain}, and {at.host} has no usable TLSA records",
            _no_policy(at),
        )  # fmt: skip
    if at.wish is Wish.REQUIRED:
        return _required(at)
    sts = _sts(at)
    if sts is not None and sts.policy == "mta-sts":
        return sts
    return dane or sts or _opportunistic(at, f"{at.domain} publishes no TLS policy")


def _required(at: Situation) -> Requirement:
    """A certificate of the host, and of a host that the domain's policy knows: whoever forges the MX has a good one of their own.

    Names that the operator gives prove the host whatever the MX says.
    """
    sts = _sts(at) if not at.names else None
    if sts is not None and sts.obstacle is not None:
        return sts
    words = f"a verified certificate is required for {at.domain} by configuration"
    if sts is None:
        return _pkix(at, "required", words, (_no_policy(at),))
    return replace(_pkix(at, "required", words, sts.reported), amiss=sts.amiss)


def _under_require_tls(at: Situation) -> Requirement:
    """RFC 8689 §4.2.1: a host named by DNSSEC or MTA-STS, TLS, a verified certificate; the verb is asked for later."""
    found = _by_wish(replace(at, wish=Wish.AUTO if at.wish in (Wish.NONE, Wish.OPPORTUNISTIC) else at.wish))
    if found.obstacle is not None:
        return replace(found, permanent=found.obstacle.trouble is not Trouble.DNSSEC_INVALID)
    vouched = at.mx is Security.SECURE or (
        at.sts.policy is not None and at.sts.policy.mode is not StsMode.NONE and knows(at.sts.policy, at.host)
    )
    if not vouched and at.host != at.domain:
        words = f"REQUIRETLS is asked for, and neither DNSSEC nor MTA-STS vouches for {at.host} as a mail host of {at.domain}"
        return replace(
            found, policy="required", reason=words, obstacle=Failure(Trouble.FAILED, words), permanent=True
        )
    if found.proof is Proof.NONE:
        return replace(
            _pkix(at, "required", "the sender asked for REQUIRETLS", found.reported),
            permanent=True,
            amiss=found.amiss,
        )
    return replace(found, permanent=True, reason=f"{found.reason}; the sender asked for REQUIRETLS")


def _dane(at: Situation) -> Requirement | None:
    """RFC 7672 §2.2; None when DANE does not apply to this host."""
    if at.mx is Security.SECURE and at.address is Security.BOGUS:
        return _blocked(
            "dane",
            Trouble.DNSSEC_INVALID,
            f"the DNSSEC signatures for {at.host} are wrong",
            _tlsa(at, ()),
        )
    if at.mx is not Security.SECURE or at.tlsa is None:
        return None
    if at.tlsa.status is Status.FAILED:  # §2.1.2: never taken for "there are none"
        why = (
            "their DNSSEC signatures are wrong"
            if at.tlsa.problem == "bogus"
            else at.tlsa.problem or "no answer"
        )
        words = f"the TLSA records of {at.host} could not be looked up ({why})"
        return _blocked("dane", Trouble.DNSSEC_INVALID, words, _tlsa(at, ()))
    if at.tlsa.status is not Status.FOUND or at.tlsa.security is not Security.SECURE:
        return None
    base = at.tlsa_base or at.host
    used = _used(at.tlsa.records)
    policy = _tlsa(at, at.tlsa.records)
    if not used:  # §2.2: encryption is a must, the certificate is not looked at
        return Requirement(
            policy="dane", encrypted=True, server_name=base, reported=(policy,),
            reason=f"{at.host} has TLSA records but none that can be used, so only encryption is required",
        )  # fmt: skip
    names = (
        tuple(dict.fromkeys((base, at.host, at.domain))) if any(one.usage == DANE_TA for one in used) else ()
    )
    return Requirement(
        policy="dane", encrypted=True, proof=Proof.DANE, tlsa=used, names=names, server_name=base, reported=(policy,),
        reason=f"{at.host} publishes DNSSEC-secure TLSA records",
    )  # fmt: skip


@lru_cache(maxsize=256)
def _used(records: tuple[str, ...]) -> tuple[Tlsa, ...]:
    """The same for every message to a host."""
    return in_use(read_tlsa(records))


def _sts(at: Situation) -> Requirement | None:
    """RFC 8461 §5; None when there is no policy."""
    known = at.sts
    if known.bogus:
        words = f"the DNSSEC signatures of the MTA-STS record of {at.domain} are wrong"
        return _blocked(
            "mta-sts", Trouble.DNSSEC_INVALID, words, Policy(kind=PolicyKind.STS, domain=at.domain)
        )
    if known.policy is None:
        if not known.trouble:
            return None
        failure = Failure(Trouble(known.trouble), known.words)
        policy = Policy(kind=PolicyKind.STS, domain=at.domain)
        words = f"{at.domain} announces MTA-STS but its policy could not be had ({known.words})"
        return replace(_opportunistic(at, words), reported=(), amiss=((policy, failure),))
    if known.policy.mode is StsMode.NONE:
        return None
    policy = Policy(kind=PolicyKind.STS, domain=at.domain, lines=known.policy.lines, mx=known.policy.mx)
    stranger = None
    if not knows(known.policy, at.host):
        stranger = Failure(Trouble.FAILED, f"{at.host} is no mail host of {at.domain} by its MTA-STS policy")
    if known.policy.mode is StsMode.TESTING:
        found = _opportunistic(
            at, f"the MTA-STS policy of {at.domain} is in testing, so failures are reported only"
        )
        if stranger is not None:
            return replace(found, reported=(), amiss=((policy, stranger),))
        return replace(found, reported=(policy,))
    if stranger is not None:
        return _blocked("mta-sts", stranger.trouble, stranger.words, policy)
    return _pkix(at, "mta-sts", f"{at.domain} enforces MTA-STS", (policy,))


def _opportunistic(at: Situation, reason: str) -> Requirement:
    return Requirement(
        policy="opportunistic",
        reason=reason,
        names=(at.host,),
        server_name=at.host,
        reported=(_no_policy(at),),
    )


def _pkix(at: Situation, policy: str, reason: str, reported: Sequence[Policy]) -> Requirement:
    names = at.names if policy == "required" and at.names else (at.host,)
    return Requirement(
        policy=policy, encrypted=True, proof=Proof.PKIX, names=names, server_name=at.host, reason=reason,
        reported=tuple(reported),
    )  # fmt: skip


def _blocked(policy: str, trouble: Trouble, words: str, reported: Policy) -> Requirement:
    return Requirement(
        policy=policy, encrypted=True, reason=words, obstacle=Failure(trouble, words), reported=(reported,)
    )


def _tlsa(at: Situation, records: Sequence[str]) -> Policy:
    base = at.tlsa_base or at.host
    lines = tuple(sorted(records)[:USED_MOST])
    return Policy(kind=PolicyKind.TLSA, domain=at.domain, lines=lines, base=base)


def _no_policy(at: Situation) -> Policy:
    return Policy(kind=PolicyKind.NONE, domain=at.domain)


_WAIVER = re.compile(rb"^tls-required[ \t]*:[ \t\r\n]*no[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)


def waives_tls(octets: bytes) -> bool:
    """Does the header of this message say ``TLS-Required: no`` (RFC 8689 §5)?"""
    end = octets.find(b"\r\n\r\n")
    header = octets[: end + 2] if end >= 0 else octets
    return _WAIVER.search(header) is not None
