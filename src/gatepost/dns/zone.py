"""A resolver that answers from master files (RFC 1035 §5), for tests, `scan --zone` and the demo.

What the text does not hold does not exist. Wildcards follow RFC 4592, aliases are followed. Left out:
delegation, DNAME, ``$INCLUDE`` and ``$GENERATE``. Five directives of our own say what a server would do:
``$FAIL name [type]`` (SERVFAIL), ``$TIMEOUT name [type]``, ``$SECURE name``, ``$BOGUS name`` and ``$INSECURE name``
(the name and everything below it; nothing said is insecure).
"""

from __future__ import annotations

import re
from typing import Any, NoReturn

import dns.exception
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.tokenizer
import dns.ttl

from gatepost.dns.answer import Answer, Security, Status
from gatepost.dns.names import normal, valid_query_name, visible

MAX_ALIASES = 8
"""CNAMEs followed before we call it a loop; real resolvers stop at 8 to 16."""
DEFAULT_TTL_S = 3600
NEGATIVE_TTL_S = 300
_MEMO_ENTRIES = 50_000


class ZoneError(ValueError):
    """The master file is wrong; `str()` is ``file:line: what``."""


class Zone:
    """The whole DNS, as far as anyone who asks this object can tell. Implements `Resolver`."""

    __slots__ = ("_failing", "_memo", "_negative_ttl", "_nodes", "_trust", "changes")

    def __init__(self) -> None:
        self.changes = 0
        """Grows with every change, for those who remember what they made of a zone."""
        self._nodes: dict[str, dict[str, _Set]] = {}
        """Every name that exists, empty non-terminals too, with its record sets by type."""
        self._failing: dict[tuple[str, str], str] = {}
        """(name, type or "*") -> problem."""
        self._trust: dict[str, Security] = {}
        self._negative_ttl: dict[str, int] = {}
        self._memo: dict[tuple[str, str], Answer] = {}

    @classmethod
    def parse(cls, *texts: str, name: str | tuple[str, ...] = "zone") -> Zone:
        """One zone out of all `texts`; `name` (or one name a text) stands in errors. Raises `ZoneError`."""
        zone = cls()
        for number, text in enumerate(texts):
            _Reader(zone, text, name if isinstance(name, str) else name[number]).read()
        return zone

    async def lookup(self, name: str, kind: str) -> Answer:
        """See `Resolver.lookup`; never suspends."""
        return self.find(name, kind)

    def find(self, name: str, kind: str) -> Answer:
        """`lookup` for those who cannot await."""
        try:
            return self._memo[name, kind]
        except KeyError:
            pass
        answer = self._resolve(normal(name), kind.upper())
        if len(self._memo) >= _MEMO_ENTRIES:
            self._memo.clear()
        self._memo[name, kind] = answer
        return answer

    def owner(self, name: str) -> str | None:
        """The node that answers for `name` (lower case, no final dot): itself, a wildcard (RFC 4592 §3.3.1), or none."""
        if name in self._nodes:
            return name
        rest = name
        while rest:
            rest = rest.partition(".")[2]
            if not rest or rest in self._nodes:
                wildcard = f"*.{rest}" if rest else "*"
                return wildcard if wildcard in self._nodes else None
        return None

    def security(self, name: str) -> Security:
        """What a validator makes of `name`: the nearest ``$SECURE`` or ``$BOGUS`` above it, else INSECURE."""
        while True:
            if name in self._trust:
                return self._trust[name]
            if not name:
                return Security.INSECURE
            name = name.partition(".")[2]

    def problem(self, name: str, kind: str) -> str:
        """``servfail``, ``timeout`` or "" for one step of a lookup."""
        owner = self.owner(name)
        for key in (name, owner):
            if key is not None:
                problem = self._failing.get((key, kind)) or self._failing.get((key, "*"))
                if problem:
                    return problem
        return ""

    def negative_ttl(self, name: str) -> int:
        """Seconds to remember that something is not there (RFC 2308 §5), from the nearest SOA above."""
        while True:
            if name in self._negative_ttl:
                return self._negative_ttl[name]
            if not name:
                return NEGATIVE_TTL_S
            name = name.partition(".")[2]

    def records(self, name: str, kind: str) -> tuple[tuple[str, ...], int]:
        """The records of one type that stand at (or are made by a wildcard for) `name`, and their TTL."""
        owner = self.owner(name)
        found = self._nodes[owner].get(kind) if owner is not None else None
        return (tuple(found.records), found.ttl_s) if found else ((), 0)

    def _resolve(self, name: str, kind: str) -> Answer:
        if name.endswith(".") or not valid_query_name(name):
            return Answer(Status.FAILED, problem="bad name")
        security = Security.SECURE
        ttl = 0x7FFFFFFF
        for _ in range(MAX_ALIASES + 1):
            security = min(security, self.security(name))
            problem = "bogus" if security is Security.BOGUS else self.problem(name, kind)
            if problem:
                trust = Security.BOGUS if problem == "bogus" else Security.INDETERMINATE
                return Answer(Status.FAILED, security=trust, problem=problem)
            owner = self.owner(name)
            if owner is None:
                return Answer(Status.NXDOMAIN, security=security, ttl_s=min(ttl, self.negative_ttl(name)))
            sets = self._nodes[owner]
            if kind in sets:
                found = sets[kind]
                return Answer(Status.FOUND, tuple(found.records), security, min(ttl, found.ttl_s))
            alias = sets.get("CNAME")
            if alias is None:
                return Answer(Status.NODATA, security=security, ttl_s=min(ttl, self.negative_ttl(name)))
            name = alias.records[0]
            ttl = min(ttl, alias.ttl_s)
        return Answer(Status.FAILED, problem="cname loop")

    def add(self, name: str, kind: str, record: str, ttl_s: int = DEFAULT_TTL_S) -> None:
        """Put one record, in the form of `Answer.records`, at `name`; its ancestors come to exist."""
        name = normal(name)
        self._exist(name)
        found = self._nodes[name].setdefault(kind, _Set(ttl_s))
        found.ttl_s = min(found.ttl_s, ttl_s)
        if record not in found.records:
            found.records.append(record)
        if kind == "SOA":
            self._negative_ttl[name] = min(ttl_s, int(record.rpartition(" ")[2]))
        self._changed()

    def trouble(self, name: str, kind: str, problem: str) -> None:
        """Let questions for `name` and `kind` ("*" for all) fail with ``servfail`` or ``timeout``."""
        self._exist(name)
        self._failing[name, kind] = problem
        self._changed()

    def trust(self, name: str, security: Security) -> None:
        """Let `name` and everything below it be SECURE, INSECURE or BOGUS."""
        self._trust[name] = security
        self._changed()

    def _changed(self) -> None:
        self.changes += 1
        self._memo.clear()

    def _exist(self, name: str) -> None:
        while name not in self._nodes:
            self._nodes[name] = {}
            name = name.partition(".")[2]


