"""The API as an ASGI application: a token, a right, a type, an act of the office, and JSON; every error is a problem.

It knows no cookie: a browser's session opens nothing here, so that no other site's page can use it.
"""

from __future__ import annotations

import asyncio
import logging
import math
import re
import secrets
import time
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import Any

import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gatepost.access.rights import Actor
from gatepost.office import apitokens
from gatepost.office.candidates import Unsound
from gatepost.office.longreads import Busy
from gatepost.office.office import Impossible, NotAllowed, ProveAgain
from gatepost.store.failures import StoreFailed, StoreFull
from gatepost.store.patience import Patience, TookTooLong, patient
from gatepost.web.api.document import REF, document, path_names
from gatepost.web.api.operations import Call, Operation
from gatepost.web.api.pace import Pace
from gatepost.web.api.shapes import ENCODER, Problem
from gatepost.web.api.table import OPERATIONS
from gatepost.web.guard import BODY_S
from gatepost.web.visit import Premises, address_of

log = logging.getLogger(__name__)
LONGEST_BODY = 256 * 1024
LONGEST_TOKEN = 200
BURST, EACH_S = 120, 0.5
"""Of one account: so many calls at once, then two a second."""
FAILED_BURST, FAILED_EACH_S = 20, 3.0
"""Calls with bad tokens, of one network."""


