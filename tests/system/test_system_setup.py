"""From `gatepost setup` with a certificate authority to a person who sends signed mail: what setup writes and prints is enough."""

from __future__ import annotations

import asyncio
import json
import smtplib
import socket
import ssl
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from test_system_next_hops import scripted
from whole import Gate, mail, run, until

from gatepost.demo.run import OwnAnswers, free_port
from gatepost.dns.zone import Zone
from gatepost.mail.message import Message
from gatepost.mailauth.dkim import verify_signatures
from net.acme_server import AcmeServer
from scripted_peer import Peer

FAR = "127.78.2.3"
OUTSIDE = f"""
far.example. MX 10 mx.far.example.
mx.far.example. A {FAR}
mail.example.com. A 127.0.0.1
"""


def test_what_setup_writes_and_prints_is_enough_to_send(tmp_path: Path) -> None:
    try:
        socket.create_server((FAR, 25)).close()
    except OSError:
        pytest.skip("may not listen on port 25")
    peer, names = Peer(address=FAR, port=25), OwnAnswers()
    with ExitStack() as stack:
        authority = stack.enter_context(AcmeServer())
        authority.http_port = free_port(0)
        stack.enter_context(scripted(peer))
        stack.callback(names.stop)
        (tmp_path / "zone").write_text(OUTSIDE)
        told = json.loads(
            run("setup", "mail.example.com", "--folder", str(tmp_path / "gate"), "--zone", str(tmp_path / "zone"),
                "--owner", "ana@example.com", "--acme", authority.directory, "--json")
        )  # fmt: skip
        published = Zone.parse(OUTSIDE + "\n".join(told["records"]))
        changes = {
            '"*:25"': '"127.0.0.1:0"', '"*:465"': '"127.0.0.1:0"', '"*:587"': '"127.0.0.1:0"',
            '"0.0.0.0:80"': f'"127.0.0.1:{authority.http_port}"', ":8080": f":{free_port(0)}",
            '"127.0.0.1:53"': f'"127.0.0.1:{names.start(published)}"',
        }  # fmt: skip
        text = Path(told["configuration"]).read_text()
        for old, new in changes.items():  # in real life they are as they are; tests take free ports
            assert old in text
            text = text.replace(old, new)
        text += "\n[outbound]\nprivate_addresses = true\n"
        gate = Gate(tmp_path / "gate", text)
        gate.start()
        stack.callback(gate.stop)
        password = gate.rows("user", "app-password", "add", "ana@example.com", "--name", "laptop")[0][
            "password"
        ]
        trusting = ssl.create_default_context(cadata=authority.root_pem.decode())

        def session() -> smtplib.SMTP_SSL | None:
            class Door(smtplib.SMTP_SSL):
                def _get_socket(self, host: str, port: int, timeout: float) -> ssl.SSLSocket:
                    raw = socket.create_connection((host, port), timeout)
                    return trusting.wrap_socket(raw, server_hostname="mail.example.com")

            try:
                return Door("127.0.0.1", gate.ports["submissions1"], "laptop.lan", timeout=20)
            except ssl.SSLError:  # the authority has not asked back yet
                return None

        until(lambda: (one := session()) is not None and one.close() is None, gate.log, patience_s=40)
        until(lambda: [one["state"] for one in gate.rows("key", "list")] == ["signing"] * 2, gate.log)
        until(lambda: signed(session(), password, peer, published), gate.log, patience_s=20)
        assert gate.run("status", status=None).count("Nothing signs") == 0


def signed(session: smtplib.SMTP_SSL | None, password: str, peer: Peer, names: Zone) -> bool:
    """Send a letter; are both signatures on it when it arrives? Each process looks once a second which keys sign."""
    assert session is not None
    word = f"letter-{time.monotonic_ns()}"
    with session:
        session.login("ana@example.com", password)
        session.sendmail("ana@example.com", ["bo@far.example"], mail(word, author="ana@example.com"))
    until(lambda: any(word.encode() in one for one in peer.messages))
    octets = next(one for one in peer.messages if word.encode() in one)
    found, _ = asyncio.run(verify_signatures(Message.parse(octets), names, time.time()))
    return [one.result for one in found] == ["pass", "pass"]
