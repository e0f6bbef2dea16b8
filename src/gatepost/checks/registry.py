"""All checks there are, and the settled ones of an installation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gatepost.checks.check import Check, Way
from gatepost.checks.connection.dnsbl import DNSBL
from gatepost.checks.connection.greylist import GREYLIST
from gatepost.checks.connection.hello import HELLO
from gatepost.checks.connection.rates import RATES, VOLUME
from gatepost.checks.connection.rdns import RDNS
from gatepost.checks.connection.recipients import RECIPIENTS
from gatepost.checks.connection.tlsrequired import TLS_REQUIRED
from gatepost.checks.content.antivirus import ANTIVIRUS
from gatepost.checks.content.attachments import ATTACHMENTS
from gatepost.checks.content.linklists import SURBL
from gatepost.checks.content.links import LINKS
from gatepost.checks.content.rules import RULES
from gatepost.checks.content.spam import SPAM
from gatepost.checks.content.structure import STRUCTURE
from gatepost.checks.outgoing.account import ACCOUNT, AUTHOR
from gatepost.checks.outgoing.bounces import BOUNCES
from gatepost.checks.outgoing.dataloss import DATALOSS
from gatepost.checks.outgoing.fanout import FANOUT
from gatepost.checks.outgoing.habits import HABITS
from gatepost.checks.outgoing.quota import QUOTA
from gatepost.checks.run import Configured
from gatepost.checks.sender.authentication import ARC, DKIM, DMARC, SPF
from gatepost.checks.sender.correspondents import CORRESPONDENTS
from gatepost.checks.sender.forwarder import FORWARDER
from gatepost.checks.sender.headers import HEADERS
from gatepost.checks.sender.impersonation import IMPERSONATION
from gatepost.checks.sender.lookalike import LOOKALIKE
from gatepost.checks.sender.senders import SENDERS
from gatepost.mail.client import Attempt, Mail
from gatepost.mail.finding import Mode

ALL_CHECKS: tuple[Check, ...] = (
    RECIPIENTS,
    TLS_REQUIRED,
    RATES,
    GREYLIST,
    DNSBL,
    RDNS,
    HELLO,
    SPF,
    DKIM,
    ARC,
    FORWARDER,
    DMARC,
    HEADERS,
    SENDERS,
    CORRESPONDENTS,
    STRUCTURE,
    SPAM,
    RULES,
    ATTACHMENTS,
    ANTIVIRUS,
    VOLUME,
    SURBL,
    LINKS,
    LOOKALIKE,
    IMPERSONATION,
    ACCOUNT,
    QUOTA,
    AUTHOR,
    HABITS,
    FANOUT,
    BOUNCES,
    DATALOSS,
)


def configure(
    settings: Mapping[str, object],
    modes: Mapping[str, Mode] | None = None,
    checks: Iterable[Check] = ALL_CHECKS,
) -> tuple[Configured, ...]:
    """Every check with its settings by name, the defaults where there are none.

    `modes` is `[policy.modes]`. Checks that are off are among them, so that policy knows their facts;
    `at_door` and `on_mail` pick what runs.
    """
    modes = modes or {}
    return tuple(
        Configured(check, settings.get(check.name) or check.settings(), modes.get(check.name))
        for check in checks
    )


def at_door(
    configured: Iterable[Configured], *, dns: bool = True, way: Way = Way.IN
) -> tuple[Configured, ...]:
    """Those to run at RCPT TO; without those that need the DNS where it may not be asked."""
    return tuple(one for one in configured if one.check.subject is Attempt and _runs(one, dns, way))


def on_mail(
    configured: Iterable[Configured], *, dns: bool = True, way: Way = Way.IN
) -> tuple[Configured, ...]:
    """Those to run on a whole message; without those that need the DNS where it may not be asked."""
    return tuple(one for one in configured if one.check.subject is Mail and _runs(one, dns, way))


def _runs(one: Configured, dns: bool, way: Way) -> bool:
    return one.wanted and way in one.check.ways and (dns or not one.check.needs_dns)