class Refusal(Exception):
    """Becomes a problem."""

    def __init__(self, status: int, title: str, detail: str = "", **headers: str) -> None:
        super().__init__(detail or title)
        self.status, self.title, self.detail = status, title, detail
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class Api:
    """Everything below ``/api``."""

    def __init__(
        self,
        premises: Premises,
        *,
        operations: Sequence[Operation] = OPERATIONS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._premises = premises
        self._routes = [(re.compile(pattern(one.path)), one) for one in operations]
        self._pace = Pace(burst=BURST, each_s=EACH_S, monotonic=monotonic)
        self._failed = Pace(burst=FAILED_BURST, each_s=FAILED_EACH_S, monotonic=monotonic)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        request = Request(scope, receive, send)
        try:
            with patient(Patience()):
                response = await self._answered(request)
        except Refusal as refusal:
            response = problem(refusal)
        await response(scope, receive, send)

    async def _answered(self, request: Request) -> Response:
        path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
        if path == "/v1/openapi.json":
            if request.method not in ("GET", "HEAD"):
                raise Refusal(405, "Not this method", allow="GET")
            return Response(msgspec.json.encode(document()), media_type="application/json")
        one, names = self._route(request.method, path)
        actor = await self._who(request)
        if not any(actor.may(right) for right in one.rights):
            scopes = " or ".join(right.value for right in one.rights)
            raise Refusal(403, "The token does not have the scope", f"This takes the scope {scopes}.")
        given = await self._given(request, one)
        return await self._act(Call(premises=self._premises, actor=actor, given=given, path=names), one)

    def _route(self, method: str, path: str) -> tuple[Operation, dict[str, str]]:
        allowed = []
        for shape, one in self._routes:
            found = shape.fullmatch(path)
            if found is not None:
                if one.method == method:
                    return one, found.groupdict()
                allowed.append(one.method)
        if allowed:
            raise Refusal(405, "Not this method", f"Here: {', '.join(allowed)}.", allow=", ".join(allowed))
        raise Refusal(404, "There is nothing here")

    async def _who(self, request: Request) -> Actor:
        """Whose token it is. Guessing is slowed down for the network it comes from."""
        address = address_of(request, self._premises.trusted_proxies)
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        actor = None
        if scheme.lower() == "bearer" and 0 < len(token) <= LONGEST_TOKEN:
            ip = ip_address(address) if address else None
            actor = await apitokens.actor_of(self._premises.office, token.strip(), ip=ip)
        if actor is None:
            slow_down(self._failed.wait_s(address))
            raise Refusal(
                401,
                "A good token is needed",
                "Authorization: Bearer gatepost_…",
                www_authenticate='Bearer realm="gatepost"',
            )
        slow_down(self._pace.wait_s(str(actor.account)))
        return actor

    async def _given(self, request: Request, one: Operation) -> Struct:
        try:
            if one.method in ("GET", "DELETE"):
                return query_of(request, one.takes)
            kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind != "application/json":
                raise Refusal(415, "The body is no JSON", "Send it as application/json.")
            body = bytearray()
            async with asyncio.timeout(BODY_S):
                async for chunk in request.stream():
                    body += chunk
                    if len(body) > LONGEST_BODY:
                        raise Refusal(413, "The body is too long", f"At most {LONGEST_BODY:,} octets.")
            return msgspec.convert(whole_numbers(msgspec.json.decode(body)), one.takes)
        except msgspec.MsgspecError as fault:
            raise Refusal(400, "What was sent cannot be read", f"{fault}.") from None
        except (UnicodeDecodeError, RecursionError):
            raise Refusal(400, "What was sent cannot be read") from None
        except TimeoutError:
            raise Refusal(408, "The body did not come", f"It had {BODY_S:.0f} seconds.") from None

    async def _act(self, call: Call, one: Operation) -> Response:
        try:
            told = await one.answer(call)
        except NotAllowed:
            raise Refusal(404, "There is no such thing, or it is not yours") from None
        except (Impossible, Unsound) as fault:
            raise Refusal(409, "It cannot be done as asked", str(fault)) from None
        except ProveAgain:
            raise Refusal(403, "This takes a person", "Sign in to the console for it.") from None
        except KeyError as fault:
            log.warning("the API was asked for what this console does not have: %s", fault)
            raise Refusal(404, "There is nothing here") from None
        except Busy as fault:
            raise Refusal(429, "One after the other", str(fault), retry_after="5") from None
        except TookTooLong as fault:
            log.warning("a call was stopped: %s: %s", one.path, fault)
            raise Refusal(503, "That took too long", str(fault), retry_after="60") from None
        except (StoreFull, StoreFailed):
            log.exception("the store failed a call")
            raise Refusal(503, "The store cannot be used at the moment", retry_after="60") from None
        except Exception:
            mark = secrets.token_hex(4)
            log.exception("a call failed (%s): %s %s", mark, one.method, one.path)
            raise Refusal(
                500, "Something broke", f"The log of the gate has the details under {mark}."
            ) from None
        return Response(ENCODER.encode(told), media_type="application/json")


def pattern(path: str) -> str:
    """The path as a regular expression; a name in braces is a reference."""
    made = re.escape(path)
    for name in path_names(path):
        made = made.replace(re.escape(f"{{{name}}}"), f"(?P<{name}>{REF.strip('^$')})")
    return made


def query_of(request: Request, kind: type[Struct]) -> Struct:
    """The query as its type. Raises MsgspecError, or Refusal for a name that is given twice."""
    pairs = request.query_params.multi_items()
    values = dict(pairs)
    if len(values) != len(pairs):
        raise Refusal(400, "What was sent cannot be read", "A name is given twice in the query.")
    read = msgspec.convert(values, kind, strict=False)
    if any(getattr(read, name) is None for name in values):  # msgspec takes the word "null" for nothing
        raise Refusal(400, "What was sent cannot be read", "A URL has no null: leave the name out.")
    return read


def whole_numbers(value: Any) -> Any:
    """The same with ``1.0`` as ``1``: JSON Schema calls both an integer. As deep as the reader lets a body be."""
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < 2**53 else value
    if isinstance(value, list):
        return [whole_numbers(one) for one in value]
    if isinstance(value, dict):
        return {name: whole_numbers(one) for name, one in value.items()}
    return value


def slow_down(wait_s: float) -> None:
    """Raises Refusal when there is anything to wait for."""
    if wait_s > 0:
        raise Refusal(429, "Too many calls", retry_after=str(math.ceil(wait_s)))


def problem(refusal: Refusal) -> Response:
    """RFC 9457."""
    told = Problem(title=refusal.title, status=refusal.status, detail=refusal.detail)
    return Response(
        ENCODER.encode(told), refusal.status, media_type="application/problem+json", headers=refusal.headers
    )
