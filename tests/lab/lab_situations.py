"""Delivery situations as data: what a domain publishes, what its mail hosts do, and what must come of it.

The same table runs against answers made up in memory (test_lab_made_up) and in a really signed tree behind a validating
resolver (test_lab_signed). Names are made from the situation's own: domain ``NAME.ZONE.test``, mail hosts
``mx1.NAME.ZONE.test`` and so on, policy host ``mta-sts.NAME.ZONE.test``.
"""

from __future__ import annotations

from dataclasses import dataclass

SECURE, PLAIN, BOGUS, HOSTS = "secure", "plain", "bogus", "hosts"
"""Zones below ``test.``: signed, not signed, signed wrongly, and a second signed one."""


@dataclass(frozen=True, kw_only=True)
class Host:
    """One mail host."""

    server: str = "good"
    """What it does: see `lab_servers`. ``none``: nobody listens."""
    zone: str = ""
    """Where its name is; empty: with the domain."""
    tlsa: tuple[str, ...] = ()
    """ee-key, ee-cert, ee-full, ee-512, ee-other, ta-key, ta-cert, ta-full, ta-other, pkix-ee, short, unknown."""
    tlsa_state: str = ""
    """bogus, lame or insecure: the zone that the TLSA records are in; empty: the host's own."""
    alias_to: str = ""
    """The host's name is a CNAME to a name in this zone."""
    tlsa_at: str = "end"
    """end (of aliases) or name: whose TLSA records they are."""
    certificate_for: str = "host"
    """host, domain, end, alias-name, elsewhere: the name in the certificate."""
    preference: int = 10


@dataclass(frozen=True, kw_only=True)
class Situation:
    name: str
    says: str
    zone: str = SECURE
    hosts: tuple[Host, ...] = (Host(),)
    mx: bool = True
    """False: no MX records; the domain has the first host's address itself."""
    sts: str = ""
    """enforce, testing, none, enforce-others, testing-others, or a way to fail: missing, redirect, html, huge, nonsense,
    untrusted, expired-certificate, wrong-name, down."""
    sts_record: str = "v=STSv1; id=1;"
    kept: str = ""
    """A policy remembered from before: enforce, testing, enforce-others; ``!`` at its end: it is over."""
    kept_id: str = "1"
    message: str = ""
    """requiretls or waived."""
    wish: str = "auto"
    names: tuple[str, ...] = ()
    result: str = "delivered"
    status: str = ""
    policy: str = "opportunistic"
    verified: bool = True
    encrypted: bool = True
    words: str = ""
    """Part of what is said to the postmaster."""
    at: int = 1
    """The number of the host that must take it."""
    report: tuple[tuple[str, str], ...] = ()
    """Policy type and result type (empty: a success) of every session, in their order."""


def _s(name: str, says: str, **rest: object) -> Situation:
    return Situation(name=name, says=says, **rest)  # type: ignore[arg-type]


GOOD_DANE = (("tlsa", ""),)
BAD_DANE = (("tlsa", "tlsa-invalid"),)
NO_POLICY = (("no-policy-found", ""),)

