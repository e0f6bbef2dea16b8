"""What may be wrong around a gate: its name in the DNS, its certificate, its configuration. For `gatepost doctor`."""

from __future__ import annotations

import stat
from collections.abc import AsyncIterator, Iterator

from gatepost.app.checkup import examine
from gatepost.app.elsewhere import elsewhere
from gatepost.config.schema import Loaded
from gatepost.delivery.routes import Everyone
from gatepost.dns.answer import Answer, Resolver, Status
from gatepost.dns.names import normal, ptr_name
from gatepost.jobs.concerns import Concern, Level
from gatepost.mail.finding import Mode
from gatepost.net.tls import TlsUnusable, certificate_names, expand
from gatepost.smtp.dialect import Dialect

MOST_ADDRESSES = 8
"""Addresses of our own name that are looked at."""


async def surroundings(loaded: Loaded, resolver: Resolver) -> list[Concern]:
    """Everything found, in the order a message meets it. Asks the DNS."""
    found = [one async for one in own_name(loaded.config.hostname, resolver)]
    found += [one async for one in mail_exchangers(loaded, resolver)]
    found += [*configuration(loaded), *certificate(loaded), *openness(loaded)]
    found += [one async for one in elsewhere(loaded, resolver)]
    return found


async def own_name(hostname: str, resolver: Resolver) -> AsyncIterator[Concern]:
    """Name, address and reverse name must agree: others ask for that (M3AAWG, RFC 1912 §2.1)."""
    answers = [await resolver.lookup(hostname, kind) for kind in ("A", "AAAA")]
    addresses = [address for answer in answers for address in answer.records][:MOST_ADDRESSES]
    if not addresses:
        why = "cannot be looked up" if failed(*answers) else "has no address in the DNS"
        yield Concern(
            "own-name",
            Level.WARNING,
            f"Our own name {hostname} {why}.",
            f"Publish {hostname}. A with this machine's public address, or set hostname to the name of the MX.",
        )
        return
    for address in addresses:
        answer = await resolver.lookup(ptr_name(address), "PTR")
        names = [normal(name) for name in answer.records]
        if normal(hostname) in names:
            continue
        said = f"is called {', '.join(names[:3])}" if names else "has no reverse name"
        if failed(answer):
            said = "has a reverse name that cannot be looked up"
        yield Concern(
            f"reverse-name:{address}",
            Level.WARNING,
            f"{address}, the address of {hostname}, {said}; many refuse mail from such a host.",
            f"Ask whoever gave you the address to set its PTR record to {hostname}.",
        )


async def mail_exchangers(loaded: Loaded, resolver: Resolver) -> AsyncIterator[Concern]:
    """Does the mail of our domains come here? Behind another gateway it does not, which is no mistake."""
    ours = normal(loaded.config.hostname)
    for domain in loaded.config.domains:
        if domain.name.startswith("."):
            continue
        answer = await resolver.lookup(domain.name, "MX")
        hosts = [normal(record.partition(" ")[2]) for record in answer.records]
        if failed(answer):
            text = f"The MX records of {domain.name} cannot be looked up."
        elif not hosts:
            text = f"{domain.name} has no MX record: nobody sends its mail here."
        elif ours not in hosts and not loaded.config.trusted_relays:
            text = f"The MX of {domain.name} is {', '.join(hosts[:4])}, and not {ours}."
        else:
            continue
        yield Concern(
            f"mx:{domain.name}",
            Level.WARNING,
            text,
            f"Publish {domain.name}. MX 10 {ours}., or name the gateway in front of this one in trusted_relays.",
        )


def configuration(loaded: Loaded) -> Iterator[Concern]:
    """What `check-config` finds, and what is missing for a quiet life."""
    for number, problem in enumerate(examine(loaded)):
        if "CREDENTIALS_DIRECTORY" in problem:  # only the gate itself has it
            continue
        yield Concern(
            f"configuration:{number}", Level.CRITICAL, problem, "See gatepost check-config --explain."
        )
    if loaded.config.mode is Mode.OBSERVE:
        yield Concern(
            "observing",
            Level.WELL,
            "The gate only observes: it delivers what enforcing would hold or refuse.",
            'When gatepost history and gatepost plan show what you expect, set mode = "enforce".',
        )
    if not loaded.config.alerts.to:
        yield Concern(
            "nobody-told",
            Level.WELL,
            "Nobody is told by mail when something is wrong.",
            'Set [alerts] to = ["postmaster@…"].',
        )
    scanner = loaded.config.checks.antivirus
    if not (scanner.clamd or scanner.icap) or scanner.mode is Mode.OFF:
        yield Concern(
            "no-virus-scanner",
            Level.WELL,
            "No virus scanner is asked: known viruses, and the EICAR test file, are delivered unless they show otherwise.",
            'apt-get install clamav-daemon, then [checks.antivirus] clamd = "unix:/run/clamav/clamd.ctl".',
        )
    for domain in loaded.routes.domains:
        if isinstance(domain.recipients, Everyone):
            yield Concern(
                f"everyone:{domain.name}",
                Level.WELL,
                f"Every address at {domain.name} is taken, whether there is a mailbox or not.",
                'Give recipients a list, a file, or { callout = "smtp:HOST:PORT" }: mail to nobody is then refused.',
            )


def certificate(loaded: Loaded) -> Iterator[Concern]:
    """Is there one, and is it for our name?"""
    config = loaded.config
    if not config.tls.certificate:
        yield Concern(
            "no-tls",
            Level.WARNING,
            "There is no certificate: mail comes in unencrypted.",
            "Get one for the host name (such as with certbot) and set tls.certificate and tls.key.",
        )
        return
    try:
        names = certificate_names(expand(config.tls.certificate, loaded.folder))
    except TlsUnusable:  # told of elsewhere, or not ours to read
        return
    ours = normal(config.hostname)
    if ours not in names and f"*.{ours.partition('.')[2]}" not in names:
        yield Concern(
            "certificate-name",
            Level.WARNING,
            f"The certificate is for {', '.join(list(names)[:4]) or 'no name'}, and not for {ours}.",
            "Whoever verifies it (MTA-STS, submission) will not deliver: get one for the host name.",
        )


def openness(loaded: Loaded) -> Iterator[Concern]:
    """Who can read what nobody but the gate should, and who may send through us."""
    if loaded.state.exists() and stat.S_IMODE(loaded.state.stat().st_mode) & 0o077:
        yield Concern(
            "state-readable",
            Level.WARNING,
            f"Other users of this machine can look into {loaded.state}.",
            f"chmod 700 {loaded.state}",
        )
    for listener in loaded.config.listeners:
        sends = listener.role in (Dialect.SUBMISSION, Dialect.SUBMISSIONS)
        if sends and any(one.endswith("/0") for one in listener.relay_for):
            yield Concern(
                f"open-relay:{listener.address}",
                Level.CRITICAL,
                f"Everybody may send out through {listener.address}.",
                "Name only your own machines in relay_for.",
            )


def failed(*answers: Answer) -> bool:
    """Could any of it not be asked?"""
    return any(answer.status is Status.FAILED for answer in answers)
