"""Tools: what would the gate say to this message, and where would this address end up? And the rules, with their tests."""

from __future__ import annotations

import asyncio

from starlette.responses import Response

from gatepost.access.rights import Right
from gatepost.office import looking
from gatepost.office.office import Impossible
from gatepost.office.seen import LARGEST_PASTED, Installed
from gatepost.rules.trying import failures
from gatepost.web.looks import N_
from gatepost.web.page import page
from gatepost.web.pages.overview import NAMES
from gatepost.web.pages.policy import MODES
from gatepost.web.visit import NotThere, Refused, Visit

POST = ("POST",)
LONGEST_RULE = 64 * 1024


async def tools(visit: Visit) -> Response:
    """Both forms; the address tester answers here."""
    installed: Installed = visit.part(Installed)
    address = visit.asked("address", 320)
    answer, steps, problem = None, (), ""
    if address:
        try:
            answer, steps = await installed.where(visit.me, address)  # type: ignore[assignment]
        except Impossible as fault:
            problem = visit._(str(fault))
    return visit.page("tools.html", address=address, answer=answer, steps=steps, problem=problem)


async def scan(visit: Visit) -> Response:
    """The verdict on a pasted message."""
    installed: Installed = visit.part(Installed)
    text = visit.form.get("message", "")
    octets = "\r\n".join((text if isinstance(text, str) else "").splitlines()).encode(
        "utf-8", "surrogateescape"
    )
    try:
        entry = await installed.try_message(
            visit.me, octets + b"\r\n", client_ip=visit.field("client", 60).strip(), hello=visit.field("hello", 255),
            mail_from=visit.field("from", 320).strip(), recipients=visit.field("to", 2000).replace(",", " ").split(),
        )  # fmt: skip
    except Impossible as fault:
        raise Refused(visit._(str(fault))) from None
    return visit.page(
        "scanned.html", entry=entry, decisions=list(looking.decisions(entry, inside=True)),
        evidence=looking.evidence(entry, inside=True), names=NAMES,
    )  # fmt: skip


async def rules(visit: Visit) -> Response:
    """Every rule, by attack."""
    found = visit.part(Installed).rules()
    return visit.page(
        "rules.html", rules=sorted(found.rules, key=lambda one: (one.attack, one.name)), modes=MODES
    )


async def rule(visit: Visit) -> Response:
    """One rule as it is written, and its examples; with ``?test=1`` also whether it does what they say."""
    found = visit.part(Installed).rules()
    name = visit.request.path_params["name"]
    one = next((each for each in found.rules if each.name == name), None)
    if one is None:
        raise NotThere
    failed = None
    if visit.asked("test"):
        every = await asyncio.to_thread(
            lambda: [each.text for each in failures(found) if each.rule.name == name]
        )
        failed = every
    text = await asyncio.to_thread(one.path.read_text, "utf-8", "replace")
    return visit.page(
        "rule.html", rule=one, text=text[:LONGEST_RULE], modes=MODES, failed=failed,
        matching=[path.name for path in one.examples("match")], passing=[path.name for path in one.examples("pass")],
    )  # fmt: skip


ROUTES = (
    page("/rules", rules, Right.POLICY, menu=N_("Rules"), order=8),
    page("/rules/{name}", rule, Right.POLICY),
    page("/tools", tools, Right.TOOLS, menu=N_("Tools"), order=11),
    page("/tools/scan", scan, Right.TOOLS, methods=POST, form_octets=3 * LARGEST_PASTED),
)
