"""SMTP TLS reporting (RFC 8460): the words for what went wrong, where a domain wants its reports, and a report as JSON.

Left out: counting (`store.wire`) and sending (`jobs.tlsreports`).
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from gatepost.mail.address import parse_address, printable

RUA_MOST = 5
"""Addresses of one record that get a report."""
RECORD_MOST = 2_000
DETAILS_MOST = 500
"""Failures told apart in one policy's part of a report."""
DAY_S = 86_400


class Trouble(StrEnum):
    """Result types (RFC 8460 §4.3)."""

    NO_STARTTLS = "starttls-not-supported"
    WRONG_HOST = "certificate-host-mismatch"
    EXPIRED = "certificate-expired"
    NOT_TRUSTED = "certificate-not-trusted"
    FAILED = "validation-failure"
    TLSA_INVALID = "tlsa-invalid"
    DNSSEC_INVALID = "dnssec-invalid"
    DANE_REQUIRED = "dane-required"
    STS_FETCH = "sts-policy-fetch-error"
    STS_INVALID = "sts-policy-invalid"
    STS_WEBPKI = "sts-webpki-invalid"


class PolicyKind(StrEnum):
    """Policy types (RFC 8460 §4.4)."""

    TLSA = "tlsa"
    STS = "sts"
    NONE = "no-policy-found"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a session was not as a policy wants it."""

    trouble: Trouble
    words: str
    """One sentence for people, without a full stop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A policy as a report names it: what was in force when a session was tried."""

    kind: PolicyKind
    domain: str
    """The policy's domain: the recipients' one."""
    lines: tuple[str, ...] = ()
    """The TLSA records, or the lines of the MTA-STS policy."""
    mx: tuple[str, ...] = ()
    """The patterns of the MTA-STS policy."""
    base: str = ""
    """The TLSA base domain: what a DANE policy is defined of, and a report calls its domain (RFC 8460 §1.1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One try at a session, under one policy."""

    policy: Policy
    host: str
    """The MX host."""
    address: str = ""
    """Where it was, empty when it was not asked."""
    hello: str = ""
    """What it called itself in its greeting or EHLO."""
    sending: str = ""
    """Our own address."""
    failure: Failure | None = None
    """None: as the policy wants it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """Sessions that were alike in one UTC day."""

    session: Session
    sessions: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """Where reports go: ``mailto:`` and ``https:`` addresses."""

    mail: tuple[str, ...] = ()
    post: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.mail or self.post)


_URI = re.compile(r"[!-~]{1,500}")


def wanted(records: Iterable[str]) -> Wanted:
    """Read the TXT records at ``_smtp._tls`` (RFC 8460 §3); nothing is wanted when there is not exactly one good one."""
    ours = [one for one in records if one.startswith("v=TLSRPTv1") and one[10:].lstrip(" \t")[:1] == ";"]
    if len(ours) != 1 or len(ours[0]) > RECORD_MOST:
        return Wanted()
    for field in ours[0].split(";")[1:]:
        name, equals, value = field.strip(" \t").partition("=")
        if equals and name.strip() == "rua":
            return _addresses(value)
    return Wanted()


def _addresses(value: str) -> Wanted:
    mail: list[str] = []
    post: list[str] = []
    for uri in [one.strip(" \t") for one in value.split(",")][: RUA_MOST * 2]:
        uri = uri.partition("!")[0]  # a size limit, as DMARC once had them; some copy that
        if not _URI.fullmatch(uri):
            continue
        scheme, _, rest = uri.partition(":")
        if scheme.lower() == "mailto":
            address = parse_address(_unquoted(rest.partition("?")[0]))
            if address is not None:
                mail.append(str(address))
        elif scheme.lower() == "https" and rest.startswith("//") and len(rest) > 2:
            post.append(f"https:{rest}")
    return Wanted(tuple(dict.fromkeys(mail[:RUA_MOST])), tuple(dict.fromkeys(post[:RUA_MOST])))


def _unquoted(text: str) -> str:
    """Percent-encoding undone; what is not well formed stays."""
    return re.sub(r"%([0-9A-Fa-f]{2})", lambda found: chr(int(found[1], 16)), text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One day's report to one domain."""

    organization: str
    """Our name."""
    contact: str
    """A mail address of ours."""
    report_id: str
    domain: str
    day: int
    """Days since 1970, UTC."""
    counted: Sequence[Counted] = ()

    @property
    def submitter(self) -> str:
        """Who reports, in file name and header: the domain of `contact`, or readers may throw the report away (RFC 8460 §5.3)."""
        return self.contact.rpartition("@")[2]

    @property
    def file_name(self) -> str:
        """RFC 8460 §5.1."""
        start, unique = self.day * DAY_S, "".join(one for one in self.report_id if one.isalnum())
        return f"{self.submitter}!{self.domain}!{start}!{start + DAY_S - 1}!{unique}.json.gz"


def report_json(report: Report) -> bytes:
    """The report (RFC 8460 §4.4)."""
    start = report.day * DAY_S
    by_policy: dict[Policy, list[Counted]] = {}
    for one in report.counted:
        by_policy.setdefault(one.session.policy, []).append(one)
    whole = {
        "organization-name": report.organization,
        "date-range": {"start-datetime": _moment(start), "end-datetime": _moment(start + DAY_S - 1)},
        "contact-info": report.contact,
        "report-id": report.report_id,
        "policies": [_policy_part(policy, counted) for policy, counted in by_policy.items()],
    }
    return json.dumps(whole, ensure_ascii=True, separators=(",", ":")).encode("ascii")


def report_gzip(report: Report) -> bytes:
    """The same as it is sent; the same octets every time."""
    return gzip.compress(report_json(report), mtime=0)


def _policy_part(policy: Policy, counted: Sequence[Counted]) -> dict[str, object]:
    part: dict[str, object] = {"policy-type": policy.kind.value}
    if policy.lines:
        part["policy-string"] = list(policy.lines)
    part["policy-domain"] = policy.base or policy.domain
    if policy.mx:
        part["mx-host"] = list(policy.mx)
    failed = [one for one in counted if one.session.failure is not None]
    good = sum(one.sessions for one in counted if one.session.failure is None)
    whole: dict[str, object] = {
        "policy": part,
        "summary": {
            "total-successful-session-count": good,
            "total-failure-session-count": sum(one.sessions for one in failed),
        },
    }
    if failed:
        whole["failure-details"] = [_detail(one) for one in failed[:DETAILS_MOST]]
    return whole


def _detail(one: Counted) -> dict[str, object]:
    session, failure = one.session, one.session.failure
    assert failure is not None
    detail: dict[str, object] = {"result-type": failure.trouble.value}
    if session.sending:
        detail["sending-mta-ip"] = session.sending
    detail["receiving-mx-hostname"] = session.host
    if session.hello:
        detail["receiving-mx-helo"] = printable(session.hello, 255)
    if session.address:
        detail["receiving-ip"] = session.address
    detail["failed-session-count"] = one.sessions
    detail["failure-reason-code"] = printable(failure.words, 500)
    return detail


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
