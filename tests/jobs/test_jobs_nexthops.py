"""A host behind us that takes nothing is told within minutes, and a single busy moment is not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gatepost.jobs.concerns import Level
from gatepost.jobs.nexthops import MANY, of_next_hops, of_too_small, quiet_hosts
from gatepost.store.records import DeliveryAttempt

NOW = 1_700_000_000.0
PUT_OFF = DeliveryAttempt(
    at=NOW - 30, to="ana@example.net", host="10.0.0.5", address="", status="deferred",
    reply="10.0.0.5:25 cannot be reached: Connection refused",
)  # fmt: skip


def tries(*ages: float, **changes: str) -> list[DeliveryAttempt]:
    return [replace(PUT_OFF, at=NOW - age, **changes) for age in ages]  # type: ignore[arg-type]


def test_a_host_that_takes_nothing_is_told_with_what_it_says() -> None:
    (quiet,) = quiet_hosts(tries(30, 200, 400), ["example.net"], NOW)
    (concern,) = of_next_hops([quiet], NOW)
    assert (concern.key, concern.level) == ("next-hop:10.0.0.5", Level.CRITICAL)
    assert "10.0.0.5 has taken none of our mail for 7 minutes: " in concern.text
    assert "Connection refused." in concern.text


@pytest.mark.parametrize(
    "newest",
    [
        [],
        tries(30, 400),  # a restart
        tries(30, 60, 90),  # not for long
        [replace(PUT_OFF, status="delivered"), *tries(60, 200, 400)],  # it is back
        [
            *tries(30, 200),
            replace(PUT_OFF, at=NOW - 300, status="failed"),
            *tries(400),
        ],  # it answered between
        tries(30, 200, 400, to="ben@far.example"),  # somebody else's host
        tries(30, 200, 400, to="ben@sub.example.net"),
    ],
)
def test_less_is_no_trouble(newest: list[DeliveryAttempt]) -> None:
    assert quiet_hosts(newest, ["example.net"], NOW) == []


def test_a_smarthost_is_one_whoever_the_mail_is_for() -> None:
    away = [
        *tries(30, 200, to="ben@far.example", host="relay"),
        *tries(400, to="bo@else.example", host="relay"),
    ]
    assert quiet_hosts(away, ["example.net"], NOW) == []
    assert [one.host for one in quiet_hosts(away, ["example.net"], NOW, ways=["relay"])] == ["relay"]


def test_everything_below_a_domain_is_ours_where_it_says_so() -> None:
    below = tries(30, 200, 400, to="ben@a.b.example.net")
    assert [one.host for one in quiet_hosts(below, [".example.net"], NOW)] == ["10.0.0.5"]


def test_so_many_in_a_row_need_no_time() -> None:
    assert len(quiet_hosts(tries(*[1.0] * MANY), ["example.net"], NOW)) == 1
    assert quiet_hosts(tries(*[1.0] * (MANY - 1)), ["example.net"], NOW) == []


def test_each_host_by_itself() -> None:
    mixed = [*tries(10, host="10.0.0.6", status="delivered"), *tries(30, 200, 400)]
    assert [one.host for one in quiet_hosts(mixed, ["example.net"], NOW)] == ["10.0.0.5"]


@pytest.mark.parametrize(
    "reply",
    [
        "The message has 20000000 octets; the next host takes 10240000.",
        "552 5.3.4 Message size exceeds fixed limit",
    ],
)
def test_a_host_that_takes_less_than_the_gate_is_told_where_mail_bounced_for_it(reply: str) -> None:
    bounced = replace(PUT_OFF, status="failed", reply=reply)
    (concern,) = of_too_small([bounced, bounced], ["example.net"], NOW)
    assert (concern.key, concern.level) == ("too-large:10.0.0.5", Level.WARNING)
    assert reply.rstrip(".") in concern.text
    assert "[limits.smtp] message" in concern.remedy
    for other in (
        replace(bounced, to="ben@far.example"),  # theirs to know
        replace(bounced, at=NOW - 90_000),  # long ago
        replace(bounced, reply="550 5.1.1 nobody of the size 5.3.40"),
        replace(bounced, status="deferred", reply="452 4.3.4 not now"),
    ):
        assert list(of_too_small([other], ["example.net"], NOW)) == []