class _Set:
    """The records of one type at one name."""

    __slots__ = ("records", "ttl_s")

    def __init__(self, ttl_s: int) -> None:
        self.ttl_s = ttl_s
        self.records: list[str] = []


_TTL = re.compile(r"[0-9]+|(?:[0-9]+[wdhms])+", re.IGNORECASE)


class _Reader:
    """One text, entry by entry (RFC 1035 §5.1)."""

    def __init__(self, zone: Zone, text: str, file: str) -> None:
        self.zone = zone
        self.file = file
        self.tokens = dns.tokenizer.Tokenizer(text, file)
        self.origin = dns.name.root
        self.ttl = DEFAULT_TTL_S
        self.last: dns.name.Name | None = None

    def read(self) -> None:
        while True:
            line = self.tokens.where()[1]
            try:
                if not self._entry():
                    return
            except (dns.exception.DNSException, ValueError, UnicodeError) as error:
                if isinstance(error, ZoneError):
                    raise
                self._refuse(line, str(error) or type(error).__name__)

    def _refuse(self, line: int, what: str) -> NoReturn:
        raise ZoneError(f"{self.file}:{line}: {what}")

    def _entry(self) -> bool:
        """Read one entry; False at the end of the text."""
        token = self.tokens.get(want_leading=True)
        if token.is_eof():
            return False
        if token.is_eol():
            return True
        if token.is_whitespace():
            token = self.tokens.get()
            if token.is_eol_or_eof():
                self.tokens.unget(token)
                self.tokens.get_eol()
                return not token.is_eof()
            self.tokens.unget(token)
            if self.last is None:
                raise ValueError("a record without a name, and no record before it to take the name from")
        elif token.value.startswith("$"):
            self._directive(token.value.upper())
            return True
        else:
            self.last = self._name(token.value)
        self._record(self.last)
        return True

    def _name(self, text: str) -> dns.name.Name:
        name = self.origin if text == "@" else dns.name.from_text(text, self.origin)
        if not valid_query_name(_host(name)):
            raise ValueError(f"{text!r} is not a usable name")
        return name

    def _directive(self, word: str) -> None:
        if word == "$TTL":
            self.ttl = dns.ttl.from_text(self.tokens.get_string())
        elif word == "$ORIGIN":
            self.origin = self._name(self.tokens.get_string())
        elif word in ("$SECURE", "$BOGUS", "$INSECURE"):
            name = _host(self._name(self.tokens.get_string()))
            self.zone.trust(name, Security[word[1:]])
        elif word in ("$FAIL", "$TIMEOUT"):
            name = _host(self._name(self.tokens.get_string()))
            kind = self.tokens.get()
            if kind.is_eol_or_eof():
                self.tokens.unget(kind)
            known = (
                "*" if kind.is_eol_or_eof() else dns.rdatatype.to_text(dns.rdatatype.from_text(kind.value))
            )
            self.zone.trouble(name, known, "servfail" if word == "$FAIL" else "timeout")
        else:
            raise ValueError(f"{word} is not known here")
        self.tokens.get_eol()

    def _record(self, owner: dns.name.Name) -> None:
        ttl = self.ttl
        word = self.tokens.get_string()
        for _ in range(2):  # TTL and class stand in either order, or not at all
            if _TTL.fullmatch(word):
                ttl = dns.ttl.from_text(word)
            elif word.upper() != "IN":
                break
            word = self.tokens.get_string()
        if word.upper() in ("CH", "HS", "CS"):
            raise ValueError(f"class {word} is not served here")
        try:
            kind = dns.rdatatype.from_text(word)
        except (dns.exception.DNSException, ValueError):
            raise ValueError(f"{word!r} is not a record type") from None
        name = dns.rdatatype.to_text(kind)
        try:
            record = self._data(kind)
        except (dns.exception.DNSException, ValueError) as error:
            raise ValueError(f"{name} record of {owner}: {error}") from None
        self.zone.add(_host(owner), name, record, ttl)

    def _data(self, kind: dns.rdatatype.RdataType) -> str:
        if kind in (dns.rdatatype.TXT, dns.rdatatype.SPF):
            return self._text()
        if kind is dns.rdatatype.TLSA:
            return self._tlsa()
        return record_text(dns.rdata.from_text("IN", kind, self.tokens, self.origin, relativize=False))

    def _text(self) -> str:
        """Joined character-strings; one longer than 255 octets is taken, as if it had been split."""
        parts = []
        while not (token := self.tokens.get().unescape_to_bytes()).is_eol_or_eof():
            value = token.value
            parts.append(value if isinstance(value, bytes) else value.encode())
        if not parts:
            raise ValueError("no string")
        return b"".join(parts).decode("latin-1")

    def _tlsa(self) -> str:
        """Any numbers and octets: those that fit no algorithm exist in the wild, and tests want them."""
        numbers = [str(self.tokens.get_uint8()) for _ in range(3)]
        octets = bytes.fromhex(self.tokens.concatenate_remaining_identifiers(True))
        return f"{' '.join(numbers)} {octets.hex()}"


