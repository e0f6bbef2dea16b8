"""Our own domains' MTA-STS policies: what they say, whether the world sees them, and when they become binding.

A policy starts in ``testing``. It moves to ``enforce`` on evidence alone: for `testing_s` (two weeks) on nearly every day
our own look was good, never bad, and what others report of their connections to us (TLS-RPT) shows next to no failures. A
look is what a sender does: the domain's MX hosts are all in the policy; the certificate of our host name is valid, trusted
and for that name; the policy is fetched over HTTPS and is the very one we serve; and the TXT record has its id.
It never moves back by itself: that would be what an attacker wants. Trouble is told instead.
"""

from __future__ import annotations

import datetime
import logging
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from gatepost.dns.answer import Resolver, Status
from gatepost.dns.names import normal
from gatepost.jobs.letter import Letters
from gatepost.jobs.owntrouble import PROBLEMS_KEPT_S, PROBLEMS_KEY
from gatepost.jobs.rounds import Round
from gatepost.mail.address import normal_domain, parse_address
from gatepost.mailauth.keyrecord import zone_line
from gatepost.net.fetch import FetchFailed, FetchKind, FetchLimits, fetch
from gatepost.net.tls import certificate_fault
from gatepost.store import ownpolicies
from gatepost.store.database import Database
from gatepost.store.journal import Why
from gatepost.store.memory import StoredMemory
from gatepost.store.ownpolicies import DAY_S, LOOK, STS, Evidence, OwnPolicy
from gatepost.tlspolicy.mta_sts import MAX_AGE_MOST_S, StsMode, StsPolicy, knows, policy_id

log = logging.getLogger("gatepost.jobs")

SEERS = ("us", "reports")
REPORTED_SHARE = 0.5
"""Of the days of testing, those for which somebody reports sessions under our policy, where that stands for our own fetching."""
DAYS_SHARE = 0.8
"""Of the days of testing, those on which we looked: a machine may be down for one."""
FAILED_SHARE = 0.01
"""Of the connections others report: more failures than this speak against enforcing."""
MODES = ("auto", "testing", "enforce", "none")
CLOCK = "the clock"
UNREACHED = ' (where this machine cannot reach its own public address, set [mta_sts] seen_by = "reports")'
INSIDE = {
    FetchKind.ADDRESS: " (where it is meant to have that address from here, set [mta_sts] private_network = true)",
    FetchKind.CONNECT: UNREACHED,
    FetchKind.TIMEOUT: UNREACHED,
}
"""What a machine behind NAT may see of itself, and what to do."""
LIMITS = FetchLimits(total_s=20.0, octets=64 * 1024)


@dataclass(frozen=True, slots=True, kw_only=True)
class MtaStsSettings:
    """Our own domains' MTA-STS policies (RFC 8461): with them senders insist on TLS and on our certificate."""

    address: str = ""
    """``host:port`` to serve the policies on, port 443 of ``mta-sts.DOMAIN`` from outside; empty: there are none."""
    mode: str = "auto"
    """auto: testing, then enforce once the evidence is there; or testing, enforce, none as you say."""
    hosts: tuple[str, ...] = ()
    """The mail hosts in the policies, ``*.example.net`` allowed; none: the host name."""
    testing_s: float = 14 * DAY_S
    """How long the evidence must have been good."""
    testing_age_s: float = DAY_S
    """max_age of a policy in testing."""
    enforce_age_s: float = 30 * DAY_S
    """max_age of a policy that is enforced."""
    reports_to: str = ""
    """Where others send reports about their connections to us (TLS-RPT); empty: postmaster at each domain. An address of ours
    is read by the gate itself, as evidence, and is nobody's mailbox."""
    check_s: float = 3600.0
    """Between two looks."""
    private_network: bool = False
    """mta-sts.DOMAIN is an address of our own network when it is asked from here (split DNS): our look may fetch from it."""
    seen_by: str = "us"
    """us: the policy counts as seen when our own look fetches it; reports: when others report sessions that were held to it
    (TLS-RPT, on half of the days), for a machine behind NAT that cannot reach its own public address."""


def policy_problems(settings: MtaStsSettings) -> Iterator[tuple[str, str]]:
    """What is wrong with the settings: key and sentence."""
    if settings.mode not in MODES:
        yield "mode", f'is "{settings.mode}"; there are {", ".join(MODES)}.'
    if settings.seen_by not in SEERS:
        yield "seen_by", f'is "{settings.seen_by}"; there are {" and ".join(SEERS)}.'
    if settings.seen_by == "reports" and not settings.reports_to:
        yield "seen_by", "is reports, and they come to no address that the gate reads: set reports_to."
    for name in settings.hosts:
        if normal_domain(name.removeprefix("*.")) is None:
            yield "hosts", f'names "{name}", which is no host name.'
    if settings.reports_to and parse_address(settings.reports_to) is None:
        yield "reports_to", f'is "{settings.reports_to}", which is no mail address.'
    for key in ("testing_age_s", "enforce_age_s"):
        if not 1 <= getattr(settings, key) <= MAX_AGE_MOST_S:
            yield key.removesuffix("_s"), "must be between a second and a year (RFC 8461 §3.2)."


