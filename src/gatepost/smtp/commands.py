"""The commands: each function reads one verb's argument and asks the driver, answers, or refuses.

RFC 5321 §4.1.1, RFC 3030 (BDAT), RFC 3207 (STARTTLS), Postfix's XCLIENT; AUTH is in `authenticating`.
"""

from __future__ import annotations

from collections.abc import Callable

from gatepost.smtp import reply as say
from gatepost.smtp.authenticating import on_auth
from gatepost.smtp.events import NEED_DATA, BodyStart, Event, Hello, Quit, Reset, StartTls
from gatepost.smtp.grammar import foreign, parse_chunk, parse_hello, parse_mail, parse_rcpt, parse_xclient
from gatepost.smtp.reply import Reply
from gatepost.smtp.session import HELLO, PLACED, TRANSITIONS, Session, State
from gatepost.smtp.transaction import Chunk, Transaction

# First octets of a TLS ClientHello (RFC 8446 §5.1) and of its SSLv2 form: TLS on a port that starts without.
_TLS_RECORD = frozenset({0x16, 0x80})


def read_command(session: Session) -> Event | None:
    """One command line: an event, or None when it was answered here and there may be more to read."""
    if session.counted:
        enough = session.enough()
        if enough is not None:
            return enough
    octets = session.incoming.octets
    if not octets:
        return NEED_DATA
    if octets[0] in _TLS_RECORD:
        return session.violate(say.NOT_SMTP, "tls-in-the-clear")
    limits = session.limits
    long_lines = session.ways.authenticates and session.offers.auth
    line = session.line(limits.auth_line_octets if long_lines else limits.command_line_octets)
    if not isinstance(line, str):
        return line
    verb, _, argument = line.partition(" ")
    verb = verb.upper() if verb.isascii() else ""
    argument = argument.strip(" \t")
    if len(line) > limits.command_line_octets and verb != "AUTH":
        return session.violate(say.LINE_TOO_LONG, "line-too-long")
    command = _COMMANDS.get(verb)
    if command is None:
        other = foreign(verb)
        if other is not None:
            return session.violate(say.NOT_SMTP, other)
    if session.state is State.TURNED_AWAY and verb != "QUIT":
        return session.violate(say.GREETED_WITH_REFUSAL, "bad-sequence")
    if command is None or (verb in HELLO and verb not in session.ways.hello):
        return session.violate(say.UNKNOWN_COMMAND, "unknown-command")
    if verb in PLACED and verb not in TRANSITIONS[session.state] and verb not in _PLACED_BY_THEMSELVES:
        return session.violate(session.misplaced(verb), "bad-sequence")
    return command(session, argument)


def _on_ehlo(session: Session, argument: str) -> Event | None:
    return _hello(session, argument, extended=True)


def _on_helo(session: Session, argument: str) -> Event | None:
    return _hello(session, argument, extended=False)


def _hello(session: Session, argument: str, *, extended: bool) -> Event:
    session.idled()
    name = parse_hello(argument)
    if name is None:
        return session.violate(say.BAD_HELLO, "bad-argument")
    return session.ask(Hello(name, extended), "EHLO")


def _on_mail(session: Session, argument: str) -> Event | None:
    if session.messages >= session.limits.messages:
        return session.violate(say.TOO_MANY_MESSAGES, "too-many-messages")
    if session.ways.authenticates and not (session.authenticated or session.offers.auth_excused):
        first_tls = session.offers.starttls and not session.tls and not session.offers.auth_without_tls
        return session.violate(say.TLS_FIRST if first_tls else say.AUTH_FIRST, "not-authenticated")
    offers = session.offers
    mail = parse_mail(argument, binarymime=offers.binarymime, requiretls=offers.requiretls and session.tls)
    if isinstance(mail, Reply):
        return session.violate(mail, "bad-argument")
    if mail.size is not None and mail.size > session.limits.message_octets:
        return session.violate(say.message_too_big(session.limits.message_octets), "too-big")
    return session.ask(mail, "MAIL")


def _on_rcpt(session: Session, argument: str) -> Event | None:
    transaction = session.transaction
    if len(transaction.recipients) >= session.limits.recipients:
        # A client that pipelines learns of it too late for some; one that never stops is another matter.
        transaction.excess += 1
        counts = transaction.excess > session.limits.recipients
        return session.violate(say.TOO_MANY_RECIPIENTS, "too-many-recipients", counts=counts)
    recipient = parse_rcpt(argument, smtputf8=transaction.smtputf8)
    if isinstance(recipient, Reply):
        transaction.refused_recipient = True
        return session.violate(recipient, "bad-argument")
    return session.ask(recipient, "RCPT")


