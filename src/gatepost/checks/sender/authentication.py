"""Is the sender who it says? What SPF, DKIM, ARC and DMARC concluded, as facts in words.

Four small checks over `Mail.auth`, so that each has its settings and its mode. They ask nobody: the
proving was done by `mailauth`. Weights: a broken signature is worth no more than a missing one (RFC 6376
§6.3); what SPF and DKIM say matters mostly through DMARC (RFC 9989). Left out: how the results came about.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from gatepost.checks.check import Check, Emits
from gatepost.mail.address import printable
from gatepost.mail.authresults import DkimResult, DmarcResult, SpfResult
from gatepost.mail.client import Mail
from gatepost.mail.finding import Evidence, Finding, Mode
from gatepost.mail.verdict import Action
from gatepost.tools import Tools

_BY_SIGNATURE = ("dmarc.pass", "forwarder.trusted")

SPF_EMITS = (
    Emits(
        name="spf.pass",
        about="The client may send for the envelope sender's domain.",
        reference="RFC 7208 §8.3",
    ),
    Emits(
        name="spf.fail",
        about="The envelope sender's domain says that this client may not send for it.",
        reference="RFC 7208 §8.4",
        weight=1.5,
        group="sender",
        excused_by=_BY_SIGNATURE,
    ),
    Emits(
        name="spf.softfail",
        about="The envelope sender's domain doubts this client.",
        reference="RFC 7208 §8.5",
        weight=0.7,
        group="sender",
        excused_by=_BY_SIGNATURE,
    ),
    Emits(
        name="spf.neutral",
        about="The envelope sender's domain says nothing about this client.",
        reference="RFC 7208 §8.2",
        weight=0.2,
        group="sender",
    ),
    Emits(
        name="spf.none",
        about="The envelope sender's domain publishes no SPF record.",
        reference="RFC 7208 §8.1",
        weight=0.3,
        group="sender",
    ),
    Emits(
        name="spf.temperror",
        about="SPF could not be asked; matters only through DMARC.",
        reference="RFC 7208 §8.6",
    ),
    Emits(
        name="spf.permerror",
        about="The envelope sender's SPF record cannot be evaluated.",
        reference="RFC 7208 §8.7",
        weight=0.5,
        group="sender",
        excused_by=_BY_SIGNATURE,
    ),
    Emits(
        name="spf.hello_fail",
        about="The domain of the HELO name says that this client may not use it.",
        reference="RFC 7208 §2.3",
        weight=1.0,
        group="sender",
        excused_by=("forwarder.trusted",),
    ),
)
DKIM_EMITS = (
    Emits(name="dkim.pass", about="A signature is valid.", reference="RFC 6376 §6.1.3"),
    Emits(
        name="dkim.fail",
        about="A signature does not match the message or its key.",
        reference="RFC 6376 §6.1.3",
    ),
    Emits(
        name="dkim.policy", about="A signature is valid but too weak to count.", reference="RFC 8601 §2.7.1"
    ),
    Emits(name="dkim.neutral", about="A signature could not be processed.", reference="RFC 8601 §2.7.1"),
    Emits(
        name="dkim.temperror",
        about="A signature's key could not be fetched; matters only through DMARC.",
        reference="RFC 6376 §6.1.2",
    ),
    Emits(
        name="dkim.permerror",
        about="A signature is malformed or its key does not exist.",
        reference="RFC 6376 §6.1.1",
    ),
    Emits(
        name="dkim.none",
        about="Nobody signed the message.",
        reference="RFC 8601 §2.7.1",
        weight=0.3,
        group="sender",
    ),
    Emits(
        name="dkim.ignored",
        about="There were more signatures than are looked at.",
        reference="RFC 6376 §6.1",
        weight=0.5,
    ),
)
ARC_EMITS = (
    Emits(name="arc.pass", about="A chain of forwarders' seals is intact.", reference="RFC 8617 §5.2"),
    Emits(name="arc.fail", about="A chain of forwarders' seals is broken.", reference="RFC 8617 §5.2"),
    Emits(name="arc.temperror", about="A seal's key could not be fetched.", reference="RFC 8617 §5.2"),
)
DMARC_EMITS = (
    Emits(name="dmarc.pass", about="The domain of From is proved.", reference="RFC 9989 §5.3.5", weight=-0.3),
    Emits(
        name="dmarc.reject",
        about="The domain of From is not proved, and its owner asks to reject.",
        reference="RFC 9989 §5.3.6",
        weight=3.0,
        group="sender",
        action=Action.REFUSE,
        excused_by=("forwarder.trusted",),
        softened_by=("forwarder.signs",),
        reply="550 5.7.1",
    ),
    Emits(
        name="dmarc.quarantine",
        about="The domain of From is not proved, and its owner asks to quarantine.",
        reference="RFC 9989 §5.3.6",
        weight=2.5,
        group="sender",
        action=Action.JUNK,
        excused_by=("forwarder.trusted",),
    ),
    Emits(
        name="dmarc.fail",
        about="The domain of From is not proved; its owner asks for nothing.",
        reference="RFC 9989 §5.3.5",
        weight=0.7,
        group="sender",
        excused_by=("forwarder.trusted",),
    ),
    Emits(
        name="dmarc.none",
        about="The domain of From publishes no DMARC policy.",
        reference="RFC 9989 §5.3.2",
        weight=0.3,
        group="sender",
    ),
    Emits(
        name="dmarc.no_author",
        about="There is not exactly one domain in From to judge.",
        reference="RFC 9989 §5.3.1",
        weight=2.5,
    ),
    Emits(
        name="dmarc.temperror",
        about="DMARC could not be evaluated because the DNS failed.",
        reference="RFC 9989 §5.3.5",
        missing=("dmarc.reject",),
        excused_by=("forwarder.trusted",),
        reply="451 4.7.24",
    ),
    Emits(
        name="dmarc.temperror:quarantine",
        about="DMARC could not be evaluated; the policy would be quarantine.",
        reference="RFC 9989 §5.3.5",
        missing=("dmarc.quarantine",),
        excused_by=("forwarder.trusted",),
        reply="451 4.7.24",
    ),
    Emits(
        name="dmarc.temperror:none",
        about="DMARC could not be evaluated; the policy would be none.",
        reference="RFC 9989 §5.3.5",
    ),
    Emits(
        name="dmarc.permerror",
        about="The DMARC record of From's domain cannot be used.",
        reference="RFC 9989 §4.7",
        weight=0.4,
        group="sender",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpfSettings:
    """What SPF's results count."""

    mode: Mode = Mode.ENFORCE
    """off, observe or enforce."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DkimSettings:
    """What DKIM's results count."""

    mode: Mode = Mode.ENFORCE
    """off, observe or enforce."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArcSettings:
    """What ARC's results count by themselves: nothing; see `forwarder`."""

    mode: Mode = Mode.ENFORCE
    """off, observe or enforce."""


