"""The lab around a whole gate: every name, host and policy up, a gate that sends and one of ours that receives."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import smtplib
import socket
import ssl
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from lab_servers import Identity, identity
from lab_situations import SITUATIONS
from lab_world import World
from pysqlite3 import dbapi2

from gatepost.store.store import Store
from signed_names import ZoneOf, names

sys.path.append(str(Path(__file__).parent.parent / "system"))
from whole import Gate, mail, until

CHOSEN = (
    "ee-key", "ee-bad", "ta-key", "dane-stripped", "tlsa-bogus", "bogus-domain", "alias-end", "second-host", "enforced",
    "enforced-untrusted", "enforced-stripped", "spoofed-mx", "tested-name", "policy-untrusted", "dane-first", "open-plain",
    "rt-dane", "rt-not-offered", "rt-unvouched", "waived-dane",
)  # fmt: skip
OURS = "127.0.8.8"
CONFIG = """
hostname = "gate.test"
workers = 0
[[listeners]]
address = "127.0.0.1:0"
role = "submission"
relay_for = ["127.0.0.1"]
[tls]
certificate = "certificate.pem"
key = "key.pem"
[dns]
servers = ["{server}"]
trust_ad = true
[[domains]]
name = "gate.test"
recipients = ["ana@gate.test"]
deliver = "maildir:mail"
[delivery]
poll = "50ms"
[outbound]
private_addresses = true
trust_anchors = "{anchors}"
{more}
"""
RECEIVER = """
hostname = "mx.received.secure.test"
workers = 0
[[listeners]]
address = "127.0.8.8:25"
role = "mx"
[tls]
certificate = "certificate.pem"
key = "key.pem"
[dns]
servers = ["{server}"]
trust_ad = true
[[domains]]
name = "received.secure.test"
recipients = ["ben@received.secure.test", "tls@received.secure.test"]
deliver = "maildir:mail"
[checks.rdns]
mode = "off"
[checks.hello]
mode = "off"
[checks.greylist]
mode = "off"
"""


POSTED = "https://mta-sts.enforced.plain.test/reports"
MAILED = "mailto:tls@received.secure.test"


class Loop:
    """An event loop in a thread of its own, for servers that live beside blocking tests."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    @contextlib.contextmanager
    def within(self, context: Any) -> Iterator[Any]:
        got = asyncio.run_coroutine_threadsafe(context.__aenter__(), self.loop).result(30)
        try:
            yield got
        finally:
            asyncio.run_coroutine_threadsafe(context.__aexit__(None, None, None), self.loop).result(30)

    def end(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()


class Lab:
    def __init__(self, world: World, sender: Gate, receiver: Gate, shown: Identity, loop: Loop) -> None:
        self.world, self.sender, self.receiver = world, sender, receiver
        self.shown, self.loop = shown, loop
        """The receiver's certificate, and where servers run."""

    def hand_in(self, to: str, *, options: str = "", more: bytes = b"") -> str:
        """Over submission with STARTTLS; the reference."""
        with smtplib.SMTP(
            "127.0.0.1", self.sender.port, local_hostname="desk.gate.test", timeout=30
        ) as session:
            session.ehlo()
            session._host = "gate.test"  # type: ignore[attr-defined]  # who is asked for
            session.starttls(context=ssl.create_default_context(cafile=self.world.known.file))
            session.ehlo()
            code, text = session.docmd(f"MAIL FROM:<ana@gate.test>{options}")
            assert code == 250, text
            code, text = session.docmd(f"RCPT TO:<{to}>")
            assert code == 250, text
            code, text = session.data(mail("on the wire", author="ana@gate.test", more=more))
            assert code == 250, text
        return text.decode().partition("[ref ")[2].partition("]")[0]

    def deliveries(self, ref: str, count: int = 1) -> list[dict[str, Any]]:
        """What came of the first tries of a message, once there are so many."""
        until(lambda: len(self.sender.rows("explain", ref)[0]["deliveries"]) >= count, self.sender.log)
        found: list[dict[str, Any]] = self.sender.rows("explain", ref)[0]["deliveries"]
        return found

    def sql(self, *statements: str) -> None:
        """On the sender's database, which nobody has open."""
        with contextlib.closing(dbapi2.connect(self.sender.folder / "var" / "gatepost.db")) as base:
            for one in statements:
                base.execute(one)
            base.commit()

    def reported(self) -> dict[str, dict[str, Any]]:
        """What became of the reports of the days before, by domain."""
        rows = self.sender.rows("tls-reports", "list", "--limit", "1000")
        return {one["domain"]: one for one in rows if one["day"] < f"{datetime.now(UTC):%Y-%m-%d}"}


@contextlib.contextmanager
def whole_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Everything up: names, situations, a gate that sends and one that receives."""
    try:
        for port in (25, 443):
            socket.create_server((OURS, port)).close()
    except OSError:
        pytest.skip("may not listen on the ports 25 and 443")
    chosen = [one for one in SITUATIONS if one.name in CHOSEN]
    world = World(tmp_path_factory.mktemp("world"), chosen, smtp_port=25)
    world.web.port = 443
    folders = [tmp_path_factory.mktemp(name) for name in ("sender", "receiver")]
    shown = [identity("good", name, world.known) for name in ("gate.test", "mx.received.secure.test")]
    for folder, one in zip(folders, shown, strict=True):
        (folder / "certificate.pem").write_bytes(one.own.pem)
        (folder / "key.pem").write_bytes(one.own.key_pem)
    digest = hashlib.sha256(shown[1].own.spki).hexdigest()
    received = [
        "received.secure.test. 300 MX 10 mx.received.secure.test.",
        f"mx.received.secure.test. 300 A {OURS}",
        f"_25._tcp.mx.received.secure.test. 300 TLSA 3 1 1 {digest}",
        f'_smtp._tls.ee-key.secure.test. 300 TXT "v=TLSRPTv1; rua={POSTED}"',
        f'_smtp._tls.ee-bad.secure.test. 300 TXT "v=TLSRPTv1; rua={MAILED},{POSTED}"',
    ]  # fmt: skip
    corners = [
        "null.secure.test. 300 MX 0 .",
        "self.secure.test. 300 MX 20 received.secure.test.",
        "self.secure.test. 300 MX 10 gate.test.",
        "six.secure.test. 300 MX 10 mx.six.secure.test.",
        "mx.six.secure.test. 300 AAAA ::1",
        f"_25._tcp.mx.six.secure.test. 300 TLSA 3 1 1 {digest}",
    ]
    reports = [
        f'_smtp._tls.enforced-untrusted.plain.test. 300 TXT "v=TLSRPTv1;rua={MAILED}"',
        '_smtp._tls.tested-name.plain.test. 300 TXT "v=TLSRPTv1;rua=mailto:nobody@received.secure.test"',
        '_smtp._tls.enforced-stripped.plain.test. 300 TXT "v=TLSRPTv1;rua=https://mta-sts.policy-untrusted.plain.test/r"',
    ]
    sender = Gate(folders[0], CONFIG.format(server="127.0.0.1:9", anchors=world.known.file, more=""))
    asyncio.run(Store.open(folders[0] / "var").close())
    keys = sender.run("key", "create", "gate.test")
    ours = [
        "ns.test. 300 A 127.0.0.1",
        "gate.test. 300 A 127.0.0.1",
        'gate.test. 300 TXT "v=spf1 ip4:127.0.0.1 -all"',
        '_dmarc.gate.test. 300 TXT "v=DMARC1; p=reject"',
    ]
    zones = {
        ".": ZoneOf(),
        "test": ZoneOf([*ours, *keys.splitlines()]),
        "secure.test": ZoneOf([*world.records["secure"], *received, *corners]),
        "hosts.test": ZoneOf(world.records["hosts"]),
        "plain.test": ZoneOf([*world.records["plain"], *reports], "insecure"),
        "bogus.test": ZoneOf(world.records["bogus"], "bogus"),
        **{name: ZoneOf(world.records.get(name, []), state) for name, state in world.cuts.items()},
    }  # fmt: skip
    loop = Loop()
    with contextlib.ExitStack() as stack:
        stack.callback(loop.end)
        server = stack.enter_context(names(tmp_path_factory.mktemp("names"), zones))
        stack.enter_context(loop.within(world.running()))
        sender.path.write_text(CONFIG.format(server=server, anchors=world.known.file, more=""))
        receiver = Gate(folders[1], RECEIVER.format(server=server))
        for one in (receiver, sender):
            one.ports = {}
            one.start()
            stack.callback(one.stop)
        yield Lab(world, sender, receiver, shown[1], loop)
