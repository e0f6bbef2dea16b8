"""The client's name, forward-confirmed."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from drive import drive
from gatepost.checks.connection.rdns import RDNS, RdnsSettings, looks_generic
from gatepost.tools import Unavailable
from judging import World, attempt, names

ZONE = """
8.8.8.8.in-addr.arpa. PTR mail.example.org.
mail.example.org. A 8.8.8.8
9.8.8.8.in-addr.arpa. PTR liar.example.org.
liar.example.org. A 8.8.8.8
10.8.8.8.in-addr.arpa. PTR host-8-8-8-10.pool.example.org.
host-8-8-8-10.pool.example.org. A 8.8.8.10
11.8.8.8.in-addr.arpa. PTR broken.example.org.
$FAIL broken.example.org A
$TIMEOUT 12.8.8.8.in-addr.arpa PTR
8.8.8.8.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.6.8.4.0.6.8.4.1.0.0.2.ip6.arpa. PTR six.example.org.
six.example.org. AAAA 2001:4860:4860::8888
"""


@pytest.mark.parametrize(
    ("ip", "name"),
    [
        ("8.8.8.8", "rdns.confirmed"),
        ("8.8.8.9", "rdns.unconfirmed"),
        ("8.8.8.10", "rdns.generic"),
        ("8.8.8.13", "rdns.missing"),
        ("2001:4860:4860::8888", "rdns.confirmed"),
    ],
)
def test_names(ip: str, name: str) -> None:
    found = drive(RDNS.run(attempt(ip), World(ZONE), RdnsSettings()))
    assert names(found) == [name]
    assert ip in found[0].text


@pytest.mark.parametrize("ip", ["8.8.8.11", "8.8.8.12"])
def test_a_failing_dns_says_nothing_against_anyone(ip: str) -> None:
    with pytest.raises(Unavailable):
        drive(RDNS.run(attempt(ip), World(ZONE), RdnsSettings()))


@pytest.mark.parametrize(
    "one", [attempt("127.0.0.1"), attempt("10.1.2.3"), attempt(None), attempt("8.8.8.13", user="ana")]
)
def test_nobody_asks_about_private_clients_and_users(one) -> None:
    assert drive(RDNS.run(one, World(ZONE), RdnsSettings())) == ()


@pytest.mark.parametrize(
    ("name", "generic"),
    [
        ("static-203-0-113-9.isp.example", True),
        ("9.113.0.203.isp.example", True),
        ("p203000113009.isp.example", True),
        ("cb007109.isp.example", True),
        ("host9.dynamic.isp.example", True),
        ("dsl-customer.isp.example", True),
        ("mail.example.org", False),
        ("mx1.pooling.example.org", False),
        ("out-9.mail.example.org", False),
    ],
)
def test_generic_names(name: str, generic: bool) -> None:
    assert looks_generic(name, ip_address("203.0.113.9")) is generic