class OnReject(StrEnum):
    """What to do with mail that fails a policy of reject."""

    WEIGH = "weigh"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True, kw_only=True)
class DmarcSettings:
    """What DMARC's results count."""

    mode: Mode = Mode.ENFORCE
    """off, observe or enforce."""
    on_reject: OnReject = OnReject.WEIGH
    """weigh: a failed reject is held instead of refused when it may have been forwarded (RFC 9989 §7.4); refuse: always."""


async def spf(mail: Mail, tools: Tools, settings: SpfSettings) -> Sequence[Finding]:  # noqa: ARG001
    """The envelope sender's result, and the HELO name's when it failed."""
    found = []
    result = mail.auth.spf_mail_from
    if result.domain:
        found.append(Finding(f"spf.{result.result}", _spf_text(result), _spf_evidence(result)))
    hello = mail.auth.spf_hello
    if hello.result == "fail" and hello.domain != result.domain:
        text = f"{printable(hello.domain)} does not allow its name as HELO of this client"
        found.append(Finding("spf.hello_fail", text, _spf_evidence(hello)))
    return found


def _spf_text(result: SpfResult) -> str:
    domain = printable(result.domain)
    why = f" ({printable(result.mechanism)})" if result.mechanism else ""
    problem = f": {printable(result.problem)}" if result.problem else ""
    return {
        "pass": f"the client may send mail for {domain}{why}",
        "fail": f"{domain} does not allow this client to send its mail{why}",
        "softfail": f"{domain} doubts that this client may send its mail{why}",
        "neutral": f"{domain} does not say whether this client may send its mail{why}",
        "none": f"{domain} publishes no SPF record",
        "temperror": f"SPF of {domain} could not be asked{problem}",
    }.get(result.result, f"SPF of {domain} cannot be evaluated{problem}")


def _spf_evidence(result: SpfResult) -> Evidence:
    return {
        "domain": result.domain,
        "mechanism": result.mechanism,
        "lookups": result.lookups,
        "dnssec": result.security.name.lower(),
    }


async def dkim(mail: Mail, tools: Tools, settings: DkimSettings) -> Sequence[Finding]:  # noqa: ARG001
    """One fact a signature."""
    found = [
        Finding(f"dkim.{result.result}", _dkim_text(result), _dkim_evidence(result), result.domain)
        for result in mail.auth.dkim
        if result.result != "none"
    ]
    if mail.auth.dkim_ignored:
        ignored = mail.auth.dkim_ignored
        found.append(Finding("dkim.ignored", f"{ignored} further signatures were not looked at"))
    if not mail.auth.dkim and not mail.message.count(b"dkim-signature"):
        found.append(Finding("dkim.none", "nobody signed the message"))
    return found


