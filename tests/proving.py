"""What the sender checks together see, and what policy makes of it."""

from __future__ import annotations

from collections.abc import Sequence

from drive import drive
from gatepost.checks.registry import configure
from gatepost.checks.sender.authentication import (
    ARC,
    DKIM,
    DMARC,
    SPF,
    DmarcSettings,
)
from gatepost.checks.sender.forwarder import FORWARDER, ForwarderSettings
from gatepost.mail.authresults import AuthResults, DmarcResult, SpfResult
from gatepost.mail.client import Mail
from gatepost.mail.finding import Finding
from gatepost.mail.verdict import Verdict
from gatepost.policy import PolicySettings, assemble, decide
from judging import World

FORWARD = ForwarderSettings(trusted_sealers=("lists.example",), known=("203.0.113.0/24",))


def facts(one: Mail, dmarc: DmarcSettings | None = None) -> Sequence[Finding]:
    settings = {FORWARDER: FORWARD, DMARC: dmarc or DmarcSettings()}
    found: list[Finding] = []
    for check in (SPF, DKIM, ARC, FORWARDER, DMARC):
        mine = drive(check.run(one, World(), settings.get(check) or check.settings()))  # type: ignore[arg-type]
        declared = {emits.name.partition(":")[0] for emits in check.emits}
        assert {finding.name for finding in mine} <= declared
        found += mine
    return found


def judged(one: Mail, dmarc: DmarcSettings | None = None, *more: Finding) -> Verdict:
    configured = configure({"forwarder": FORWARD, "dmarc": dmarc or DmarcSettings()})
    return decide([*facts(one, dmarc), *more], assemble(PolicySettings(), configured).default)


def failed(policy: str, **auth: object) -> AuthResults:
    dmarc = DmarcResult(
        result="fail", author_domain="example.org", policy_domain="example.org", policy=policy
    )
    return AuthResults(dmarc=dmarc, **auth)  # type: ignore[arg-type]


SPF_FAIL = SpfResult(result="fail", identity="mail_from", domain="example.org", mechanism="-all")