DANE = [
    _s("ee-key", "3 1 1 of the key in use", hosts=(Host(tlsa=("ee-key",)),), policy="dane", report=GOOD_DANE),
    _s("ee-cert", "3 0 1 of the certificate", hosts=(Host(tlsa=("ee-cert",)),), policy="dane", report=GOOD_DANE),
    _s("ee-full", "3 0 0, the whole certificate", hosts=(Host(tlsa=("ee-full",)),), policy="dane", report=GOOD_DANE),
    _s("ee-512", "3 1 2, SHA-512", hosts=(Host(tlsa=("ee-512",)),), policy="dane", report=GOOD_DANE),
    _s(
        "ee-self", "DANE-EE needs no authority", hosts=(Host(server="selfsigned", tlsa=("ee-key",)),), policy="dane",
        report=GOOD_DANE,
    ),
    _s(
        "ee-expired", "DANE-EE does not look at dates", hosts=(Host(server="expired", tlsa=("ee-key",)),), policy="dane",
        report=GOOD_DANE,
    ),
    _s(
        "ee-name", "DANE-EE does not look at names", hosts=(Host(certificate_for="elsewhere", tlsa=("ee-key",)),),
        policy="dane", report=GOOD_DANE,
    ),
    _s(
        "ee-bad", "another key than the TLSA record says", hosts=(Host(tlsa=("ee-other",)),), result="deferred",
        status="4.7.5", policy="dane", words="fits none of the TLSA records", report=BAD_DANE,
    ),
    _s(
        "roll-over", "current and next key are published", hosts=(Host(tlsa=("ee-other", "ee-key")),), policy="dane",
        report=GOOD_DANE,
    ),
    _s(
        "rolled-too-soon", "only the next key is published, the old one is in use",
        hosts=(Host(tlsa=("ee-other", "ta-other")),), result="deferred", status="4.7.5", policy="dane", report=BAD_DANE,
    ),
    _s("ta-key", "2 1 1 of the authority in the chain", hosts=(Host(server="chain", tlsa=("ta-key",)),), policy="dane", report=GOOD_DANE),
    _s("ta-cert", "2 0 1 of the authority", hosts=(Host(server="chain", tlsa=("ta-cert",)),), policy="dane", report=GOOD_DANE),
    _s(
        "ta-full", "2 0 0: the server need not send the authority", hosts=(Host(server="leaf-only", tlsa=("ta-full",)),),
        policy="dane", report=GOOD_DANE,
    ),
    _s(
        "ta-bare-key", "2 1 0: the authority is its bare key, in no certificate the server sends",
        hosts=(Host(server="leaf-only", tlsa=("ta-bare",)),), policy="dane", report=GOOD_DANE,
    ),
    _s(
        "ta-bare-other", "2 1 0 of another key", hosts=(Host(server="leaf-only", tlsa=("ta-bare-other",)),), result="deferred",
        policy="dane", report=BAD_DANE,
    ),
    _s(
        "ta-name", "DANE-TA looks at the name", hosts=(Host(server="chain", certificate_for="elsewhere", tlsa=("ta-key",)),),
        result="deferred", policy="dane", words="not for", report=(("tlsa", "certificate-host-mismatch"),),
    ),
    _s(
        "ta-domain", "the domain's own name counts for DANE-TA too",
        hosts=(Host(server="chain", certificate_for="domain", tlsa=("ta-key",)),), policy="dane", report=GOOD_DANE,
    ),
    _s(
        "ta-expired", "DANE-TA looks at dates", hosts=(Host(server="chain-expired", tlsa=("ta-key",)),), result="deferred",
        policy="dane", report=(("tlsa", "certificate-expired"),),
    ),
    _s(
        "ta-missing", "the authority is named by digest and not sent", hosts=(Host(server="leaf-only", tlsa=("ta-key",)),),
        result="deferred", policy="dane", report=BAD_DANE,
    ),
    _s(
        "ta-bad", "another authority", hosts=(Host(server="chain", tlsa=("ta-other",)),), result="deferred", policy="dane",
        report=BAD_DANE,
    ),
    _s(
        "ta-or-ee", "one record of several fits", hosts=(Host(server="chain", tlsa=("ta-other", "ee-key")),), policy="dane",
        report=GOOD_DANE,
    ),
    _s(
        "unusable", "PKIX usages only: encryption, nothing more", hosts=(Host(server="untrusted", tlsa=("pkix-ee",)),),
        policy="dane", verified=False, report=GOOD_DANE,
    ),
    _s(
        "unusable-stripped", "unusable records still forbid plain text", hosts=(Host(server="plain", tlsa=("short",)),),
        result="deferred", policy="dane", report=(("tlsa", "starttls-not-supported"),),
    ),
    _s(
        "unknown-beside-good", "records nobody knows do not spoil the others",
        hosts=(Host(tlsa=("unknown", "short", "ee-key")),), policy="dane", report=GOOD_DANE,
    ),
    _s(
        "dane-stripped", "STARTTLS is stripped", hosts=(Host(server="plain", tlsa=("ee-key",)),), result="deferred",
        status="4.7.5", policy="dane", words="STARTTLS", report=(("tlsa", "starttls-not-supported"),),
    ),
    _s(
        "dane-refused", "STARTTLS is offered and refused", hosts=(Host(server="refuses", tlsa=("ee-key",)),),
        result="deferred", policy="dane", report=(("tlsa", "starttls-not-supported"),),
    ),
    _s(
        "dane-garbled", "the handshake is broken", hosts=(Host(server="garbled", tlsa=("ee-key",)),), result="deferred",
        policy="dane", report=(("tlsa", "validation-failure"),),
    ),
    _s(
        "tlsa-bogus", "the TLSA answer is forged", hosts=(Host(tlsa=("ee-other",), tlsa_state="bogus"),), result="deferred",
        status="4.4.3", policy="dane", words="DNSSEC signatures are wrong", report=(("tlsa", "dnssec-invalid"),),
    ),
    _s(
        "tlsa-lame", "the TLSA lookup fails", hosts=(Host(server="plain", tlsa=("ee-key",), tlsa_state="lame"),),
        result="deferred", status="4.4.3", policy="dane", report=(("tlsa", "dnssec-invalid"),),
    ),
    _s(
        "tlsa-insecure", "TLSA records in an unsigned zone are no DANE",
        hosts=(Host(tlsa=("ee-other",), tlsa_state="insecure"),), policy="opportunistic", report=NO_POLICY,
    ),
    _s(
        "plain-domain", "the MX answer is not signed, so TLSA is not looked at", zone=PLAIN,
        hosts=(Host(zone=SECURE, tlsa=("ee-other",)),), policy="opportunistic", report=NO_POLICY,
    ),
    _s(
        "plain-host", "the host's address is not signed", hosts=(Host(zone=PLAIN, tlsa=("ee-other",)),),
        policy="opportunistic", report=NO_POLICY,
    ),
    _s(
        "bogus-domain", "the domain's MX answer is forged", zone=BOGUS, result="deferred", status="4.4.3", policy="none",
        encrypted=False, words="bogus",
    ),
    _s(
        "bogus-host", "the host's address is forged", hosts=(Host(zone=BOGUS),), result="deferred", status="4.4.3",
        policy="dane", report=(("tlsa", "dnssec-invalid"),),
    ),
    _s(
        "elsewhere", "mail hosts in another signed zone", hosts=(Host(zone=HOSTS, tlsa=("ee-key",)),), policy="dane",
        report=GOOD_DANE,
    ),
    _s(
        "alias-end", "the MX is an alias: TLSA at its end", hosts=(Host(alias_to=HOSTS, tlsa=("ee-key",)),), policy="dane",
        report=GOOD_DANE,
    ),
    _s(
        "alias-end-bad", "the same, and the certificate is wrong", hosts=(Host(alias_to=HOSTS, tlsa=("ee-other",)),),
        result="deferred", policy="dane", report=BAD_DANE,
    ),
    _s(
        "alias-own", "TLSA at the alias itself, none at its end", hosts=(Host(alias_to=HOSTS, tlsa=("ee-key",), tlsa_at="name"),),
        policy="dane", report=GOOD_DANE,
    ),
    _s(
        "alias-to-plain", "a secure alias into an unsigned zone may have TLSA of its own",
        hosts=(Host(alias_to=PLAIN, tlsa=("ee-other",), tlsa_at="name"),), result="deferred", policy="dane",
        report=BAD_DANE,
    ),
    _s(
        "alias-ta", "an alias' end counts as a name", hosts=(
            Host(server="chain", alias_to=HOSTS, certificate_for="end", tlsa=("ta-key",)),
        ), policy="dane", report=GOOD_DANE,
    ),
    _s(
        "implicit", "no MX: TLSA of the domain's own host", mx=False, hosts=(Host(tlsa=("ee-key",)),), policy="dane",
        report=GOOD_DANE,
    ),
    _s(
        "second-host", "the first host fails its TLSA, the second is right",
        hosts=(Host(tlsa=("ee-other",)), Host(tlsa=("ee-key",), preference=20)), policy="dane", at=2,
        report=(("tlsa", "tlsa-invalid"), ("tlsa", "")),
    ),
    _s(
        "second-without", "a second host without TLSA takes it when the first is down (RFC 7672 decides host by host)",
        hosts=(Host(server="none", tlsa=("ee-key",)), Host(preference=20)), policy="opportunistic", at=2,
        report=NO_POLICY,
    ),
]  # fmt: skip

