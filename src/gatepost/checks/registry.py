"""All checks there are, and the settled ones of an installation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gatepost.checks.check import Check
from gatepost.checks.connection.recipients import RECIPIENTS
from gatepost.checks.run import Configured
from gatepost.mail.client import Attempt, Mail

ALL_CHECKS: tuple[Check, ...] = (RECIPIENTS,)


def configure(settings: Mapping[str, object], checks: Iterable[Check] = ALL_CHECKS) -> tuple[Configured, ...]:
    """Every check with its settings by name, with the defaults where there are none. Off ones are among
    them, so that policy knows their facts; `at_door` and `on_mail` pick what runs."""
    return tuple(Configured(check, settings.get(check.name, check.settings())) for check in checks)


def at_door(configured: Iterable[Configured]) -> tuple[Configured, ...]:
    """Those to run at RCPT TO."""
    return tuple(one for one in configured if one.check.subject is Attempt and one.wanted)


def on_mail(configured: Iterable[Configured]) -> tuple[Configured, ...]:
    """Those to run on a whole message."""
    return tuple(one for one in configured if one.check.subject is Mail and one.wanted)
