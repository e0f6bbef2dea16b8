"""Countries and network owners from the operator's file, and mail that goes on without one."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

import pytest

from drive import drive
from gatepost.checks.sender.impersonation import IMPERSONATION, ImpersonationSettings
from gatepost.checks.sender.networks import forget_networks, places_of, problem_with
from gatepost.mail.authresults import AuthResults, DmarcResult
from gatepost.scan.nothing import NOTHING
from gatepost.tools import Acquaintance
from judging import NOW, World, mail, names


def encoded(value: object) -> bytes:
    """A value of the MaxMind DB format 2.0: strings, maps, lists, numbers below 2^32; octets are encoded already."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return bytes([2 << 5 | len(value)]) + value.encode()
    if isinstance(value, dict):
        return bytes([7 << 5 | len(value)]) + b"".join(encoded(k) + encoded(v) for k, v in value.items())
    if isinstance(value, list):
        return bytes([len(value), 4]) + b"".join(map(encoded, value))
    assert isinstance(value, int)
    octets = value.to_bytes(4, "big").lstrip(b"\0")
    return bytes([6 << 5 | len(octets)]) + octets


SHORT_0, SHORT_2, SHORT_4, SHORT_24 = b"\xa0", b"\xa1\x02", b"\xa1\x04", b"\xa1\x18"
LONG_1 = b"\x01\x02\x01"


def write_networks(path: Path, first_octets: dict[int, object]) -> None:
    """A file with one row for each /8 network."""
    nodes: list[list[int | None]] = [[None, None]]
    data, starts = b"", {}
    for octet, row in first_octets.items():
        starts[octet], data = len(data), data + encoded(row)
    for octet in first_octets:
        node = 0
        for bit in range(7, 0, -1):
            side = octet >> bit & 1
            if nodes[node][side] is None:
                nodes.append([None, None])
                nodes[node][side] = len(nodes) - 1
            node = nodes[node][side]  # type: ignore[assignment]
        nodes[node][octet & 1] = -1 - octet
    count = len(nodes)
    tree = b""
    for pair in nodes:
        for to in pair:
            value = count if to is None else to if to >= 0 else count + 16 + starts[-1 - to]
            tree += value.to_bytes(3, "big")
    metadata = {
        "node_count": count, "record_size": SHORT_24, "ip_version": SHORT_4, "database_type": "Test", "languages": ["en"],
        "binary_format_major_version": SHORT_2, "binary_format_minor_version": SHORT_0, "build_epoch": LONG_1, "description": {"en": "x"},
    }  # fmt: skip
    path.write_bytes(tree + bytes(16) + data + b"\xab\xcd\xefMaxMind.com" + encoded(metadata))


@pytest.fixture
def networks(tmp_path: Path) -> str:
    forget_networks()
    file = tmp_path / "networks.mmdb"
    write_networks(
        file,
        {
            198: {"country": {"iso_code": "DE"}, "autonomous_system_number": 3320},
            203: {"country": {"iso_code": "BR"}},
        },
    )
    return str(file)


def test_places(networks: str) -> None:
    assert places_of(ip_address("198.51.100.7"), networks) == ("DE", "AS3320")
    assert places_of(ip_address("203.0.113.7"), networks) == ("BR",)
    assert places_of(ip_address("192.0.2.1"), networks) == ()
    assert problem_with(networks) == ""


@pytest.mark.parametrize("octets", [b"", b"nonsense" * 100, b"\xab\xcd\xefMaxMind.com"])
def test_a_file_that_is_none(tmp_path: Path, octets: bytes) -> None:
    forget_networks()
    file = tmp_path / "broken.mmdb"
    file.write_bytes(octets)
    assert "no file of MaxMind's format" in problem_with(str(file))
    assert places_of(ip_address("198.51.100.7"), str(file)) == ()
    assert places_of(ip_address("198.51.100.7"), str(tmp_path / "none")) == ()


def seen(networks: str, ip: str, **places: int) -> list[str]:
    friend = Acquaintance(NOW - 9e6, NOW - 9, 9, replied=False, places=places)
    world = World(friends={("y.example", "example.net"): friend})
    world.people = NOTHING  # type: ignore[attr-defined]
    auth = AuthResults(dmarc=DmarcResult(result="pass", author_domain="y.example"))
    one = mail("From: <x@y.example>", auth=auth, ip=ip)
    return names(drive(IMPERSONATION.run(one, world, ImpersonationSettings(networks_file=networks))))  # type: ignore[arg-type]


def test_mail_from_a_country_it_never_came_from(networks: str) -> None:
    assert seen(networks, "203.0.113.7", DE=9, AS3320=9) == ["impersonation.changed_place"]
    assert seen(networks, "198.51.100.7", DE=9) == []
    assert seen(networks, "203.0.113.7", DE=3) == [], "too few to be a habit"
    assert seen(networks, "192.0.2.1", DE=9) == [], "the file does not know"
    assert seen("", "203.0.113.7", DE=9) == []