STS = [
    _s("enforced", "a good certificate", zone=PLAIN, sts="enforce", policy="mta-sts", report=(("sts", ""),)),
    _s(
        "enforced-name", "the certificate is for another name", zone=PLAIN, sts="enforce",
        hosts=(Host(certificate_for="elsewhere"),), result="deferred", status="4.7.5", policy="mta-sts",
        words="enforces MTA-STS", report=(("sts", "certificate-host-mismatch"),),
    ),
    _s(
        "enforced-expired", "the certificate is over", zone=PLAIN, sts="enforce", hosts=(Host(server="expired"),),
        result="deferred", policy="mta-sts", report=(("sts", "certificate-expired"),),
    ),
    _s(
        "enforced-untrusted", "nobody knows the authority", zone=PLAIN, sts="enforce", hosts=(Host(server="untrusted"),),
        result="deferred", policy="mta-sts", report=(("sts", "certificate-not-trusted"),),
    ),
    _s(
        "enforced-self", "signed by itself", zone=PLAIN, sts="enforce", hosts=(Host(server="selfsigned"),),
        result="deferred", policy="mta-sts", report=(("sts", "certificate-not-trusted"),),
    ),
    _s(
        "enforced-stripped", "STARTTLS is stripped", zone=PLAIN, sts="enforce", hosts=(Host(server="plain"),),
        result="deferred", policy="mta-sts", report=(("sts", "starttls-not-supported"),),
    ),
    _s(
        "enforced-garbled", "the handshake is broken", zone=PLAIN, sts="enforce", hosts=(Host(server="garbled"),),
        result="deferred", policy="mta-sts", report=(("sts", "validation-failure"),),
    ),
    _s(
        "spoofed-mx", "a forged MX leads to a host with a good certificate of its own", zone=PLAIN, sts="enforce-others",
        result="deferred", status="4.7.5", policy="mta-sts", words="no mail host of", report=(("sts", "validation-failure"),),
    ),
    _s(
        "one-stranger", "a host that the policy does not know is passed over", zone=PLAIN, sts="enforce-second",
        hosts=(Host(), Host(preference=20)), policy="mta-sts", at=2, report=(("sts", "validation-failure"), ("sts", "")),
    ),
    _s("wild", "the policy's star stands for one label", zone=PLAIN, sts="enforce-star", policy="mta-sts", report=(("sts", ""),)),
    _s(
        "wild-deep", "and not for two", zone=PLAIN, sts="enforce-star-above", result="deferred", policy="mta-sts",
        report=(("sts", "validation-failure"),),
    ),
    _s("tested", "testing, all well", zone=PLAIN, sts="testing", policy="opportunistic", report=(("sts", ""),)),
    _s(
        "tested-name", "testing: a wrong name is only reported", zone=PLAIN, sts="testing",
        hosts=(Host(certificate_for="elsewhere"),), verified=False, policy="opportunistic", words="testing",
        report=(("sts", "certificate-host-mismatch"),),
    ),
    _s(
        "tested-expired", "testing: an old certificate is only reported", zone=PLAIN, sts="testing",
        hosts=(Host(server="expired"),), verified=False, report=(("sts", "certificate-expired"),),
    ),
    _s(
        "tested-stripped", "testing: no STARTTLS is only reported", zone=PLAIN, sts="testing", hosts=(Host(server="plain"),),
        verified=False, encrypted=False, report=(("sts", "starttls-not-supported"),),
    ),
    _s(
        "tested-stranger", "testing: an unknown host is only reported", zone=PLAIN, sts="testing-others",
        report=(("sts", "validation-failure"),),
    ),
    _s("switched-off", "mode none", zone=PLAIN, sts="none", hosts=(Host(server="untrusted"),), verified=False, report=NO_POLICY),
    _s(
        "policy-missing", "404 for the policy, and none remembered", zone=PLAIN, sts="missing",
        report=(("sts", "sts-policy-fetch-error"),),
    ),
    _s(
        "policy-redirects", "a redirect is not followed", zone=PLAIN, sts="redirect",
        report=(("sts", "sts-policy-fetch-error"),),
    ),
    _s("policy-html", "not text/plain", zone=PLAIN, sts="html", report=(("sts", "sts-policy-invalid"),)),
    _s("policy-huge", "over 64 KiB", zone=PLAIN, sts="huge", report=(("sts", "sts-policy-fetch-error"),)),
    _s("policy-nonsense", "no policy in it", zone=PLAIN, sts="nonsense", report=(("sts", "sts-policy-invalid"),)),
    _s(
        "policy-untrusted", "the policy host's authority is unknown", zone=PLAIN, sts="untrusted",
        report=(("sts", "sts-webpki-invalid"),),
    ),
    _s(
        "policy-expired", "the policy host's certificate is over", zone=PLAIN, sts="expired-certificate",
        report=(("sts", "sts-webpki-invalid"),),
    ),
    _s(
        "policy-wrong-name", "the policy host is somebody else", zone=PLAIN, sts="wrong-name",
        report=(("sts", "sts-webpki-invalid"),),
    ),
    _s("policy-down", "nobody at the policy host", zone=PLAIN, sts="down", report=(("sts", "sts-policy-fetch-error"),)),
    _s("two-records", "two records are none", zone=PLAIN, sts="enforce", sts_record="two", hosts=(Host(server="untrusted"),), verified=False, report=NO_POLICY),
    _s("no-id", "a record without an id is none", zone=PLAIN, sts="enforce", sts_record="v=STSv1;", hosts=(Host(server="untrusted"),), verified=False, report=NO_POLICY),
    _s(
        "remembered", "the policy host is down, the policy is remembered", zone=PLAIN, sts="down", kept="enforce",
        hosts=(Host(server="untrusted"),), result="deferred", policy="mta-sts", report=(("sts", "certificate-not-trusted"),),
    ),
    _s(
        "remembered-no-record", "an attacker takes the record away, the policy is remembered", zone=PLAIN, kept="enforce",
        hosts=(Host(server="plain"),), result="deferred", policy="mta-sts", report=(("sts", "starttls-not-supported"),),
    ),
    _s(
        "remembered-new-bad", "the record changed and the new policy cannot be had: the old one holds", zone=PLAIN,
        sts="missing", kept="enforce", kept_id="0", hosts=(Host(server="untrusted"),), result="deferred",
        policy="mta-sts", report=(("sts", "certificate-not-trusted"),),
    ),
    _s(
        "renewed", "the record changed: the new policy counts", zone=PLAIN, sts="none", kept="enforce", kept_id="0",
        hosts=(Host(server="untrusted"),), verified=False, report=NO_POLICY,
    ),
    _s(
        "hardened", "from testing to enforce", zone=PLAIN, sts="enforce", kept="testing", kept_id="0",
        hosts=(Host(server="untrusted"),), result="deferred", policy="mta-sts", report=(("sts", "certificate-not-trusted"),),
    ),
    _s(
        "remembered-over", "what is remembered is over, and there is no record any more", zone=PLAIN, kept="enforce!",
        hosts=(Host(server="untrusted"),), verified=False, report=NO_POLICY,
    ),
    _s(
        "over-and-down", "what is remembered is over and the policy host is down", zone=PLAIN, sts="down", kept="enforce!",
        hosts=(Host(server="untrusted"),), verified=False, report=(("sts", "sts-policy-fetch-error"),),
    ),
    _s(
        "sts-implicit", "MTA-STS without MX: the domain's own name", zone=PLAIN, mx=False, sts="enforce-domain",
        policy="mta-sts", report=(("sts", ""),),
    ),
]  # fmt: skip

