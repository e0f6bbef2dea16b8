"""Does an account behave as it used to? Where from, at which hours, with which program, in which script.

A habit is what was seen on an earlier day: whoever took an account over today cannot make one by sending much. Only
accounts that have sent on several days have habits. No single change says much; together with others it does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from ipaddress import IPv4Address, ip_network

from gatepost.checks.check import OUTGOING, Check, Emits
from gatepost.checks.sender.networks import places_of, problem_with
from gatepost.mail.address import printable
from gatepost.mail.client import IpAddress, Mail
from gatepost.mail.content import content_of
from gatepost.mail.finding import Finding, Mode
from gatepost.mail.message import Message
from gatepost.tools import Memory, Tools

HERE = "operating guide, “Sending”"


def _change(name: str, about: str, weight: float) -> Emits:
    return Emits(name=f"habits.{name}", about=about, reference=HERE, weight=weight, group="hijack")


COUNTRY = _change("new_country", "The account never sent from this country before.", 2.5)
NETWORK = _change("new_network", "The account never sent from this network before.", 1.5)
HOUR = _change("odd_hour", "The account never sent at this time of the day before.", 1.0)
PROGRAM = _change("new_program", "The account never sent with this mail program before.", 0.5)
SCRIPT = _change("new_script", "The account never wrote in this script before.", 1.5)
KINDS = {"country": COUNTRY, "network": NETWORK, "hour": HOUR, "program": PROGRAM, "script": SCRIPT}

DAY_S = 86_400.0
KEPT_S = 200 * DAY_S
EARLIER_S = 20 * 3600.0
"""How long ago something was first seen, to be a habit."""
LOOKED_AT = 2000
"""Characters of the text whose script is looked at."""
SCRIPTS = (
    ("Japanese", re.compile(r"[\u3040-\u30ff]")),
    ("Chinese", re.compile(r"[\u4e00-\u9fff]")),
    ("Korean", re.compile(r"[\uac00-\ud7af]")),
    ("Cyrillic", re.compile(r"[\u0400-\u04ff]")),
    ("Greek", re.compile(r"[\u0370-\u03ff]")),
    ("Arabic", re.compile(r"[\u0600-\u06ff]")),
    ("Hebrew", re.compile(r"[\u0590-\u05ff]")),
    ("Thai", re.compile(r"[\u0e00-\u0e7f]")),
    ("Latin", re.compile(r"[A-Za-z\u00c0-\u024f]")),
)
ENOUGH_LETTERS = 8
PROGRAM_WORDS = re.compile(r"[^A-Za-z ]+.*", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class HabitsSettings:
    """Changed behaviour of an account."""

    mode: Mode = Mode.ENFORCE
    """off, observe or enforce."""
    days: int = 5
    """On how many days an account must have sent before it has habits."""
    networks_file: str = ""
    """A country database in MaxMind's format, for "new country"; without one networks alone are compared."""


async def habits(mail: Mail, tools: Tools, settings: HabitsSettings) -> Sequence[Finding]:
    """A finding for each habit that this message breaks."""
    account, memory, now = mail.client.user, tools.memory, tools.now
    if account is None:
        return ()
    known = _read(await memory.get(_key(account, "account", "")))
    if known is None or known.days < settings.days:
        return ()
    found = []
    for kind, what, shown in traits(mail, now, settings.networks_file):
        if kind == "hour" and known.days < 2 * settings.days:
            continue
        before = _read(await memory.get(_key(account, kind, what)))
        if before is None or now - before.first < EARLIER_S:
            text = f"{account} {shown} for the first time"
            found.append(KINDS[kind].found(text, {"account": account, "what": what}))
    return found


async def learn(mail: Mail, memory: Memory, now: float, settings: HabitsSettings) -> None:
    """A message was let out: what it shows is a habit from tomorrow on."""
    account = mail.client.user
    if account is None:
        return
    today = int(now // DAY_S)
    for kind, what, _ in (("account", "", ""), *traits(mail, now, settings.networks_file)):
        key = _key(account, kind, what)
        before = _read(await memory.get(key))
        if before is None:
            await memory.put(key, f"{now:.0f} 1 {today}", ttl_s=KEPT_S)
        elif before.last != today:
            await memory.put(key, f"{before.first:.0f} {before.days + 1} {today}", ttl_s=KEPT_S)


def traits(mail: Mail, now: float, file: str) -> Iterator[tuple[str, str, str]]:
    """What can be a habit in a message: its kind, its value, and words behind the account's name."""
    ip = mail.client.ip
    if ip is not None:
        country = next((one for one in places_of(ip, file) if len(one) == 2), "") if file else ""
        if country:
            yield "country", country, f"sends from {country}"
        network = network_of(ip)
        yield "network", network, f"sends from the network {network}"
    third = datetime.fromtimestamp(now, UTC).hour // 3
    yield "hour", str(third), f"sends between {third * 3:02}:00 and {third * 3 + 3:02}:00 UTC"
    program = program_of(mail.message)
    yield "program", program, f"sends with {program or 'a program that does not say its name'}"
    script = mail.message.once(_script)
    if script:
        yield "script", script, f"writes in {script} letters"


def _script(message: Message) -> str:
    return script_of(content_of(message).text[:LOOKED_AT])


@lru_cache(maxsize=4096)
def network_of(ip: IpAddress) -> str:
    """The neighbourhood of an address: what a provider gives one place."""
    return str(ip_network(f"{ip}/{20 if isinstance(ip, IPv4Address) else 40}", strict=False))


def program_of(message: Message) -> str:
    """The mail program's name without its version; empty when it does not say."""
    said = message.get(b"user-agent") or message.get(b"x-mailer") or b""
    return printable(PROGRAM_WORDS.sub("", said[:100].decode("ascii", "replace")).strip(), 40)


def script_of(text: str) -> str:
    """The script most of the letters are of; empty when there are too few."""
    if text.isascii():
        return "Latin" if sum(map(str.isalpha, text[:200])) >= ENOUGH_LETTERS else ""
    counts = [(len(pattern.findall(text)), name) for name, pattern in SCRIPTS]
    most, name = max(counts)
    if counts[0][0] * 5 > most:  # a Japanese text may hold more Chinese characters than kana
        return "Japanese" if counts[0][0] + most >= ENOUGH_LETTERS else ""
    return name if most >= ENOUGH_LETTERS else ""


@dataclass(frozen=True, slots=True)
class _Habit:
    first: float
    days: int
    last: int


def _key(account: str, kind: str, what: str) -> str:
    return f"out:habit:{account} {kind} {what}"


def _read(value: str | None) -> _Habit | None:
    parts = (value or "").split()
    if len(parts) != 3 or not all(one.isdecimal() for one in parts):
        return None
    return _Habit(float(parts[0]), int(parts[1]), int(parts[2]))


def _problems(settings: HabitsSettings) -> list[str]:
    problem = problem_with(settings.networks_file)
    return [problem] if problem else []


HABITS = Check(
    name="habits",
    subject=Mail,
    settings=HabitsSettings,
    run=habits,
    ways=OUTGOING,
    emits=tuple(KINDS.values()),
    timeout_s=2.0,
    problems=_problems,
)
