"""A breach of personal data: the facts that the gate knows of a span of time, and a draft of the notice (GDPR Art. 33).

A draft and nothing more: it is sent by nobody here, and what only people know stands in it as a gap to be filled. Gathering
is in the journal with its numbers, and names nobody. The sentences are keys of the catalogues, as in `processing`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from gatepost.access.rights import Actor, Right
from gatepost.mail.address import parse_address, printable
from gatepost.office.longreads import EXPORT_S
from gatepost.office.office import Impossible, Office
from gatepost.office.processing import Line, Section, said
from gatepost.office.settings import PrivacySettings
from gatepost.store import journal
from gatepost.store.database import Connection

CLOCK_S = 72 * 3600.0
"""From becoming aware of it (Art. 33(1))."""
LONGEST_S = 400 * 86_400.0
NAMED = 200
"""Addresses that are listed; all are counted."""
ACTS = 50
GAP = "to be filled in"


class Incident(StrEnum):
    """What happened, as far as it decides what is counted."""

    ACCOUNT = "account"
    """Somebody else was signed in as one of our people."""
    RELEASE = "release"
    """Held mail was let go that should not have been."""
    READING = "reading"
    """Held mail was read by somebody who should not have."""
    OTHER = "other"
    """Everything in the span is counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What to gather."""

    incident: Incident
    since: float
    until: float
    known_at: float
    """When somebody here became aware of it: the clock begins."""
    whose: str = ""
    """The address it is about; needed for an account."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the gate knows."""

    asked: Asked
    persons: tuple[str, ...]
    """Addresses of people concerned, at most NAMED."""
    person_count: int
    records: dict[str, int]
    """Kind of record (a key of RECORDS) -> how many."""
    acts: tuple[str, ...]
    """What was done since, one line each."""

    @property
    def due_at(self) -> float:
        """When the authority must have been told."""
        return self.asked.known_at + CLOCK_S


RECORDS = {
    "sent": "Messages sent in the account's name",
    "received": "Messages to the account, as facts (addresses, subject, verdict)",
    "held": "Messages held for the account, whole",
    "sign_ins": "Sign-ins of the account, with network and program",
    "released": "Held messages that were let go, whole",
    "looks": "Looks at held messages",
    "read": "Held messages that were looked at, whole",
    "messages": "Messages, as facts (addresses, subject, verdict)",
}
HAPPENED = {
    Incident.ACCOUNT: "Somebody else was signed in to the account %(whose)s, or sent mail in its name.",
    Incident.RELEASE: "Mail that was held was let go although it should have stayed held.",
    Incident.READING: "Mail that was held was looked at by somebody who should not have.",
    Incident.OTHER: "A breach of personal data at the mail gateway.",
}
MAY_FOLLOW = {
    Incident.ACCOUNT: "Whoever was signed in may have read mail and written in the person's name: fraud against those who trust the address, and"
    " knowledge of what was written.",
    Incident.RELEASE: "Recipients may have followed links or opened attachments of fraudulent mail: loss of passwords, money or data.",
    Incident.READING: "The content of letters is known to somebody it was not meant for: loss of confidentiality, as grave as what stood in them.",
    Incident.OTHER: "What may follow depends on what happened.",
}


async def gather(office: Office, actor: Actor, asked: Asked) -> Facts:
    """Count, and note in the journal that it was done. Raises NotAllowed, or Impossible for a span that cannot be meant."""
    office.insist(actor, Right.PRIVACY)
    whose = address_in(asked.whose)
    if asked.incident is Incident.ACCOUNT and not whose:
        raise Impossible("Name the account's address.")
    if not 0 <= asked.since < asked.until or asked.until - asked.since > LONGEST_S:
        raise Impossible("Give a beginning and a later end, at most 400 days apart.")
    if asked.known_at < asked.since or asked.known_at > office.clock() + 86_400:
        raise Impossible("When it became known cannot lie before it began, nor in the future.")
    meant = Asked(
        incident=asked.incident, since=asked.since, until=asked.until, known_at=asked.known_at, whose=whose
    )
    facts = await office.read_long(actor, lambda c: _facts(c, meant), seconds=EXPORT_S)
    counts = ", ".join(f"{name} {number}" for name, number in facts.records.items())
    why = office.why(actor, f"persons {facts.person_count}; {counts}")
    await office.store.database.commit(
        lambda c: journal.append(
            c, at=why.at, who=why.who, what=f"breach draft {meant.incident}", why=why.why
        )
    )
    return facts