@dataclass(slots=True, kw_only=True)
class PolicyKeeping:
    """Keeps the policies of our domains, and serves their text."""

    database: Database
    resolver: Resolver
    settings: Callable[[], MtaStsSettings]
    domains: Callable[[], Iterable[str]]
    """Ours, without those for everything below."""
    hostname: str
    chain_file: Callable[[], Path | None]
    """The certificate of the host name."""
    trust_anchors: str = ""
    """A PEM file trusted besides the system's."""
    clock: Callable[[], float]
    letters: Letters | None = None
    memory: StoredMemory | None = None
    """Where problems are kept for the commands."""
    problems: dict[str, str] = field(default_factory=dict)
    """What the last look found wrong, by domain."""

    def rounds(self) -> Sequence[Round]:
        """For the clock."""
        settings = self.settings()
        return [Round("policies", settings.check_s, self.work)] if settings.address else []

    def text(self, domain: str) -> str | None:
        """The policy as it is served; None for a domain that has none."""
        known = self.database.read(ownpolicies.policies).get(domain)
        if known is None or domain not in set(self.domains()):
            return None
        return policy_text(known, self.settings())

    async def work(self) -> None:
        """Look, count, decide."""
        domains = list(self.domains())
        for domain in domains:
            await self.attend(domain)
        if self.memory is not None:
            told = {name: self.problems[name] for name in domains if self.problems.get(name)}
            text = msgspec.json.encode(told).decode()
            await self.memory.put(PROBLEMS_KEY + "policies", text, ttl_s=PROBLEMS_KEPT_S)

    async def attend(self, domain: str) -> OwnPolicy:
        """One domain."""
        settings, now = self.settings(), self.clock()
        hosts = settings.hosts or (self.hostname,)
        known = self.database.read(ownpolicies.policies).get(domain)
        if known is None or known.hosts != hosts:
            mode = settings.mode if settings.mode != "auto" else known.mode if known else "testing"
            known = await self._put(
                known, domain, mode, hosts, "its mail hosts changed" if known else "a first policy"
            )
        problem = await self._look(known)
        self.problems[domain] = problem
        await self.database.commit(
            lambda connection: ownpolicies.add_evidence(
                connection, domain, LOOK, at=now, good=not problem, bad=bool(problem), detail=problem
            )
        )
        found = self.database.read(
            lambda connection: ownpolicies.evidence(connection, domain, since=now - settings.testing_s)
        )
        mode, why = next_mode(known, found, settings, now)
        return await self._put(known, domain, mode, hosts, why) if mode != known.mode else known

    async def _put(
        self, known: OwnPolicy | None, domain: str, mode: str, hosts: tuple[str, ...], why: str
    ) -> OwnPolicy:
        now = self.clock()
        since = known.since if known is not None and known.mode == mode else now
        policy = OwnPolicy(domain=domain, mode=mode, policy_id=new_id(now, known), hosts=hosts, since=since)
        reason = Why(who=CLOCK, why=why, at=now)
        await self.database.commit(lambda connection: ownpolicies.put(connection, policy, reason))
        log.info("the MTA-STS policy of %s says %s now: %s", domain, mode, why)
        if self.letters is not None:
            record = zone_line(*txt_record(policy))
            await self.letters.send(
                f"MTA-STS policy of {domain}: {mode}",
                f"The policy of {domain} says {mode} now: {why}.\n\nPublish, so that others fetch it:\n\n{record}\n\n"
                f"gatepost dns {domain}      tells everything that should be published",
            )
        return policy

    async def _look(self, policy: OwnPolicy) -> str:
        """What a sender would find wrong, one clause; empty when nothing is."""
        domain = policy.domain
        wanted = StsPolicy(mode=StsMode.TESTING, max_age_s=0, mx=policy.hosts)
        answer = await self.resolver.lookup(domain, "MX")
        hosts = [normal(record.partition(" ")[2]) for record in answer.records]
        if answer.status is not Status.FOUND:
            return "its MX records cannot be looked up"
        stray = [host for host in hosts if not knows(wanted, host)]
        if stray:
            return f"its MX host {stray[0]} is not in the policy"
        file = self.chain_file()
        fault = (
            "there is none"
            if file is None
            else certificate_fault(file, self.hostname, trust_anchors=self.trust_anchors, now=self.clock())
        )
        if fault:
            return f"the certificate of {self.hostname}: {fault}"
        answer = await self.resolver.lookup(f"_mta-sts.{domain}", "TXT")
        if answer.status is Status.FAILED or policy_id(answer.records) != policy.policy_id:
            return f"_mta-sts.{domain} does not say id={policy.policy_id}"
        try:
            found = await fetch(
                f"https://mta-sts.{domain}/.well-known/mta-sts.txt", resolver=self.resolver, limits=LIMITS,
                trust_anchors=self.trust_anchors, allow_private=self.settings().private_network, clock=self.clock,
            )  # fmt: skip
        except FetchFailed as failure:
            behind_nat = failure.kind in INSIDE
            if behind_nat and self.settings().seen_by == "reports":
                return ""
            return f"the policy cannot be fetched: {failure}{INSIDE.get(failure.kind, '')}"
        if found.body.decode("utf-8", "replace") != policy_text(policy, self.settings()):
            return f"https://mta-sts.{domain} serves another policy than we do"
        return ""


