"""What the record of processing tells of this configuration: who gets data, how long it stays, which measures are on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

from gatepost.app.orders import lists_of
from gatepost.checks.content.antivirus import AntivirusSettings
from gatepost.checks.dnslists.lists import DnsList
from gatepost.config.schema import Config, Loaded
from gatepost.mail.finding import Mode
from gatepost.office.processing import Installation, Line
from gatepost.smtp.dialect import Dialect


def installation(loaded: Loaded) -> Installation:
    """The facts, from the configuration as it is in force."""
    config = loaded.config
    return Installation(
        hostname=config.hostname,
        settings=config.privacy,
        domains=[one.name for one in config.domains],
        periods={name: float(value) for name, value in asdict(config.retention).items()},
        recipients=list(recipients(loaded)),
        measures=list(measures(loaded)),
        outgoing=takes_own_mail(config),
        accounts=bool(config.console.address) or takes_own_mail(config),
    )


def takes_own_mail(config: Config) -> bool:
    """Is there a door for our own people?"""
    return any(one.role in (Dialect.SUBMISSION, Dialect.SUBMISSIONS) for one in config.listeners)


def recipients(loaded: Loaded) -> Iterator[Line]:
    """Whoever gets any of the data, as configured."""
    config = loaded.config
    for name in sorted({str(one.deliver) for one in config.domains if one.deliver}):
        yield Line("%(where)s: the mail itself, for delivery", {"where": name})
    servers = ", ".join(config.dns.servers) or "the resolvers of this machine"
    yield Line("DNS resolvers (%(servers)s): domains and addresses that are looked up", {"servers": servers})
    lists: dict[str, DnsList] = {one.zone: one for one in lists_of(loaded) if one.mode is not Mode.OFF}
    for zone in sorted(lists):
        yield Line(
            "The list %(zone)s, by DNS: addresses of clients, or domains of links and senders", {"zone": zone}
        )
    for one in loaded.checks:
        if isinstance(one.settings, AntivirusSettings) and one.wanted:
            for where in filter(None, (one.settings.clamd, *one.settings.icap)):
                yield Line("Virus scanner at %(where)s: attachments and messages", {"where": where})
    if config.identity_provider.issuer:
        yield Line(
            "Identity provider %(where)s: who signs in, and when", {"where": config.identity_provider.issuer}
        )
    for server in config.people_source.servers:
        yield Line("Directory %(where)s: logins and, to prove them, passwords", {"where": server})
    if config.certificates.acme:
        yield Line(
            "Certificate authority %(where)s: our host names and the contact address",
            {"where": config.certificates.acme},
        )
    if config.alerts.to:
        yield Line("Alerts to %(where)s: the state of the gate", {"where": ", ".join(config.alerts.to)})
    if config.journal.send_head_to:
        yield Line(
            "Heads of the journal to %(where)s: digests that name nobody", {"where": ", ".join(config.journal.send_head_to)}
        )  # fmt: skip
    yield Line(
        "Senders: refusals and notices on what became of their mail; owners of domains: TLS reports that count sessions"
    )


def measures(loaded: Loaded) -> Iterator[Line]:
    """Only what is on."""
    config = loaded.config
    yield Line("Held mail is sealed, each message under a key of its own (AES-256-GCM); keys %(where)s.",
               {"where": "in a file or credential that is named apart" if config.quarantine.key_file else "in the state folder"})  # fmt: skip
    if config.tls.certificate or config.certificates.acme:
        yield Line(
            "Mail comes and goes over TLS where the other side can; DANE and MTA-STS policies of destinations are kept."
        )
    yield Line(
        "Rights by role, least by default; reading others' mail is a right of its own, and every look is on record."
    )
    if config.quarantine.two_people:
        yield Line("Breaking the glass takes a second person, a reason and a time limit; the owner is told.")
    if config.console.address:
        yield Line(
            "Administrators sign in by passkey, others by passkey or password and code; sensitive acts ask for a fresh proof."
        )
        yield Line("Guessing at passwords is slowed down, and sessions end when idle.")
    if takes_own_mail(config):
        yield Line(
            "Mail programs sign in with app passwords, certificates or tokens, never with the account's password."
        )
    yield Line(
        "The journal of all acts is chained, so that a change shows; its personal fields can be erased."
    )
    if config.journal.send_head_to:
        yield Line("The journal's head is signed and sent elsewhere, so that a cut shows, too.")
    yield Line("Attachments are opened in confined processes without network or files.")
    yield Line("Retention deletes every %(minutes)s minutes what is past its time, and leaves proof; legal holds suspend it.",
               {"minutes": f"{config.jobs.retention_s / 60:g}"})  # fmt: skip
    if config.user:
        yield Line("After its ports are bound the gate runs without privileges.")
    if config.signing.enabled:
        yield Line("Our outgoing mail is signed by DKIM where keys are published.")
