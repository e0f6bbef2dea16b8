"""SMTP replies as values (RFC 5321 §4.2, RFC 2034, RFC 3463), the ones we send, and reading a server's.

`Reply.render` and `ReplyParser` are the only places where a reply meets octets. Leaves out what a reply
means to a delivery: that is the client's affair.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field, replace
from functools import lru_cache

LINE_MAX_OCTETS = 512
"""A reply line with its code and CRLF (RFC 5321 §4.5.3.1.5)."""
READ_LINE_MAX_OCTETS = 4096
READ_MAX_LINES = 256
"""Servers are read more kindly than we write, but not without end."""
SHORT_OCTETS = 80
"""Replies of one line up to this length are remembered."""

_ENHANCED = re.compile(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}(?= |$)")
_REPLY_LINE = re.compile(rb"([2-5][0-9][0-9])(?:([ -])(.*))?", re.DOTALL)
_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Reply:
    """Code, enhanced code ("5.7.1", empty for 3xx and greetings) and text lines; `render` makes the octets."""

    code: int
    enhanced: str
    text: str
    """May hold line feeds: each line becomes one reply line."""
    close: bool = False
    """Close the connection once it is sent (421, 221)."""
    octets: bytes = field(default=b"", init=False, repr=False, compare=False)
    """As `render` made them once; empty before, and where SMTPUTF8 makes a difference. Most replies are always the same."""

    def __str__(self) -> str:
        """As one line, for history and the log."""
        return " ".join(
            part for part in (str(self.code), self.enhanced, self.text.replace("\n", " ")) if part
        )

    @property
    def positive(self) -> bool:
        """2xx or 3xx."""
        return self.code < 400

    def referring(self, ref: str) -> Reply:
        """The same with a reference that finds the story again; unchanged without one."""
        return replace(self, text=f"{self.text} [ref {ref}]") if ref else self

    def render(self, *, smtputf8: bool = False) -> bytes:
        """The octets to send: lines of at most 512, the enhanced code on each (RFC 2034 §3).

        Control characters become ``?``, and so does what is not ASCII unless `smtputf8` (RFC 6531 §3.7.4.1):
        no text can start a line of its own. An enhanced code of another class than the reply's is left out.
        """
        prefix = _prefix(self.code, self.enhanced)
        text = self.text
        if len(text) <= LINE_MAX_OCTETS - 20 and text.isascii() and text.isprintable():
            short = f"{self.code} {prefix}{text}\r\n".encode("ascii")
            object.__setattr__(self, "octets", short)
            return short
        room = LINE_MAX_OCTETS - len("250 \r\n") - len(prefix)
        lines = [part for line in text.split("\n") for part in _fold(_safe(line, smtputf8=smtputf8), room)]
        octets = [f"{self.code}-{prefix}".encode() + line + b"\r\n" for line in lines]
        octets[-1] = f"{self.code} {prefix}".encode() + lines[-1] + b"\r\n"
        return b"".join(octets)


@lru_cache(maxsize=256)
def _prefix(code: int, enhanced: str) -> str:
    fits = enhanced and enhanced[0] == str(code // 100) and _ENHANCED.fullmatch(enhanced)
    return enhanced + " " if fits else ""


def _safe(line: str, *, smtputf8: bool) -> bytes:
    line = _UNSAFE.sub("?", line.rstrip("\r"))
    return line.encode("utf-8") if smtputf8 else line.encode("ascii", "replace")


def _fold(line: bytes, room: int) -> list[bytes]:
    """Pieces of at most `room` octets, cut at a blank where there is one, never inside a UTF-8 sequence."""
    pieces = []
    while len(line) > room:
        cut = line.rfind(b" ", room // 2, room)
        if cut < 0:
            cut = room
            while line[cut] & 0xC0 == 0x80:
                cut -= 1
        pieces.append(line[:cut])
        line = line[cut:].lstrip(b" ")
    return [*pieces, line]


# What the machine itself says. Texts name the rule and, where there is one, the way out.
OK = Reply(250, "2.0.0", "OK")
START_DATA = Reply(354, "", "End data with <CR><LF>.<CR><LF>")
CANNOT_VERIFY = Reply(252, "2.5.0", "Send some mail and see")
HELP = Reply(214, "2.0.0", "Commands are those of RFC 5321; see EHLO for the extensions")
TLS_READY = Reply(220, "2.0.0", "Ready to start TLS")
AUTHENTICATED = Reply(235, "2.7.0", "Authentication successful")

UNKNOWN_COMMAND = Reply(500, "5.5.2", "Command not recognised")
LINE_TOO_LONG = Reply(500, "5.5.2", "Command line too long", close=True)
BARE_LINE_END = Reply(500, "5.5.2", "Lines end with CR LF, and neither stands alone", close=True)
NUL_IN_COMMAND = Reply(500, "5.5.2", "A command holds no NUL", close=True)
NOT_UTF8 = Reply(500, "5.5.2", "Commands are ASCII, or UTF-8 under SMTPUTF8")
NOT_SMTP = Reply(554, "5.5.1", "This is a mail server", close=True)
BAD_ARGUMENT = Reply(501, "5.5.4", "Syntax error in the argument")
BAD_HELLO = Reply(501, "5.5.4", "Syntax: a host name or an address literal, and nothing else")
NO_ARGUMENT = Reply(501, "5.5.4", "This command takes no argument")
NOT_IMPLEMENTED = Reply(502, "5.5.1", "Command not implemented")
HELLO_FIRST = Reply(503, "5.5.1", "Say EHLO first")
LHLO_FIRST = Reply(503, "5.5.1", "Say LHLO first")
BAD_SEQUENCE = Reply(503, "5.5.1", "Command out of sequence")
MAIL_FIRST = Reply(503, "5.5.1", "Need MAIL before")
RCPT_FIRST = Reply(503, "5.5.1", "Need RCPT before")
NO_VALID_RECIPIENTS = Reply(554, "5.5.1", "No valid recipients")
BINARY_NEEDS_BDAT = Reply(503, "5.5.1", "BODY=BINARYMIME is sent with BDAT")
GREETED_WITH_REFUSAL = Reply(503, "5.5.1", "No service here; only QUIT is taken")
TLS_FIRST = Reply(530, "5.7.0", "Must issue a STARTTLS command first")
TLS_ACTIVE = Reply(503, "5.5.1", "TLS is active already")
TLS_INJECTION = Reply(554, "5.5.1", "Nothing may follow STARTTLS before the handshake", close=True)
AUTH_FIRST = Reply(530, "5.7.0", "Authentication required")
AUTH_NEEDS_TLS = Reply(538, "5.7.11", "Encryption required for authentication")
AUTH_TWICE = Reply(503, "5.5.1", "Already authenticated")
AUTH_MECHANISM_UNKNOWN = Reply(504, "5.5.4", "Authentication mechanism not offered")
AUTH_CANCELLED = Reply(501, "5.7.0", "Authentication cancelled")
AUTH_MALFORMED = Reply(501, "5.5.2", "Cannot read the authentication data")
AUTH_FAILED = Reply(535, "5.7.8", "Authentication credentials invalid")
TOO_MANY_RECIPIENTS = Reply(452, "4.5.3", "Too many recipients; send to the rest in another transaction")
HEADER_TOO_BIG = Reply(552, "5.3.4", "The header section is too big")
TEXT_LINE_TOO_LONG = Reply(554, "5.6.0", "The message has a line that is too long")
BARE_IN_DATA = Reply(554, "5.6.0", "The message has a CR or LF standing alone", close=True)
NUL_IN_DATA = Reply(554, "5.6.0", "The message has a NUL octet", close=True)
CHUNK_MALFORMED = Reply(501, "5.5.4", "Syntax: BDAT octets [LAST]", close=True)
DATA_PIPELINED = Reply(503, "5.5.0", "Improper pipelining: DATA was refused and more followed", close=True)
TOO_MANY_ERRORS = Reply(421, "4.7.0", "Too many errors", close=True)
TOO_MANY_COMMANDS = Reply(421, "4.7.0", "Too many commands without mail", close=True)
TOO_MANY_MESSAGES = Reply(421, "4.7.0", "Too many messages in one connection; please reconnect", close=True)


def message_too_big(most_octets: int) -> Reply:
    """To a message, or to what MAIL says of its size (RFC 1870 §6.1)."""
    return Reply(552, "5.3.4", f"Message exceeds the maximum size of {in_words(most_octets)}")


def message_far_too_big(most_octets: int) -> Reply:
    """To one that does not end."""
    return Reply(552, "5.3.4", f"Message far exceeds the maximum size of {in_words(most_octets)}", close=True)


def chunk_too_big(most_octets: int) -> Reply:
    """To a chunk that is not worth reading to its end."""
    return Reply(
        552, "5.3.4", f"Chunk far exceeds the maximum message size of {in_words(most_octets)}", close=True
    )


def in_words(octets: int) -> str:
    """A limit as people read it, never above what it is: ``50 MiB (52428800 octets)``."""
    tenths = octets * 10 // 2**20
    exact = f"{octets} octets"
    return f"{tenths / 10:.1f}".removesuffix(".0") + f" MiB ({exact})" if tenths >= 10 else exact


@lru_cache(maxsize=8)
def bye(hostname: str) -> Reply:
    """The answer to QUIT (RFC 5321 §4.1.1.10)."""
    return Reply(221, "2.0.0", f"{hostname} closing connection", close=True)


def timed_out(hostname: str) -> Reply:
    """Patience has ended (RFC 5321 §4.5.3.2)."""
    return Reply(421, "4.4.2", f"{hostname} timeout exceeded", close=True)


def shutting_down(hostname: str) -> Reply:
    """We stop (RFC 5321 §3.8)."""
    return Reply(421, "4.3.2", f"{hostname} service shutting down", close=True)


def internal_error() -> Reply:
    """We erred; the client may try again. It tells nothing about why."""
    return Reply(451, "4.3.0", "Requested action aborted: local error in processing")


@dataclass(frozen=True, slots=True)
class Malformed:
    """The server's octets are no reply; nothing after them can be trusted."""

    what: str
    """``not-a-reply``, ``code-changed``, ``line-too-long`` or ``too-many-lines``."""
    line: str
    """The offending line, cut; attacker-chosen."""