def address_in(text: str) -> str:
    """A whole address, lower case; empty for nothing. Raises Impossible."""
    if not text.strip():
        return ""
    one = parse_address(text.strip().strip("<>"), smtputf8=True)
    if one is None:
        raise Impossible(f"{printable(text, 100)} is no mail address such as ana@example.net.")
    return str(one).lower()


# Counting


def _facts(connection: Connection, asked: Asked) -> Facts:
    persons, records = {
        Incident.ACCOUNT: _account, Incident.RELEASE: _release, Incident.READING: _reading, Incident.OTHER: _other,
    }[asked.incident](connection, asked)  # fmt: skip
    return Facts(
        asked=asked, persons=tuple(sorted(persons)[:NAMED]), person_count=len(persons),
        records={name: number for name, number in records.items() if number}, acts=_acts(connection, asked),
    )  # fmt: skip


def _account(connection: Connection, asked: Asked) -> tuple[set[str], dict[str, int]]:
    span, key = (asked.since, asked.until), _key(asked.whose)
    sent = "SELECT h.id FROM history h INDEXED BY history_account WHERE h.account = ? AND h.account <> '' AND h.at >= ? AND h.at < ?"
    persons = {asked.whose} | {
        _address(one) for (one,) in connection.execute(
            f"SELECT DISTINCT r.recipient FROM history_recipients r WHERE r.history IN ({sent}) AND r.at >= ? AND r.at < ?",  # noqa: S608
            (asked.whose, *span, *span),
        )
    }  # fmt: skip
    return persons, {
        "sent": _count(connection, f"SELECT count(*) FROM ({sent})", asked.whose, *span),  # noqa: S608 - our own words
        "received": _count(
            connection, "SELECT count(*) FROM history_recipients WHERE recipient = ? AND at >= ? AND at < ?", key, *span
        ),
        "held": _count(
            connection, "SELECT count(*) FROM quarantine WHERE lower(to_address) = ? AND held_at < ? AND"
            " (state IN ('held', 'requested') OR changed_at >= ?)", asked.whose, asked.until, asked.since,
        ),
        "sign_ins": _count(
            connection, "SELECT count(*) FROM sign_ins WHERE succeeded = 1 AND at >= ? AND at < ? AND account IN"
            " (SELECT account FROM account_addresses WHERE address = ? AND delegated = 0)", *span, asked.whose,
        ),
    }  # fmt: skip


def _release(connection: Connection, asked: Asked) -> tuple[set[str], dict[str, int]]:
    rows = connection.execute(
        "SELECT lower(to_address), count(*) FROM quarantine WHERE state NOT IN ('held', 'requested') AND state = 'released'"
        " AND changed_at >= ? AND changed_at < ? AND (?3 = '' OR lower(to_address) = ?3) GROUP BY 1",
        (asked.since, asked.until, asked.whose),
    ).fetchall()
    return {whose for whose, _ in rows}, {"released": sum(number for _, number in rows)}


def _reading(connection: Connection, asked: Asked) -> tuple[set[str], dict[str, int]]:
    rows = connection.execute(
        "SELECT lower(owner), ref FROM views WHERE at >= ? AND at < ? AND (?3 = '' OR lower(owner) = ?3 OR lower(who) = ?3)",
        (asked.since, asked.until, asked.whose),
    ).fetchall()
    return {whose for whose, _ in rows}, {"looks": len(rows), "read": len({ref for _, ref in rows})}


def _other(connection: Connection, asked: Asked) -> tuple[set[str], dict[str, int]]:
    span = (asked.since, asked.until, _key(asked.whose))
    rows = connection.execute(
        "SELECT DISTINCT recipient FROM history_recipients WHERE at >= ? AND at < ? AND (?3 = '' OR recipient = ?3)",
        span,
    )
    persons = {_address(one) for (one,) in rows}
    return persons, {
        "messages": _count(
            connection, "SELECT count(DISTINCT history) FROM history_recipients WHERE at >= ? AND at < ?"
            " AND (?3 = '' OR recipient = ?3)", *span,
        )
    }  # fmt: skip


