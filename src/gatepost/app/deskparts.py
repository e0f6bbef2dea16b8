"""What the office's acts and the desk's pages ask of this installation: the holding, the glass, candidates, digests, tools."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from ipaddress import ip_address
from typing import Any

from gatepost import __version__
from gatepost.app import processing
from gatepost.app.ahead import ahead
from gatepost.app.digests import digests_of, holding_of
from gatepost.app.health import certificates_seen, read_beat
from gatepost.app.lookers import Lookers
from gatepost.app.office import provider_in
from gatepost.app.ownfacts import tlsa_wanted
from gatepost.app.ownrecords import OwnFacts, Patient, own_records
from gatepost.app.parts import Parts, fresh_ref
from gatepost.app.peoplesource import password_sources, sync_of
from gatepost.app.policyfile import PolicyFile
from gatepost.app.scanning import open_examiner
from gatepost.app.told import told_by_people
from gatepost.checks.content.rules import RulesSettings, rules_of
from gatepost.config.explain import describe
from gatepost.config.schema import Loaded
from gatepost.delivery.routes import Elsewhere, MaildirAt
from gatepost.jobs.letter import letter
from gatepost.jobs.look import remembered
from gatepost.jobs.work import BEAT_KEY
from gatepost.mail.address import parse_address
from gatepost.mail.filereport import FileReport
from gatepost.mail.message import Message
from gatepost.net.destinations import Destinations
from gatepost.office.candidates import Candidates
from gatepost.office.digests import Digests
from gatepost.office.glass import Glass
from gatepost.office.glassletter import words_for
from gatepost.office.holding import Holding
from gatepost.office.office import Office
from gatepost.office.peoplesource import DirectoryNow
from gatepost.office.processing import Processing
from gatepost.office.seen import CertificateSeen, Installed, RecordSeen, SettingSeen, Step
from gatepost.rules.ruleset import RuleSet, load_rules
from gatepost.scan.judge import Told, judge
from gatepost.store import accounts, ownpolicies, signingkeys
from gatepost.store.glass import Breaking
from gatepost.store.records import HistoryEntry, Notice
from gatepost.tools import RecipientAnswer
from gatepost.web.pages.privacy import Periods
from gatepost.web.pages.provider import Elsewhere as SignInElsewhere

log = logging.getLogger("gatepost.jobs")

DNS_PATIENCE_S = 1.5
"""How long a page waits for all records of a domain together."""


def desk_parts(
    loaded: Callable[[], Loaded], parts: Parts, office: Office, reload: Callable[[], None]
) -> Mapping[type, Any]:
    """By type, for the console's pages. `reload` reads the configuration of this process again."""
    config = loaded().config
    holding = holding_of(loaded, office)
    return {
        Holding: holding,
        Glass: Glass(
            office=office, two_people=config.quarantine.two_people, tell=partial(tell_owner, office=office)
        ),
        Candidates: Candidates(
            office=office,
            keeper=PolicyFile(loaded, partial(reload_gate, config.workers, reload)),
            told=told_by_people,
        ),
        Digests: digests_of(loaded, office, holding),
        Installed: installed(loaded, parts, office),
        Periods: Periods(config.retention),
        Processing: Processing(lambda: processing.installation(loaded())),
        SignInElsewhere: SignInElsewhere(
            provider=provider_in(loaded(), parts.resolver), passwords=password_sources(loaded())
        ),
        **directory_now(loaded, parts, office),
    }


def directory_now(loaded: Callable[[], Loaded], parts: Parts, office: Office) -> Mapping[type, Any]:
    """Nothing where no directory is configured."""
    if not loaded().config.people_source.servers:
        return {}
    return {DirectoryNow: DirectoryNow(office, sync_of(loaded, office.store, parts.memory).synchronise)}


def reload_gate(workers: int, reload: Callable[[], None]) -> None:
    """This process at once, and all others by the supervisor; where all is one process, by its own signal."""
    reload()
    if workers:
        os.kill(os.getppid(), signal.SIGHUP)
    elif signal.getsignal(signal.SIGHUP) not in (signal.SIG_DFL, signal.SIG_IGN):
        os.kill(os.getpid(), signal.SIGHUP)


