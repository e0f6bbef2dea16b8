"""What SPF, DKIM, ARC and DMARC concluded, in the RFCs' own words (RFC 8601 §2.7)."""

from __future__ import annotations

from dataclasses import dataclass, field

from gatepost.dns.answer import Security


@dataclass(frozen=True, slots=True, kw_only=True)
class SpfResult:
    """One identity's result (RFC 7208 §2.6)."""

    result: str
    """none, neutral, pass, fail, softfail, temperror or permerror."""
    identity: str
    """``hello`` or ``mail_from``."""
    domain: str = ""
    """The domain that was checked."""
    mechanism: str | None = None
    """The directive that matched, as written, such as ``-all``."""
    explanation: str | None = None
    """The domain owner's text for a fail (RFC 7208 §6.2); attacker-chosen."""
    problem: str | None = None
    """Our sentence on a temperror or permerror, or on why nothing could be asked."""
    security: Security = Security.INDETERMINATE
    """The weakest DNSSEC state of the lookups that decided."""
    lookups: int = 0
    """DNS-querying terms used, of ten (RFC 7208 §4.6.4)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DkimResult:
    """One DKIM-Signature field (RFC 6376 §3.9, RFC 8601 §2.7.1)."""

    result: str
    """none, pass, fail, policy, neutral, temperror or permerror."""
    domain: str = ""
    """d=, as A-labels; empty when unreadable."""
    selector: str = ""
    identity: str = ""
    """i=, or its default."""
    algorithm: str = ""
    reason: str | None = None
    """Why it did not pass, one sentence."""
    bits: int | None = None
    """RSA modulus length."""
    testing: bool = False
    """The key record says t=y."""
    covers_all: bool = True
    """False when l= leaves part of the body unsigned: such a pass cannot carry DMARC."""
    signature: str = ""
    """The first characters of b=, for header.b (RFC 6008)."""
    security: Security = Security.INDETERMINATE


@dataclass(frozen=True, slots=True, kw_only=True)
class ArcResult:
    """The chain's validation status (RFC 8617 §5.2)."""

    result: str = "none"
    """none, pass or fail (temperror when a key could not be fetched)."""
    sealers: tuple[str, ...] = ()
    """d= of each seal, oldest first."""
    reason: str | None = None
    authentication_results: tuple[str, ...] = ()
    """The payload of each ARC-Authentication-Results, oldest first."""
    security: Security = Security.INDETERMINATE


@dataclass(frozen=True, slots=True, kw_only=True)
class DmarcResult:
    """DMARC as in RFC 9989."""

    result: str = "none"
    """none, pass, fail, temperror or permerror."""
    author_domain: str | None = None
    """The one domain judged; None when there is not exactly one well-formed author domain."""
    policy_domain: str | None = None
    """Where the policy record was found."""
    policy: str | None = None
    """none, quarantine or reject: what applies to this message after sp, np and t, also when it passes."""
    published_policy: str | None = None
    """The same before t=y softened it."""
    aligned_by: tuple[str, ...] = ()
    """Of ``dkim``, ``spf``."""
    testing: bool = False
    """t=y."""
    record: str | None = None
    reason: str | None = None
    security: Security = Security.INDETERMINATE


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthResults:
    """The four together; the default is a message of which nothing is known."""

    spf_hello: SpfResult = SpfResult(result="none", identity="hello")
    spf_mail_from: SpfResult = SpfResult(result="none", identity="mail_from")
    dkim: tuple[DkimResult, ...] = ()
    dkim_ignored: int = 0
    """Signatures beyond the limit, not looked at."""
    arc: ArcResult = field(default_factory=ArcResult)
    dmarc: DmarcResult = field(default_factory=DmarcResult)

    @property
    def asked(self) -> bool:
        """False where nobody was asked: the four are off, or no DNS may be used."""
        return self != _NOTHING


_NOTHING = AuthResults()
