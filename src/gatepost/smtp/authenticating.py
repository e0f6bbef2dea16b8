"""AUTH within a session (RFC 4954): carries lines between the peer and a SASL exchange."""

from __future__ import annotations

from gatepost.smtp import reply as say
from gatepost.smtp.events import NEED_DATA, AuthRequest, Event, KeysWanted
from gatepost.smtp.reply import Reply
from gatepost.smtp.sasl import MECHANISMS, Credentials, Exchange, KeysFor, encoded
from gatepost.smtp.session import Session, State


def on_auth(session: Session, argument: str) -> Event | None:
    """AUTH mechanism [initial-response]: refused, or a challenge, or already credentials to verify."""
    session.idled()
    offers = session.offers
    if not session.ways.authenticates or not offers.auth:
        return session.violate(say.NOT_IMPLEMENTED, "not-implemented")
    if session.authenticated:
        return session.violate(say.AUTH_TWICE, "bad-sequence")
    if not session.may_authenticate():
        return session.violate(say.AUTH_NEEDS_TLS, "auth-without-tls")
    mechanism, _, initial = argument.partition(" ")
    mechanism = mechanism.upper()
    if mechanism not in offers.auth or mechanism not in MECHANISMS:
        return session.violate(say.AUTH_MECHANISM_UNKNOWN, "auth-mechanism")
    session.exchange = Exchange(mechanism)
    session.state = State.SASL
    return _go_on(session, session.exchange, session.exchange.start(initial or None))


def read_sasl(session: Session) -> Event | None:
    """The client's next line of an exchange."""
    line = session.line(session.limits.auth_line_octets)
    exchange = session.exchange
    if not isinstance(line, str):
        if line is not NEED_DATA:
            _leave_sasl(session)
        return line
    if session.held is not None or exchange is None:
        held = session.held or say.AUTH_FAILED
        _leave_sasl(session)
        session.say(held)
        return None
    if line == "*":
        _leave_sasl(session)
        return session.violate(say.AUTH_CANCELLED, "auth-cancelled")
    return _go_on(session, exchange, exchange.respond(line))


def _go_on(session: Session, exchange: Exchange, step: bytes | KeysFor | Credentials | None) -> Event | None:
    if step is None:
        _leave_sasl(session)
        return session.violate(say.AUTH_MALFORMED, "auth-malformed")
    if isinstance(step, bytes):
        session.say(Reply(334, "", encoded(step)))
        return None
    if isinstance(step, KeysFor):
        return session.ask(KeysWanted(exchange.mechanism, step.user))
    session.exchange = None
    return session.ask(AuthRequest(exchange.mechanism, step))


def _leave_sasl(session: Session) -> None:
    session.exchange = session.held = None
    if session.state is not State.CLOSED:
        session.state = State.READY