BOTH = [
    _s(
        "dane-first", "DANE decides where both exist: its certificate is right, no authority knows it", sts="enforce",
        hosts=(Host(server="selfsigned", tlsa=("ee-key",)),), policy="dane", report=GOOD_DANE,
    ),
    _s(
        "dane-fails-first", "a good certificate for MTA-STS does not help against a wrong TLSA", sts="enforce",
        hosts=(Host(tlsa=("ee-other",)),), result="deferred", policy="dane", report=BAD_DANE,
    ),
    _s(
        "testing-beside-dane", "testing does not soften DANE", sts="testing", hosts=(Host(tlsa=("ee-other",)),),
        result="deferred", policy="dane", report=BAD_DANE,
    ),
    _s(
        "unusable-then-sts", "unusable TLSA: MTA-STS decides", sts="enforce",
        hosts=(Host(server="untrusted", tlsa=("pkix-ee",)),), result="deferred", policy="mta-sts",
        report=(("sts", "certificate-not-trusted"),),
    ),
    _s("signed-sts", "no TLSA in a signed zone: MTA-STS", sts="enforce", policy="mta-sts", report=(("sts", ""),)),
    _s(
        "bogus-tlsa-sts", "forged TLSA defers, MTA-STS or not", sts="enforce",
        hosts=(Host(tlsa=("ee-key",), tlsa_state="bogus"),), result="deferred", policy="dane",
        report=(("tlsa", "dnssec-invalid"),),
    ),
]  # fmt: skip

