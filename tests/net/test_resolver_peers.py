"""The resolver behind a real validating one (unbound), over a tree that a real server (knot) signs."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import dns.dnssec
import dns.exception
import dns.message
import dns.name
import dns.query
import dns.rdatatype
import pytest

from conftest import real_program
from gatepost.dns.answer import Answer, Security, Status
from gatepost.net.resolver import CachingResolver, DnsSettings, validates
from gatepost.net.zoneserver import _bind

pytestmark = pytest.mark.peers
APEX = "tree.example"

KNOT = """
server:
    rundir: {folder}
    listen: 127.0.0.1@{port}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
log:
  - target: stderr
    any: warning
database:
    storage: {folder}
policy:
  - id: simple
    algorithm: ecdsap256sha256
    single-type-signing: on
template:
  - id: default
    storage: {folder}
    file: "%s.zone"
    zonefile-sync: -1
    semantic-checks: off
zone:
  - domain: tree.example
    dnssec-signing: on
    dnssec-policy: simple
  - domain: plain.tree.example
  - domain: broken.tree.example
    dnssec-signing: on
    dnssec-policy: simple
"""
ZONES = {
    "tree.example": """
@ 3600 SOA ns.tree.example. host.tree.example. 1 3600 600 86400 300
@ 3600 NS ns.tree.example.
@ 3600 MX 10 mx.tree.example.
ns 3600 A 127.0.0.1
mx 3600 A 192.0.2.1
_25._tcp.mx 3600 TLSA 3 1 1 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
big 3600 TXT "{long}" "{long}" "{long}" "{long}" "{long}" "{long}" "{long}" "{long}" "{long}" "{long}"
in 3600 CNAME mx
out 3600 CNAME www.plain
*.any 3600 A 192.0.2.9
plain 3600 NS ns.tree.example.
broken 3600 NS ns.tree.example.
broken 3600 DS 12345 13 2 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff
""".replace("{long}", "x" * 240),
    "plain.tree.example": """
@ 3600 SOA ns.tree.example. host.tree.example. 1 3600 600 86400 300
@ 3600 NS ns.tree.example.
www 3600 A 192.0.2.2
""",
    "broken.tree.example": """
@ 3600 SOA ns.tree.example. host.tree.example. 1 3600 600 86400 300
@ 3600 NS ns.tree.example.
www 3600 A 192.0.2.3
""",
}
UNBOUND = """
server:
    directory: "{folder}"
    pidfile: ""
    chroot: ""
    username: ""
    use-syslog: no
    logfile: ""
    do-daemonize: no
    num-threads: 1
    interface: 127.0.0.1@{port}
    do-ip6: no
    do-not-query-localhost: no
    module-config: "validator iterator"
    trust-anchor: "{anchor}"
    val-log-level: 0
    ede: {ede}
{stubs}
remote-control:
    control-enable: no
"""


def free_port() -> int:
    stream, datagrams = _bind(0)
    with stream, datagrams:
        port: int = stream.getsockname()[1]
        return port


def when_ready(port: int, kind: str, process: subprocess.Popen[bytes]) -> dns.message.Message:
    """The answer for the apex, as soon as the server just started gives one."""
    patience = time.monotonic() + 15
    while time.monotonic() < patience:
        assert process.poll() is None, "the server ended"
        try:
            answer = dns.query.udp(dns.message.make_query(APEX, kind), "127.0.0.1", timeout=0.3, port=port)
            if answer.answer:
                return answer
        except (OSError, dns.exception.DNSException):
            pass
        time.sleep(0.05)
    raise AssertionError("the server does not answer")


@pytest.fixture(scope="module")
def knot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, str]]:
    """The port of a server with the signed tree, and the trust anchor for it."""
    folder = tmp_path_factory.mktemp("knot")
    port = free_port()
    for name, text in ZONES.items():
        (folder / f"{name}.zone").write_text(text)
    config = folder / "knot.conf"
    config.write_text(KNOT.format(folder=folder, port=port))
    process = subprocess.Popen([real_program("knotd", "knot"), "-c", str(config)])
    try:
        keys = when_ready(port, "DNSKEY", process).answer[0]
        anchor = dns.dnssec.make_ds(dns.name.from_text(APEX), keys[0], "SHA256")
        yield port, f"{APEX}. DS {anchor}"
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture(scope="module", params=["no", "yes"], ids=["plain failures", "extended errors"])
def unbound(
    request: pytest.FixtureRequest, knot: tuple[int, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The address of a validating resolver."""
    folder: Path = tmp_path_factory.mktemp("unbound")
    port = free_port()
    stubs = "\n".join(f'stub-zone:\n    name: "{name}"\n    stub-addr: 127.0.0.1@{knot[0]}' for name in ZONES)
    config = folder / "unbound.conf"
    config.write_text(
        UNBOUND.format(folder=folder, port=port, anchor=knot[1], ede=request.param, stubs=stubs)
    )
    process = subprocess.Popen([real_program("unbound"), "-d", "-c", str(config)])
    try:
        when_ready(port, "SOA", process)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


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
    unbound: str, name: str, kind: str, status: Status, records: tuple[str, ...], security: Security
) -> None:
    answer = ask(unbound, name, kind)
    assert (answer.status, answer.records, answer.security) == (status, records, security)
    assert answer.problem == ("bogus" if security is Security.BOGUS else "")


def test_without_trust_nothing_is_secure(unbound: str) -> None:
    answer = ask(unbound, "tree.example", "MX", trust_ad=False)
    assert (answer.status, answer.security) == (Status.FOUND, Security.INDETERMINATE)


def test_a_server_that_does_not_validate_is_found_out(unbound: str, knot: tuple[int, str]) -> None:
    async def look(server: str) -> bool | None:
        resolver = CachingResolver(DnsSettings(servers=(server,), trust_ad=True))
        try:
            (result,) = await validates(resolver, signed=(APEX, "SOA"), broken="broken.tree.example")
            return result.validates
        finally:
            await resolver.close()

    assert asyncio.run(look(unbound)) is True
    assert asyncio.run(look(f"127.0.0.1:{knot[0]}")) is False
