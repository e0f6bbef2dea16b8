"""The resolver behind a real validating one (unbound), over a tree that a real server (knot) signs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from gatepost.dns.answer import Answer, Security, Status
from gatepost.net.resolver import CachingResolver, DnsSettings, validates
from signed_names import Signed, ZoneOf, knot, unbound

pytestmark = pytest.mark.peers
APEX = "tree.example"

ZONES = {
    APEX: ZoneOf(
        [
            "@ 3600 MX 10 mx.tree.example.",
            "mx 3600 A 192.0.2.1",
            f"_25._tcp.mx 3600 TLSA 3 1 1 {'0123456789abcdef' * 4}",
            "big 3600 TXT" + f' "{"x" * 240}"' * 10,
            "in 3600 CNAME mx",
            "out 3600 CNAME www.plain",
            "*.any 3600 A 192.0.2.9",
        ]
    ),
    "plain.tree.example": ZoneOf(["www 3600 A 192.0.2.2"], "insecure"),
    "broken.tree.example": ZoneOf(["www 3600 A 192.0.2.3"], "bogus"),
}


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Signed]:
    """A server with the signed tree."""
    with knot(tmp_path_factory.mktemp("knot"), ZONES) as server:
        yield server


@pytest.fixture(scope="module", params=[False, True], ids=["plain failures", "extended errors"])
def resolver(
    request: pytest.FixtureRequest, signed: Signed, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The address of a validating resolver."""
    with unbound(tmp_path_factory.mktemp("unbound"), signed, ede=request.param) as address:
        yield address


def ask(server: str, name: str, kind: str, *, trust_ad: bool = True) -> Answer:
    async def run() -> Answer:
        resolver = CachingResolver(DnsSettings(servers=(server,), trust_ad=trust_ad))
        try:
            return await resolver.lookup(name, kind)
        finally:
            await resolver.close()

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("name", "kind", "status", "records", "security"),
    [
        ("tree.example", "MX", Status.FOUND, ("10 mx.tree.example",), Security.SECURE),
        ("mx.tree.example", "A", Status.FOUND, ("192.0.2.1",), Security.SECURE),
        ("in.tree.example", "A", Status.FOUND, ("192.0.2.1",), Security.SECURE),
        ("x.any.tree.example", "A", Status.FOUND, ("192.0.2.9",), Security.SECURE),
        ("mx.tree.example", "AAAA", Status.NODATA, (), Security.SECURE),
        ("nowhere.tree.example", "A", Status.NXDOMAIN, (), Security.SECURE),
        ("big.tree.example", "TXT", Status.FOUND, ("x" * 2400,), Security.SECURE),
        (
            "_25._tcp.mx.tree.example",
            "TLSA",
            Status.FOUND,
            ("3 1 1 " + "0123456789abcdef" * 4,),
            Security.SECURE,
        ),
        ("www.plain.tree.example", "A", Status.FOUND, ("192.0.2.2",), Security.INSECURE),
        ("nowhere.plain.tree.example", "A", Status.NXDOMAIN, (), Security.INSECURE),
        ("out.tree.example", "A", Status.FOUND, ("192.0.2.2",), Security.INSECURE),
        ("www.broken.tree.example", "A", Status.FAILED, (), Security.BOGUS),
    ],
)
def test_secure_insecure_and_bogus_are_told_apart(
    resolver: str, name: str, kind: str, status: Status, records: tuple[str, ...], security: Security
) -> None:
    answer = ask(resolver, name, kind)
    assert (answer.status, answer.records, answer.security) == (status, records, security)
    assert answer.problem == ("bogus" if security is Security.BOGUS else "")


def test_without_trust_nothing_is_secure(resolver: str) -> None:
    answer = ask(resolver, "tree.example", "MX", trust_ad=False)
    assert (answer.status, answer.security) == (Status.FOUND, Security.INDETERMINATE)


def test_a_server_that_does_not_validate_is_found_out(resolver: str, signed: Signed) -> None:
    async def look(server: str) -> bool | None:
        resolver = CachingResolver(DnsSettings(servers=(server,), trust_ad=True))
        try:
            (result,) = await validates(resolver, signed=(APEX, "SOA"), broken="broken.tree.example")
            return result.validates
        finally:
            await resolver.close()

    assert asyncio.run(look(resolver)) is True
    assert asyncio.run(look(f"127.0.0.1:{signed.port}")) is False
