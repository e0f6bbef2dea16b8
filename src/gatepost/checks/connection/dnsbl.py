"""Is the client, or a name it uses, on a DNS list? RFC 5782.

Block lists speak against mail, welcome lists for it. Lists start in observe. `lists` says what an answer
means, `listhealth` takes broken lists out of service.
Left out: TXT explanations, for they are as often advertising as reasons.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass

from gatepost.checks.check import Check, Emits
from gatepost.checks.connection.listhealth import HEALTH_KEY, out_of_service, state_key
from gatepost.checks.connection.lists import Identity, Kind, ListSettings, is_error, list_key, meaning
from gatepost.checks.connection.network import is_public
from gatepost.dns.answer import Status
from gatepost.dns.names import normal, ptr_name, reversed_name, valid_query_name
from gatepost.mail.client import Attempt
from gatepost.mail.finding import Finding, Mode
from gatepost.tools import Tools

LISTED = Emits(
    name="dnsbl.listed",
    about="A block list has the client or a name it uses.",
    reference="RFC 5782 §2.1",
    weight=2.0,
    group="reputation",
    at_door=True,
    excused_by=("dnsbl.welcome",),
    reply="550 5.7.1",
)
WELCOME = Emits(
    name="dnsbl.welcome",
    about="A welcome list has the client or a name it uses.",
    reference="RFC 5782 §2.2",
    weight=-2.0,
    group="welcome",
    at_door=True,
)
ERROR = Emits(
    name="dnsbl.error",
    about="A list answered with an error: we may not ask, or ask too much.",
    reference="RFC 5782 §5",
)
SILENT = Emits(name="dnsbl.silent", about="A list did not answer.", reference="RFC 5782 §6")
OUT = Emits(
    name="dnsbl.out_of_service",
    about="A list is not asked because it is not in order.",
    reference="RFC 5782 §5",
)
ASKED = Emits(name="dnsbl.asked", about="Which lists were asked, for their figures.", reference="RFC 5782 §6")

PATIENCE_S = 4.0
"""How long lists may take together; whoever is late was silent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DnsblSettings:
    """DNS lists to ask at RCPT TO."""

    mode: Mode = Mode.ENFORCE
    """Of the check as a whole; each list has its own."""
    lists: tuple[ListSettings, ...] = ()
    """The lists, block lists and welcome lists."""


async def listed(attempt: Attempt, tools: Tools, settings: DnsblSettings) -> Sequence[Finding]:
    """What the lists say. Nobody is asked about those who signed in, or about private addresses."""
    client = attempt.client
    if client.user is not None or client.ip is None or not is_public(client.ip):
        return ()
    out = out_of_service(await tools.memory.get(HEALTH_KEY))
    found: list[Finding] = []
    asked: dict[str, Coroutine[None, None, list[Finding]]] = {}
    for one in settings.lists:
        if one.mode is Mode.OFF:
            continue
        why = out.get(state_key(one, client.ip))
        if why is not None:
            found.append(OUT.found(f"{one.source} is not asked: {why}", {"list": one.source}, one.source))
            continue
        subject = await _subject(attempt, one.identity, tools)
        if subject is not None:
            asked[one.source] = _ask(one, subject, attempt, tools)
    if asked:
        found += await _together(asked)
        found.append(ASKED.found(f"asked {', '.join(asked)}", {"lists": list(asked)}))
    return found


async def _together(asked: Mapping[str, Coroutine[None, None, list[Finding]]]) -> list[Finding]:
    """All answers, in the order of the lists; one slow list does not cost the others."""
    tasks = {source: asyncio.ensure_future(one) for source, one in asked.items()}
    try:
        await asyncio.wait(tasks.values(), timeout=PATIENCE_S)
        found: list[Finding] = []
        for source, task in tasks.items():
            late = SILENT.found(f"{source} did not answer in time", {"list": source}, source)
            found += task.result() if task.done() else [late]
        return found
    finally:
        for task in tasks.values():
            task.cancel()


async def _subject(attempt: Attempt, identity: Identity, tools: Tools) -> str | None:
    """What to put in front of the zone; None when there is nothing to ask about."""
    client = attempt.client
    if client.ip is None:
        return None
    if identity is Identity.IP:
        return reversed_name(client.ip)
    if identity is Identity.HELLO:
        return _name(client.hello)
    if identity is Identity.SENDER_DOMAIN:
        return None if attempt.sender is None else _name(attempt.sender.domain)
    answer = await tools.resolver.lookup(ptr_name(client.ip), "PTR")
    return _name(answer.records[0]) if answer.records else None


def _name(text: str) -> str | None:
    name = normal(text)
    return name if "." in name and valid_query_name(name) and not name.startswith("[") else None


async def _ask(one: ListSettings, subject: str, attempt: Attempt, tools: Tools) -> list[Finding]:
    key = list_key(one)
    if key is None:
        return [ERROR.found(f"the key of {one.source} cannot be read", {"list": one.source}, one.source)]
    answer = await tools.resolver.lookup(f"{subject}.{key}{one.zone}", "A")
    if answer.status is Status.FAILED:
        evidence = {"list": one.source, "problem": answer.problem}
        return [SILENT.found(f"{one.source} did not answer ({answer.problem})", evidence, one.source)]
    found = []
    who = str(attempt.client.ip) if one.identity is Identity.IP else subject
    meant = [(code, what) for code in answer.records if (what := meaning(code, one)) is not None]
    wrong = [code for code in answer.records if is_error(code, one.kind)]
    if meant:
        emits, verb = (WELCOME, "welcomed") if one.kind is Kind.WELCOME else (LISTED, "listed")
        whys = ", ".join(dict.fromkeys(what for _, what in meant if what))
        text = f"{who} is {verb} by {one.source}" + (f" ({whys})" if whys else "")
        codes = [code for code, _ in meant]
        evidence_of: dict[str, str | int | float | bool | list[str] | None] = {
            "list": one.source,
            "identity": one.identity.value,
            "asked_about": who,
            "codes": codes,
            "dnssec": answer.security.name.lower(),
        }
        found.append(emits.found(text, evidence_of, one.source))
    if wrong:
        text = f"{one.source} answered {', '.join(wrong)}, which is an error and no listing"
        found.append(ERROR.found(text, {"list": one.source, "codes": wrong}, one.source))
    return found


def _weights(settings: DnsblSettings) -> Mapping[str, tuple[float, Mode]]:
    weights = {}
    for one in settings.lists:
        welcome = one.kind is Kind.WELCOME
        name = WELCOME.name if welcome else LISTED.name
        weights[f"{name}:{one.source}"] = (-abs(one.weight) if welcome else one.weight, one.mode)
    return weights


def _problems(settings: DnsblSettings) -> list[str]:
    said, seen = [], set()
    for one in settings.lists:
        if not one.zone or not valid_query_name(one.zone):
            said.append(f"{one.zone!r} is no zone that could be asked")
        if one.source in seen:
            said.append(f"two lists are called {one.source}; give one a name")
        seen.add(one.source)
    return said


DNSBL = Check(
    name="dnsbl",
    subject=Attempt,
    settings=DnsblSettings,
    run=listed,
    emits=(LISTED, WELCOME, ERROR, SILENT, OUT, ASKED),
    timeout_s=5.0,
    problems=_problems,
    idle=lambda settings: not settings.lists,
    needs_dns=True,
    weights_of=_weights,
)
