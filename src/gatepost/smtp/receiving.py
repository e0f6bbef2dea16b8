"""The message itself, by DATA (RFC 5321 §4.1.1.4) or in chunks (RFC 3030 §2).

A message that is refused is still read to its real end: what a sender put into it is never read as commands.
"""

from __future__ import annotations

from gatepost.smtp import reply as say
from gatepost.smtp.events import NEED_DATA, BodyEnd, Event, Violation
from gatepost.smtp.framing import Fault, fault_in, unstuff
from gatepost.smtp.reply import Reply
from gatepost.smtp.session import Session, State
from gatepost.smtp.transaction import Chunk


def read_data(session: Session) -> Event | None:
    """What has come of the message after 354."""
    transaction, limits = session.transaction, session.limits
    if transaction.reader is None:
        raise RuntimeError("no DATA was answered with 354")
    content = transaction.reader.read(session.incoming)
    if content is None:
        if transaction.reader.dropped > limits.discard_octets:
            return session.violate(say.message_far_too_big(limits.message_octets), "too-big")
        return NEED_DATA
    if content.size > limits.message_octets:
        exempt = content.fault is Fault.BARE_LF and session.offers.allow_bare_lf
        if content.fault is None or exempt:
            return _refuse_message(session, say.message_too_big(limits.message_octets), "too-big", each=True)
    return _message(session, content.octets, content.fault, stuffed=True)


def read_chunk(session: Session, chunk: Chunk) -> Event | None:
    """What has come of a BDAT chunk; None when it is whole and answered."""
    transaction = session.transaction
    if chunk.left and session.incoming:
        octets = session.incoming.take(chunk.left)
        chunk.left -= len(octets)
        if chunk.refusal is None:
            transaction.body += octets
    if chunk.left:
        return NEED_DATA
    transaction.chunk = None
    if chunk.refusal is not None:
        reply, what = chunk.refusal
        if what == "too-big":
            return _refuse_message(session, reply, what, each=chunk.last)
        return session.violate(reply, what)
    if not chunk.last:
        session.say(Reply(250, "2.0.0", f"{chunk.size} octets received"))
        return None
    octets = bytes(transaction.body)
    return _message(session, octets, None if transaction.binary else fault_in(octets), stuffed=False)


def _message(session: Session, octets: bytes, fault: Fault | None, *, stuffed: bool) -> Event:
    judged = session.transaction.judge(
        octets, fault, session.limits, allow_bare_lf=session.offers.allow_bare_lf
    )
    if not isinstance(judged, bytes):
        return _refuse_message(session, *judged, each=True)
    return session.ask(BodyEnd(unstuff(judged) if stuffed else judged))


def _refuse_message(session: Session, reply: Reply, what: str, *, each: bool) -> Violation:
    """The transaction ends; LMTP says so once per recipient where it answers the end of data."""
    times = len(session.transaction.recipients) if each and session.ways.replies_per_recipient else 1
    session.state = State.READY
    session.message_done()
    return session.violate(reply, what, times=times)