def record_text(rdata: Any) -> str:
    """An rdata of dnspython in the form of `Answer.records`."""
    # dnspython makes the classes at run time: their fields are not known to type checkers.
    match rdata.rdtype:
        case dns.rdatatype.CNAME | dns.rdatatype.NS | dns.rdatatype.PTR:
            return _host(rdata.target)
        case dns.rdatatype.MX:
            return f"{rdata.preference} {_host(rdata.exchange)}"
        case dns.rdatatype.TXT | dns.rdatatype.SPF:
            return b"".join(rdata.strings).decode("latin-1")
        case dns.rdatatype.SOA:
            numbers = f"{rdata.serial} {rdata.refresh} {rdata.retry} {rdata.expire} {rdata.minimum}"
            return f"{_host(rdata.mname)} {_host(rdata.rname)} {numbers}"
        case dns.rdatatype.TLSA:
            return f"{rdata.usage} {rdata.selector} {rdata.mtype} {rdata.cert.hex()}"
        case _:
            return str(rdata.to_text())


def _host(name: dns.name.Name) -> str:
    """Labels joined by dots, lower case, no final dot; a dot inside a label escaped, octets beyond ASCII as latin-1, and those
    that nobody sees as numbers."""
    labels = name.labels[:-1] if name.is_absolute() else name.labels
    return visible(b".".join(label.replace(b".", b"\\.") for label in labels).lower().decode("latin-1"))
