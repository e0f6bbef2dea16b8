"""Failures to sign in are counted before anything is looked at, and taken back when it was right.

So whoever tries many times at once is counted many times before the first answer.
"""

from __future__ import annotations

from dataclasses import dataclass

from gatepost.access import lockout, tokens
from gatepost.access.lockout import Count, Strikes, Try
from gatepost.office.office import Office
from gatepost.office.sessions import SignInRefused, Visitor
from gatepost.store import signins
from gatepost.store.accounts import Account
from gatepost.store.database import Connection


@dataclass(frozen=True, slots=True)
class Charged:
    """A try that was counted."""

    one: Try
    turned_away: int
    """Tries since the failure before that came too soon."""


async def charge(office: Office, login: str, account: Account | None, visitor: Visitor) -> Charged:
    """Count one try. Raises SignInRefused when it comes too soon."""
    number, now, settings = account.id if account else 0, office.clock(), office.access.lockout

    def work(connection: Connection) -> Charged | float:
        one = as_try(connection, office, login, number, visitor)
        keys = lockout.counts(one)
        so_far = {count: signins.strikes(connection, key) for count, key in keys.items()}
        own = Count.DEVICE if Count.DEVICE in keys else Count.HERE
        seen = so_far[own]
        wait = max(lockout.wait_s(count, strikes, settings, now) for count, strikes in so_far.items())
        if wait > 0:
            if seen.failures:
                away = Strikes(seen.failures, seen.last_at, seen.turned_away + 1)
                signins.set_strikes(connection, keys[own], away)
            return wait
        for count, after in lockout.struck(so_far, settings, now).items():
            signins.set_strikes(connection, keys[count], after)
        return Charged(one, seen.turned_away)

    charged = await office.store.database.commit(work)
    if isinstance(charged, float):
        raise SignInRefused(
            f"Too many attempts failed. Try again in {in_words(charged)}, or sign in with a passkey.",
            wait_s=charged,
        )
    return charged


def refund(connection: Connection, charged: Charged) -> None:
    """It was right: the account's failures from here are forgotten, and this one is taken off the network's."""
    for count, key in lockout.counts(charged.one).items():
        before = signins.strikes(connection, key)
        if count in (Count.HERE, Count.DEVICE):
            signins.set_strikes(connection, key, Strikes())
        elif count is Count.NETWORK:
            signins.set_strikes(connection, key, Strikes(before.failures - 1, before.last_at))


def as_try(connection: Connection, office: Office, login: str, number: int, visitor: Visitor) -> Try:
    """What is known of where a try comes from; the same is asked about accounts that are not there."""
    network, since = visitor.network, office.clock() - office.access.known_s
    device = tokens.digest(visitor.device)
    known_network = signins.knows_network(connection, number, network, since=since)
    known_device = signins.knows_device(connection, number, device)
    return Try(login, network, known_network, device.hex() if known_device and visitor.device else "")


def in_words(seconds: float) -> str:
    """A wait as people say it."""
    if seconds < 90:
        whole = max(1, round(seconds))
        return f"{whole} second{'' if whole == 1 else 's'}"
    return f"{round(seconds / 60)} minutes"