class ReplyParser:
    """Octets from a server in, replies out; a line feed ends a line, with or without CR, as servers in use demand.

    Once a `Malformed` came out, it comes out forever.
    """

    __slots__ = ("_code", "_failed", "_lines", "_rest", "_whole")

    def __init__(self) -> None:
        self._whole: deque[bytes] = deque()
        """Lines that have not been looked at yet, without their line feed."""
        self._rest = b""
        """Of the next one, what is there."""
        self._lines: list[bytes] = []
        """Of the next reply."""
        self._code = b""
        self._failed: Malformed | None = None

    def feed(self, octets: bytes | bytearray | memoryview) -> None:
        """Octets as they came from the socket."""
        *whole, self._rest = (self._rest + octets).split(b"\n")
        self._whole += whole

    @property
    def pending(self) -> int:
        """Octets and lines not given out as a reply yet: must be 0 when STARTTLS was answered (RFC 3207 §6)."""
        return len(self._rest) + len(self._whole) + len(self._lines)

    def next_reply(self) -> Reply | Malformed | None:
        """The next whole reply, or None until more octets come."""
        while self._whole and self._failed is None:
            line = self._whole.popleft()
            reply: Reply | Malformed | None = None
            if len(line) <= SHORT_OCTETS and not self._lines:
                reply = _whole_reply(line)
            if reply is None:
                reply = self._take(line.removesuffix(b"\r"))
            if reply is not None:
                return reply
        if self._failed is None and len(self._rest) > READ_LINE_MAX_OCTETS:
            return self._fail("line-too-long", self._rest)
        return self._failed

    def _take(self, line: bytes) -> Reply | Malformed | None:
        if len(line) > READ_LINE_MAX_OCTETS:
            return self._fail("line-too-long", line)
        match = _REPLY_LINE.fullmatch(line)
        if not match:
            return self._fail("not-a-reply", line)
        code, more, text = match.groups(b"")
        if self._lines and code != self._code:
            return self._fail("code-changed", line)
        self._code = code
        self._lines.append(text)
        if len(self._lines) > READ_MAX_LINES:
            return self._fail("too-many-lines", line)
        if more == b"-":
            return None
        lines, self._lines = self._lines, []
        return _reply_of(int(code), [text.decode("utf-8", "replace") for text in lines])

    def _fail(self, what: str, line: bytes) -> Malformed:
        self._rest = b""
        self._whole.clear()
        self._failed = Malformed(what, line[:200].decode("utf-8", "replace"))
        return self._failed


@lru_cache(maxsize=256)
def _whole_reply(line: bytes) -> Reply | None:
    """A reply of this one line, remembered: most are always the same. None where it is another's part, or none."""
    match = _REPLY_LINE.fullmatch(line.removesuffix(b"\r"))
    if not match or match[2] == b"-":
        return None
    return _reply_of(int(match[1]), [(match[3] or b"").decode("utf-8", "replace")])


def _reply_of(code: int, lines: list[str]) -> Reply:
    """Take the enhanced code off every line that repeats it; a code of another class is text."""
    match = _ENHANCED.match(lines[0])
    if not match or match[0][0] != str(code // 100):
        return Reply(code, "", "\n".join(lines))
    enhanced = match[0]
    bare = [
        line[len(enhanced) :].lstrip(" ") if line == enhanced or line.startswith(enhanced + " ") else line
        for line in lines
    ]
    return Reply(code, enhanced, "\n".join(bare))
