"""The office's sessions as the shell asks for them, and the cookies in which their tokens travel."""

from __future__ import annotations

from ipaddress import ip_address

from starlette.responses import Response

from gatepost.access.rights import Actor
from gatepost.access.standing import Admission
from gatepost.office import sessions
from gatepost.office.office import Office
from gatepost.office.sessions import Admitted, Visitor
from gatepost.store.database import Connection
from gatepost.web.visit import Premises, Visit

DEVICE_S = 400 * 86_400
"""How long a browser keeps the token it is known by; none keeps a cookie longer."""


class OfficeSessions:
    """Implements `visit.Sessions` over the office."""

    def __init__(self, office: Office) -> None:
        self._office = office

    async def actor(self, token: str, *, address: str, quietly: bool = False) -> Actor | None:  # noqa: ARG002
        """Whose session it is."""
        if quietly:
            return self._office.store.database.read(lambda connection: self._seen(connection, token))
        return await sessions.actor_of(self._office, token)

    def _seen(self, connection: Connection, token: str) -> Actor | None:
        visit = sessions.look(connection, self._office, token)
        return visit.actor if visit is not None and visit.admission is Admission.ENTER else None

    async def end(self, token: str) -> None:
        """Sign out."""
        await sessions.end(self._office, token)


def visitor_of(visit: Visit) -> Visitor:
    """Where a visit comes from."""
    request = visit.request
    return Visitor(
        ip=ip_address(visit.address) if visit.address else None,
        agent=request.headers.get("user-agent", "")[:400],
        device=request.cookies.get(device_cookie(visit.premises), "")[:200],
    )


def device_cookie(premises: Premises) -> str:
    """What a browser is known by after its session."""
    return "__Host-gatepost-device" if premises.secure else "gatepost-device"


def enrolment_cookie(premises: Premises) -> str:
    """A session that is good for enrolment only has a cookie of its own: it opens no other page."""
    return "__Host-gatepost-enrolment" if premises.secure else "gatepost-enrolment"


def let_in(response: Response, premises: Premises, admitted: Admitted, *, enrolling: bool) -> Response:
    """Set the cookies of somebody who just proved who they are. The token is new: none that was there before goes on."""
    name = enrolment_cookie(premises) if enrolling else premises.cookie
    keep(response, premises, name, admitted.token)
    if admitted.device:
        keep(response, premises, device_cookie(premises), admitted.device, DEVICE_S)
    if not enrolling:
        drop(response, premises, enrolment_cookie(premises))
        drop(response, premises, premises.door_cookie)
    return response


def keep(response: Response, premises: Premises, name: str, value: str, max_age: int | None = None) -> None:
    """A cookie that no script reads and no other site sends."""
    response.set_cookie(
        name, value, max_age=max_age, path="/", secure=premises.secure, httponly=True, samesite="strict"
    )


def drop(response: Response, premises: Premises, name: str) -> None:
    """Take it back."""
    response.delete_cookie(name, path="/", secure=premises.secure, httponly=True, samesite="strict")