def policy_text(policy: OwnPolicy, settings: MtaStsSettings) -> str:
    """What is served (RFC 8461 §3.2)."""
    age = settings.enforce_age_s if policy.mode == "enforce" else settings.testing_age_s
    said = StsPolicy(mode=StsMode(policy.mode), max_age_s=int(age), mx=policy.hosts)
    return "".join(f"{line}\r\n" for line in said.lines)


def txt_record(policy: OwnPolicy) -> tuple[str, str, str]:
    """Name, type and value of the record that says which policy is the present one (RFC 8461 §3.1)."""
    return f"_mta-sts.{policy.domain}", "TXT", f"v=STSv1; id={policy.policy_id}"


def report_record(domain: str, settings: MtaStsSettings) -> tuple[str, str, str]:
    """The record that asks others for reports (RFC 8460 §3)."""
    return (
        f"_smtp._tls.{domain}",
        "TXT",
        f"v=TLSRPTv1; rua=mailto:{settings.reports_to or 'postmaster@' + domain}",
    )


def new_id(now: float, known: OwnPolicy | None) -> str:
    """Another one than before, in order of time."""
    fresh = f"{datetime.datetime.fromtimestamp(now, datetime.UTC):%Y%m%d%H%M%S}"
    return fresh if known is None or fresh > known.policy_id else str(int(known.policy_id) + 1)


def next_mode(
    policy: OwnPolicy, found: Sequence[Evidence], settings: MtaStsSettings, now: float
) -> tuple[str, str]:
    """The mode that follows from the evidence of the last `testing_s`, and why: also why it stays."""
    if settings.mode != "auto":
        return settings.mode, "the configuration says so"
    if policy.mode != "testing":
        return policy.mode, "it is enforced, and stays so"
    left = policy.since + settings.testing_s - now
    if left > 0:
        return (
            "testing",
            f"it has been in testing for {(now - policy.since) / DAY_S:.0f} of {settings.testing_s / DAY_S:.0f} days",
        )
    looks = [one for one in found if one.source == LOOK]
    bad = next((one for one in reversed(looks) if one.bad), None)
    if bad is not None:
        return "testing", f"a look of ours was bad on {day_of(bad)}: {bad.detail}"
    days = settings.testing_s / DAY_S
    if len({one.day for one in looks if one.good}) < DAYS_SHARE * days:
        return "testing", "we have not looked on enough days"
    reports = [one for one in found if one.source != LOOK]
    if settings.seen_by == "reports":
        reported = len({one.day for one in reports if one.source.startswith(STS) and one.good})
        if reported < REPORTED_SHARE * days:
            wanted = math.ceil(REPORTED_SHARE * days)
            return (
                "testing",
                f"others report sessions under the policy for {reported} days of {wanted} that are wanted",
            )
    good, failed = sum(one.good for one in reports), sum(one.bad for one in reports)
    if failed > FAILED_SHARE * (good + failed):
        worst = max(reports, key=lambda one: one.bad)
        return (
            "testing",
            f"others report {failed} failed connections of {good + failed}, {worst.source} of {day_of(worst)}",
        )
    told = f"; others report {good} good connections" if reports else "; nobody reported anything"
    return "enforce", f"for {days:.0f} days every look was good{told}"


def day_of(one: Evidence) -> str:
    """As a date."""
    return f"{datetime.datetime.fromtimestamp(one.day * DAY_S, datetime.UTC):%Y-%m-%d}"