def _on_data(session: Session, argument: str) -> Event | None:
    if session.state is not State.RCPT:
        refusal, what = session.misplaced("DATA"), "bad-sequence"
    elif argument:
        refusal, what = say.NO_ARGUMENT, "bad-argument"
    elif session.transaction.binary:
        refusal, what = say.BINARY_NEEDS_BDAT, "bad-sequence"
    else:
        return session.ask(BodyStart(), "DATA")
    if session.incoming:
        # A client that did not wait for 354 would have its message read as commands.
        refusal, what = say.DATA_PIPELINED, "data-pipelined"
    return session.violate(refusal, what)


def _on_bdat(session: Session, argument: str) -> Event | None:
    parsed = parse_chunk(argument)
    if parsed is None:
        # How many octets follow is unknown, so nothing more can be read (RFC 3030 §2).
        return session.violate(say.CHUNK_MALFORMED, "bad-argument")
    size, last = parsed
    if size > session.limits.discard_octets:
        return session.violate(say.chunk_too_big(session.limits.message_octets), "too-big")
    refusal, event = None, None
    transaction = session.transaction
    if "BDAT" not in TRANSITIONS[session.state]:
        refusal = session.misplaced("BDAT"), "bad-sequence"
    elif len(transaction.body) + size > session.limits.message_octets:
        refusal = say.message_too_big(session.limits.message_octets), "too-big"
    elif session.state is State.RCPT:
        session.state = TRANSITIONS[session.state]["BDAT"]
        event = BodyStart(chunked=True)
    transaction.chunk = Chunk(size, size, last, refusal)
    return event


def _on_rset(session: Session, argument: str) -> Event | None:
    session.idled()
    if argument:
        return session.violate(say.NO_ARGUMENT, "bad-argument")
    session.transaction = Transaction()
    if session.state is not State.START:
        session.state = State.READY
    session.say(say.OK)
    return Reset()


def _on_noop(session: Session, _argument: str) -> Event | None:
    _idle(session, say.OK)
    return None


def _on_help(session: Session, _argument: str) -> Event | None:
    _idle(session, say.HELP)
    return None


def _on_vrfy(session: Session, argument: str) -> Event | None:
    if not argument:
        return session.violate(say.BAD_ARGUMENT, "bad-argument")
    _idle(session, say.CANNOT_VERIFY)
    return None


def _idle(session: Session, reply: Reply) -> None:
    session.idled()
    session.say(reply)


def _on_unimplemented(session: Session, _argument: str) -> Event | None:
    return session.violate(say.NOT_IMPLEMENTED, "not-implemented")


def _on_quit(session: Session, argument: str) -> Event | None:
    if argument:
        return session.violate(say.NO_ARGUMENT, "bad-argument")
    session.say(say.bye(session.hostname))
    return Quit()


def _on_starttls(session: Session, argument: str) -> Event | None:
    if argument:
        return session.violate(say.NO_ARGUMENT, "bad-argument")
    if session.tls:
        return session.violate(say.TLS_ACTIVE, "bad-sequence")
    if not session.offers.starttls:
        return session.violate(say.NOT_IMPLEMENTED, "not-implemented")
    if session.incoming:
        return session.violate(say.TLS_INJECTION, "starttls-injection")
    return session.ask(StartTls(), "STARTTLS")


def _on_xclient(session: Session, argument: str) -> Event | None:
    if not session.offers.xclient:
        return session.violate(say.NOT_IMPLEMENTED, "not-implemented")
    attributes = parse_xclient(argument)
    if isinstance(attributes, Reply):
        return session.violate(attributes, "bad-argument")
    return session.ask(attributes, "XCLIENT")


_Command = Callable[[Session, str], "Event | None"]
_COMMANDS: dict[str, _Command] = {
    "EHLO": _on_ehlo,
    "HELO": _on_helo,
    "LHLO": _on_ehlo,
    "MAIL": _on_mail,
    "RCPT": _on_rcpt,
    "DATA": _on_data,
    "BDAT": _on_bdat,
    "RSET": _on_rset,
    "NOOP": _on_noop,
    "HELP": _on_help,
    "VRFY": _on_vrfy,
    "QUIT": _on_quit,
    "STARTTLS": _on_starttls,
    "AUTH": on_auth,
    "XCLIENT": _on_xclient,
    **dict.fromkeys(("EXPN", "TURN", "ETRN", "SEND", "SOML", "SAML", "XFORWARD"), _on_unimplemented),
}
# What follows these may be no commands, so they look at where they stand themselves.
_PLACED_BY_THEMSELVES = frozenset({"DATA", "BDAT"})
