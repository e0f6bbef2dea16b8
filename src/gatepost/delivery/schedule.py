"""When to try again and when to give up (RFC 5321 §4.5.4.1). Pure."""

from __future__ import annotations

from gatepost.delivery.settings import ScheduleSettings


def next_attempt(
    settings: ScheduleSettings,
    *,
    retry_first_s: float,
    attempts: int,
    created_at: float,
    now: float,
    jitter: float,
) -> float | None:
    """When to try next after `attempts` tries (at least 1), in Unix seconds; None: give up.

    `jitter` in 0..1 spreads the wait by a quarter either way. The last try falls on the end of patience.
    """
    end = created_at + settings.give_up_s
    if now >= end:
        return None
    doublings = min(max(attempts - 1, 0), 30)
    wait = min(retry_first_s * 2.0**doublings, settings.retry_longest_s)
    return min(now + wait * (0.75 + 0.5 * jitter), end)


def delay_is_due(settings: ScheduleSettings, *, created_at: float, now: float, told: bool) -> bool:
    """Is the sender to be told now that the message still waits?"""
    return not told and now - created_at >= settings.delay_notice_s
