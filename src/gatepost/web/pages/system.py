"""The installation: its health, its configuration without secrets, its certificates, and the DNS records of its domains."""

from __future__ import annotations

import asyncio
from collections import Counter

from starlette.responses import Response

from gatepost.access.rights import Right
from gatepost.mail.address import printable
from gatepost.office.digests import Digests
from gatepost.office.office import Impossible
from gatepost.office.seen import Installed
from gatepost.web.looks import N_
from gatepost.web.page import page
from gatepost.web.pages.overview import LIGHTS
from gatepost.web.pages.requests import download
from gatepost.web.visit import NotThere, Visit

SOURCES = {"default": N_("default"), "file": N_("from the file"), "console": N_("from the console")}
A_PAGE = 20
STATES = {
    "ok": N_("as it should be"),
    "missing": N_("missing"),
    "differs": N_("different"),
    "unknown": N_("could not be looked up"),
    "optional": N_("not there; mail works without"),
}


async def system(visit: Visit) -> Response:
    """Read only."""
    installed: Installed = visit.part(Installed)
    digests: Digests | None = visit.premises.more.get(Digests)
    name, table = visit.asked("name", 60).lower(), visit.asked("table", 60)
    settings = installed.settings_seen(visit.me)
    tables = Counter(table_of(one.key) for one in settings)
    if name:
        shown = [one for one in settings if name in one.key.lower()]
    elif table in tables:
        shown = [one for one in settings if table_of(one.key) == table]
    else:
        shown = [one for one in settings if one.source != "default"]
    return visit.page(
        "system.html", seen=await visit.premises.health(), lights=LIGHTS, settings=shown, sources=SOURCES,
        ahead=installed.ahead(), certificates=installed.certificates(), version=installed.version, name=name,
        tables=tables, table=table if table in tables and not name else "",
        digest_sent=digests.last_sent() if digests else None, has_digests=digests is not None,
    )  # fmt: skip


def table_of(key: str) -> str:
    """The table of the configuration file that a setting stands in; ``gatepost`` for those above all tables."""
    table, dot, _ = key.partition(".")
    return table.partition("[")[0] if dot or "[" in table else "gatepost"


async def domains(visit: Visit) -> Response:
    """Our domains by name, a page at a time, with how their records stand: the DNS is asked about all of a page at once."""
    installed: Installed = visit.part(Installed)
    after = visit.asked("after", 253)
    names = sorted({one.lstrip(".") for one in installed.domains()})
    rest = [one for one in names if one > after]
    found = await asyncio.gather(*(installed.records_of(visit.me, one) for one in rest[:A_PAGE]))
    return visit.page(
        "domains.html", domains=list(zip(rest, found, strict=False)), states=STATES,
        more=rest[A_PAGE - 1] if len(rest) > A_PAGE else "",
    )  # fmt: skip


async def domain(visit: Visit) -> Response:
    """The records of one of them: published, expected, and the difference."""
    installed: Installed = visit.part(Installed)
    name = visit.request.path_params["name"]
    try:
        records = await installed.records_of(visit.me, name)
    except Impossible:
        raise NotThere from None
    return visit.page(
        "domain.html", name=name, records=records, states=STATES, silent=any(one.state == "unknown" for one in records),
    )  # fmt: skip


async def zone(visit: Visit) -> Response:
    """The records of one of them as lines for its zone file."""
    name = visit.request.path_params["name"]
    try:
        records = await visit.part(Installed).records_of(visit.me, name)
    except Impossible:
        raise NotThere from None
    lines = "".join(f"{printable(line, 4000)}\n" for one in records for line in one.zone.splitlines())
    return download(lines.encode(), "gatepost-records.zone", "text/plain; charset=utf-8")


ROUTES = (
    page("/domains", domains, Right.SYSTEM, menu=N_("Domains"), order=5),
    page("/domains/{name}", domain, Right.SYSTEM),
    page("/domains/{name}/zone", zone, Right.SYSTEM),
    page("/system", system, Right.SYSTEM, menu=N_("System"), order=12),
)