def _dkim_text(result: DkimResult) -> str:
    whose = f"the signature of {printable(result.domain)}" if result.domain else "a signature"
    reason = f": {printable(result.reason)}" if result.reason else ""
    part = "" if result.covers_all else ", but covers only part of the body"
    return {
        "pass": f"{whose} is valid{part}",
        "fail": f"{whose} is broken{reason}",
        "policy": f"{whose} is too weak to count{reason}",
        "temperror": f"the key for {whose} could not be fetched{reason}",
    }.get(result.result, f"{whose} cannot be used{reason}")


def _dkim_evidence(result: DkimResult) -> Evidence:
    return {
        "domain": result.domain,
        "selector": result.selector,
        "algorithm": result.algorithm,
        "reason": result.reason,
        "dnssec": result.security.name.lower(),
    }


async def arc(mail: Mail, tools: Tools, settings: ArcSettings) -> Sequence[Finding]:  # noqa: ARG001
    """The chain's state, when there is one."""
    result = mail.auth.arc
    if result.result == "none":
        return ()
    by = " and ".join(printable(sealer) for sealer in result.sealers[-3:]) or "unknown sealers"
    text = {
        "pass": f"the forwarding chain sealed by {by} is intact",
        "temperror": f"a key for the forwarding chain of {by} could not be fetched",
    }.get(result.result, f"the forwarding chain sealed by {by} is broken: {printable(result.reason or '')}")
    evidence: Evidence = {"sealers": list(result.sealers), "dnssec": result.security.name.lower()}
    return (Finding(f"arc.{result.result}", text, evidence),)


async def dmarc(mail: Mail, tools: Tools, settings: DmarcSettings) -> Sequence[Finding]:  # noqa: ARG001
    """Is the author's domain proved, and what does its owner ask for when it is not?"""
    result = mail.auth.dmarc
    evidence: Evidence = {
        "author_domain": result.author_domain,
        "policy_domain": result.policy_domain,
        "policy": result.policy,
        "aligned_by": list(result.aligned_by),
        "dnssec": result.security.name.lower(),
    }
    name, source, text = _dmarc_fact(result)
    return (Finding(name, text, evidence, source),)


def _dmarc_fact(result: DmarcResult) -> tuple[str, str, str]:
    """Name, source and sentence."""
    reason = f": {printable(result.reason)}" if result.reason else ""
    if result.author_domain is None:
        return "dmarc.no_author", "", f"the message has not one author whose domain could be proved{reason}"
    domain = printable(result.author_domain)
    if result.result == "pass":
        return (
            "dmarc.pass",
            "",
            f"the author's domain {domain} is proved by {' and '.join(result.aligned_by)}",
        )
    if result.result == "fail":
        asked = {
            "reject": ("dmarc.reject", "asks to reject such mail"),
            "quarantine": ("dmarc.quarantine", "asks to quarantine such mail"),
        }
        name, wish = asked.get(result.policy or "", ("dmarc.fail", "asks for nothing"))
        return name, "", f"the author's domain {domain} is not proved, and its owner {wish}"
    if result.result == "temperror":
        source = result.policy if result.policy in ("none", "quarantine") else ""
        return (
            "dmarc.temperror",
            source,
            f"whether {domain} is the author's domain could not be asked{reason}",
        )
    if result.result == "permerror":
        return "dmarc.permerror", "", f"the DMARC record of {domain} cannot be used{reason}"
    return "dmarc.none", "", f"{domain} publishes no DMARC policy"


def _dmarc_emits(settings: DmarcSettings) -> tuple[Emits, ...]:
    if settings.on_reject is OnReject.WEIGH:
        return DMARC_EMITS
    return tuple(replace(one, softened_by=()) for one in DMARC_EMITS)


SPF = Check(
    name="spf", subject=Mail, settings=SpfSettings, run=spf, emits=SPF_EMITS, asks=False, needs_dns=True
)
DKIM = Check(
    name="dkim", subject=Mail, settings=DkimSettings, run=dkim, emits=DKIM_EMITS, asks=False, needs_dns=True
)
ARC = Check(
    name="arc", subject=Mail, settings=ArcSettings, run=arc, emits=ARC_EMITS, asks=False, needs_dns=True
)
DMARC = Check(
    name="dmarc",
    subject=Mail,
    settings=DmarcSettings,
    run=dmarc,
    emits=DMARC_EMITS,
    asks=False,
    needs_dns=True,
    emits_under=_dmarc_emits,
)