NOTHING = [
    _s("open-good", "no policy, good certificate", zone=PLAIN, report=NO_POLICY),
    _s("open-untrusted", "no policy, unknown authority", zone=PLAIN, hosts=(Host(server="untrusted"),), verified=False, report=NO_POLICY),
    _s(
        "open-plain", "no policy, no STARTTLS", zone=PLAIN, hosts=(Host(server="plain"),), verified=False, encrypted=False,
        words="STARTTLS is not offered", report=(("no-policy-found", "starttls-not-supported"),),
    ),
    _s(
        "open-garbled", "no policy, TLS does not work", zone=PLAIN, hosts=(Host(server="garbled"),), verified=False,
        encrypted=False, report=(("no-policy-found", "validation-failure"),),
    ),
    _s(
        "wish-required", "the operator requires a certificate", zone=PLAIN, wish="required", hosts=(Host(server="untrusted"),),
        result="deferred", policy="required", report=(("no-policy-found", "certificate-not-trusted"),),
    ),
    _s("wish-required-good", "and it is there", zone=PLAIN, wish="required", policy="required", report=NO_POLICY),
    _s(
        "wish-required-spoofed", "to require a certificate does not set an enforced policy aside: a forged MX has a good one of its own",
        zone=PLAIN, wish="required", sts="enforce-others", result="deferred", status="4.7.5", policy="mta-sts",
        words="no mail host of", report=(("sts", "validation-failure"),),
    ),
    _s(
        "wish-required-sts", "both are content, and the policy is told of", zone=PLAIN, wish="required", sts="enforce",
        policy="required", report=(("sts", ""),),
    ),
    _s(
        "wish-required-testing", "nor does testing soften what the operator requires", zone=PLAIN, wish="required", sts="testing",
        hosts=(Host(certificate_for="elsewhere"),), result="deferred", policy="required",
        report=(("sts", "certificate-host-mismatch"),),
    ),
    _s(
        "wish-names-sts", "names that the operator gives stand for the policy's hosts", zone=PLAIN, wish="required",
        names=("elsewhere.test",), sts="enforce-others", hosts=(Host(certificate_for="elsewhere"),), policy="required",
        report=NO_POLICY,
    ),
    _s(
        "wish-names", "another name that the operator takes", zone=PLAIN, wish="required", names=("elsewhere.test",),
        hosts=(Host(certificate_for="elsewhere"),), policy="required", report=NO_POLICY,
    ),
    _s(
        "wish-dane", "the operator requires DANE, and there is none", zone=PLAIN, wish="dane", result="deferred",
        policy="dane", report=(("no-policy-found", "dane-required"),),
    ),
    _s("wish-dane-good", "and there is", wish="dane", hosts=(Host(tlsa=("ee-key",)),), policy="dane", report=GOOD_DANE),
    _s(
        "wish-none", "the operator switched TLS off", zone=PLAIN, wish="none", policy="none", verified=False,
        encrypted=False,
    ),
    _s(
        "wish-opportunistic", "the operator sets DANE aside", wish="opportunistic", hosts=(Host(tlsa=("ee-other",)),),
        report=NO_POLICY,
    ),
]  # fmt: skip