DONE = ("account disable", "account enable", "account recover", "account remove", "account roles", "account unlink", "account identity",
        "app-password revoke", "certificate remove", "token revoke", "sign-out", "session", "quarantine delete", "queue hold", "queue drop")  # fmt: skip
"""Acts that answer an incident."""


def _acts(connection: Connection, asked: Asked) -> tuple[str, ...]:
    """What people did about it, the oldest first: acts on the account, or on what was let go or looked at."""
    found = journal.read(
        connection,
        about=asked.whose or None,
        since=asked.since,
        limit=2000 if asked.whose else ACTS * 4,
    )
    told = [one for one in reversed(found) if one.what.startswith(DONE)]
    return tuple(f"{_moment(one.at)} {one.what} ({one.who})" for one in told[:ACTS])


def _count(connection: Connection, statement: str, *values: object) -> int:
    return int(connection.execute(statement, values).fetchone()[0])


def _key(address: str) -> str:
    """As history indexes it."""
    local, _, domain = address.rpartition("@")
    return f"{domain} {local}" if address else ""


def _address(key: str) -> str:
    domain, _, local = key.partition(" ")
    return f"{local}@{domain}"


# The draft


def draft(facts: Facts, settings: PrivacySettings, now: float) -> list[Section]:
    """Everything Article 33(3) asks for, in its order, with gaps where only people know."""
    asked = facts.asked
    left = max(0.0, facts.due_at - now)
    clock = [
        Line("Known since %(known)s; the authority must be told by %(due)s.", {"known": _moment(asked.known_at), "due": _moment(facts.due_at)}),
        Line("%(hours)s hours are left.", {"hours": f"{left / 3600:.0f}"}) if left else Line(
            "The 72 hours are over: give the reasons for the delay (Article 33(1))."
        ),
        Line("What is not known yet may follow later, without undue delay (Article 33(4))."),
        Line("No notice is needed where a risk to people is unlikely; write down why, all the same (Article 33(5))."),
    ]  # fmt: skip
    nature = [
        Line(HAPPENED[asked.incident], {"whose": asked.whose} if asked.incident is Incident.ACCOUNT else {}),
        Line("From %(since)s to %(until)s.", {"since": _moment(asked.since), "until": _moment(asked.until)}),
        Line("People concerned: about %(number)s, with a mailbox here or writing to one.", {"number": f"{facts.person_count:,}"}),
        *(Line("%(what)s: %(number)s", {"number": f"{number:,}", "what": RECORDS[name]}) for name, number in facts.records.items()),
        Line("How it happened: %(gap)s.", {"gap": GAP}),
    ]  # fmt: skip
    contact = [
        Line("Controller: %(who)s", {"who": settings.controller or GAP}),
        Line("Data protection officer: %(who)s", {"who": settings.officer or GAP}),
    ]
    measures = [Line("%(act)s", {"act": one}) for one in facts.acts] or [
        Line("Nothing about it is in the journal yet.")
    ]
    measures.append(Line("Further measures, and how people concerned are protected: %(gap)s.", {"gap": GAP}))
    return [
        Section("The clock (Article 33(1))", tuple(clock)),
        Section("Nature of the breach, people and records concerned (Article 33(3)(a))", tuple(nature)),
        Section("Who answers questions (Article 33(3)(b))", tuple(contact)),
        Section(
            "Likely consequences (Article 33(3)(c))",
            (Line(MAY_FOLLOW[asked.incident]), Line("How grave it is here: %(gap)s.", {"gap": GAP}),
             Line("Where the risk to people is high they are told, too (Article 34).")),
        ),
        Section("What was done, and what will be (Article 33(3)(d))", tuple(measures)),
    ]  # fmt: skip


def markdown(sections: Sequence[Section], hostname: str, say: Callable[..., str], now: float) -> str:
    """As a document to be filled in."""
    lines = [
        f"# {say('Draft of a notice of a personal data breach (GDPR Article 33)')}", "",
        say("Mail gateway %(host)s, drawn up on %(moment)s. Nothing was sent to anybody.", host=hostname, moment=_moment(now)), "",
    ]  # fmt: skip
    for one in sections:
        lines += [f"## {say(one.title)}", "", *(f"- {said(line, say)}" for line in one.lines), ""]
    return "\n".join(lines)


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")
