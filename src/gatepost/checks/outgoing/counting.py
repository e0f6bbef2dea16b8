"""Where what an account sends is counted: keys of memory, and the hour or day they are for.

Hours and days are those of the clock, so that a refusal can say when it ends. All counters are shared by the workers.
"""

from __future__ import annotations

from datetime import UTC, datetime

HOUR_S = 3600
DAY_S = 86_400
MET_S = 400 * DAY_S
"""How long a recipient is remembered as one the account has written to."""


def hour_key(what: str, who: str, now: float, *, ago: int = 0) -> str:
    """The counter of this hour, or of one `ago` hours before."""
    return f"out:{what}:h{int(now // HOUR_S) - ago}:{who}"


def day_key(what: str, who: str, now: float) -> str:
    """The counter of this day (UTC)."""
    return f"out:{what}:d{int(now // DAY_S)}:{who}"


def met_key(account: str, recipient: str) -> str:
    """The fact that the account has written to a recipient (`Address.key`)."""
    return f"out:met:{account} {recipient}"


def bounced_key(account: str, now: float, *, ago: int = 0) -> str:
    """The counter of what could not be delivered for the account in an hour."""
    return hour_key("bounced", account, now, ago=ago)


def ends_at(now: float, length_s: int) -> str:
    """When the hour or day is over, for a sentence."""
    end = datetime.fromtimestamp((now // length_s + 1) * length_s, UTC)
    return end.strftime("%H:%M UTC") if length_s == HOUR_S else end.strftime("%Y-%m-%d %H:%M UTC")


def number(value: str | None) -> int:
    """A counter's value."""
    return int(value) if value is not None and value.lstrip("-").isdecimal() else 0
