"""What a person should know about a running gate: plain facts in, concerns with their remedy out. Pure.

`gatepost status`, the alarms by mail and `gatepost doctor` all say what stands here, so that they cannot disagree.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from gatepost.jobs.settings import AlertSettings
from gatepost.net.resolver import Validation
from gatepost.store.disk import Room
from gatepost.store.figures import Figures
from gatepost.store.snapshotfile import Label

IPV6_HALF = " (IPv6)"
"""What `checks.dnslists.health` calls the half of a list that knows IPv6 addresses."""
LAST_DAYS_S = 3 * 86_400.0
"""A certificate that ends so soon is somebody's work today."""
DUE_TOO_LONG_S = 900.0
"""Mail that could go out for so long, and nobody tries: delivery is down or does not keep up."""


class Level(StrEnum):
    """How bad it is."""

    WELL = "well"
    WARNING = "warning"
    CRITICAL = "critical"


SEVERITY = {Level.WELL: 0, Level.WARNING: 1, Level.CRITICAL: 2}
"""The exit status of `gatepost status` and `gatepost doctor`."""


@dataclass(frozen=True, slots=True)
class Concern:
    """One thing that is not as it should be."""

    key: str
    """The same trouble has the same key at every look."""
    level: Level
    text: str
    """One sentence: what is."""
    remedy: str
    """One sentence: what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """The file system of the state folder."""

    free_octets: int
    total_octets: int
    room: Room
    reusable_octets: int = 0
    """Of the database's own file, which does not shrink."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate in use."""

    file: str
    ends_at: float | None
    """Unix seconds; None when it cannot be read."""
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a look found."""

    now: float
    figures: Figures
    disk: Disk
    validations: Sequence[Validation] = ()
    certificates: Sequence[Certificate] = ()
    lists_out: Mapping[str, str] | None = None
    """Why each block list that is out of service is."""
    sealing: str = ""
    """Why held mail cannot be opened; empty when it can."""
    learnt: Label | None = None
    """What the classifier says of itself, None when it has learnt nothing."""
    classifier: str = ""
    """Why what the classifier learnt cannot be read, one sentence; empty when it can."""
    own_side: Sequence[Concern] = ()
    """What our own keys, certificates and policies want (`jobs.owntrouble`)."""
    journal: str = ""
    """What the last verification of the journal found wrong; empty when nothing."""
    held_accounts: Sequence[str] = ()
    """Accounts whose mail is held."""
    bounced: str = ""
    """For whom, of those whose mail was sent on, more bounces came of late than may."""
    restored_of: float = 0.0
    """When the backup was made that the gate was restored from of late; 0: it was not."""
    dropped: int = 0
    """Entries of history lost within the last hour because the disk was too slow."""
    requests_late: int = 0
    """Requests of data subjects that should have been answered by now."""
    requests_due: int = 0
    """The same that are due within a week."""


def worst(concerns: Sequence[Concern]) -> Level:
    """Of all of them."""
    return max((one.level for one in concerns), key=SEVERITY.__getitem__, default=Level.WELL)


def concerns(facts: Facts, settings: AlertSettings) -> list[Concern]:
    """Everything that is not well, the worst first."""
    found = [
        *of_disk(facts.disk),
        *of_queue(facts.figures, settings),
        *of_quarantine(facts),
        *of_accounts(facts.held_accounts),
        *of_resolvers(facts.validations),
        *of_certificates(facts.certificates, facts.now, settings),
        *of_lists(facts.lists_out or {}),
        *of_requests(facts),
        *facts.own_side,
    ]
    if facts.classifier:
        found.append(
            Concern(
                "classifier",
                Level.WARNING,
                f"What the classifier has learnt cannot be read: {facts.classifier}.",
                "gatepost learn again makes it anew from the lessons.",
            )
        )
    if facts.journal:
        found.append(
            Concern(
                "journal",
                Level.CRITICAL,
                f"The journal is not as it was written: {facts.journal}.",
                "Somebody changed the database: keep a copy of it, and compare with a backup and with the heads sent away.",
            )
        )
    if facts.restored_of:
        found.append(
            Concern(
                "restored",
                Level.WARNING,
                f"The gate was restored from a backup of {day(facts.restored_of)}: passkeys, roles and accounts that were taken"
                " away since are good again.",
                "Look through gatepost user list, and take away again what was; this goes by itself after a week.",
            )
        )
    if facts.bounced:
        found.append(
            Concern(
                "bounced-over",
                Level.WARNING,
                f"More bounces came for {facts.bounced}, whose mail was sent on from here, than its mail can have caused; what"
                " is above the limit is put off.",
                "Somebody may write to them through an address that leaked: gatepost history shows who. A new secret in"
                " keys/srs.secret ends all such addresses.",
            )
        )
    if facts.dropped:
        found.append(
            Concern(
                "history-dropped",
                Level.WARNING,
                f"{facts.dropped} refusals of the last hour are not on record: the disk was too slow for them.",
                "Look at the disk's load; mail that was accepted is not concerned.",
            )
        )
    return sorted(found, key=lambda one: -SEVERITY[one.level])


def of_disk(disk: Disk) -> Iterator[Concern]:
    """Room for mail."""
    left = f"{disk.free_octets / 1024**2:,.0f} MiB of {disk.total_octets / 1024**2:,.0f} MiB are free"
    if disk.reusable_octets >= 1024**2:
        left += f", and {disk.reusable_octets / 1024**2:,.0f} MiB within the database"
    if disk.room is Room.FULL:
        yield Concern(
            "disk",
            Level.CRITICAL,
            f"The disk is full ({left}): no mail is taken, senders are asked to come back.",
            "Make room on the file system of the state folder; mail is taken again by itself.",
        )
    elif disk.room is Room.LOW:
        yield Concern(
            "disk",
            Level.WARNING,
            f"The disk is nearly full ({left}).",
            "Make room on the file system of the state folder, or shorten [retention].",
        )


def of_queue(figures: Figures, settings: AlertSettings) -> Iterator[Concern]:
    """Mail that does not go on."""
    if figures.longest_due_s is not None and figures.longest_due_s > DUE_TOO_LONG_S:
        yield Concern(
            "queue-idle",
            Level.CRITICAL,
            f"{figures.due} copies could be delivered and are not tried, one for {age(figures.longest_due_s)}.",
            "See in the log whether delivery runs (gatepost status) and what keeps it.",
        )
    if figures.oldest_moving_s is not None and figures.oldest_moving_s > settings.queue_age_s:
        yield Concern(
            "queue-stuck",
            Level.WARNING,
            f"The queue is stuck: a message has waited for {age(figures.oldest_moving_s)}.",
            "gatepost queue list says where it should go and what the other side answered.",
        )
    if figures.stopped:
        yield Concern(
            "queue-stopped",
            Level.WARNING,
            f"{figures.stopped} copies are stopped in the queue (undeliverable, or held by a person).",
            "gatepost queue list says why; gatepost queue retry or drop decides.",
        )


def of_quarantine(facts: Facts) -> Iterator[Concern]:
    """Held mail that nobody can open, and people who wait for theirs."""
    if facts.sealing:
        yield Concern(
            "quarantine-key",
            Level.CRITICAL,
            f"Held mail cannot be opened: {facts.sealing.rstrip('.')}.",
            "Put the key file back from where you keep its copy ([quarantine] key_file); without it this mail is lost.",
        )
    if facts.figures.requested:
        yield Concern(
            "quarantine-requested",
            Level.WELL,
            f"{facts.figures.requested} held copies are asked for by their recipients.",
            "gatepost quarantine list --state requested; then release or deny.",
        )


def of_accounts(held: Sequence[str]) -> Iterator[Concern]:
    """Whose mail waits, because somebody else may have the account."""
    for account in held:
        yield Concern(
            f"account:{account}",
            Level.WARNING,
            f"All mail that {account} sends is held.",
            "gatepost queue accounts says why; then gatepost queue release-account or drop-account.",
        )


def of_requests(facts: Facts) -> Iterator[Concern]:
    """The law sets a time for them."""
    if facts.requests_late:
        yield Concern(
            "requests-late",
            Level.WARNING,
            f"{facts.requests_late} requests of data subjects are overdue.",
            "gatepost privacy requests lists them; the data protection officer has a page for each.",
        )
    if facts.requests_due:
        yield Concern(
            "requests-due",
            Level.WELL,
            f"{facts.requests_due} requests of data subjects are due within a week.",
            "gatepost privacy requests lists them; the data protection officer has a page for each.",
        )


def of_resolvers(validations: Sequence[Validation]) -> Iterator[Concern]:
    """Without DNS nothing is proved; without validation a forger may help."""
    silent = [one for one in validations if not one.answers]
    for one in validations:
        if not one.answers:
            alone = len(silent) == len(validations)
            yield Concern(
                f"resolver:{one.server}",
                Level.CRITICAL if alone else Level.WARNING,
                one.text + (" Senders cannot be proved, and mail is deferred for it." if alone else ""),
                "Start it, or name another in dns.servers.",
            )
        elif one.validates is False:
            yield Concern(
                f"resolver-dnssec:{one.server}",
                Level.WARNING,
                one.text,
                "Install a validating resolver on this machine (apt-get install unbound) and set"
                ' dns.servers = ["127.0.0.1:53"] and dns.trust_ad = true.',
            )


def of_certificates(
    certificates: Sequence[Certificate], now: float, settings: AlertSettings
) -> Iterator[Concern]:
    """Before others find out."""
    for one in certificates:
        key = f"certificate:{one.file}"
        if one.ends_at is None:
            yield Concern(key, Level.WARNING, f"The certificate cannot be read: {one.problem}.", RENEW)
        elif one.ends_at <= now:
            yield Concern(
                key, Level.CRITICAL, f"The certificate {one.file} ended on {day(one.ends_at)}.", RENEW
            )
        elif one.ends_at - now < settings.certificate_s:
            yield Concern(
                key,
                Level.CRITICAL if one.ends_at - now < LAST_DAYS_S else Level.WARNING,
                f"The certificate {one.file} ends on {day(one.ends_at)}, in {age(one.ends_at - now)}.",
                RENEW,
            )


RENEW = "Renew it, then reload the gate; restart it where systemd hands the file over (%d/)."


def of_lists(lists_out: Mapping[str, str]) -> Iterator[Concern]:
    """Out of service means: not asked, no mail is lost by it. Many a list has no IPv6 half, which is no trouble."""
    for name, why in sorted(lists_out.items()):
        if name.endswith(IPV6_HALF):
            continue
        yield Concern(
            f"list:{name}",
            Level.WARNING,
            f"The list {name} is out of service: {why}.",
            "It comes back by itself; if it does not, see whether its operator lets this resolver ask,"
            ' or set its mode to "off".',
        )


def age(seconds: float) -> str:
    """A span of time as people say it."""
    for unit, size in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} seconds"


def day(at: float) -> str:
    """A date in UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")