REQUIRETLS = [
    _s(
        "rt-dane", "REQUIRETLS over DANE", message="requiretls", hosts=(Host(server="requiretls", tlsa=("ee-key",)),),
        policy="dane", report=GOOD_DANE,
    ),
    _s(
        "rt-sts", "REQUIRETLS over MTA-STS", zone=PLAIN, message="requiretls", sts="enforce",
        hosts=(Host(server="requiretls"),), policy="mta-sts", report=(("sts", ""),),
    ),
    _s(
        "rt-testing", "a policy in testing vouches for the host's name, the certificate must verify", zone=PLAIN,
        message="requiretls", sts="testing", hosts=(Host(server="requiretls-untrusted"),), result="failed",
        status="5.7.10", policy="required", report=(("sts", "certificate-not-trusted"),),
    ),
    _s(
        "rt-signed", "DNSSEC vouches for the MX, a good certificate for the host", message="requiretls",
        hosts=(Host(server="requiretls"),), policy="required", report=NO_POLICY,
    ),
    _s(
        "rt-unvouched", "nobody vouches for the MX", zone=PLAIN, message="requiretls", hosts=(Host(server="requiretls"),),
        result="failed", status="5.7.10", policy="required", words="vouches",
        report=(("no-policy-found", "validation-failure"),),
    ),
    _s(
        "rt-not-offered", "the host does not do REQUIRETLS", message="requiretls", hosts=(Host(tlsa=("ee-key",)),),
        result="failed", status="5.7.30", policy="dane", report=GOOD_DANE,
    ),
    _s(
        "rt-second", "the second host does", message="requiretls", at=2, policy="required",
        hosts=(Host(), Host(server="requiretls", preference=20)), report=(*NO_POLICY, *NO_POLICY),
    ),
    _s(
        "rt-stripped", "no STARTTLS", message="requiretls", hosts=(Host(server="plain"),), result="failed",
        status="5.7.10", policy="required", report=(("no-policy-found", "starttls-not-supported"),),
    ),
    _s(
        "rt-untrusted", "a certificate of nobody", message="requiretls", hosts=(Host(server="requiretls-untrusted"),),
        result="failed", status="5.7.10", policy="required", report=(("no-policy-found", "certificate-not-trusted"),),
    ),
    _s(
        "rt-bad-tlsa", "REQUIRETLS and a wrong TLSA", message="requiretls", hosts=(Host(server="requiretls", tlsa=("ee-other",)),),
        result="failed", status="5.7.10", policy="dane", report=BAD_DANE,
    ),
    _s(
        "rt-forged", "REQUIRETLS and forged TLSA: it waits", message="requiretls",
        hosts=(Host(server="requiretls", tlsa=("ee-key",), tlsa_state="bogus"),), result="deferred", status="4.4.3",
        policy="dane", report=(("tlsa", "dnssec-invalid"),),
    ),
    _s(
        "rt-over-wish", "the operator's laxness does not undo REQUIRETLS", message="requiretls", wish="none",
        hosts=(Host(server="plain"),), result="failed", status="5.7.10", policy="required",
        report=(("no-policy-found", "starttls-not-supported"),),
    ),
    _s(
        "waived-dane", "TLS-Required: no sets a wrong TLSA aside", message="waived", hosts=(Host(tlsa=("ee-other",)),),
        words="TLS-Required", report=(),
    ),
    _s(
        "waived-sts", "and an enforced policy", zone=PLAIN, message="waived", sts="enforce", hosts=(Host(server="plain"),),
        verified=False, encrypted=False, report=(),
    ),
    _s(
        "waived-not-wish", "but not what the operator requires", zone=PLAIN, message="waived", wish="required",
        hosts=(Host(server="untrusted"),), result="deferred", policy="required",
        report=(("no-policy-found", "certificate-not-trusted"),),
    ),
]  # fmt: skip

SITUATIONS = [*DANE, *STS, *BOTH, *NOTHING, *REQUIRETLS]
