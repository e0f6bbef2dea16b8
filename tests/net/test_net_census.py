"""Who may come in: limits per client and in all, and who need not wait for the greeting."""

from __future__ import annotations

from gatepost.net.census import Census
from gatepost.net.limits import ConnectionLimits


def test_one_client_over_its_limit_does_not_cost_another():
    census = Census(ConnectionLimits(per_client=2))
    busy, other = census.place("198.51.100.1"), census.place("198.51.100.2")
    assert census.arrive(busy, 0.0) is None
    assert census.arrive(busy, 0.0) is None
    assert census.arrive(busy, 0.0) == "too-many-from-client"
    assert census.arrive(other, 0.0) is None
    census.leave(busy)
    assert census.arrive(busy, 0.0) is None


def test_an_ipv6_client_is_its_64():
    census = Census(ConnectionLimits(per_client=1))
    assert census.arrive(census.place("2001:db8:0:1::1"), 0.0) is None
    assert census.arrive(census.place("2001:db8:0:1:ffff::2"), 0.0) == "too-many-from-client"
    assert census.arrive(census.place("2001:db8:0:2::1"), 0.0) is None


def test_a_mapped_address_counts_as_the_ipv4_client():
    census = Census(ConnectionLimits(per_client=1))
    assert census.arrive(census.place("::ffff:198.51.100.1"), 0.0) is None
    assert census.arrive(census.place("198.51.100.1"), 0.0) == "too-many-from-client"


def test_everyone_together():
    census = Census(ConnectionLimits(connections=3))
    assert [census.arrive(census.place(f"198.51.100.{n}"), 0.0) for n in range(4)] == [
        None,
        None,
        None,
        "too-many-connections",
    ]


def test_unlimited_clients_are_limited_when_places_become_few():
    census = Census(ConnectionLimits(connections=8, per_client=1))
    local = census.place("127.0.0.1")
    assert [census.arrive(local, 0.0) for _ in range(7)] == [None] * 6 + ["too-many-from-client"]
    assert census.arrive(census.place("198.51.100.1"), 0.0) is None


def test_rate_a_minute_drains_evenly():
    census = Census(ConnectionLimits(per_client_a_minute=2, per_client=100))
    client = census.place("198.51.100.1")
    assert [census.arrive(client, 0.0) for _ in range(3)] == [None, None, "too-fast"]
    assert census.arrive(client, 29.0) == "too-fast"
    assert census.arrive(client, 31.0) is None
    assert census.arrive(client, 31.0) == "too-fast"


def test_politeness_is_remembered_for_a_while_and_for_so_many():
    census = Census(ConnectionLimits(known_client_s=100.0, known_clients=2, greeting_delay_s=2.0))
    first, second, third = (census.place(f"198.51.100.{n}") for n in (1, 2, 3))
    assert census.greeting_delay_s(first, 0.0) == 2.0
    census.was_polite(first, 0.0)
    assert census.greeting_delay_s(first, 99.0) == 0.0
    assert census.greeting_delay_s(first, 101.0) == 2.0
    census.was_polite(second, 0.0)
    census.was_polite(third, 0.0)
    assert census.greeting_delay_s(first, 1.0) == 2.0
    assert census.greeting_delay_s(second, 1.0) == 0.0


def test_local_clients_do_not_wait():
    census = Census(ConnectionLimits())
    assert census.greeting_delay_s(census.place("127.0.0.1"), 0.0) == 0.0
    assert census.greeting_delay_s(census.place("10.1.2.3"), 0.0) == 0.0
    assert census.greeting_delay_s(census.place("fe80::1%eth0"), 0.0) == 0.0
