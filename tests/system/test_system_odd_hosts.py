"""Domains that send mail into our own network: a whole gate writes to none of their hosts, and says so to who wrote."""

from __future__ import annotations

import smtplib
import socket
import ssl
from pathlib import Path

import pytest
from test_system_next_hops import scripted
from whole import mail, running, tls_for, until

from scripted_peer import Peer

INSIDE = "127.79.0.25"
ZONE = f"""
loop.example.       MX 10 localhost.
number.example.     MX 10 {INSIDE}.
mapped.example.     MX 10 mx.mapped.example.
mx.mapped.example.  AAAA  ::ffff:{INSIDE}
zero.example.       MX 10 mx.zero.example.
mx.zero.example.    A     0.0.0.0
inner.example.      MX 10 mx.inner.example.
mx.inner.example.   A     {INSIDE}
bare.example.       A     {INSIDE}
"""
ODD = (
    "loop.example", "number.example", "mapped.example", "zero.example", "inner.example", "bare.example",
)  # fmt: skip
LISTENERS = '[[listeners]]\naddress = "127.0.0.1:0"\nrole = "submission"\nrelay_for = ["127.0.0.1"]\n'
MORE = '[delivery]\npoll = "50ms"\n'


def test_mail_to_others_does_not_reach_into_our_network(tmp_path: Path) -> None:
    try:
        socket.create_server((INSIDE, 25)).close()
    except OSError:
        pytest.skip(f"may not listen on {INSIDE}:25")
    inner = Peer(address=INSIDE, port=25)
    with (
        scripted(inner),
        running(tmp_path, zone=ZONE, listeners=LISTENERS, more=tls_for(tmp_path) + MORE) as gate,
    ):
        refs = {}
        with smtplib.SMTP("127.0.0.1", gate.port, timeout=20) as session:
            session.starttls(context=ssl.create_default_context(cafile=str(tmp_path / "ca.pem")))
            session.ehlo("desk.example.net")
            for domain in ODD:
                session.mail("ana@example.net")
                assert session.rcpt(f"bo@{domain}")[0] == 250
                code, text = session.data(mail(domain, author="ana@example.net"))
                assert code == 250, text
                refs[domain] = text.decode().partition("[ref ")[2].partition("]")[0]
            session.mail("ana@example.net")
            code, text = session.rcpt(f"bo@[{INSIDE}]")
            assert (code, text[:5]) == (550, b"5.1.2")

        def story(ref: str) -> list[dict[str, str]]:
            found: list[dict[str, str]] = gate.rows("explain", ref)[0]["deliveries"]
            return found

        until(lambda: all(story(ref) for ref in refs.values()), gate.log)
        for domain, ref in refs.items():
            (tried,) = story(ref)
            assert tried["status"] == "failed", (domain, tried)
            assert "no address of the public network" in tried["reply"], (domain, tried)
        assert inner.connections == 0
