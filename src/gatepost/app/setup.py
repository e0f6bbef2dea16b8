"""From nothing to an installation: look at the machine, write one commented configuration, say what to publish.

Asks no questions beyond the name. What is found wrong is told with its remedy and stops nothing: most of it (the
reverse name, the records) takes somebody else's time, and the gate only watches at first.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import pwd
import socket
import tomllib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gatepost.app.doctor import own_name
from gatepost.config.load import ConfigError
from gatepost.config.schema import settle
from gatepost.dns.answer import Resolver, Status
from gatepost.dns.names import normal, registrable_domain
from gatepost.jobs.concerns import Level
from gatepost.mail.address import Address, normal_domain, parse_address
from gatepost.mailauth.dmarc_record import is_policy_record
from gatepost.net.authority import is_safe
from gatepost.net.resolver import CachingResolver, validates
from gatepost.scan.nothing import NoDns

CONNECT_S = 10.0
ACCOUNT = "gatepost"
SYSTEM_FOLDER = Path("/etc/gatepost")
SYSTEM_STATE = "/var/lib/gatepost"
"""As the unit file has them."""
RESOLVER = "127.0.0.1:53"
"""Where a validating resolver should answer when nobody named another."""
CLAMD = ("/run/clamav/clamd.ctl", "/run/clamd.scan/clamd.sock")
"""Where ClamAV's daemon listens on Debian, and on Fedora and its relatives."""
PORTS_WANTED = {25: "mail from other servers", 465: "mail from your people", 587: "mail from your people"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is to be set up."""

    hostname: str
    """The name of the MX."""
    domain: str
    """Whose mail comes here."""
    deliver: str
    """As in the configuration: ``smtp:10.0.0.5:25``, ``lmtp:…``, ``maildir:…``."""
    owner: Address
    """Who becomes the first account."""
    folder: Path
    """Of the configuration."""
    console_port: int = 8080
    state: str = "var"
    account: str = ""
    """The account of this machine that the gate runs as."""
    acme: str = ""
    """The directory of the authority that certificates come from; empty: none, and then nobody sends from their desks yet."""
    clamd: str = ""
    """The socket of a virus scanner that answers here; empty: there is none."""


@dataclass(frozen=True, slots=True)
class Look:
    """One thing that was looked at."""

    name: str
    level: Level
    text: str
    remedy: str = ""


def wish_of(
    hostname: str,
    *,
    domain: str = "",
    deliver: str = "",
    owner: str = "",
    folder: Path | None = None,
    console_port: int = 8080,
    acme: str = "",
) -> Wish:
    """Fill in what was not said. Raises ConfigError."""
    host = normal_domain(hostname)
    if host is None or "." not in host:
        problem = f'is "{hostname}", which is no full host name such as mail.example.com.'
        raise ConfigError("gatepost setup", "HOST", problem)
    whose = normal_domain(domain) if domain else registrable_domain(host)
    if whose is None:
        raise ConfigError("gatepost setup", "--domain", f'is "{domain}", which is no domain.')
    address = parse_address(owner or f"postmaster@{whose}", smtputf8=True)
    if address is None:
        raise ConfigError("gatepost setup", "--owner", f'is "{owner}", which is no mail address.')
    if acme and not is_safe(acme):
        raise ConfigError(
            "gatepost setup", "--acme", f'is "{acme}"; an address that begins with https:// is wanted.'
        )
    where = folder or (SYSTEM_FOLDER if os.geteuid() == 0 else Path("gatepost"))
    return Wish(
        hostname=host, domain=whose, deliver=deliver or "maildir:var/mail", owner=address, folder=where.absolute(),
        console_port=console_port,
        state=SYSTEM_STATE if where.absolute() == SYSTEM_FOLDER else "var",
        account=own_account(), acme=acme, clamd=running_clamd(),
    )  # fmt: skip


def own_account() -> str:
    """The account made by gatepost.sysusers, when root sets up and it is there."""
    if os.geteuid() == 0:
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(ACCOUNT).pw_name
    return ""


def running_clamd() -> str:
    """The socket where ClamAV takes connections, empty when it does nowhere."""
    for path in CLAMD:
        with socket.socket(socket.AF_UNIX) as sock, contextlib.suppress(OSError):
            sock.connect(path)
            return path
    return ""


def hand_over(wish: Wish, state: Path) -> None:
    """Everything made by root belongs to the account that runs the gate; the configuration it may read and not write."""
    if not wish.account:
        return
    account = pwd.getpwnam(wish.account)
    for folder, _, files in os.walk(state):
        for path in (folder, *(os.path.join(folder, name) for name in files)):  # noqa: PTH118 - as walk gives them
            os.chown(path, account.pw_uid, account.pw_gid, follow_symlinks=False)
    for one in (wish.folder, wish.folder / "gatepost.toml"):
        os.chown(one, 0, account.pw_gid)


async def looks(
    wish: Wish, resolver: Resolver, *, named: Resolver | None = None, probe: str = ""
) -> list[Look]:
    """Look at the machine in the order in which trouble is best mended. Asks the DNS; with `probe` opens one connection.

    `named` is the resolver that the configuration names; `resolver` answers everything else.
    """
    found = [await validation(named or resolver)]
    resolver = worth_asking(resolver, found, named)
    concerns = [one async for one in own_name(wish.hostname, resolver)]
    found += [Look("name", one.level, one.text, one.remedy) for one in concerns]
    if not concerns:
        found.append(Look("name", Level.WELL, f"{wish.hostname}, its address and its reverse name agree."))
    found += [one async for one in published_already(wish, resolver)]
    found.append(virus_scanner(wish))
    found.append(await port_25_out(resolver, probe))
    ports = PORTS_WANTED | ({80: "the questions of the certificate authority"} if wish.acme else {})
    return found + [
        port_free(port, what) for port, what in (ports | {wish.console_port: "the console"}).items()
    ]


def worth_asking(resolver: Resolver, found: Sequence[Look], named: Resolver | None) -> Resolver:
    """`resolver`, or one that says at once that it could not ask: where nobody answers, each question would be waited for in vain."""
    return NoDns() if resolver is named and found[0].level is Level.CRITICAL else resolver


async def validation(resolver: Resolver) -> Look:
    """Can a forged answer of the DNS be told from a true one?"""
    if not isinstance(resolver, CachingResolver):
        return Look("dnssec", Level.WELL, "DNS is answered from a file.")
    seen = await validates(resolver)
    if not any(one.answers for one in seen):
        where = ", ".join(one.server for one in seen)
        return Look(
            "dnssec", Level.CRITICAL,
            f"Nobody answers at {where}, where the gate would ask: no sender could be proved, and mail would be put off.",
            "Before you start it: apt-get install unbound, or name another resolver in [dns] servers.",
        )  # fmt: skip
    if any(one.validates for one in seen):
        return Look("dnssec", Level.WELL, "The resolver validates DNSSEC.")
    return Look(
        "dnssec", Level.WARNING, "The resolver does not validate DNSSEC: forged answers would be believed.",
        f'apt-get install unbound, then [dns] servers = ["{RESOLVER}"] and trust_ad = true.',
    )  # fmt: skip


async def published_already(wish: Wish, resolver: Resolver) -> AsyncIterator[Look]:
    """What the domain says today: whoever moves it here must not undo it unseen."""
    host = normal(wish.hostname)
    mx = await resolver.lookup(wish.domain, "MX")
    if mx.status is Status.FAILED:
        yield Look(
            "mx", Level.WARNING, f"Where the mail of {wish.domain} goes today could not be looked up.",
            "Note its MX records before you change them: they are the way back.",
        )  # fmt: skip
    elsewhere = [one for one in (normal(record.partition(" ")[2]) for record in mx.records) if one != host]
    if elsewhere:
        yield Look(
            "mx", Level.WELL, f"The mail of {wish.domain} goes to {', '.join(elsewhere[:4])} today.",
            "When the gate is tried (send to it with swaks), let its MX take the place of theirs; to go back, undo that.",
        )  # fmt: skip
    spf, dmarc = await spf_of(wish.domain, resolver), await dmarc_of(wish.domain, resolver)
    for name, found, what in (("spf", spf, "an SPF record"), ("dmarc", dmarc, "a DMARC policy")):
        if found is None:
            yield Look(
                name, Level.WARNING, f"Whether {wish.domain} publishes {what} could not be looked up.",
                "Look before you publish the one below: there must be one alone, and what is there may name other senders or ask for more.",
            )  # fmt: skip
    if spf:
        yield Look(
            "spf", Level.WELL, f"{wish.domain} publishes an SPF record, which stays.",
            f"gatepost dns {wish.domain} says whether it lets this machine send; if not, add mx to it.",
        )  # fmt: skip
    if dmarc:
        yield Look("dmarc", Level.WELL, f"{wish.domain} publishes a DMARC policy, which stays.")


async def spf_of(domain: str, resolver: Resolver) -> list[str] | None:
    """The SPF records of a domain (RFC 7208 §4.5); None when it could not be looked up."""
    answer = await resolver.lookup(domain, "TXT")
    found = [one for one in answer.records if one.lower().split(" ", 1)[0] == "v=spf1"]
    return None if answer.status is Status.FAILED else found


async def dmarc_of(domain: str, resolver: Resolver) -> list[str] | None:
    """The DMARC policy records of a domain itself; None when it could not be looked up."""
    answer = await resolver.lookup(f"_dmarc.{domain}", "TXT")
    return (
        None if answer.status is Status.FAILED else [one for one in answer.records if is_policy_record(one)]
    )


def virus_scanner(wish: Wish) -> Look:
    """Attachments are looked into in any case; who knows viruses by name is another program."""
    if wish.clamd:
        return Look("virus-scanner", Level.WELL, f"ClamAV answers at {wish.clamd}, and is asked.")
    return Look(
        "virus-scanner", Level.WARNING,
        "No virus scanner was found: known viruses, and the EICAR test file, would be delivered unless they show otherwise.",
        f'apt-get install clamav-daemon, then [checks.antivirus] clamd = "unix:{CLAMD[0]}".',
    )  # fmt: skip


async def port_25_out(resolver: Resolver, domain: str) -> Look:
    """May this machine send? Many networks close port 25; one connection to a host of `domain` tells."""
    if not domain:
        return Look(
            "port-25-out", Level.WELL, "Whether port 25 is open towards the world was not tried.",
            "gatepost setup --probe DOMAIN opens one connection to a mail host of that domain.",
        )  # fmt: skip
    answer = await resolver.lookup(domain, "MX")
    hosts = [record.partition(" ")[2].rstrip(".") for record in answer.records] or [domain]
    addresses = [one for host in hosts[:2] for one in (await resolver.lookup(host, "A")).records]
    if not addresses:
        why = "could not be looked up" if answer.status is Status.FAILED else "have no address"
        return Look("port-25-out", Level.WARNING, f"Port 25 was not tried: the mail hosts of {domain} {why}.")
    try:
        async with asyncio.timeout(CONNECT_S):
            _, writer = await asyncio.open_connection(addresses[0], 25)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    except (OSError, TimeoutError) as fault:
        why = str(fault) or "no answer"
        return Look(
            "port-25-out", Level.WARNING, f"{addresses[0]} cannot be reached on port 25 ({why}).",
            "Ask whoever runs your network to open port 25 outwards, or send through a smarthost.",
        )  # fmt: skip
    return Look("port-25-out", Level.WELL, "Port 25 is open towards the world.")


def port_free(port: int, what: str) -> Look:
    """Could we listen there?"""
    name = f"port-{port}"
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1" if port > 1024 else "0.0.0.0", port))  # noqa: S104 - as the gate will
        except OSError as fault:
            if fault.errno == errno.EACCES:
                return Look(name, Level.WELL, f"Port {port} ({what}) takes root or systemd to bind.")
            return Look(
                name, Level.WARNING, f"Port {port} ({what}) is taken by another program.",
                f"See which: ss -ltnp 'sport = :{port}'. Stop it, or choose another address in the configuration.",
            )  # fmt: skip
    return Look(name, Level.WELL, f"Port {port} is free for {what}.")


def configuration(wish: Wish, *, resolver: str = "") -> str:
    """The TOML text: everything that is not a default, with why it is there."""
    servers = f'servers = ["{resolver or RESOLVER}"]'
    callout = wish.deliver.startswith("smtp:")
    recipients = f'{{ callout = "{wish.deliver}" }}' if callout else '"*"'
    about = (
        "asked of the server behind us"
        if callout
        else 'everybody; better: a list, or { file = "recipients.txt" }'
    )
    account = (
        f'\nuser = "{wish.account}"                     # what the gate becomes once its ports are bound'
        if wish.account
        else ""
    )
    return f"""\
# Written by gatepost setup. Every setting with its meaning: gatepost check-config --explain FILE
hostname = "{wish.hostname}"
mode = "observe"                       # deliver everything and record what would have happened; later: "enforce"
state = "{wish.state}"{account}

[[listeners]]
address = "*:25"
role = "mx"

{people(wish)}
[dns]
{servers}             # a validating resolver on this machine: apt-get install unbound
trust_ad = true

[console]                              # on this machine only; from elsewhere: ssh -L {wish.console_port}:localhost:{wish.console_port} {wish.hostname}
address = "127.0.0.1:{wish.console_port}"
url = "http://localhost:{wish.console_port}"

[[domains]]
name = "{wish.domain}"
recipients = {recipients}   # {about}
deliver = "{wish.deliver}"

{scanner(wish)}[alerts]
to = ["{wish.owner}"]
"""


def scanner(wish: Wish) -> str:
    """The table of the virus scanner, where one answers."""
    if not wish.clamd:
        return ""
    return f"""[checks.antivirus]
clamd = "unix:{wish.clamd}"            # while it does not answer, mail with attachments waits

"""


PEOPLE = """\
[[listeners]]
address = "*:465"
role = "submissions"                   # your people's mail programs, under TLS from the start; 587 begins with STARTTLS

[[listeners]]
address = "*:587"
role = "submission"
"""


def people(wish: Wish) -> str:
    """Certificates and the doors of our own people: ready where there is an authority, else with a # before each line."""
    if wish.acme:
        return f"""\
{PEOPLE}
[certificates]
acme = "{wish.acme}"
agree = true                           # to the authority's terms of service
http_address = "0.0.0.0:80"            # where it asks back
"""
    tls = "%d" if wish.state == SYSTEM_STATE else "tls"  # there the unit file hands them over
    later = f'{PEOPLE}\n[tls]\ncertificate = "{tls}/fullchain.pem"\nkey = "{tls}/key.pem"\n'
    return (
        f"# With a certificate for {wish.hostname} take the # away: [tls] turns on STARTTLS, and your people can send.\n"
        + "".join(f"# {line}".rstrip() + "\n" for line in later.splitlines())
    )


async def records(wish: Wish, resolver: Resolver) -> list[str]:
    """What to publish first, as lines of a zone file; `gatepost dns` has the rest once the gate runs.

    An SPF record or DMARC policy that is there is not told again: theirs may name other senders, or ask for more.
    What stands behind `` ; `` is a comment in a zone file.
    """
    host, domain = normal(wish.hostname), wish.domain
    found = [one for kind in ("A", "AAAA") for one in (await resolver.lookup(host, kind)).records]
    lines = [f"{host}. {'AAAA' if ':' in one else 'A'} {one}" for one in found]
    lines = lines or [f"{host}. A 192.0.2.1 ; put its own address here"]
    lines.append(f"{domain}. MX 10 {host}.")
    for there, line in (
        (await spf_of(domain, resolver), f'{domain}. TXT "v=spf1 mx -all"'),
        (
            await dmarc_of(domain, resolver),
            f'_dmarc.{domain}. TXT "v=DMARC1; p=none; rua=mailto:{wish.owner}"',
        ),
    ):
        if there is None:
            lines.append(f"{line} ; if there is none yet: it could not be looked up")
        elif not there:
            lines.append(line)
    return lines


def write(wish: Wish, text: str) -> Path:
    """Write the configuration where none is. Raises ConfigError."""
    path = wish.folder / "gatepost.toml"
    settle(tomllib.loads(text), file="gatepost setup", path=None, folder=wish.folder)
    try:
        wish.folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        with os.fdopen(
            os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640), "w", encoding="utf-8"
        ) as file:
            file.write(text)
    except FileExistsError:
        raise ConfigError(str(path), "setup", "is there already: nothing was changed.") from None
    except OSError as fault:
        raise ConfigError(str(path), "setup", f"cannot be written ({fault.strerror}).") from None
    return path
