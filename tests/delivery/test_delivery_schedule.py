"""When to try again, and when to give up."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gatepost.delivery.schedule import delay_is_due, next_attempt
from gatepost.delivery.settings import ScheduleSettings

NOW = 1_750_000_000.0
SETTINGS = ScheduleSettings()


def waits(jitter: float) -> list[float]:
    """Every wait of a message that never gets through."""
    now, attempts, found = NOW, 1, []
    while True:
        then = next_attempt(
            SETTINGS, retry_first_s=60.0, attempts=attempts, created_at=NOW, now=now, jitter=jitter
        )
        if then is None:
            return found
        found.append(then - now)
        now, attempts = then, attempts + 1


def test_waits_double_up_to_the_longest_and_end_with_patience() -> None:
    found = waits(0.5)
    assert found[:9] == [60, 120, 240, 480, 960, 1920, 3840, 7680, 14400]
    assert max(found) == 4 * 3600
    assert sum(found) == 5 * 86400


@given(jitter=st.floats(0, 1))
def test_jitter_spreads_by_a_quarter_and_patience_is_the_same(jitter: float) -> None:
    found = waits(jitter)
    assert 45 <= found[0] <= 75
    assert abs(sum(found) - 5 * 86400) < 1e-3


@given(attempts=st.integers(1, 10**6), age=st.floats(0, 10 * 86400), jitter=st.floats(0, 1))
def test_never_in_the_past_and_never_beyond_the_end(attempts: int, age: float, jitter: float) -> None:
    then = next_attempt(
        SETTINGS, retry_first_s=60.0, attempts=attempts, created_at=NOW, now=NOW + age, jitter=jitter
    )
    if then is None:
        assert age >= SETTINGS.give_up_s
    else:
        assert NOW + age < then <= NOW + SETTINGS.give_up_s


def test_the_delay_is_told_once_after_four_hours() -> None:
    assert not delay_is_due(SETTINGS, created_at=NOW, now=NOW + 4 * 3600 - 1, told=False)
    assert delay_is_due(SETTINGS, created_at=NOW, now=NOW + 4 * 3600, told=False)
    assert not delay_is_due(SETTINGS, created_at=NOW, now=NOW + 4 * 3600, told=True)