async def tell_owner(address: str, breaking: Breaking, *, office: Office) -> None:
    """That somebody may read their held mail now, by mail."""
    to = parse_address(address, smtputf8=True)
    if to is None:
        return
    account = office.store.database.read(lambda connection: accounts.owner_of(connection, address))
    subject, text = words_for(breaking, account.language if account is not None else "en")
    now = office.clock()
    ref = fresh_ref(now)
    octets = letter(subject, text, to=to, hostname=office.hostname, ref=ref, now=now)
    await office.store.enqueue_notice(Notice(ref=ref, recipient=to, octets=octets, at=now))


# What is to be seen


def installed(loaded: Callable[[], Loaded], parts: Parts, office: Office) -> Installed:
    """The installation as the pages show it."""
    one_at_a_time = asyncio.Semaphore(1)

    def settings() -> Sequence[SettingSeen]:
        now = loaded()
        found = describe(type(now.config), instance=now.config, given=now.table, overlay=now.overlay)
        return [
            SettingSeen(
                one.key,
                one.value,
                "console" if one.console else "file" if one.given else "default",
                one.about,
            )
            for one in found
        ]

    def certificates() -> Sequence[CertificateSeen]:
        known = office.store.database.read(lambda connection: remembered(connection, office.clock()))
        found = certificates_seen(loaded(), read_beat(known.get(BEAT_KEY)))
        return [CertificateSeen(one.file, one.ends_at, one.problem) for one in found]

    async def records(domain: str) -> Sequence[RecordSeen]:
        keys, policies = office.store.database.read(
            lambda connection: (signingkeys.listed(connection, domain), ownpolicies.policies(connection))
        )
        facts = OwnFacts(keys=tuple(keys), policy=policies.get(domain), tlsa=tuple(tlsa_wanted(loaded())))
        async with Patient(parts.resolver, DNS_PATIENCE_S) as asked:
            found = await own_records(domain, loaded(), facts, asked)
        return [
            RecordSeen(
                one.name, one.kind, one.expected, tuple(map(str, one.published)), one.state.value, one.text
            )
            for one in found
        ]

    async def examine(
        octets: bytes, *, client_ip: str, hello: str, mail_from: str, recipients: Sequence[str]
    ) -> HistoryEntry:
        told = Told(
            client_ip=ip_address(client_ip) if client_ip else None, hello=hello or None, mail_from=mail_from or None,
            recipients=tuple(recipients),
        )  # fmt: skip
        async with one_at_a_time:
            examiner, examined_by, close = await open_examiner(
                str(loaded().path), zones=(), resolver=None, dns=True
            )
            try:
                now = time.time()
                trusted = examined_by.trusted_relays
                return await judge(octets, examiner, told, trusted=trusted, now=now, ref=fresh_ref(now))
            finally:
                await close()

    async def files(octets: bytes) -> Sequence[FileReport]:
        async with one_at_a_time:
            lookers = Lookers(loaded(), parts.forkserver)
            try:
                return await lookers.unpacker.inspect(Message.parse(octets))
            finally:
                await lookers.close()

    return Installed(
        files=files, office=office, version=__version__, settings=settings, certificates=certificates,
        domains=lambda: [one.name for one in loaded().config.domains], records=records,
        rules=lambda: rules_here(loaded()), judge=examine, find=partial(find, loaded, parts),
        ahead=lambda: ahead(loaded()),
    )  # fmt: skip


def rules_here(loaded: Loaded) -> RuleSet:
    """Those the gate judges by."""
    for one in loaded.checks:
        if isinstance(one.settings, RulesSettings):
            return rules_of(one.settings)
    return load_rules()


async def find(
    loaded: Callable[[], Loaded], parts: Parts, text: str
) -> tuple[RecipientAnswer, Sequence[Step]]:
    """Whether an address is a recipient, and where each of its final addresses is delivered."""
    address = parse_address(text, smtputf8=True)
    assert address is not None
    answer = await parts.directory.find(address)
    steps = []
    for final in parts.directory.expand(address):
        to = parse_address(final, smtputf8=True)
        if to is None:
            continue
        match loaded().routes.destination(to):
            case MaildirAt(base):
                what = f"is put into the Maildir below {base}"
            case Elsewhere(domain):
                via = Destinations.of(loaded().config.outbound).find(domain).via
                what = f"goes to the MX of {domain}" if via is None else f"goes to {via} by SMTP"
            case hop:
                where = hop.path or f"{hop.host}:{hop.port}"
                what = f"goes to {where} by {hop.protocol.value.upper()}"
        steps.append(Step(final, what))
    return answer, steps
