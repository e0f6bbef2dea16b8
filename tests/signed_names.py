"""A signed tree of names for tests: zones that knot signs with keys made on the spot, behind a validating unbound, with
unsigned, wrongly signed and lame zones in between. Up in a second or two, on free loopback ports."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import dns.exception
import dns.message
import dns.query

from conftest import real_program
from gatepost.net.zoneserver import _bind

WRONG_DS = "DS 12345 13 2 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
KNOT = """
server:
    rundir: {folder}
    listen: 127.0.0.1@{port}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 2
log:
  - target: stderr
    any: error
database:
    storage: {folder}
policy:
  - id: made
    manual: on
    single-type-signing: on
    algorithm: ecdsap256sha256
template:
  - id: default
    storage: {folder}
    file: "%s.zone"
    zonefile-sync: -1
    semantic-checks: off
zone:
{zones}
"""
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
    local-zone: "test." nodefault
    local-zone: "192.in-addr.arpa." static
    local-zone: "203.in-addr.arpa." static
    module-config: "validator iterator"
    trust-anchor: "{anchor}"
    val-log-level: 0
    ede: {ede}
{stubs}
remote-control:
    control-enable: no
"""


@dataclass(frozen=True)
class ZoneOf:
    """One zone: lines of a master file, relative to it or absolute."""

    lines: list[str] = field(default_factory=list)
    state: str = "signed"
    """signed, insecure (not signed, and its parent says so), bogus (signed, and its parent says otherwise), lame."""

    @property
    def has_keys(self) -> bool:
        return self.state in ("signed", "bogus")


@dataclass(frozen=True)
class Signed:
    """A running name server."""

    zones: Mapping[str, ZoneOf]
    port: int
    top: str
    """The zone above all others."""
    anchor: str
    """What a validator is to trust: its DS record."""


def free_port() -> int:
    stream, datagrams = _bind(0)
    with stream, datagrams:
        port: int = stream.getsockname()[1]
        return port


def parent_of(name: str, zones: Mapping[str, ZoneOf]) -> str | None:
    """The nearest zone above; the root is called ``.``."""
    above = name
    while above not in ("", "."):
        above = above.partition(".")[2]
        if above in zones:
            return above
    return "." if "." in zones and name != "." else None


@contextlib.contextmanager
def names(folder: Path, zones: Mapping[str, ZoneOf]) -> Iterator[str]:
    """Zones by name (no final dot). Yields the resolver's ``address:port``."""
    with knot(folder, zones) as signed, unbound(folder, signed) as resolver:
        yield resolver


@contextlib.contextmanager
def knot(folder: Path, zones: Mapping[str, ZoneOf]) -> Iterator[Signed]:
    """A name server of these zones, each delegated to by the one above."""
    keymgr, port = real_program("keymgr", "knot-dnssecutils"), free_port()
    signing = "    dnssec-signing: on\n    dnssec-policy: made\n"
    served = {name: zone for name, zone in zones.items() if zone.state != "lame"}
    listed = "".join(
        f"  - domain: {name}\n{signing if zone.has_keys else ''}" for name, zone in served.items()
    )
    conf = folder / "knot.conf"
    conf.write_text(KNOT.format(folder=folder, port=port, zones=listed))
    ds = {name: made_key(keymgr, conf, name) for name, zone in zones.items() if zone.has_keys}
    for name, zone in served.items():
        file = folder / f"{'' if name == '.' else name}.zone"
        lines = [
            "@ 300 SOA ns.test. host.test. 1 3600 600 86400 60",
            "@ 300 NS ns.test.",
            *delegations(name, zones, ds),
        ]
        file.write_text("\n".join([*lines, *zone.lines]) + "\n")
    (top,) = (name for name in zones if parent_of(name, zones) is None)
    with running([real_program("knotd", "knot"), "-c", str(conf)]) as process:
        until(port, top, "DNSKEY", process)
        yield Signed(zones, port, top, f"{top.rstrip('.')}. {ds[top]}")


@contextlib.contextmanager
def unbound(folder: Path, signed: Signed, *, ede: bool = True) -> Iterator[str]:
    """A validating resolver that knows these zones alone; with `ede` it says why something failed (RFC 8914)."""
    port, closed = free_port(), free_port()
    stubs = "\n".join(
        f'stub-zone:\n    name: "{name}"\n    stub-addr: 127.0.0.1@{closed if zone.state == "lame" else signed.port}'
        for name, zone in signed.zones.items()
    )
    config = folder / "unbound.conf"
    config.write_text(
        UNBOUND.format(
            folder=folder, port=port, anchor=signed.anchor, ede="yes" if ede else "no", stubs=stubs
        )
    )
    with running([real_program("unbound"), "-d", "-c", str(config)]) as process:
        until(port, signed.top, "SOA", process)
        yield f"127.0.0.1:{port}"


def delegations(name: str, zones: Mapping[str, ZoneOf], ds: Mapping[str, str]) -> Iterator[str]:
    """What a zone says of those right below it."""
    for child, below in zones.items():
        if parent_of(child, zones) == name:
            yield f"{child}. 300 NS ns.test."
            if below.state == "signed":
                yield f"{child}. 300 {ds[child]}"
            elif below.state == "bogus":
                yield f"{child}. 300 {WRONG_DS}"


def made_key(keymgr: str, conf: Path, name: str) -> str:
    """Make a zone's key; its DS record."""
    zone = name if name == "." else f"{name}."
    made = subprocess.run(
        [keymgr, "-c", conf, zone, "generate", "algorithm=ECDSAP256SHA256", "ksk=yes", "zsk=yes"],
        capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    told = subprocess.run(
        [keymgr, "-c", conf, zone, "ds", made.stdout.split()[-1]],
        capture_output=True, text=True, check=True, timeout=30,
    )  # fmt: skip
    line = next(line for line in told.stdout.splitlines() if " DS " in line and " 13 2 " in line)
    return line[line.index("DS ") :]


@contextlib.contextmanager
def running(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(10)


def until(port: int, name: str, kind: str, process: subprocess.Popen[bytes]) -> None:
    """The server just started answers."""
    end = time.monotonic() + 15
    while time.monotonic() < end:
        assert process.poll() is None, "the server ended"
        with contextlib.suppress(OSError, dns.exception.DNSException):
            answer = dns.query.udp(dns.message.make_query(name, kind), "127.0.0.1", timeout=0.3, port=port)
            if answer.answer:
                return
        time.sleep(0.05)
    raise AssertionError(f"no answer for {name} {kind}")
